// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/ours.hpp"

#include "wgsteer/core/numbers.hpp"

#include "core/foreign_rules.hpp"

namespace wgsteer {

bool isOurs(const Route& route) { return route.protocol == kProtocol && isOurTable(route.table); }

bool isOurs(const Rule& rule) {
  if (rule.protocol != kProtocol) return false;
  if (isStamp(rule.suppressGroup)) return true;
  switch (rule.action) {
    case RuleAction::lookup:
      return isOurTable(rule.table);
    case RuleAction::goto_:
      // `not fwmark 0/MASK goto BLOCK`, just before a foreign rule, at any priority.
      if (rule.invert && rule.mark.mask != 0 && rule.mark.value == 0) return true;
      return rule.mark.mask != 0 && !rule.destination && selectsByMarkAndDestinationAlone(rule) &&
             rule.gotoPriority > rule.priority && rule.gotoPriority - rule.priority < kRuleBlockSize;
    default:
      return false;
  }
}

}  // namespace wgsteer
