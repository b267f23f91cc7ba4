// SPDX-License-Identifier: GPL-2.0-or-later
// What nftables has to know about peers: by endpoint, or by endpoint and source port.
#include <algorithm>
#include <utility>
#include <vector>

#include "wgsteer/core/desire.hpp"
#include "wgsteer/core/follow.hpp"

namespace wgsteer {

namespace {

/// Endpoints and flows of all tunnels. An endpoint does not tell apart two tunnels to the same server: if they share an
/// endpoint, or a peer has a policy of its own, packets are told apart by their source port.
class EndpointBook {
 public:
  std::map<Endpoint, std::optional<Slot>> endpoints;

  /// `special`: applies whatever mark the packet has. Without a verdict the packet is left alone.
  void add(const Endpoint& endpoint, const Tunnel& tunnel, std::optional<Slot> verdict, bool special) {
    const Flow flow{endpoint, tunnel.listenPort};
    if (!verdict) {
      leftAlone_.push_back(flow);
      leftAloneEndpoints_.insert(endpoint);
      return;
    }
    const auto [known, fresh] = endpoints.try_emplace(endpoint, verdict);
    if (!fresh && known->second != verdict) shared_.insert(endpoint);
    if (special)
      note(flow, verdict);
    else
      usual_.emplace_back(flow, verdict);
  }

  /// Of a tunnel that has gone: whoever has such an endpoint now decides about it.
  void addDeparted(const Endpoint& endpoint, Slot slot) {
    if (!leftAloneEndpoints_.contains(endpoint)) endpoints.try_emplace(endpoint, slot);
  }

  std::map<Flow, std::optional<Slot>> takeFlows() {
    for (const auto& [flow, verdict] : usual_)
      if (shared_.contains(flow.endpoint)) note(flow, verdict);
    for (const Flow& flow : leftAlone_)
      if (endpoints.contains(flow.endpoint)) note(flow, std::nullopt);
    // Two sockets on one port cannot be told apart either: their own marks must suffice.
    for (const Flow& flow : ambiguous_) flows_.erase(flow);
    return std::move(flows_);
  }

 private:
  void note(const Flow& flow, std::optional<Slot> verdict) {
    if (flow.sourcePort == 0) return;  // its socket is not open yet
    const auto [known, fresh] = flows_.try_emplace(flow, verdict);
    if (!fresh && known->second != verdict) ambiguous_.insert(flow);
  }

  std::set<Endpoint> shared_;
  std::vector<std::pair<Flow, std::optional<Slot>>> usual_;
  std::vector<Flow> leftAlone_;
  std::set<Endpoint> leftAloneEndpoints_;
  std::map<Flow, std::optional<Slot>> flows_;
  std::set<Flow> ambiguous_;
};

}  // namespace

std::map<IfName, Verdicts> verdictsOf(const Steering& steering) {
  std::map<IfName, Verdicts> verdicts;
  // The policy to which a foreign mark leads before any nft rule: that of the first tunnel with the mark.
  std::map<Mark, std::size_t> foreignMarks;
  for (const TunnelView& view : steering.tunnels) {
    const Slot usual = steering.policies[view.policy].target.slot;
    Verdicts own{.usual = usual, .others = {}};
    for (const auto& [peer, wan] : view.peerWan) own.others.emplace(peer, steering.wans[wan].slot);
    for (const auto& [peer, policy] : view.peerPolicy) own.others.emplace(peer, steering.policies[policy].target.slot);
    for (const auto& [peer, by] : view.leftAlone) own.others.insert_or_assign(peer, std::nullopt);
    // Nothing gives its mark a meaning, or another tunnel has given it a different one.
    const bool everybody = view.fwmark == FwmarkUse::none || view.refusesMark ||
                           (view.fwmark == FwmarkUse::foreign &&
                            foreignMarks.emplace(view.ownersMark, view.policy).first->second != view.policy);
    for (std::size_t i = 0; everybody && i < view.tunnel->peers.size(); ++i) own.others.emplace(i, usual);
    verdicts.emplace(view.tunnel->name, std::move(own));
  }
  return verdicts;
}

namespace {

bool canBeSteered(const Steering& steering, const Endpoint& endpoint) {
  const Address& address = endpoint.address;
  return std::ranges::find(steering.families, address.family()) != steering.families.end() && endpoint.port != 0 &&
         !address.isUnspecified() && !address.isLoopback() && !address.isLinkLocal() && !address.isMulticast();
}

void addPeers(const World& world, const Steering& steering, const Tunnel& tunnel, const Verdicts& verdicts,
              EndpointBook& book) {
  for (std::size_t i = 0; i < tunnel.peers.size(); ++i) {
    const Peer& peer = tunnel.peers[i];
    const auto other = verdicts.others.find(i);
    const bool special = other != verdicts.others.end();
    const auto verdict = special ? other->second : verdicts.usual;
    const auto add = [&](const Endpoint& endpoint) {
      if (canBeSteered(steering, endpoint)) book.add(endpoint, tunnel, verdict, special);
    };
    if (peer.endpoint) add(*peer.endpoint);
    if (const auto named = world.named.find({tunnel.name, peer.publicKey}); named != world.named.end())
      for (const Endpoint& endpoint : endpointsOf(named->second)) add(endpoint);
  }
}

}  // namespace

PeerMaps peerMaps(const World& world, const Steering& steering, const std::map<IfName, Verdicts>& verdicts) {
  EndpointBook book;
  for (const auto& [name, tunnel] : world.tunnels)
    if (const auto own = verdicts.find(name); own != verdicts.end())
      addPeers(world, steering, tunnel, own->second, book);
  for (const auto& [name, tunnel] : world.tunnels)
    if (!verdicts.contains(name)) addPeers(world, steering, tunnel, {}, book);
  for (const auto& [name, departed] : world.departed)
    for (const auto& [endpoint, slot] : departed.endpoints)
      if (canBeSteered(steering, endpoint) &&
          std::ranges::any_of(steering.policies, [&](const PolicyView& policy) { return policy.target.slot == slot; }))
        book.addDeparted(endpoint, slot);
  // Which of them become flows depends on the endpoints.
  PeerMaps maps;
  maps.flows = book.takeFlows();
  for (const auto& [flow, verdict] : maps.flows) maps.flowPorts.insert(flow.sourcePort);
  maps.endpoints = std::move(book.endpoints);
  return maps;
}

}  // namespace wgsteer
