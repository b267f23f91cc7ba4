// SPDX-License-Identifier: GPL-2.0-or-later
// Which WANs there are: configured, or found by their default routes.
#pragma once

#include <string>
#include <vector>

#include "wgsteer/core/steering.hpp"

namespace wgsteer {

/// The default route of the table; nullptr: it has none.
const Route* defaultIn(const World& world, TableId table, Family family);

/// Whether its kind encapsulates packets: never found as a WAN, and its addresses are right on no other device.
bool isVirtualUplink(const Link& link);

/// Appends WANs that cannot be used to `problems`, in words for the user.
std::vector<Wan> wansOf(const Config& config, const World& world, std::vector<std::string>& problems);

}  // namespace wgsteer
