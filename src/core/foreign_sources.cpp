// SPDX-License-Identifier: GPL-2.0-or-later
// What becomes of IPv6 packets of rules that leave by an exit with a source that is not of that exit (`ipv6` of a
// policy).
#include <algorithm>
#include <iterator>

#include "core/source_routing.hpp"
#include "core/traffic.hpp"

namespace wgsteer {

namespace {

/// The prefixes that hosts behind this one have, but for the exit's own.
std::vector<Prefix> insideOf(const Config& config, const Steering& steering, const Wan& exit) {
  std::vector<Prefix> inside = config.insidePrefixes;
  for (const Wan& wan : steering.wans)
    if (&wan != &exit) std::ranges::copy(wan.prefixes, std::back_inserter(inside));
  inside = disjoint(std::move(inside));
  std::erase_if(inside, [&](const Prefix& prefix) {
    return std::ranges::any_of(exit.prefixes, [&](const Prefix& own) { return own.overlaps(prefix); });
  });
  return inside;
}

/// Each host gets an address of its own: the exit's prefix must be as wide as theirs.
void translate(const Config& config, const PolicyView& policy, const Wan& exit, Steering& steering,
               TrafficForeignSource& treated) {
  if (exit.device.empty() || exit.prefixes.empty()) return;
  for (const Prefix& inside : insideOf(config, steering, exit)) {
    const auto outside =
        std::ranges::find_if(exit.prefixes, [&](const Prefix& prefix) { return prefix.length() <= inside.length(); });
    if (outside != exit.prefixes.end())
      treated.translations.push_back({.device = exit.device, .inside = inside, .outside = *outside});
    else
      steering.problems.push_back(
          "policy " + policy.name + " cannot translate " + inside.toString() + " for WAN " + exit.name +
          ": it is wider than " + exit.prefixes.front().toString() +
          ", so such connections are rejected; name a longer prefix in inside_prefixes, or set ipv6 "
          "= \"masquerade\"");
  }
}

}  // namespace

void treatForeignSources(const Config& config, Steering& steering) {
  if (std::ranges::find(steering.families, Family::v6) == steering.families.end()) return;
  for (const TrafficPolicy& used : steering.traffic->policies) {
    const PolicyView& policy = steering.policies[used.policy];
    if (policy.foreignSource == ForeignSource::none) continue;
    TrafficForeignSource treated{.marks = routedMarks(used), .treatment = policy.foreignSource, .translations = {}};
    if (policy.foreignSource == ForeignSource::translate)
      for (const auto& [wan, pin] : used.pins) translate(config, policy, steering.wans[wan], steering, treated);
    steering.traffic->foreignSources.push_back(std::move(treated));
  }
}

void addExitPrefixes(const World& world, const Steering& steering, NftTable& table) {
  if (steering.traffic->foreignSources.empty()) return;
  std::map<IfName, std::vector<Prefix>> byDevice;
  for (const Wan& wan : steering.wans) {
    if (wan.device.empty()) continue;
    auto& prefixes = byDevice[wan.device];
    std::ranges::copy(wan.prefixes, std::back_inserter(prefixes));
    if (wan.link == nullptr) continue;
    for (const InterfaceAddress& own : world.addressesOf(wan.link->index))
      if (own.address.family() == Family::v6 && !own.address.isLinkLocal())
        prefixes.emplace_back(own.address, own.prefixLength);
  }
  for (const auto& [device, prefixes] : byDevice)
    for (const Prefix& prefix : disjoint(prefixes)) table.prefixes.emplace(device, prefix);
}

}  // namespace wgsteer
