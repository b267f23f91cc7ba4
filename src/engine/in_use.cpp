// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/engine.hpp"

namespace wgsteer {

namespace {

InUse use(const Wan& wan, Family family) {
  const auto source = wan.source.find(family);
  return {wan.name, source == wan.source.end() ? std::nullopt : std::optional{source->second}};
}

/// Eligible WANs of the policy that share the best metric.
std::vector<const Wan*> best(const Steering& steering, const PolicyView& policy, Family family) {
  std::vector<const Wan*> wans;
  std::uint32_t metric = 0;
  for (const MemberView& member : policy.members) {
    const Wan& wan = steering.wans[member.wan];
    const std::uint32_t own = member.metric.at(family);
    if (!wan.eligible(family) || (!wans.empty() && own > metric)) continue;
    if (own != metric) wans.clear();
    metric = own;
    wans.push_back(&wan);
  }
  return wans;
}

}  // namespace

InUse inUse(const Steering& steering, const PolicyView& policy, Family family) {
  const auto wans = best(steering, policy, family);
  return wans.empty() ? InUse{} : use(*wans.front(), family);
}

Ways waysOfPeers(const Steering& steering, const TunnelView& tunnel) {
  std::set<std::size_t> policies{tunnel.policy};
  std::set<std::size_t> wans;
  for (const auto& [peer, policy] : tunnel.peerPolicy) policies.insert(policy);
  for (const auto& [peer, wan] : tunnel.peerWan) wans.insert(wan);
  Ways ways;
  for (const Family family : kFamilies) {
    for (const std::size_t policy : policies) ways.emplace(family, inUse(steering, steering.policies[policy], family));
    for (const std::size_t wan : wans) ways.emplace(family, use(steering.wans[wan], family));
  }
  return ways;
}

std::map<Endpoint, std::set<Address>> rightSources(const Steering& steering, const TunnelView& tunnel,
                                                   const NftTable& table) {
  std::map<Endpoint, std::set<Address>> sources;
  for (std::size_t i = 0; i < tunnel.tunnel->peers.size(); ++i) {
    const auto& endpoint = tunnel.tunnel->peers[i].endpoint;
    if (!endpoint) continue;
    std::vector<const Wan*> wans;
    if (const auto own = tunnel.wanOf(i))
      wans = {&steering.wans[*own]};
    else
      wans = best(steering, steering.policies[tunnel.policyOf(i)], endpoint->address.family());
    for (const Wan* wan : wans)
      for (const auto& [device, address] : table.addresses)
        if (device == wan->device) sources[*endpoint].insert(address);
  }
  return sources;
}

}  // namespace wgsteer
