// SPDX-License-Identifier: GPL-2.0-or-later
// Rules for any traffic during the validation of a configuration: how the options of each fit together, and how many
// marks all of them need.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "wgsteer/core/config.hpp"

#include "config/policies.hpp"
#include "config/schema.hpp"
#include "config/sections.hpp"
#include "core/rule_cover.hpp"

namespace wgsteer::config {

class Rules {
 public:
  Rules(Policies& policies, Problems& problems) : policies_(policies), problems_(problems) {}

  void define(const Section& section, RuleSection rule, bool valuesAreRight);

  /// Marks that rules need beside those of tunnels.
  struct Marks {
    std::size_t policies = 0;  ///< that rules use; a sticky rule has one of its own
    std::size_t exits = 0;     ///< the WANs of each of these
    std::size_t closed = 0;    ///< unreachable, blackhole
    std::size_t sum() const { return policies + exits + closed; }
  };
  Marks marks() const;
  /// None that is enabled.
  bool empty() const { return rules_.empty(); }
  std::vector<RuleConfig> take() && { return std::move(rules_); }

 private:
  void giveName(const Section& section, RuleSection& rule);
  void chooseUse(const Section& section, RuleSection& rule);
  void checkTogether(const Section& section, RuleSection& rule);
  void chooseProtocols(const Section& section, RuleSection& rule);
  void checkPorts(const Section& section, RuleSection& rule);
  void checkFamilies(const Section& section, const RuleSection& rule);
  void checkOrigin(const Section& section, const RuleSection& rule);
  void checkSticky(const Section& section, const RuleSection& rule);
  void checkPossible(const Section& section, const RuleSection& rule);
  void checkAddresses(const Section& section, const RuleSection& rule);
  void checkLeft(const Section& section, const std::string& option, Leaves left);
  /// The entries by what they do, none of which may do both.
  template <class T>
  Selector<T> selectorOf(const Section& section, std::string_view option, const std::vector<Entry<T>>& entries);

  Policies& policies_;
  Problems& problems_;
  std::vector<RuleConfig> rules_;
  std::size_t position_ = 0;
  std::map<std::string, unsigned> lines_;
};

}  // namespace wgsteer::config
