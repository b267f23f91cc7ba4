// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/inspect_sources.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "core/deprecation.hpp"
#include "core/host_routes.hpp"

namespace wgsteer {

namespace {

class SourceInspector {
 public:
  SourceInspector(const World& world, const Steering& steering) : world_(world), steering_(steering) {}

  std::vector<Finding> inspect() {
    for (const Wan& wan : steering_.wans) {
      inspectOverlaps(wan);
      inspectTunnels(wan);
      if (wan.sourceRouting && isUnknown(wan))
        add("WAN " + wan.name + ": source_routing has no effect: no prefix of it is known");
      if (wan.deprecate) inspectDeprecation(wan);
    }
    if (steering_.traffic) inspectPolicies();
    return std::move(findings_);
  }

 private:
  void add(std::string what) {
    findings_.push_back(
        {Severity::advice, std::move(what),
         "list the delegated prefixes in its `prefixes`, unless its default route names them (from PREFIX)"});
  }

  /// It has IPv6, but nothing says what it delegates.
  static bool isUnknown(const Wan& wan) { return wan.defaults.contains(Family::v6) && wan.prefixes.empty(); }

  void inspectDeprecation(const Wan& wan) {
    const std::string what = "WAN " + wan.name + ": deprecate has no effect: ";
    if (wan.prefixes.empty()) {
      // Of a device that is gone, nothing says what it delegates.
      if (wan.link != nullptr) add(what + "no prefix of it is known");
    } else if (addressesBehind(world_, steering_, wan).empty()) {
      findings_.push_back({Severity::advice, what + "no device of the inside has an address in its prefixes",
                           "give one to the device that advertises them, as netifd, dhcpcd and networkd do"});
    }
    const bool alone = std::ranges::none_of(
        steering_.wans, [&](const Wan& other) { return &other != &wan && other.defaults.contains(Family::v6); });
    if (alone)
      findings_.push_back({Severity::advice, what + "no other WAN has IPv6",
                           "addresses are deprecated only while another WAN can be used in IPv6"});
  }

  /// Where no prefix is known, hosts with addresses that the exit has delegated are treated like all others.
  void inspectPolicies() {
    for (const TrafficPolicy& used : steering_.traffic->policies) {
      const PolicyView& policy = steering_.policies[used.policy];
      if (policy.foreignSource == ForeignSource::none) {
        inspectForeign(used, policy);
        continue;
      }
      for (const auto& [wan, pin] : used.pins)
        if (isUnknown(steering_.wans[wan]))
          add("policy " + policy.name + ": of WAN " + steering_.wans[wan].name +
              " only the sources on its own link count as right (ipv6): no prefix of it is known");
    }
  }

  /// Sources of another WAN that leave as they are, although their own WAN is known.
  void inspectForeign(const TrafficPolicy& used, const PolicyView& policy) {
    const auto exits = preferredCandidates(steering_, policy, Family::v6);
    for (const Wan& wan : steering_.wans) {
      const auto isHere = [&](const MemberView* member) { return &steering_.wans[member->wan] == &wan; };
      const bool usable = wan.eligible(Family::v6) && hasPin(used, wan);
      if (exits.empty() || (wan.sourceRouting && usable) || std::ranges::any_of(exits, isHere)) continue;
      for (const Prefix& prefix : wan.prefixes)
        if (!(usable && hasRouteFrom(wan, prefix)) &&
            std::ranges::any_of(steering_.traffic->rules,
                                [&](const TrafficRule& rule) { return isAbout(rule, used, prefix); }))
          findings_.push_back({Severity::advice,
                               "policy " + policy.name + ": sources in " + prefix.toString() + ", which is of WAN " +
                                   wan.name + ", leave by WAN " + steering_.wans[exits.front()->wan].name +
                                   " as they are, and most providers drop them",
                               "set ipv6 of the policy, or source_routing of WAN " + wan.name +
                                   " if the policy has it; ignore this if your firewall translates them"});
    }
  }

  /// Then the policy's table has it as well.
  static bool hasRouteFrom(const Wan& wan, const Prefix& prefix) {
    return std::ranges::find(wan.defaults.at(Family::v6), prefix, &Route::source) != wan.defaults.at(Family::v6).end();
  }

  bool hasPin(const TrafficPolicy& used, const Wan& wan) const {
    return std::ranges::any_of(used.pins, [&](const auto& entry) { return &steering_.wans[entry.first] == &wan; });
  }

  bool isAbout(const TrafficRule& rule, const TrafficPolicy& used, const Prefix& prefix) const {
    if (!rule.policy || &steering_.traffic->policies[*rule.policy] != &used || !concerns(*rule.rule, Family::v6))
      return false;
    const auto overlaps = [&](const Prefix& source) { return source.overlaps(prefix); };
    return rule.rule->source.any.empty() || std::ranges::any_of(rule.rule->source.any, overlaps);
  }

  void inspectOverlaps(const Wan& wan) {
    if (!wan.sourceRouting) return;
    for (const Wan& other : steering_.wans)
      for (const Prefix& prefix : wan.prefixes)
        if (&other < &wan && other.sourceRouting &&
            std::ranges::any_of(other.prefixes, [&](const Prefix& each) { return each.overlaps(prefix); }))
          findings_.push_back({Severity::problem,
                               "WANs " + other.name + " and " + wan.name + " both have " + prefix.toString() +
                                   ": packets from there leave by " + other.name + " while it is usable",
                               "set source_routing for one of them"});
  }

  /// Halves of a default route in main are one to us, whoever made them.
  void inspectTunnels(const Wan& wan) {
    if (wan.sourceRouting && !wan.prefixes.empty() && tunnelHasTheWorld(world_, Family::v6))
      findings_.push_back({Severity::problem,
                           "WAN " + wan.name + ": packets from " + wan.prefixes.front().toString() +
                               " do not follow the default route by a tunnel in main",
                           "turn off source_routing, or steer them by a [[rule]] whose policy lacks this WAN"});
  }

  const World& world_;
  const Steering& steering_;
  std::vector<Finding> findings_;
};

}  // namespace

std::vector<Finding> inspectSources(const World& world, const Steering& steering) {
  return SourceInspector{world, steering}.inspect();
}

}  // namespace wgsteer
