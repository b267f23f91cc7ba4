// SPDX-License-Identifier: GPL-2.0-or-later
// Hosts as found in practice: what their tests share.
#pragma once

#include <string>

#include "wgsteer/core/desire.hpp"
#include "wgsteer/core/explain.hpp"

#include "support/worlds.hpp"

namespace wgsteer::test {

inline constexpr IfIndex kLan{4};
inline constexpr IfIndex kOther{10};

inline World withLan() {
  World world = twoWans();
  world.links.emplace(kLan, link(kLan, "lan0", "bridge"));
  world.addresses.insert(address(kLan, "192.168.7.1/24"));
  return world;
}

/// A second tunnel, to one endpoint.
inline void addTunnel(World& world, const std::string& endpoint, const std::string& allowed = "10.97.0.0/24") {
  world.links.emplace(kOther, link(kOther, "wg1", "wireguard"));
  Tunnel made;
  made.name = "wg1";
  made.listenPort = 51821;
  made.peers = {peer(2, endpoint)};
  made.peers.front().allowedIps = {*Prefix::parse(allowed)};
  world.tunnels.edit().emplace("wg1", made);
}

inline Route inTable(Route made, std::uint32_t table) {
  made.table = TableId{table};
  return made;
}

inline Walk walk(const World& world, const IfName& tunnel, const Config& config = {}) {
  const State state = desire(config, world);
  const Tunnel& own = world.tunnels.at(tunnel);
  return explain(state, world, outerPacket(state, own, *own.peers.front().endpoint));
}

}  // namespace wgsteer::test
