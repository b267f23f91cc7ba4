// SPDX-License-Identifier: GPL-2.0-or-later
// Policies during the validation of a configuration: those that are defined, and those that an inline `use_wan`
// creates.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wgsteer/core/config.hpp"

#include "config/schema.hpp"
#include "config/sections.hpp"

namespace wgsteer::config {

/// What use_policy of a rule says instead of a policy; nullopt: nothing special. No policy may have such a name.
std::optional<RuleUse> ruleUseOf(std::string_view word);

class Policies {
 public:
  Policies(const std::vector<WanConfig>& wans, Problems& problems) : wans_(wans), problems_(problems) {}

  void define(const Section& section, PolicySection policy);
  /// The policy that `use_policy` or `use_wan` of a tunnel, peer or rule asks for; nullopt if it has neither.
  std::optional<std::string> of(const Section& section, const PolicyChoice& choice);

  /// How many policies need a mark of their own: one over a single WAN, with `unreachable` as the last resort, uses
  /// that WAN's.
  std::size_t composite() const;
  /// Of the policy of this name; all WANs may be unnamed, and then count as one.
  std::size_t wansOf(const std::string& name) const;
  std::vector<PolicyConfig> take() && { return std::move(policies_); }

 private:
  std::vector<PolicyMember> members(const Section& section, const std::vector<Member>& useWan);
  std::string inPlace(std::vector<PolicyMember> members);
  bool taken(const std::string& name) const;

  const std::vector<WanConfig>& wans_;
  Problems& problems_;
  std::vector<PolicyConfig> policies_;
  std::map<std::string, unsigned> lines_;
};

}  // namespace wgsteer::config
