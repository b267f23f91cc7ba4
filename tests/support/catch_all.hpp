// SPDX-License-Identifier: GPL-2.0-or-later
// One rule that takes all new connections, over two WANs, of which it prefers the second.
#pragma once

#include "support/worlds.hpp"

namespace wgsteer::test {

inline Config catchAll() {
  Config config = fiberAndLte();
  config.numbers.markMask = kTrafficMarkMask;
  config.policies = {policy("lte_first", {{.wan = "lte", .metric = 10}, {.wan = "fiber", .metric = 20}})};
  RuleConfig& rule = config.rules.emplace_back();
  rule.name = "all";
  rule.policy = "lte_first";
  return config;
}

}  // namespace wgsteer::test
