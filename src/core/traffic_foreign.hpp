// SPDX-License-Identifier: GPL-2.0-or-later
// Rules of other programs that stand behind ours and before main: a VPN's networks (strongSwan's table 220, Tailscale's
// 52), an uplink that answers for one address of this host, a transparent proxy, a kill switch. What they decide is
// repeated for packets of rules, which would otherwise never reach them.
#pragma once

#include <optional>
#include <vector>

#include "wgsteer/core/steering.hpp"
#include "wgsteer/core/world.hpp"

namespace wgsteer {

struct ForeignCopies {
  /// In their order, without our bits of the mark. A goto leads past all others: there the rule ends, for packets that
  /// it is about, with main or with a WAN, and about these our rules decide.
  std::vector<Rule> rules;
  std::optional<Rule> leftOut;   ///< the first one that is too many
  std::vector<Rule> unrepeated;  ///< which depend on something that is not known here
};
ForeignCopies foreignRulesForTraffic(const World& world, const Numbers& numbers, const std::vector<Wan>& wans);

/// Where copies stand, and where their gotos lead.
struct ForeignPlace {
  std::uint32_t first = 0;
  std::uint32_t steps = 1;
  std::uint32_t end = 0;
};
/// As rules of ours. Rules of equal priority have no reliable order: each step is for copies that do not depend on
/// theirs, and once the steps are used up, no order is.
std::vector<Rule> placed(const std::vector<Rule>& copies, const ForeignPlace& place);

}  // namespace wgsteer
