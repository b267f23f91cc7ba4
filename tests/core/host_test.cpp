// SPDX-License-Identifier: GPL-2.0-or-later
// Hosts as found in practice: specific routes, tunnels in tunnels, sources, families without a WAN.
#include <algorithm>
#include <gtest/gtest.h>

#include "wgsteer/core/describe.hpp"
#include "wgsteer/core/inspect.hpp"

#include "core/hosts.hpp"

namespace wgsteer {
namespace {

using namespace test;

TEST(Inside, AStaticRouteBehindALanRouterIsKept) {
  World world = withLan();
  world.routes.insert(route("10.50.0.0/16", kLan, "192.168.7.254"));
  addTunnel(world, "10.50.0.9:51820");
  const Walk after = walk(world, "wg1");
  EXPECT_EQ(after.device, "lan0");
  EXPECT_EQ(after.gateway, Address::parse("192.168.7.254"));
}

TEST(Inside, APrefixIsFoundByItsRouteWhereTheAddressHasNone) {
  World world = withLan();
  world.addresses.erase(address(kLan, "192.168.7.1/24"));
  InterfaceAddress own = address(kLan, "192.168.7.1/24");
  own.noPrefixRoute = true;
  world.addresses.insert(own);
  world.routes.insert(route("192.168.7.0/24", kLan, "", 425));
  addTunnel(world, "192.168.7.20:51820");
  EXPECT_EQ(walk(world, "wg1").device, "lan0");
}

TEST(Inside, OfTwoDevicesWithOnePrefixMainsOrderDecides) {
  World world = withLan();
  world.links.emplace(IfIndex{3000}, link(IfIndex{3000}, "lan1"));
  world.addresses.insert(address(IfIndex{3000}, "192.168.7.2/24"));
  world.routes.insert(route("192.168.7.0/24", kLan, "", 200));
  world.routes.insert(route("192.168.7.0/24", IfIndex{3000}, "", 100));
  addTunnel(world, "192.168.7.20:51820");
  EXPECT_EQ(walk(world, "wg1").device, "lan1");
  world.routes.erase(route("192.168.7.0/24", IfIndex{3000}, "", 100));
  EXPECT_EQ(walk(world, "wg1").device, "lan0");
}

TEST(Inside, OfTwoRoutersForOneDestinationTheFirstOfTheListIsAsked) {
  World world = withLan();
  Route first = route("10.50.0.0/16", kLan, "192.168.7.254"), appended = route("10.50.0.0/16", kLan, "192.168.7.3");
  appended.position.value = 1;
  world.routes.insert(first);
  world.routes.insert(appended);
  addTunnel(world, "10.50.0.9:51820");
  EXPECT_EQ(walk(world, "wg1").gateway, Address::parse("192.168.7.254"));
}

/// The kernel would take the device's first address.
TEST(Inside, OfSeveralAddressesOnADeviceTheOneOfThePrefixIsTheSource) {
  for (const bool byRoute : {false, true}) {
    World world = withLan();
    InterfaceAddress second = address(kLan, "10.20.0.1/24");
    second.noPrefixRoute = byRoute;
    world.addresses.insert(second);
    Route made = route("10.20.0.0/24", kLan);
    made.preferredSource = Address::parse("10.20.0.1");
    if (byRoute) world.routes.insert(made);
    addTunnel(world, "10.20.0.9:51820");
    EXPECT_EQ(walk(world, "wg1").route->preferredSource, Address::parse("10.20.0.1")) << byRoute;
    world.tunnels.edit().at("wg1").peers = {peer(2, "192.168.7.9:51820")};
    EXPECT_EQ(walk(world, "wg1").route->preferredSource, Address::parse("192.168.7.1")) << byRoute;
  }
}

TEST(Inside, LinkLocalPeersOfIpv4AreOnTheirLink) {
  World world = withLan();
  world.addresses.insert(address(kLan, "169.254.10.1/16"));
  world.routes.insert(route("169.254.0.0/16", kLan));
  addTunnel(world, "169.254.10.2:51820");
  EXPECT_EQ(walk(world, "wg1").device, "lan0");
}

TEST(Inside, PrefixesOfDevicesInAVrfAreNotMains) {
  World world = withLan();
  world.links.emplace(IfIndex{30}, link(IfIndex{30}, "blue0"));
  world.links.at(IfIndex{30}).inVrf = true;
  world.addresses.insert(address(IfIndex{30}, "203.0.113.1/24"));
  EXPECT_EQ(walk(world, "wg0").device, "wan0");
}

TEST(Inside, AHostRouteChoosesAWanForAsLongAsThatWorks) {
  World world = twoWans();
  world.routes.insert(route("203.0.113.55/32", kWan1, "198.51.100.1"));
  EXPECT_EQ(walk(world, "wg0").device, "wan1");
  world.wansDown = {{"wan1", "silent"}};
  EXPECT_EQ(walk(world, "wg0").device, "wan0");
}

TEST(Inside, AHostRouteOfNetifdChoosesNothing) {
  World world = twoWans();
  Route byNetifd = route("203.0.113.55/32", kWan1, "198.51.100.1");
  byNetifd.protocol = 4;
  world.routes.insert(byNetifd);
  EXPECT_EQ(walk(world, "wg0").device, "wan1") << "somebody else's static route";
  Config config;
  config.netifd = true;
  EXPECT_EQ(walk(world, "wg0", config).device, "wan0");
  world.routes.erase(byNetifd);
  byNetifd.hops.front().gateway = Address::parse("198.51.100.7");
  world.routes.insert(byNetifd);
  EXPECT_EQ(walk(world, "wg0", config).device, "wan1") << "by another router of that WAN it is somebody's decision";
}

/// A company's networks behind one of its uplinks, learned by BGP from the provider's router or another one there.
TEST(Inside, WhatAWansRoutersTellIsKept) {
  for (const char* gateway : {"198.51.100.1", "198.51.100.7"}) {
    World world = twoWans();
    Route site = route("203.0.113.0/24", kWan1, gateway, 20);
    site.protocol = 12;
    world.routes.insert(site);
    EXPECT_EQ(walk(world, "wg0").device, "wan1");
    EXPECT_EQ(walk(world, "wg0").gateway, Address::parse(gateway));
    world.links.at(kWan1).carrier = false;
    EXPECT_EQ(walk(world, "wg0").device, "wan0");
  }
}

TEST(Inside, OfAMultipathRouteByWansThoseHopsAreKeptThatCanBeUsed) {
  World world = twoWans();
  Route site = route("203.0.113.0/24", kWan1, "198.51.100.7", 20);
  site.hops.push_back({.device = kWan0, .gateway = Address::parse("192.0.2.7")});
  world.routes.insert(site);
  EXPECT_EQ(walk(world, "wg0").gateway, Address::parse("198.51.100.7"));
  world.wansDown = {{"wan1", "silent"}};
  EXPECT_EQ(walk(world, "wg0").gateway, Address::parse("192.0.2.7"));
}

TEST(Inside, ARouteByAPointToPointWanIsLeftWithThatWan) {
  World world = twoWans();
  world.links.at(kWan1).pointToPoint = true;
  world.routes.insert(route("203.0.113.55/32", kWan1));
  EXPECT_EQ(walk(world, "wg0").device, "wan1");
  world.wansDown = {{"wan1", "silent"}};
  EXPECT_EQ(walk(world, "wg0").device, "wan0");
}

TEST(Inside, RoutesThatCannotAllBeFollowedAreTold) {
  World world = twoWans();
  EXPECT_TRUE(steer({}, world).notes.empty());
  world.tooManyRoutes = true;
  world.leftOut = RouteInterest::LeftOut::fed;
  EXPECT_EQ(steer({}, world).notes.size(), 1U);
  world.leftOut = RouteInterest::LeftOut::learned;
  EXPECT_EQ(steer({}, world).problems.size(), 1U);
}

/// A `throw` route in main leads on to the rules after main's, and so to the table `default`.
TEST(Inside, WhatMainThrowsGoesOnWhereItWent) {
  World world = withLan();
  Route thrown = route("203.0.113.55/32", kLan);
  thrown.type = RouteType::throw_;
  thrown.hops.clear();
  world.routes.insert(thrown);
  EXPECT_EQ(walk(world, "wg0").device, "wan0") << "nothing comes behind";
  world.rules = {kernelRule(Family::v4, 32766, kMainTable), kernelRule(Family::v4, 32767, kDefaultTable)};
  Route uplink = route("0.0.0.0/0", kLan, "192.168.7.254");
  uplink.table = kDefaultTable;
  world.routes.insert(uplink);
  EXPECT_EQ(walk(world, "wg0").device, "lan0");
  world.routes.erase(uplink);
  uplink.hops = {NextHop{.device = kTunnel, .gateway = {}}};
  world.routes.insert(uplink);
  EXPECT_EQ(walk(world, "wg0").device, "wan0") << "not into a tunnel";
}

/// A host that was blocked by hand (fail2ban's action `route`), or the unused part of an own prefix.
TEST(Inside, WhatMainRefusesIsRefusedAndTold) {
  for (const RouteType type : {RouteType::blackhole, RouteType::unreachable, RouteType::prohibit}) {
    World world = withLan();
    world.rules = {kernelRule(Family::v4, 32766, kMainTable)};
    Route blocked = route("203.0.113.0/24", kLan);
    blocked.type = type;
    blocked.hops.clear();
    world.routes.insert(blocked);
    EXPECT_EQ(walk(world, "wg0").outcome, Outcome::unreachable);
    const Steering steering = steer({}, world);
    const auto findings = inspect({}, Picture{.world = world, .observed = {}}, steering, desire({}, world));
    std::string told;
    for (const Finding& finding : findings) told += finding.what + "\n";
    EXPECT_NE(told.find("refuses it, without wgsteer as well"), std::string::npos) << told;
    // Longer, and so better.
    world.routes.insert(route("203.0.113.55/32", kWan1, "198.51.100.1"));
    EXPECT_EQ(walk(world, "wg0").device, "wan1");
  }
}

TEST(Inside, WhatMainRefusesAltogetherIsWhatLeavesPastATunnel) {
  World world = withLan();
  for (const char* half : {"0.0.0.0/1", "128.0.0.0/1"}) {
    Route blocked = route(half, kLan);
    blocked.type = RouteType::blackhole;
    blocked.hops.clear();
    world.routes.insert(blocked);
  }
  EXPECT_EQ(walk(world, "wg0").device, "wan0");
}

TEST(Inside, ARuleThatRefusesADestinationKeepsItsEffect) {
  World world = withLan();
  Rule blocked = kernelRule(Family::v4, 1000, TableId{});
  blocked.action = RuleAction::prohibit;
  blocked.destination = Prefix::parse("203.0.113.0/24");
  world.rules.insert(blocked);
  EXPECT_EQ(walk(world, "wg0").outcome, Outcome::unreachable);
  // mwan3's for the mark of a policy without a usable interface: it would be in the way of the tunnel's own packets.
  world.rules.erase(blocked);
  blocked.destination.reset();
  blocked.mark = {0x3e00, 0x3f00};
  world.rules.insert(blocked);
  EXPECT_TRUE(steer({}, world).honoured.rules.empty());
}

TEST(Nested, ATunnelThroughAnotherIsLeftAloneAndTold) {
  World world = twoWans();
  world.routes.insert(route("10.60.0.0/16", kTunnel));
  addTunnel(world, "10.60.0.9:51820");
  const Steering steering = steer({}, world);
  EXPECT_EQ(steering.tunnels.back().fwmark, FwmarkUse::none);
  ASSERT_EQ(steering.notes.size(), 1U);
  EXPECT_NE(steering.notes.front().find("10.60.0.0/16 dev wg0"), std::string::npos) << steering.notes.front();
  const State state = desire({}, world);
  EXPECT_FALSE(state.tunnelMarks.contains("wg1"));
  EXPECT_TRUE(state.tunnelMarks.contains("wg0"));
  EXPECT_FALSE(state.nft->table.endpoints.contains(*Endpoint::parse("10.60.0.9:51820")));
}

/// networkd's RouteTable= with [RoutingPolicyRule] To=, or multihop by the fwmark of the inner tunnel.
TEST(Nested, ARuleMayLeadAPeerIntoATunnel) {
  for (const bool byMark : {false, true}) {
    World world = twoWans();
    world.rules = {kernelRule(Family::v4, 32766, kMainTable)};
    Rule rule = kernelRule(Family::v4, 100, TableId{64});
    if (byMark)
      rule.mark = {0x64, 0xffffffff};
    else
      rule.destination = Prefix::parse("10.60.0.0/16");
    world.rules.insert(rule);
    Route site = route("0.0.0.0/0", kTunnel);
    site.table = TableId{64};
    world.routes.insert(site);
    addTunnel(world, "10.60.0.9:51820");
    world.tunnels.edit().at("wg1").fwmark = byMark ? Mark{0x64} : Mark{};
    const Steering steering = steer({}, world);
    EXPECT_EQ(steering.tunnels.back().fwmark, FwmarkUse::none);
    ASSERT_EQ(steering.notes.size(), 1U);
    EXPECT_NE(steering.notes.front().find("leads it into tunnel wg0"), std::string::npos) << steering.notes.front();
    const State state = desire({}, world);
    EXPECT_FALSE(state.tunnelMarks.contains("wg1"));
    EXPECT_TRUE(state.tunnelMarks.contains("wg0"));
  }
}

/// The rule for everything is copied, those before it are not.
TEST(Inside, WhatExceptsAPeerFromACopiedRuleKeepsItsEffect) {
  World world = withLan();
  world.rules = {kernelRule(Family::v4, 32766, kMainTable)};
  world.rules.insert(kernelRule(Family::v4, 110, TableId{200}));
  world.routes.insert(inTable(route("0.0.0.0/0", kLan, "192.168.7.254"), 200));
  world.routes.insert(route("203.0.113.55/32", kWan0, "192.0.2.1"));
  EXPECT_EQ(walk(world, "wg0").device, "lan0") << "the rule is copied";
  Rule except = kernelRule(Family::v4, 100, kMainTable);
  except.destination = Prefix::parse("203.0.113.55/32");
  world.rules.insert(except);
  EXPECT_EQ(walk(world, "wg0").device, "wan0");
  EXPECT_TRUE(steer({}, world).tunnels.front().leftAlone.contains(0));
}

World serverOnTwoWans() {
  World world = twoWans();
  Peer& peer = world.tunnels.edit().at("wg0").peers.front();
  peer.persistentKeepalive = 0;
  peer.allowedIps = {*Prefix::parse("10.0.0.2/32")};
  return world;
}

/// A service address on lo that one of the providers routes to this host.
TEST(Replies, FromAnAddressOnNoWanGoAsARuleOfOthersSays) {
  World world = serverOnTwoWans();
  Rule rule = kernelRule(Family::v4, 1000, TableId{201});
  rule.source = Prefix::parse("198.51.100.248/29");
  world.rules.insert(rule);
  world.routes.insert(inTable(route("0.0.0.0/0", kWan1, "198.51.100.1"), 201));
  const auto replies = [&] {
    const State state = desire({}, world);
    return std::ranges::count_if(state.rules, [&](const Rule& each) {
      return each.source == rule.source && each.table == Numbers{}.wanTable(Slot{2}) && each.mark.mask != 0;
    });
  };
  EXPECT_EQ(replies(), 1);
  world.addresses.insert(address(kWan1, "198.51.100.249/24"));
  EXPECT_EQ(replies(), 0) << "the WAN's own address has a rule";
}

TEST(Replies, FromAnAddressOfTwoWansHaveNoRule) {
  World world = serverOnTwoWans();
  const auto repliesFrom = [&](const char* from) {
    const State state = desire({}, world);
    return std::ranges::count(state.rules, Prefix::host(*Address::parse(from)),
                              [](const Rule& rule) { return rule.source.value_or(Prefix::any(Family::v4)); });
  };
  EXPECT_EQ(repliesFrom("192.0.2.10"), 1);
  world.addresses.insert(address(kWan1, "192.0.2.10/24"));
  EXPECT_EQ(repliesFrom("192.0.2.10"), 0);
  EXPECT_EQ(repliesFrom("198.51.100.10"), 1);
}

/// strongSwan's table, where its responder is reached by a tunnel.
TEST(Nested, ATableThatIsAskedBeforeMainMayLeadThroughATunnel) {
  World world = twoWans();
  Rule asked = kernelRule(Family::v4, 220, TableId{220});
  world.rules.insert(asked);
  Route site = route("10.60.0.0/16", kTunnel);
  site.table = TableId{220};
  world.routes.insert(site);
  addTunnel(world, "10.60.0.9:51820");
  const Steering steering = steer({}, world);
  EXPECT_EQ(steering.tunnels.back().fwmark, FwmarkUse::none);
  ASSERT_EQ(steering.notes.size(), 1U);
  EXPECT_NE(steering.notes.front().find("table 220 reaches it through a tunnel (10.60.0.0/16 dev wg0)"),
            std::string::npos)
      << steering.notes.front();
  EXPECT_FALSE(desire({}, world).tunnelMarks.contains("wg1"));

  // Its rule comes first, however specific main is.
  world.routes.insert(route("10.60.0.9/32", kWan0, "192.0.2.1"));
  EXPECT_EQ(steer({}, world).tunnels.back().fwmark, FwmarkUse::none);

  // By mark, it is not for everything.
  world.rules.erase(asked);
  Rule marked = asked;
  marked.mark = {0x8, 0xff};
  world.rules.insert(marked);
  EXPECT_EQ(steer({}, world).tunnels.back().fwmark, FwmarkUse::ours);

  // Behind main it is not asked, where main has a route to everywhere.
  world.rules.erase(marked);
  asked.priority = 32800;
  world.rules.insert(asked);
  EXPECT_EQ(steer({}, world).tunnels.back().fwmark, FwmarkUse::ours);
}

TEST(Nested, TwoTunnelsThroughEachOtherAreMeantByNobody) {
  World world = twoWans();
  addTunnel(world, "10.60.0.9:51820", "0.0.0.0/0");
  auto& tunnels = world.tunnels.edit();
  tunnels.at("wg0").peers.front().allowedIps = {*Prefix::parse("0.0.0.0/0")};
  const std::string first = tunnels.at("wg0").peers.front().endpoint->address.toString();
  world.routes.insert(route("10.60.0.9/32", kTunnel));
  world.routes.insert(route(first + "/32", kOther));
  for (const TunnelView& view : steer({}, world).tunnels) EXPECT_EQ(view.fwmark, FwmarkUse::ours);
  EXPECT_EQ(walk(world, "wg0").device, "wan0");
  EXPECT_EQ(walk(world, "wg1").device, "wan0");
}

TEST(Nested, ATunnelThatCoversTheWorldInPiecesIsNoDecision) {
  World world = twoWans();
  for (const char* piece : {"0.0.0.0/2", "64.0.0.0/3", "96.0.0.0/4", "112.0.0.0/5", "120.0.0.0/6", "124.0.0.0/7",
                            "126.0.0.0/8", "128.0.0.0/3", "160.0.0.0/5", "192.0.0.0/3"})
    world.routes.insert(route(piece, kTunnel));
  addTunnel(world, "203.0.113.99:51820");
  EXPECT_EQ(walk(world, "wg1").device, "wan0");
}

TEST(Nested, AnotherPeerOfTheSameTunnelMayCarryOne) {
  World world = twoWans();
  world.routes.insert(route("10.60.0.0/16", kTunnel));
  auto& peers = world.tunnels.edit().at("wg0").peers;
  peers = {peer(1, "203.0.113.55:51820"), peer(2, "10.60.0.9:51820")};
  peers[0].allowedIps = {*Prefix::parse("10.60.0.0/16")};
  peers[1].allowedIps = {*Prefix::parse("10.61.0.0/16")};
  const Steering steering = steer({}, world);
  EXPECT_EQ(steering.tunnels.front().leftAlone.size(), 1U);
  const State state = desire({}, world);
  EXPECT_TRUE(state.tunnelMarks.empty()) << "its mark would be that of both";
  EXPECT_EQ(state.nft->table.endpoints.at(kServer4), Slot{15});
  peers[1].allowedIps = {*Prefix::parse("10.60.0.0/17")};
  EXPECT_TRUE(steer({}, world).tunnels.front().leftAlone.empty()) << "a peer that carries itself is a loop";
}

TEST(Nested, WhoHasNamedWansMeansThem) {
  World world = twoWans();
  world.routes.insert(route("10.60.0.0/16", kTunnel));
  addTunnel(world, "10.60.0.9:51820");
  Config config = fiberAndLte();
  config.policies = {policy("mobile", {{"lte", 1, 1}})};
  config.tunnels = {tunnel("wg1", "mobile")};
  EXPECT_EQ(walk(world, "wg1", config).device, "wan1");
}

TEST(Flows, TellTunnelsToOneServerApart) {
  World world = twoWans();
  addTunnel(world, "203.0.113.55:51820");
  Config config = fiberAndLte();
  config.policies = {policy("first", {{"fiber", 1, 1}}), policy("second", {{"lte", 1, 1}})};
  config.tunnels = {tunnel("wg0", "first"), tunnel("wg1", "second")};
  EXPECT_EQ(walk(world, "wg0", config).device, "wan0");
  EXPECT_EQ(walk(world, "wg1", config).device, "wan1");
  State state = desire(config, world);
  const Flow first{kServer4, 51820};
  const Flow second{kServer4, 51821};
  EXPECT_EQ(state.nft->table.flows.at(first), Slot{1});
  EXPECT_EQ(state.nft->table.flows.at(second), Slot{2});
  state.tunnelMarks.clear();
  const Packet unmarked{.destination = kServer4, .mark = {}, .source = {}, .sourcePort = 51821};
  EXPECT_EQ(explain(state, world, unmarked).device, "wan1") << "also after its fwmark was reset";
}

TEST(Flows, OfADisabledTunnelAreLeftAlone) {
  World world = twoWans();
  addTunnel(world, "203.0.113.55:51820");
  Config config;
  config.tunnels = {tunnel("wg1", std::string{kDefaultPolicy})};
  config.tunnels.front().enabled = false;
  const State state = desire(config, world);
  EXPECT_EQ(state.nft->table.flows.at({kServer4, 51821}), std::nullopt);
}

TEST(Families, WithoutAWanAreLeftAloneWhereSomethingElseLeadsOut) {
  World world = twoWans();
  std::erase_if(world.routes, [](const Route& each) { return each.family() == Family::v4; });
  world.links.emplace(kOther, link(kOther, "clat", "tun"));
  world.routes.insert(route("0.0.0.0/0", kOther, "", 2048));
  world.routes.insert(route("10.0.0.0/8", kTunnel));
  EXPECT_EQ(walk(world, "wg0").device, "clat");
  EXPECT_EQ(steer({}, world).families, std::vector<Family>{Family::v6});
  world.routes.insert(route("0.0.0.0/1", kTunnel));
  world.routes.insert(route("128.0.0.0/1", kTunnel));
  EXPECT_EQ(steer({}, world).families.size(), 2U) << "nothing is lost where the tunnel carries itself";
  Config config;
  config.wans = {wan("v6", "wan0", 1), wan("clat", "clat", 2)};
  EXPECT_EQ(walk(world, "wg0", config).device, "clat") << "named, it is a WAN";
}

TEST(Sources, OfTheRouteAreUsedWhereverTheirAddressIs) {
  World world = twoWans();
  world.links.emplace(IfIndex{1}, link(IfIndex{1}, "lo"));
  world.links.at(IfIndex{1}).loopback = true;
  world.addresses.insert(address(IfIndex{1}, "192.0.2.200/32"));
  world.routes.erase(route("0.0.0.0/0", kWan0, "192.0.2.1", 10));
  Route own = route("0.0.0.0/0", kWan0, "192.0.2.1", 10);
  own.preferredSource = Address::parse("192.0.2.200");
  world.routes.insert(own);
  EXPECT_EQ(walk(world, "wg0").source, Address::parse("192.0.2.200"));
}

/// Only an address that belongs to another WAN or a tunnel is wrong: `ip route add local 198.18.0.0/24 dev lo` creates
/// addresses that no device has.
TEST(Sources, ThatSomebodyWasAskedOnAreKept) {
  World world = twoWans();
  const State state = desire({}, world);
  Packet reply = outerPacket(state, world.tunnels.at("wg0"), kServer4);
  reply.source = Address::parse("198.18.0.7");
  EXPECT_EQ(explain(state, world, reply).source, reply.source);
  for (const char* wrong : {"198.51.100.10", "10.9.0.2"}) {
    reply.source = Address::parse(wrong);
    EXPECT_EQ(explain(state, world, reply).source, Address::parse("192.0.2.10")) << wrong;
  }
}

TEST(Sources, ThatAreNoAddressOfThisHostAreNotMirrored) {
  World world = twoWans();
  Route stale = route("0.0.0.0/0", kWan0, "192.0.2.1", 5);
  stale.preferredSource = Address::parse("192.0.2.77");
  world.routes.insert(stale);
  for (const Route& each : desire({}, world).routes) EXPECT_NE(each.preferredSource, stale.preferredSource);
}

TEST(Sources, OfADelegatedPrefixAreTheLansAndNeverATunnels) {
  World world = withLan();
  std::erase_if(world.addresses, [](const InterfaceAddress& own) { return own.address.family() == Family::v6; });
  world.addresses.insert(address(kLan, "2001:db8:a1:1::1/64"));
  world.addresses.insert(address(kTunnel, "2001:db8:f:8000::2/128"));
  world.routes.erase(route("::/0", kWan1, "2001:db8:20::1", 20));
  world.tunnels.edit().at("wg0").peers = {peer(1, "[2001:db8:f::55]:51820")};
  EXPECT_EQ(walk(world, "wg0").source, Address::parse("2001:db8:a1:1::1"));
}

TEST(Found, WansHaveTheirDefaultsInOtherTablesWhereMainHasNone) {
  World world = twoWans();
  std::erase_if(world.routes, [](const Route& each) { return each.destination.isDefault(); });
  for (const auto& [device, gateway, table] :
       {std::tuple{kWan0, "192.0.2.1", 201U}, std::tuple{kWan1, "198.51.100.1", 202U}}) {
    Route own = route("0.0.0.0/0", device, gateway);
    own.table = TableId{table};
    world.routes.insert(own);
  }
  Rule marked = kernelRule(Family::v4, 100, TableId{202});
  marked.mark = {0x1c0000, 0x7e0000};
  world.rules.insert(marked);
  world.rules.insert(kernelRule(Family::v4, 32767, TableId{201}));
  EXPECT_EQ(walk(world, "wg0").device, "wan0") << "where an unmarked packet goes";
  world.routes.insert(route("::/0", kWan1, "2001:db8:20::1", 20));
  EXPECT_EQ(steer({}, world).wans.size(), 2U) << "a default of IPv6 in main says nothing about IPv4";
}

TEST(Found, ASecondWanOfOtherTablesIsFoundWhenItComes) {
  World world = twoWans();
  std::erase_if(world.routes, [](const Route& each) { return each.destination.isDefault(); });
  const auto own = [](IfIndex device, const char* gateway, std::uint32_t table) {
    Route made = route("0.0.0.0/0", device, gateway);
    made.table = TableId{table};
    return made;
  };
  world.rules.insert(kernelRule(Family::v4, 32767, TableId{201}));
  world.rules.insert(kernelRule(Family::v4, 32768, TableId{202}));
  world.routes.insert(own(kWan0, "192.0.2.1", 201));
  ASSERT_EQ(steer({}, world).wans.size(), 1U);
  world.adopted.wanSlots = {{"wan0", Slot{1}}};
  world.routes.insert(own(kWan1, "198.51.100.1", 202));
  EXPECT_EQ(steer({}, world).wans.size(), 2U);
}

/// Main may have lost its defaults for a moment: other tables count only as far as this host itself goes there.
TEST(Found, OtherTablesBehindMainAreAFallbackForAllPackets) {
  World world = twoWans();
  std::erase_if(world.routes, [](const Route& each) { return each.destination.isDefault(); });
  world.adopted.wanSlots = {{"wan0", Slot{1}}};
  Route uplink = route("0.0.0.0/0", kWan1, "198.51.100.1");
  uplink.table = TableId{102};
  world.routes.insert(uplink);
  Rule marked = kernelRule(Family::v4, 32767, TableId{102});
  marked.mark = {0x1, 0xff};
  world.rules.insert(marked);
  EXPECT_EQ(steer({}, world).wans.size(), 1U);
  world.rules.insert(kernelRule(Family::v4, 32767, TableId{102}));
  EXPECT_EQ(steer({}, world).wans.size(), 2U);
}

/// The process of a user-space tunnel may refuse it.
TEST(Flows, OfATunnelThatRefusesItsMarkAreToldByTheirPort) {
  World world = twoWans();
  EXPECT_TRUE(desire({}, world).nft->table.flows.empty());
  world.tunnelTroubles = {{"wg0", "wg set wg0 fwmark: refused"}};
  EXPECT_EQ(desire({}, world).nft->table.flows.at({kServer4, 51820}), Slot{15});
}

/// A tunnel that runs over a tun device gets the wrong source from it.
TEST(Sources, OfTunDevicesAreRightOnNoWan) {
  World world = twoWans();
  world.links.emplace(IfIndex{30}, link(IfIndex{30}, "tun0", "tun"));
  world.addresses.insert(address(IfIndex{30}, "10.8.0.2/24"));
  world.addresses.insert(address(kTunnel, "169.254.7.2/30"));
  const NftTable table = desire({}, world).nft->table;
  for (const char* wrong : {"10.8.0.2", "169.254.7.2"}) {
    EXPECT_TRUE(table.bound.contains(*Address::parse(wrong))) << wrong;
    EXPECT_FALSE(table.addresses.contains({"wan0", *Address::parse(wrong)})) << wrong;
  }
}

/// The kernel refuses them there.
TEST(Sources, OfDevicesInAVrfAreNotNamedInRoutes) {
  World world = twoWans();
  world.links.at(kWan0).inVrf = true;
  world.addresses.insert(address(kWan0, "192.0.3.10/24"));
  for (const Route& own : desire({}, world).routes)
    EXPECT_FALSE(own.preferredSource) << describe(own, deviceNames(world));
}

}  // namespace
}  // namespace wgsteer
