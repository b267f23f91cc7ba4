// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/endpoint_moves.hpp"

#include "wgsteer/core/follow.hpp"
#include "wgsteer/core/in_use.hpp"

namespace wgsteer {

namespace {

/// The families in which a policy's packets can leave.
std::vector<Family> usableFamilies(const Steering& steering, const PolicyView& policy) {
  std::vector<Family> usable;
  for (const Family family : kFamilies)
    if (!inUse(steering, policy, family).wan.empty()) usable.push_back(family);
  return usable;
}

}  // namespace

std::vector<EndpointMove> endpointMoves(const Config& config, const World& world, const Steering& steering,
                                        WallSeconds now) {
  // Once for each policy: of peers there can be thousands.
  std::vector<std::vector<Family>> usable;
  for (const PolicyView& policy : steering.policies) usable.push_back(usableFamilies(steering, policy));
  std::vector<EndpointMove> moves;
  for (const TunnelView& view : steering.tunnels) {
    const Tunnel& tunnel = *view.tunnel;
    if (!config.tunnel(tunnel.name).updateEndpoint) continue;
    for (std::size_t i = 0; i < tunnel.peers.size(); ++i) {
      const auto named = world.named.find({tunnel.name, tunnel.peers[i].publicKey});
      if (named == world.named.end()) continue;
      if (const auto better = betterEndpoint(tunnel.peers[i], named->second, usable[view.policyOf(i)], now))
        moves.push_back({tunnel.name, i, *better});
    }
  }
  return moves;
}

std::string describe(const EndpointMove& move, const World& world) {
  return "wg set " + move.tunnel + " peer " + world.tunnels.at(move.tunnel).peers[move.peer].publicKey.toString() +
         " endpoint " + move.to.toString();
}

}  // namespace wgsteer
