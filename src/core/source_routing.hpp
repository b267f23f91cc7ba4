// SPDX-License-Identifier: GPL-2.0-or-later
// Which IPv6 sources belong to which WAN, and the rules by which packets from there leave by it (`source_routing`). An
// ISP drops packets with a source that it has not delegated.
#pragma once

#include <cstddef>
#include <set>
#include <vector>

#include "wgsteer/core/config.hpp"
#include "wgsteer/core/steering.hpp"
#include "wgsteer/core/world.hpp"

namespace wgsteer {

/// Without those that another one of them contains; ascending.
std::vector<Prefix> disjoint(std::vector<Prefix> prefixes);

/// Whether the address is in a prefix that the WAN has delegated.
bool delegates(const Wan& wan, const Address& address);

struct SourcePrefix {
  Prefix prefix;
  std::size_t wan = 0;  ///< index into Steering::wans
};
/// Those that choose their WAN now: of WANs that can be used and have `source_routing`. Of two WANs with overlapping
/// prefixes, the first has them.
std::vector<SourcePrefix> routedSources(const Steering& steering);

/// For packets that nobody has steered, neither rules for any traffic nor other programs. None if a foreign rule stands
/// in the way (see noteSourceRouting()).
void addSourceRouting(const Config& config, const World& world, const Steering& steering, std::set<Rule>& rules);
/// Tells if source routing has no effect on packets that nobody has steered.
void noteSourceRouting(const World& world, Steering& steering);

}  // namespace wgsteer
