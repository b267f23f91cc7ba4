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

bool Wan::eligible(Family family) const { return lack(family) == Lack::nothing && !down.contains(family); }

Lack Wan::lack(Family family) const {
  if (link == nullptr) return Lack::device;
  if (!link->up) return Lack::link;
  if (!link->carrier) return Lack::carrier;
  if (!defaults.contains(family)) return Lack::route;
  if (refused.contains(family)) return Lack::consent;
  if (deaf) return Lack::hearing;
  return sourceless.contains(family) ? Lack::source : Lack::nothing;
}

std::string Wan::whyNot(Family family) const {
  switch (lack(family)) {
    case Lack::device:
      return "no such device";
    case Lack::link:
      return "link down";
    case Lack::carrier:
      return "no carrier";
    case Lack::route:
      return "no default route";
    case Lack::consent:
      return "the kernel rejects its default route: " + refused.at(family);
    case Lack::hearing:
      return "in a VRF while net.ipv4.udp_l3mdev_accept is 0";
    case Lack::source:
      return "no address";
    case Lack::nothing:
      break;
  }
  const auto reason = down.find(family);
  return reason == down.end() ? std::string{} : reason->second;
}

bool Wan::isBehind(const std::optional<Address>& gateway, Family family) const {
  const auto known = defaults.find(family);
  return gateway && known != defaults.end() &&
         std::ranges::any_of(known->second, [&](const Route& route) { return route.hops.front().gateway == gateway; });
}

bool isOffered(const Steering& steering, Family family) {
  return std::ranges::any_of(steering.wans, [&](const Wan& wan) { return wan.defaults.contains(family); });
}

bool isWan(const Steering& steering, const Link& link) {
  return std::ranges::any_of(steering.wans, [&](const Wan& wan) { return wan.link == &link; });
}

}  // namespace wgsteer
