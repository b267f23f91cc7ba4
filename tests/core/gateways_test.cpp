// SPDX-License-Identifier: GPL-2.0-or-later
// Several routers on one device.
#include <algorithm>
#include <gtest/gtest.h>

#include "wgsteer/core/inspect.hpp"

#include "core/hosts.hpp"

namespace wgsteer {
namespace {

using namespace test;

TEST(Gateways, TwoOnOneDeviceAreTwoWans) {
  World world = twoWans();
  world.routes.insert(route("0.0.0.0/0", kWan0, "192.0.2.254", 15));
  const Steering steering = steer({}, world);
  ASSERT_EQ(steering.wans.size(), 3U);
  const auto second = std::ranges::find(steering.wans, "wan0 via 192.0.2.254", &Wan::name);
  ASSERT_NE(second, steering.wans.end());
  EXPECT_EQ(second->slot, Slot{3});
  const State state = desire({}, world);
  EXPECT_EQ(state.nft->table.wans.size(), 2U) << "what comes in cannot be told apart";
  World silent = world;
  silent.stalled = {{{"wg0", key(1)}, {.wan = "wan0 via 192.0.2.254", .why = "no answer"}}};
  const Walk diverted = walk(silent, "wg0");
  EXPECT_EQ(diverted.gateway, Address::parse("192.0.2.254"));
}

/// Both WANs on one device, behind a router each.
Config twoGateways() {
  Config config;
  config.wans = {wan("one", "wan0", 1), wan("two", "wan0", 2)};
  config.wans[0].gateway = {*Address::parse("192.0.2.1"), *Address::parse("2001:db8:10::1")};
  config.wans[1].gateway = {*Address::parse("192.0.2.254"), *Address::parse("fe80::254")};
  return config;
}

std::string gatewaysOf(const Steering& steering, Family family) {
  std::string all;
  for (const Wan& each : steering.wans) {
    const auto defaults = each.defaults.find(family);
    all += (all.empty() ? "" : " ") +
           (defaults == each.defaults.end() ? "none" : defaults->second.front().hops.front().gateway->toString());
  }
  return all;
}

TEST(Gateways, ThatAreNamedTellWansApart) {
  World world = twoWans();
  world.addresses.insert(address(kWan0, "fe80::10/64"));
  world.routes.insert(route("0.0.0.0/0", kWan0, "192.0.2.254", 5));
  const Config config = twoGateways();
  const Steering steering = steer(config, world);
  EXPECT_EQ(gatewaysOf(steering, Family::v4), "192.0.2.1 192.0.2.254");
  EXPECT_EQ(gatewaysOf(steering, Family::v6), "2001:db8:10::1 fe80::254") << "nobody has a route by the second";
  const State state = desire(config, world, steering);
  EXPECT_EQ(state.nft->table.wans, (std::map<IfName, Slot>{{"wan0", Slot{1}}})) << "what comes in cannot be told apart";
  World down = world;
  down.wansDown = {{"one", "silent"}};
  const Walk walked =
      explain(desire(config, down), down, Packet{.destination = kServer4, .mark = Mark{0xf0000000}, .source = {}});
  EXPECT_EQ(walked.gateway, Address::parse("192.0.2.254"));
}

TEST(Gateways, OfBothWansMayBeInOneRoute) {
  World world = twoWans();
  world.routes.erase(route("0.0.0.0/0", kWan0, "192.0.2.1", 10));
  Route both = route("0.0.0.0/0", kWan0, "192.0.2.1", 10);
  both.hops.push_back({.device = kWan0, .gateway = Address::parse("192.0.2.254")});
  world.routes.insert(both);
  EXPECT_EQ(gatewaysOf(steer(twoGateways(), world), Family::v4), "192.0.2.1 192.0.2.254");
}

TEST(Gateways, ThatNobodyNamesAreTheFirstsThatNamesNone) {
  World world = twoWans();
  world.routes.insert(route("0.0.0.0/0", kWan0, "192.0.2.254", 5));
  Config config = twoGateways();
  config.wans[0].gateway.clear();
  EXPECT_EQ(gatewaysOf(steer(config, world), Family::v4), "192.0.2.1 192.0.2.254");
  config.wans[1].gateway.pop_back();
  EXPECT_EQ(gatewaysOf(steer(config, world), Family::v6), "2001:db8:10::1 none");
  std::swap(config.wans[0], config.wans[1]);
  EXPECT_EQ(gatewaysOf(steer(config, world), Family::v4), "192.0.2.254 192.0.2.1");
  EXPECT_EQ(gatewaysOf(steer(config, world), Family::v6), "none 2001:db8:10::1") << "who names one is of that family";
}

TEST(Gateways, OutsideTheNetworkOfTheDeviceAreNotThere) {
  World world = twoWans();
  Config config = twoGateways();
  config.wans[1].gateway = {*Address::parse("198.51.100.1")};
  EXPECT_EQ(gatewaysOf(steer(config, world), Family::v4), "192.0.2.1 none");
  std::erase_if(world.addresses, [](const InterfaceAddress& own) { return own.device == kWan0; });
  world.routes.erase(route("0.0.0.0/0", kWan0, "192.0.2.1", 10));
  EXPECT_EQ(gatewaysOf(steer(config, world), Family::v4), "none none");
}

TEST(Gateways, OfOneWanAloneCountsForItsFamily) {
  Config config = fiberAndLte();
  config.wans[0].gateway = {*Address::parse("192.0.2.254")};
  const World world = twoWans();
  const Steering steering = steer(config, world);
  EXPECT_EQ(gatewaysOf(steering, Family::v4), "192.0.2.254 198.51.100.1");
  EXPECT_EQ(gatewaysOf(steering, Family::v6), "2001:db8:10::1 2001:db8:20::1");
  const auto findings = inspect(config, {world, {}}, steering, desire(config, world, steering));
  EXPECT_TRUE(std::ranges::any_of(findings, [](const Finding& finding) {
    return finding.what == "WAN fiber (wan0): no default route is by its gateway 192.0.2.254, but one is by 192.0.2.1";
  })) << "it may have another address by now";
}

TEST(Gateways, AHostRouteIsOfTheWanWhoseGatewayItIsBy) {
  World world = twoWans();
  world.routes.insert(route("0.0.0.0/0", kWan0, "192.0.2.254", 20));
  world.routes.insert(route("203.0.113.55/32", kWan0, "192.0.2.254"));
  const Config config = twoGateways();
  const auto by = [&](const World& now, std::uint32_t mark) {
    return explain(desire(config, now), now, Packet{.destination = kServer4, .mark = Mark{mark}, .source = {}}).gateway;
  };
  EXPECT_EQ(by(world, 0xf0000000), Address::parse("192.0.2.254"));
  EXPECT_EQ(by(world, 0x10000000), Address::parse("192.0.2.1")) << "the first WAN's own table";
  world.wansDown = {{"two", "silent"}};
  EXPECT_EQ(by(world, 0xf0000000), Address::parse("192.0.2.1"));
}

TEST(Gateways, RepliesOfServersGoByTheRouterOfTheirAddress) {
  World world = twoWans();
  world.addresses.insert(address(kWan0, "198.18.0.10/24"));
  Config config = twoGateways();
  config.wans[1].gateway = {*Address::parse("198.18.0.1")};
  config.tunnels = {tunnel("wg0", "default", Role::server)};
  const State state = desire(config, world);
  const auto tableOf = [&](const char* from) {
    std::set<TableId> tables;
    for (const Rule& rule : state.rules)
      if (rule.source == Prefix::parse(from)) tables.insert(rule.table);
    return tables;
  };
  EXPECT_EQ(tableOf("192.0.2.10/32"), (std::set<TableId>{TableId{kWanTableBase + 1}}));
  EXPECT_EQ(tableOf("198.18.0.10/32"), (std::set<TableId>{TableId{kWanTableBase + 2}}));
}

}  // namespace
}  // namespace wgsteer
