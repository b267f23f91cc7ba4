// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/taken_before.hpp"

#include <algorithm>

#include "wgsteer/core/describe.hpp"

#include "core/foreign_rules.hpp"
#include "core/rule_cover.hpp"

namespace wgsteer {

namespace {

/// Whether it has an answer for any destination: otherwise later rules are asked.
bool knowsAll(const World& world, const Rule& rule) {
  return std::ranges::any_of(world.routes, [&](const Route& route) {
    return route.table == rule.table && route.family() == rule.family && route.destination.length() <= 1 &&
           static_cast<std::int32_t>(route.destination.length()) > rule.suppressPrefixLength &&
           route.source.isDefault() && route.type != RouteType::throw_;
  });
}

bool takesOwn(const World& world, const Rule& rule, std::uint32_t priority) {
  if (rule.priority == 0 || rule.priority >= priority || rule.ipProtocol != 0) return false;
  if (!takesEverythingWith(rule, Mark{0})) return false;
  if (rule.action == RuleAction::goto_) return rule.gotoPriority > priority;
  return rule.action != RuleAction::lookup || knowsAll(world, rule);
}

/// Where the ip rules of a rule start, as addLocalRules() places them.
std::uint32_t priorityOf(const TrafficState& of, const RuleConfig& rule, Family family) {
  std::uint32_t priority = localBase(of, family) + kLocalRulesOffset;
  for (const TrafficRule& each : of.steering.traffic->rules) {
    if (each.rule == &rule) break;
    if (originOf(*each.rule) != Origin::forwarded) priority += kLocalRuleSize;
  }
  return priority;
}

/// Most sockets of this host have no source yet when they ask: a rule that names sources is about the hosts behind it,
/// unless it says otherwise.
bool isAboutOwn(const RuleConfig& rule) {
  return originOf(rule) == Origin::local || (originOf(rule) == Origin::any && rule.source.any.empty());
}

}  // namespace

FamilyMap<const Rule*> takenBefore(const TrafficState& of, const RuleConfig& rule) {
  FamilyMap<const Rule*> taken;
  if (!of.steering.traffic || !isAboutOwn(rule) || rule.use == RuleUse::main) return taken;
  for (const Family family : of.steering.families) {
    const std::uint32_t priority = priorityOf(of, rule, family);
    if (!concerns(rule, family) || !canRouteLocal(of.config, of.world, of.steering, family)) continue;
    const auto by = std::ranges::find_if(
        of.world.rules, [&](const Rule& each) { return each.family == family && takesOwn(of.world, each, priority); });
    if (by != of.world.rules.end()) taken[family] = &*by;
  }
  return taken;
}

std::string whyNotForOwn(const TrafficState& of, const RuleConfig& rule) {
  const auto taken = takenBefore(of, rule);
  if (taken.empty()) return {};
  const auto concerned =
      std::ranges::count_if(of.steering.families, [&](Family family) { return concerns(rule, family); });
  const auto& [family, by] = *taken.begin();
  const bool inAll = taken.end() - taken.begin() == concerned;
  const bool wholly = inAll && rule.origin == Origin::local;
  const std::string whose = inAll ? std::string{} : std::string{nameOf(family)} + " ";
  const std::string about = wholly ? std::string{} : "not for this host's own " + whose + "connections: ";
  return about + ipRule(*by) + " comes first";
}

}  // namespace wgsteer
