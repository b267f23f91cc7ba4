// SPDX-License-Identifier: GPL-2.0-or-later
// What of rtnetlink's announcements this process need not wake up for, as classic BPF (socket(7), SO_ATTACH_FILTER).
// A feed of a million routes that a router learns by its WANs then costs this process nothing.
#pragma once

#include <cstdint>
#include <linux/filter.h>
#include <vector>

#include "wgsteer/core/route_interest.hpp"

namespace wgsteer::netlink {

/// Drops announcements of what the request socket with this port has done itself; foreign routes that are neither
/// default routes nor of the main table; and those of the main table that the interest does not want. Routes of tables
/// with ids over 255 (ours are) are let through: classic BPF cannot look for the table's attribute and its value both
/// ways in reasonable length, and nobody feeds a million routes there.
std::vector<sock_filter> routeFilter(std::uint32_t ownPort, const RouteInterest& interest);

/// The first half of that alone.
std::vector<sock_filter> ownPortFilter(std::uint32_t ownPort);

}  // namespace wgsteer::netlink
