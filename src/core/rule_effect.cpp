// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/rule_effect.hpp"

#include <algorithm>
#include <utility>

#include "core/taken_before.hpp"

namespace wgsteer {

namespace {

const PolicyView* policyOf(const Steering& steering, const RuleConfig& rule) {
  const auto found = std::ranges::find_if(
      steering.policies, [&](const PolicyView& view) { return view.name == rule.policy && !view.server; });
  return found == steering.policies.end() ? nullptr : &*found;
}

FamilyMap<std::vector<std::string>> exitsOf(const Steering& steering, const RuleConfig& rule,
                                            const PolicyView& policy) {
  FamilyMap<std::vector<std::string>> exits;
  for (const Family family : steering.families) {
    if (!concerns(rule, family) || !isOffered(steering, family)) continue;
    std::vector<std::string> names;
    for (const MemberView* member : preferredCandidates(steering, policy, family))
      names.push_back(steering.wans[member->wan].name);
    exits[family] = std::move(names);
  }
  return exits;
}

std::string whyNoExit(const PolicyView& policy) {
  return "no WAN of policy " + policy.name + " can be used: " +
         (policy.lastResort == LastResort::main ? "the main table decides" : "connections are refused");
}

RuleEffect effectOf(const TrafficState& of, const RuleConfig& rule) {
  const Steering& steering = of.steering;
  RuleEffect effect{.rule = &rule, .exits = {}, .whyNone = {}};
  const bool inUse = steering.traffic && std::ranges::find(steering.traffic->rules, &rule, &TrafficRule::rule) !=
                                             steering.traffic->rules.end();
  const bool inFamily = std::ranges::any_of(steering.families, [&](Family family) { return concerns(rule, family); });
  if (of.world.foreignTable)
    effect.whyNone = "another program has nft table inet wgsteer";
  else if (!steering.traffic)
    effect.whyNone = "nothing is steered";
  else if (!inUse)
    effect.whyNone = "no mark left: widen mark_mask";
  else if (!inFamily)
    effect.whyNone = "its family is left alone: no WAN has a default route for it";
  const PolicyView* policy = rule.use == RuleUse::policy ? policyOf(steering, rule) : nullptr;
  if (!effect.whyNone.empty()) return effect;
  effect.whyNone = whyNotForOwn(of, rule);
  if (policy == nullptr) return effect;
  effect.exits = exitsOf(steering, rule, *policy);
  if (std::ranges::all_of(effect.exits, [](const auto& entry) { return entry.second.empty(); }))
    effect.whyNone = whyNoExit(*policy);
  return effect;
}

/// Only a sticky rule has a view of a policy for itself.
std::string ownerOf(const TrafficSteering& traffic, std::size_t policy) {
  if (!traffic.policies[policy].sticky) return {};
  const auto rule = std::ranges::find(traffic.rules, policy, &TrafficRule::policy);
  return rule == traffic.rules.end() ? std::string{} : rule->rule->name;
}

}  // namespace

std::vector<RuleEffect> ruleEffects(const Config& config, const World& world, const Steering& steering) {
  std::vector<RuleEffect> effects;
  effects.reserve(config.rules.size());
  for (const RuleConfig& rule : config.rules) effects.push_back(effectOf({config, world, steering}, rule));
  return effects;
}

std::vector<ExitMark> exitMarks(const Steering& steering, const Numbers& numbers) {
  std::vector<ExitMark> marks;
  if (!steering.traffic) return marks;
  for (const auto& [wan, exit] : steering.traffic->exits)
    marks.push_back({.wan = wan, .mark = numbers.mark(exit), .policy = {}, .rule = {}});
  const auto& policies = steering.traffic->policies;
  for (std::size_t i = 0; i < policies.size(); ++i)
    for (const auto& [wan, pin] : policies[i].pins)
      marks.push_back({.wan = wan,
                       .mark = numbers.mark(pin),
                       .policy = steering.policies[policies[i].policy].name,
                       .rule = ownerOf(*steering.traffic, i)});
  return marks;
}

}  // namespace wgsteer
