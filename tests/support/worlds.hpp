// SPDX-License-Identifier: GPL-2.0-or-later
// The world that most tests start with: two WANs, and a tunnel with both halves of the default route.
#pragma once

#include "wgsteer/core/config.hpp"
#include "wgsteer/core/world.hpp"

namespace wgsteer::test {

inline constexpr IfIndex kWan0{2};
inline constexpr IfIndex kWan1{3};
inline constexpr IfIndex kTunnel{9};

inline Link link(IfIndex index, const IfName& name, const std::string& kind = "veth") {
  Link made;
  made.index = index;
  made.name = name;
  made.kind = kind;
  made.up = made.carrier = true;
  return made;
}

inline InterfaceAddress address(IfIndex device, const std::string& prefix) {
  InterfaceAddress made;
  made.device = device;
  const auto slash = prefix.find('/');
  made.address = *Address::parse(prefix.substr(0, slash));
  made.prefixLength = static_cast<std::uint8_t>(std::stoi(prefix.substr(slash + 1)));
  return made;
}

inline Route route(const std::string& destination, IfIndex device, const std::string& gateway = "",
                   std::uint32_t metric = 0) {
  Route made;
  made.table = kMainTable;
  made.destination = *Prefix::parse(destination);
  made.source = Prefix::any(made.family());
  made.metric = metric;
  made.hops = {NextHop{.device = device, .gateway = gateway.empty() ? std::nullopt : Address::parse(gateway)}};
  made.protocol = 3;
  return made;
}

inline Rule kernelRule(Family family, std::uint32_t priority, TableId table) {
  Rule made;
  made.family = family;
  made.priority = priority;
  made.table = table;
  made.protocol = 2;
  return made;
}

inline PublicKey key(std::uint8_t number) {
  std::array<std::uint8_t, PublicKey::kSize> bytes{};
  bytes[0] = number;
  return PublicKey{bytes};
}

inline Peer peer(std::uint8_t number, const std::string& endpoint) {
  Peer made;
  made.publicKey = key(number);
  made.endpoint = Endpoint::parse(endpoint);
  made.allowedIps = {Prefix::any(Family::v4)};
  return made;
}

inline const Endpoint kServer4{Address::v4(203, 0, 113, 55), 51820};

inline World twoWans() {
  World world;
  world.links = {
      {kWan0, link(kWan0, "wan0")}, {kWan1, link(kWan1, "wan1")}, {kTunnel, link(kTunnel, "wg0", "wireguard")}};
  world.addresses = {address(kWan0, "192.0.2.10/24"), address(kWan1, "198.51.100.10/24"),
                     address(kWan0, "2001:db8:10::10/64"), address(kWan1, "2001:db8:20::10/64"),
                     address(kTunnel, "10.9.0.2/24")};
  world.routes = {route("0.0.0.0/0", kWan0, "192.0.2.1", 10),
                  route("0.0.0.0/0", kWan1, "198.51.100.1", 20),
                  route("::/0", kWan0, "2001:db8:10::1", 10),
                  route("::/0", kWan1, "2001:db8:20::1", 20),
                  route("0.0.0.0/1", kTunnel),
                  route("128.0.0.0/1", kTunnel),
                  route("::/1", kTunnel),
                  route("8000::/1", kTunnel)};
  for (const Family family : kFamilies) {
    world.rules.insert(kernelRule(family, 0, kLocalTable));
    world.rules.insert(kernelRule(family, 32766, kMainTable));
  }
  Tunnel tunnel;
  tunnel.name = "wg0";
  tunnel.listenPort = 51820;
  tunnel.peers = {peer(1, "203.0.113.55:51820")};
  world.tunnels.edit().emplace("wg0", tunnel);
  return world;
}

inline WanConfig wan(const std::string& name, const IfName& device, std::uint32_t metric) {
  WanConfig made;
  made.name = name;
  made.device = device;
  made.metric = metric;
  return made;
}

/// The WANs of twoWans() with names.
inline Config fiberAndLte() {
  Config config;
  config.wans = {wan("fiber", "wan0", 1), wan("lte", "wan1", 2)};
  return config;
}

inline PolicyConfig policy(const std::string& name, const std::vector<PolicyMember>& members,
                           LastResort lastResort = LastResort::unreachable) {
  return {.name = name, .members = members, .lastResort = lastResort};
}

inline TunnelConfig tunnel(const IfName& interface, const std::string& policy, Role role = Role::automatic) {
  TunnelConfig made;
  made.interface = interface;
  made.policy = policy;
  made.role = role;
  return made;
}

inline PeerConfig pinned(const IfName& tunnel, std::uint8_t number, const std::string& policy) {
  PeerConfig made;
  made.tunnel = tunnel;
  made.publicKey = key(number);
  made.policy = policy;
  return made;
}

}  // namespace wgsteer::test
