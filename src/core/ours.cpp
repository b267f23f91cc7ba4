// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/ours.hpp"

#include "wgsteer/core/numbers.hpp"

namespace wgsteer {

bool isOurs(const Route& route) { return route.protocol == kProtocol && isOurTable(route.table); }

namespace {

bool selectsByMarkAlone(const Rule& rule) {
  return rule.mark.mask != 0 && !rule.source && !rule.destination && rule.inputInterface.empty() &&
         rule.outputInterface.empty() && rule.ipProtocol == 0 && !rule.sourcePort && !rule.destinationPort &&
         !rule.otherSelector;
}

}  // namespace

bool isOurs(const Rule& rule) {
  if (rule.protocol != kProtocol) return false;
  switch (rule.action) {
    case RuleAction::lookup:
      return isOurTable(rule.table) || rule.suppressGroup == kStampGroup;
    case RuleAction::goto_:
      // `not fwmark 0/MASK goto BLOCK`, just before a foreign rule, at any priority.
      if (rule.invert && rule.mark.mask != 0 && rule.mark.value == 0) return true;
      return selectsByMarkAlone(rule) && rule.gotoPriority > rule.priority &&
             rule.gotoPriority - rule.priority < kRuleBlockSize;
    default:
      return false;
  }
}

}  // namespace wgsteer
