// SPDX-License-Identifier: GPL-2.0-or-later
// What other programs' rules mean for packets that carry marks of ours.
#pragma once

#include <algorithm>

#include "wgsteer/core/numbers.hpp"
#include "wgsteer/core/route.hpp"

namespace wgsteer {

/// Whether the rule catches every locally generated packet with this mark, whatever its addresses and ports. A rule
/// that names any of those concerns something specific and keeps its effect.
inline bool takesEverythingWith(const Rule& rule, Mark mark) {
  constexpr std::uint8_t kUdp = 17;
  const bool forAll = !rule.source && !rule.destination && rule.outputInterface.empty() && !rule.sourcePort &&
                      !rule.destinationPort && !rule.otherSelector &&
                      (rule.inputInterface.empty() || rule.inputInterface == "lo") &&
                      (rule.ipProtocol == 0 || rule.ipProtocol == kUdp);
  if (!forAll || rule.action == RuleAction::nop || rule.action == RuleAction::other) return false;
  if (rule.action == RuleAction::lookup && rule.table == kLocalTable) return false;
  return rule.mark.matches(mark) != rule.invert;
}

/// Whether nothing but mark and destination decides to which packets the rule applies.
inline bool selectsByMarkAndDestinationAlone(const Rule& rule) {
  return !rule.source && rule.inputInterface.empty() && rule.outputInterface.empty() && !rule.sourcePort &&
         !rule.destinationPort && rule.ipProtocol == 0 && !rule.otherSelector;
}

/// Whether the rule looks up table local for every packet, as the kernel's own does.
inline bool looksUpLocalForAll(const Rule& rule) {
  return rule.action == RuleAction::lookup && rule.table == kLocalTable && !rule.invert && rule.mark.mask == 0 &&
         !rule.destination && rule.suppressPrefixLength < 0 && selectsByMarkAndDestinationAlone(rule);
}

}  // namespace wgsteer
