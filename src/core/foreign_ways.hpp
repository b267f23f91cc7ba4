// SPDX-License-Identifier: GPL-2.0-or-later
// Foreign rules before main that lead to something that is neither a tunnel nor one of our WANs:
// an uplink that answers for one address of this host, networks behind Tailscale or a router inside, a way that
// somebody has chosen for one destination. Our rules come first, so they have to say the same of our packets.
#pragma once

#include <cstddef>
#include <vector>

#include "wgsteer/core/steering.hpp"

namespace wgsteer {

/// More of them cost every packet of ours too much.
inline constexpr std::size_t kMaxForeignWays = 128;

ForeignWays foreignWays(const World& world, const Numbers& numbers, const std::vector<Wan>& wans);

/// Rules that lead to such ways as well, but of which it is not understood whom they are for (uid range, TOS ...).
std::vector<Rule> waysNotUnderstood(const World& world, const Numbers& numbers, const std::vector<Wan>& wans);

/// The rule of somebody else that leads whatever has this mark to such a way.
const Rule* wayOf(const ForeignWays& ways, Mark mark);

}  // namespace wgsteer
