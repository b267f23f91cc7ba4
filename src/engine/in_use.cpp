// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/engine.hpp"

namespace wgsteer {

namespace {

InUse use(const Wan& wan, Family family) {
  const auto source = wan.source.find(family);
  return {wan.name, source == wan.source.end() ? std::nullopt : std::optional{source->second}};
}

}  // namespace

InUse inUse(const Steering& steering, const PolicyView& policy, Family family) {
  const auto able = candidates(steering, policy, family);
  return able.empty() ? InUse{} : use(steering.wans[able.front()->wan], family);
}

WansInUse wansInUse(const Steering& steering, const TunnelView& tunnel) {
  std::set<std::size_t> policies{tunnel.policy};
  std::set<std::size_t> wans;
  for (const auto& [peer, policy] : tunnel.peerPolicy) policies.insert(policy);
  for (const auto& [peer, wan] : tunnel.peerWan) wans.insert(wan);
  WansInUse used;
  for (const Family family : kFamilies) {
    for (const std::size_t policy : policies) used.emplace(family, inUse(steering, steering.policies[policy], family));
    for (const std::size_t wan : wans) used.emplace(family, use(steering.wans[wan], family));
  }
  return used;
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
      for (const MemberView* member :
           preferredCandidates(steering, steering.policies[tunnel.policyOf(i)], endpoint->address.family()))
        wans.push_back(&steering.wans[member->wan]);
    for (const Wan* wan : wans)
      for (const auto& [device, address] : table.addresses)
        if (device == wan->device) sources[*endpoint].insert(address);
  }
  return sources;
}

}  // namespace wgsteer
