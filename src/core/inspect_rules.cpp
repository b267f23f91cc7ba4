// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/inspect_rules.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "wgsteer/core/describe.hpp"
#include "wgsteer/core/rule_effect.hpp"

#include "core/rule_cover.hpp"
#include "core/taken_before.hpp"

namespace wgsteer {

namespace {

using Names = std::vector<std::string>;

/// "a, b and 12 more": a configuration may have hundreds of rules.
std::string listed(const Names& names) {
  constexpr std::size_t kShown = 5;
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < kShown; ++i) text += (i == 0 ? "" : ", ") + names[i];
  return names.size() <= kShown ? text : text + " and " + std::to_string(names.size() - kShown) + " more";
}

std::string rules(const Names& names) { return (names.size() == 1 ? "rule " : "rules ") + listed(names); }

constexpr Family otherThan(Family family) { return family == Family::v4 ? Family::v6 : Family::v4; }

bool refuses(const RuleConfig& rule) { return rule.use == RuleUse::unreachable || rule.use == RuleUse::blackhole; }

bool doTheSame(const RuleConfig& left, const RuleConfig& right) {
  return left.use == right.use && left.policy == right.policy;
}

class RuleInspector {
 public:
  RuleInspector(const Config& config, const World& world, const Steering& steering)
      : config_(config), world_(world), steering_(steering) {}

  std::vector<Finding> inspect() {
    inspectOrder();
    inspectFamilies();
    for (const RuleConfig& rule : config_.rules) {
      inspectDevices(rule);
      inspectDestinations(rule);
    }
    inspectPolicies();
    inspectOwn();
    return std::move(findings_);
  }

 private:
  void add(Severity severity, std::string what, std::string fix) {
    findings_.push_back({severity, std::move(what), std::move(fix)});
  }

  /// Rules that are never asked, told once for each rule that takes everything before them.
  void inspectOrder() {
    std::map<std::size_t, Names> hidden;
    std::set<std::size_t> matters;
    for (std::size_t i = 1; i < config_.rules.size(); ++i) {
      const auto by = coverOf(config_.rules, i);
      if (!by) continue;
      hidden[*by].push_back(config_.rules[i].name);
      if (!doTheSame(config_.rules[*by], config_.rules[i])) matters.insert(*by);
    }
    for (const auto& [by, names] : hidden) {
      const RuleConfig& first = config_.rules[by];
      add(matters.contains(by) ? Severity::problem : Severity::advice,
          rules(names) + " can never match: " + "the earlier rule " + first.name + " matches everything" +
              (isCatchAll(first)   ? ""
               : names.size() == 1 ? " that it could"
                                   : " that they could"),
          matters.contains(by)
              ? "write rule " + first.name + " after " + (names.size() == 1 ? "it" : "them")
              : "remove " + std::string{names.size() == 1 ? "it" : "them"} + ": rule " + first.name + " does the same");
    }
  }

  /// The family that a rule leaves alone although the same hosts have it. Not if that is said (`family`), nor if it is
  /// the destinations that have one family.
  std::optional<Family> leftOut(const RuleConfig& rule) const {
    if (rule.family || rule.source.any.empty() || !rule.destination.any.empty()) return std::nullopt;
    for (const Family family : kFamilies)
      if (!concerns(rule, family) && isOffered(steering_, family)) return family;
    return std::nullopt;
  }

  void inspectFamilies() {
    std::map<std::pair<bool, Family>, Names> partial;
    for (const RuleConfig& rule : config_.rules)
      if (const auto family = leftOut(rule)) partial[{refuses(rule), *family}].push_back(rule.name);
    for (const auto& [which, names] : partial) {
      const auto [refusing, family] = which;
      const std::string other = nameOf(family);
      const std::string own = nameOf(otherThan(family));
      add(refusing ? Severity::problem : Severity::advice,
          rules(names) + (names.size() == 1 ? " selects" : " select") + " hosts by addresses of " + own + " alone: " +
              (refusing ? "what they send by " + other + " is not refused"
                        : other + " of the same hosts is left alone"),
          "add their prefixes of " + other + " to src_ip, or select them by src_iface or src_mac; if " + own +
              " alone is meant, say so: family = \"" + keyOf(otherThan(family)) + "\"");
    }
  }

