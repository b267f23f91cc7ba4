// SPDX-License-Identifier: GPL-2.0-or-later
// Whether a WAN can be used, and which ones serve a policy.
#include <algorithm>

#include "wgsteer/core/steering.hpp"

namespace wgsteer {

bool serves(const Wan& wan, Family family, Need need) {
  return wan.eligible(family) && (need == Need::route || wan.source.contains(family));
}

std::vector<const MemberView*> candidates(const Steering& steering, const PolicyView& policy, Family family,
                                          Need need) {
  std::vector<const MemberView*> able;
  for (const MemberView& member : policy.members)
    if (serves(steering.wans[member.wan], family, need)) able.push_back(&member);
  std::ranges::stable_sort(able, {}, [family](const MemberView* member) { return member->metric.at(family); });
  return able;
}

std::vector<const MemberView*> preferredCandidates(const Steering& steering, const PolicyView& policy, Family family,
                                                   Need need) {
  auto able = candidates(steering, policy, family, need);
  const auto worse = std::ranges::find_if(
      able, [&](const MemberView* member) { return member->metric.at(family) != able.front()->metric.at(family); });
  able.erase(worse, able.end());
  return able;
}

bool Wan::eligible(Family family) const { return whyNot(family).empty(); }

std::string Wan::whyNot(Family family) const {
  std::string lacking = lacks(family);
  if (!lacking.empty() || !down.contains(family)) return lacking;
  return down.at(family);
}

bool Wan::isBehind(const std::optional<Address>& gateway, Family family) const {
  const auto known = defaults.find(family);
  return gateway && known != defaults.end() &&
         std::ranges::any_of(known->second, [&](const Route& route) { return route.hops.front().gateway == gateway; });
}

std::string Wan::lacks(Family family) const {
  if (link == nullptr) return "no such device";
  if (!link->up) return "link down";
  if (!link->carrier) return "no carrier";
  if (!defaults.contains(family)) return "no default route";
  if (const auto refusal = refused.find(family); refusal != refused.end())
    return "the kernel rejects its default route: " + refusal->second;
  if (deaf) return "in a VRF while net.ipv4.udp_l3mdev_accept is 0";
  if (sourceless.contains(family)) return "no address";
  return {};
}

bool isWan(const Steering& steering, const Link& link) {
  return std::ranges::any_of(steering.wans, [&](const Wan& wan) { return wan.link == &link; });
}

}  // namespace wgsteer
