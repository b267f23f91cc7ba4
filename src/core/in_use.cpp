// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/in_use.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace wgsteer {

namespace {

InUse useOf(const Wan& wan, Family family) {
  const auto source = wan.source.find(family);
  return {wan.name, source == wan.source.end() ? std::nullopt : std::optional{source->second}};
}

}  // namespace

InUse inUse(const Steering& steering, const PolicyView& policy, Family family) {
  const auto able = candidates(steering, policy, family);
  return able.empty() ? InUse{} : useOf(steering.wans[able.front()->wan], family);
}

WansInUse wansInUse(const Steering& steering, const TunnelView& tunnel) {
  std::set<std::size_t> policies{tunnel.policy};
  std::set<std::size_t> wans;
  for (const auto& [peer, policy] : tunnel.peerPolicy) policies.insert(policy);
  for (const auto& [peer, wan] : tunnel.peerWan) wans.insert(wan);
  WansInUse used;
  for (const Family family : kFamilies) {
    for (const std::size_t policy : policies) used.emplace(family, inUse(steering, steering.policies[policy], family));
    for (const std::size_t wan : wans) used.emplace(family, useOf(steering.wans[wan], family));
  }
  return used;
}

namespace {

std::string whyNotAnyMore(const Steering& steering, const std::string& wan, Family family) {
  const auto found = std::ranges::find(steering.wans, wan, &Wan::name);
  return found == steering.wans.end() ? std::string{} : found->whyNot(family);
}

}  // namespace

InUseTracker::News InUseTracker::update(const Steering& steering, bool strayed) {
  News news;
  std::map<IfName, OfTunnel> current;
  for (const TunnelView& view : steering.tunnels) {
    // A peer with its own WANs moves alone, and its cached source is just as wrong.
    OfTunnel now{.policy = {}, .wans = wansInUse(steering, view), .peerWan = view.peerWan};
    const auto before = known_.find(view.tunnel->name);
    bool moved =
        before != known_.end() && (strayed || before->second.wans != now.wans || before->second.peerWan != now.peerWan);
    for (const Family family : kFamilies) {
      const auto at = std::to_underlying(family);
      now.policy[at] = inUse(steering, steering.policies[view.policy], family);
      if (before == known_.end() || before->second.policy[at] == now.policy[at]) continue;
      moved = true;
      const InUse& former = before->second.policy[at];
      news.moves.push_back(
          {view.tunnel->name, family, former, now.policy[at], whyNotAnyMore(steering, former.wan, family)});
    }
    if (moved) news.moved.push_back(&view);
    current.emplace(view.tunnel->name, std::move(now));
  }
  known_ = std::move(current);
  return news;
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
