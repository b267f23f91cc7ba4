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
         "name what it has delegated in its prefixes, unless its default route names it (from PREFIX)"});
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
      if (policy.foreignSource == ForeignSource::none) continue;
      for (const auto& [wan, pin] : used.pins)
        if (isUnknown(steering_.wans[wan]))
          add("policy " + policy.name + ": of WAN " + steering_.wans[wan].name +
              " only the sources on its own link count as right (ipv6): no prefix of it is known");
    }
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
                           "take source_routing away, or steer them by a [[rule]] whose policy lacks this WAN"});
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
