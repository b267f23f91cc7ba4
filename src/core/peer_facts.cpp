// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>

#include "wgsteer/core/steering.hpp"

#include "core/host_routes.hpp"

namespace wgsteer {

bool looksLikeServer(const Tunnel& tunnel) {
  const auto isHost = [](const Prefix& prefix) { return prefix.length() == bitsOf(prefix.family()); };
  const auto clientLike = [](const Peer& peer) {
    // /0, or halves of it: this peer is this host's Internet access.
    return peer.persistentKeepalive != 0 ||
           std::ranges::any_of(peer.allowedIps, [](const Prefix& prefix) { return prefix.length() <= 1; });
  };
  if (tunnel.peers.empty() || std::ranges::any_of(tunnel.peers, clientLike)) return false;
  return std::ranges::any_of(tunnel.peers, [](const Peer& peer) { return !peer.endpoint; }) ||
         std::ranges::all_of(tunnel.peers,
                             [&](const Peer& peer) { return std::ranges::all_of(peer.allowedIps, isHost); });
}

namespace {

std::map<IfName, std::map<std::size_t, std::string>> pinnedPeers(const Config& config, const World& world) {
  std::map<IfName, std::map<std::size_t, std::string>> pinned;
  for (const PeerConfig& own : config.peers) {
    const auto tunnel = world.tunnels.find(own.tunnel);
    if (tunnel == world.tunnels.end() || !own.policy) continue;
    const auto& peers = tunnel->second.peers;
    const auto peer = std::ranges::lower_bound(peers, own.publicKey, {}, &Peer::publicKey);
    if (peer == peers.end() || peer->publicKey != own.publicKey) continue;
    pinned[own.tunnel].emplace(static_cast<std::size_t>(peer - peers.begin()), *own.policy);
  }
  return pinned;
}

}  // namespace

PeerFacts peerFacts(const Config& config, const World& world) {
  PeerFacts facts;
  facts.pinned = pinnedPeers(config, world);
  facts.routes = tunnelRoutes(world);
  for (const auto& [name, tunnel] : world.tunnels) facts.likeServer.emplace(name, looksLikeServer(tunnel));
  if (!facts.routes.into.empty()) facts.nested = nestedPeers(world, facts.routes);
  return facts;
}

}  // namespace wgsteer
