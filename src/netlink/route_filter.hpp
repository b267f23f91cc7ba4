// SPDX-License-Identifier: GPL-2.0-or-later
// The rtnetlink announcements for which this process need not wake up, as classic BPF (socket(7), SO_ATTACH_FILTER). So
// a feed of a million routes that a router learns over its WANs costs this process nothing.
#pragma once

#include <cstdint>
#include <linux/filter.h>
#include <vector>

#include "wgsteer/core/route_interest.hpp"

namespace wgsteer::netlink {

/// Drops announcements of changes that the request socket with this port made; foreign routes that are neither default
/// routes nor of the main table; and those of the main table that the interest does not want. Ours are let through.
std::vector<sock_filter> routeFilter(std::uint32_t ownPort, const RouteInterest& interest);

/// Only the first part of that.
std::vector<sock_filter> ownPortFilter(std::uint32_t ownPort);

}  // namespace wgsteer::netlink