  /// Connections that arrive on a WAN are answered over it, whatever the rules say.
  void inspectDevices(const RuleConfig& rule) {
    for (const IfName& device : rule.inputDevice.any)
      if (std::ranges::find(steering_.wans, device, &Wan::device) != steering_.wans.end())
        add(Severity::problem,
            "rule " + rule.name + ": src_iface " + device +
                " is a WAN: connections that arrive on a WAN are answered over it, whatever the rules say",
            "name the device on which the hosts are");
      else if (world_.linkNamed(device) == nullptr)
        addMissing(rule, device, "rule " + rule.name + " matches nothing from there until it appears");
    for (const IfName& device : rule.inputDevice.none)
      if (world_.linkNamed(device) == nullptr)
        addMissing(rule, device, "nothing is excluded from rule " + rule.name + " until it appears");
  }
  void addMissing(const RuleConfig& rule, const IfName& device, std::string until) {
    add(Severity::advice, "rule " + rule.name + ": src_iface " + device + " does not exist", std::move(until));
  }

  /// What main knows better than a default route is never sent out by a rule.
  void inspectDestinations(const RuleConfig& rule) {
    if (rule.use == RuleUse::main) return;
    Names inside;
    const Route* by = nullptr;
    for (const Prefix& destination : rule.destination.any)
      if (const Route* route = insideRoute(destination)) {
        inside.push_back(destination.toString());
        by = route;
      }
    if (inside.empty()) return;
    const bool all = inside.size() == rule.destination.any.size();
    add(all ? Severity::problem : Severity::advice,
        "rule " + rule.name + " has no effect on " + (all ? "any of its destinations" : listed(inside)) +
            ", to which there is a specific route: " + describe(*by, deviceNames(world_)),
        "such destinations are inside; a firewall can refuse them, and another route can lead elsewhere");
  }
  const Route* insideRoute(const Prefix& destination) const {
    const auto found = std::ranges::find_if(world_.routes, [&](const Route& route) {
      const Prefix& wide = route.destination;
      return isAskedBefore(route.table) && wide.length() > 1 && wide.length() <= destination.length() &&
             wide.contains(destination.address()) && route.source.isDefault() && route.type != RouteType::throw_;
    });
    return found == world_.routes.end() ? nullptr : &*found;
  }
  bool isAskedBefore(TableId table) const {
    return table == kMainTable || std::ranges::find(config_.insideTables, table) != config_.insideTables.end();
  }

  /// Policies that have no WAN at all for a family that others have, whatever the state of their WANs.
  void inspectPolicies() {
    std::map<std::pair<std::size_t, Family>, Names> lacking;
    if (!steering_.traffic) return;
    for (const TrafficRule& rule : steering_.traffic->rules) {
      if (!rule.policy) continue;
      const std::size_t policy = steering_.traffic->policies[*rule.policy].policy;
      for (const Family family : steering_.families)
        if (concerns(*rule.rule, family) && isOffered(steering_, family) &&
            !hasFamily(steering_.policies[policy], family))
          lacking[{policy, family}].push_back(rule.rule->name);
    }
    for (const auto& [which, names] : lacking) {
      const PolicyView& policy = steering_.policies[which.first];
      add(Severity::advice,
          std::string{"no WAN of policy "} + policy.name + " has " + nameOf(which.second) + ": such connections of " +
              rules(names) + (policy.lastResort == LastResort::main ? " are left to the main table" : " are refused"),
          "add a WAN that has it to the policy, or set family in the rule");
    }
  }
  /// This host's own connections that another program's rule takes before they ask any of these.
  void inspectOwn() {
    std::map<std::pair<Family, Rule>, Names> taken;
    std::map<std::pair<Family, Rule>, bool> whole;
    for (const RuleConfig& rule : config_.rules)
      for (const auto& [family, by] : takenBefore({config_, world_, steering_}, rule)) {
        taken[{family, *by}].push_back(rule.name);
        whole[{family, *by}] |= rule.origin == Origin::local;
      }
    const std::uint32_t last = config_.numbers.rulePriority + kLocalEndOffset;
    for (const auto& [which, names] : taken)
      add(whole[which] ? Severity::problem : Severity::advice,
          std::string{"this host's own "} + nameOf(which.first) + " connections never ask " + rules(names) + ": " +
              ipRule(which.second) + ", of another program, takes them all before",
          "give it a priority above " + std::to_string(last) + ", or name in it what it is for");
  }

  bool hasFamily(const PolicyView& policy, Family family) const {
    return std::ranges::any_of(
        policy.members, [&](const MemberView& member) { return steering_.wans[member.wan].defaults.contains(family); });
  }

  const Config& config_;
  const World& world_;
  const Steering& steering_;
  std::vector<Finding> findings_;
};

}  // namespace

std::vector<Finding> inspectRules(const Config& config, const World& world, const Steering& steering) {
  return RuleInspector{config, world, steering}.inspect();
}

}  // namespace wgsteer
