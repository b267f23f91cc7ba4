// SPDX-License-Identifier: GPL-2.0-or-later
// Planning embedded in another program: a world, what should be in the kernel, the changes that lead there, and the
// path of a packet before and after. Nothing here touches the kernel.
#include <cstdio>

#include "wgsteer/core/describe.hpp"
#include "wgsteer/core/desire.hpp"
#include "wgsteer/core/explain.hpp"

using namespace wgsteer;

int main() {
  const IfIndex wan{2};
  const IfIndex tunnel{3};
  World world;
  world.links[wan] = {.index = wan, .name = "wan0", .up = true, .carrier = true};
  world.links[tunnel] = {.index = tunnel, .name = "wg0", .kind = "wireguard", .up = true, .carrier = true};
  world.addresses.insert({.device = wan, .address = *Address::parse("192.0.2.10"), .prefixLength = 24});
  const auto defaultBy = [](IfIndex device, std::optional<Address> gateway, std::uint32_t metric) {
    Route route{.table = kMainTable, .destination = Prefix::any(Family::v4), .source = Prefix::any(Family::v4)};
    route.metric = metric;
    route.hops = {NextHop{.device = device, .gateway = gateway}};
    return route;
  };
  world.routes = {defaultBy(wan, Address::parse("192.0.2.1"), 100), defaultBy(tunnel, std::nullopt, 0)};
  for (const std::uint32_t priority : {0U, 32766U})
    world.rules.insert({.priority = priority, .table = priority == 0 ? kLocalTable : kMainTable});
  const Endpoint endpoint{*Address::parse("203.0.113.55"), 51820};
  Tunnel wg0{.name = "wg0"};
  wg0.peers.push_back({.endpoint = endpoint, .allowedIps = {Prefix::any(Family::v4)}});
  world.tunnels = {{"wg0", wg0}};

  const State before;
  const State desired = desire({}, world);
  for (const std::string& line : describe(diff(desired, before), deviceNames(world))) std::puts(line.c_str());

  const auto deviceOf = [&](const State& state) {
    return explain(state, world, outerPacket(state, wg0, endpoint)).device;
  };
  std::printf("%s left by %s, and leaves by %s now\n", endpoint.toString().c_str(), deviceOf(before).c_str(),
              deviceOf(desired).c_str());
}
