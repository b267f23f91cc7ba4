// SPDX-License-Identifier: GPL-2.0-or-later
// What the rules for any traffic do at present, for `status` and `check`.
#pragma once

#include <string>
#include <vector>

#include "wgsteer/core/config.hpp"
#include "wgsteer/core/family_map.hpp"
#include "wgsteer/core/steering.hpp"

namespace wgsteer {

struct RuleEffect {
  const RuleConfig* rule = nullptr;
  /// By family, where the rule names a policy and may match, and any WAN has the family: the WANs by which new
  /// connections leave now, several of equal metric. Empty: none can be used, so the policy's last resort applies.
  FamilyMap<std::vector<std::string>> exits;
  /// Why no connection goes where the rule says, or none of this host's own; empty: they do.
  std::string whyNone;
};

/// One for each rule of the configuration, in their order.
std::vector<RuleEffect> ruleEffects(const Config& config, const World& world, const Steering& steering);

/// A mark of connections that stands for an exit, and by which rules or policy they got it.
struct ExitMark {
  std::size_t wan = 0;  ///< index into Steering::wans
  MarkMatch mark;
  std::string policy;  ///< empty: they came in by this WAN
  std::string rule;    ///< the sticky rule whose connections have a mark of their own
};
std::vector<ExitMark> exitMarks(const Steering& steering, const Numbers& numbers);

}  // namespace wgsteer
