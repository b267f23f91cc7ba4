// SPDX-License-Identifier: GPL-2.0-or-later
// Hosts as found in practice: specific routes, tunnels in tunnels, foreign marks and rules, families without a WAN.
#include <algorithm>
#include <gtest/gtest.h>

#include "wgsteer/core/describe.hpp"
#include "wgsteer/core/desire.hpp"
#include "wgsteer/core/explain.hpp"
#include "wgsteer/core/inspect.hpp"
#include "wgsteer/core/plan.hpp"
#include "wgsteer/core/track.hpp"

#include "support/worlds.hpp"

namespace wgsteer {
namespace {

using namespace test;

constexpr IfIndex kLan{4};
constexpr IfIndex kOther{10};

World withLan() {
  World world = twoWans();
  world.links.emplace(kLan, link(kLan, "lan0", "bridge"));
  world.addresses.insert(address(kLan, "192.168.7.1/24"));
  return world;
}

/// A second tunnel, to one endpoint.
void addTunnel(World& world, const std::string& endpoint, const std::string& allowed = "10.97.0.0/24") {
  world.links.emplace(kOther, link(kOther, "wg1", "wireguard"));
  Tunnel made;
  made.name = "wg1";
  made.listenPort = 51821;
  made.peers = {peer(2, endpoint)};
  made.peers.front().allowedIps = {*Prefix::parse(allowed)};
  world.tunnels.edit().emplace("wg1", made);
}

Walk walk(const World& world, const IfName& tunnel, const Config& config = {}) {
  const State state = desire(config, world);
  const Tunnel& own = world.tunnels.at(tunnel);
  return explain(state, world, outerPacket(state, own, *own.peers.front().endpoint));
}

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

TEST(ForeignMarks, AreNotGivenOut) {
  World world = twoWans();
  Rule hash = kernelRule(Family::v4, 32765, TableId{77});
  hash.invert = true;
  hash.mark = {0xf36f1f6d, 0xffffffff};
  world.rules.insert(hash);
  world.tunnels.edit().at("wg0").fwmark = Mark{0xf36f1f6d};
  addTunnel(world, "203.0.113.99:51820");
  const State state = desire({}, world);
  EXPECT_EQ(state.tunnelMarks.at("wg1"), Mark{0xe0000000});
  EXPECT_TRUE(state.nft->table.foreignMarks.contains(Mark{0xf36f1f6d}));
  EXPECT_TRUE(conflicts({}, world, steer({}, world)).empty());
}

/// wg-quick adopts any fwmark that it finds on its device, and names it in its rules.
TEST(ForeignMarks, ThatWereOursAreTheirOwnersFromThenOn) {
  World world = twoWans();
  world.tunnels.edit().at("wg0").fwmark = Mark{0xf0000000};
  world.ownMarks = {Mark{0xf0000000}};
  Rule quick = kernelRule(Family::v4, 69, TableId{0xf0000000});
  quick.invert = true;
  quick.mark = {0xf0000000, 0xffffffff};
  world.rules.insert(quick);
  const State state = desire({}, world);
  EXPECT_FALSE(state.tunnelMarks.contains("wg0"));
  EXPECT_TRUE(state.nft->table.foreignMarks.contains(Mark{0xf0000000}));
  EXPECT_FALSE(state.nft->table.ownMarks.contains(Mark{0xf0000000}));
}

TEST(Jump, LeadsOurPacketsPastRulesThatTakeEverything) {
  World world = twoWans();
  Rule before = kernelRule(Family::v4, 11, TableId{1000});
  before.invert = true;
  before.mark = {911, 0xffffffff};
  world.rules.insert(before);
  world.routes.insert([] {
    Route into = route("0.0.0.0/0", kTunnel);
    into.table = TableId{1000};
    return into;
  }());
  const State state = desire({}, world);
  const auto jump = std::ranges::find(state.rules, RuleAction::goto_, &Rule::action);
  ASSERT_NE(jump, state.rules.end());
  EXPECT_EQ(jump->priority, 10U);
  EXPECT_EQ(jump->gotoPriority, 70U);
  EXPECT_EQ(walk(world, "wg0").device, "wan0");
  const Endpoint elsewhere{Address::v4(203, 0, 113, 77), 443};
  EXPECT_EQ(explain(state, world, {.destination = elsewhere, .mark = Mark{0x100}, .source = {}}).device, "wg0")
      << "nobody else's packets see it";
}

/// The kernel does not compare the targets of gotos, so another target must be another rule to it.
TEST(Jump, ToAnotherTargetIsAnotherRule) {
  World world = twoWans();
  Rule before = kernelRule(Family::v4, 11, TableId{1000});
  world.rules.insert(before);
  const auto jumpOf = [](const State& state) {
    return *std::ranges::find(state.rules, RuleAction::goto_, &Rule::action);
  };
  const Rule clients = jumpOf(desire({}, world));
  addTunnel(world, "203.0.113.77:51820");
  world.tunnels.edit().at("wg1").peers.front().endpoint.reset();
  const Rule servers = jumpOf(desire({}, world));
  EXPECT_EQ(clients.gotoPriority, 70U);
  EXPECT_EQ(servers.gotoPriority, 60U);
  EXPECT_EQ(clients.priority, servers.priority);
  EXPECT_NE(clients.suppressPrefixLength, servers.suppressPrefixLength);
}

/// A rule among ours that catches everything: it may come before ours of equal priority.
TEST(Jump, LeadsPastRulesInOurOwnBlock) {
  for (const std::uint32_t priority : {60U, 65U, 70U, 71U}) {
    World world = twoWans();
    for (Peer& peer : world.tunnels.edit().at("wg0").peers) peer.allowedIps = {*Prefix::parse("10.9.0.3/32")};
    world.rules.insert(kernelRule(Family::v4, priority, TableId{500}));
    world.routes.insert([] {
      Route into = route("0.0.0.0/0", kTunnel);
      into.table = TableId{500};
      return into;
    }());
    EXPECT_EQ(walk(world, "wg0").device, "wan0") << priority;
    for (const Finding& finding : inspect({}, world, steer({}, world), desire({}, world)))
      EXPECT_NE(finding.severity, Severity::problem) << priority << ": " << finding.what;
  }
}

TEST(Jump, IsNotMadeForRulesAboutSomethingInParticular) {
  World world = twoWans();
  Rule before = kernelRule(Family::v4, 11, TableId{1000});
  before.destination = Prefix::parse("10.0.0.0/8");
  world.rules.insert(before);
  const State state = desire({}, world);
  EXPECT_EQ(std::ranges::find(state.rules, RuleAction::goto_, &Rule::action), state.rules.end());
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
  const auto findings = inspect(config, world, steering, desire(config, world, steering));
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

/// Main may have lost its defaults for a moment.
TEST(Found, OtherTablesDoNotCountWhereWansWereFoundInMain) {
  World world = twoWans();
  std::erase_if(world.routes, [](const Route& each) { return each.destination.isDefault(); });
  world.adopted.wanSlots = {{"wan0", Slot{1}}};
  Route uplink = route("0.0.0.0/0", kWan1, "198.51.100.1");
  uplink.table = TableId{102};
  world.routes.insert(uplink);
  world.rules.insert(kernelRule(Family::v4, 32767, TableId{102}));
  EXPECT_EQ(steer({}, world).wans.size(), 1U);
}

/// A foreign rule that looks up a table.
Rule foreignRule(std::uint32_t priority, std::uint32_t table) {
  Rule rule;
  rule.priority = priority;
  rule.table = TableId{table};
  return rule;
}

Route inTable(Route made, std::uint32_t table) {
  made.table = TableId{table};
  return made;
}

/// A second uplink that is not a WAN: its default route is only in its own table, while main has others.
constexpr IfIndex kUplink{20};
World withUplink() {
  World world = withLan();
  world.links.emplace(kUplink, link(kUplink, "isp2", ""));
  world.addresses.insert(address(kUplink, "192.0.3.2/24"));
  world.routes.insert(inTable(route("0.0.0.0/0", kUplink, "192.0.3.1"), 102));
  return world;
}

TEST(HonouredRules, AServerAnswersFromAnAddressByTheUplinkThatItsRuleNames) {
  World world = withUplink();
  Rule from = foreignRule(1000, 102);
  from.source = Prefix::parse("192.0.3.2/32");
  world.rules.insert(from);
  const State state = desire({}, world);
  Packet reply = outerPacket(state, world.tunnels.at("wg0"), kServer4);
  EXPECT_EQ(explain(state, world, reply).device, "wan0") << "without a source yet";
  reply.source = Address::parse("192.0.3.2");
  EXPECT_EQ(explain(state, world, reply).device, "isp2");
  reply.mark = Mark{};
  EXPECT_EQ(explain({}, world, reply).device, "isp2") << "as it was";
}

TEST(HonouredRules, OneDestinationKeepsTheUplinkThatSomebodyChoseForIt) {
  World world = withUplink();
  Rule to = foreignRule(1000, 102);
  to.destination = Prefix::parse("203.0.113.0/24");
  world.rules.insert(to);
  EXPECT_EQ(walk(world, "wg0").device, "isp2");
  world.rules.clear();
  EXPECT_EQ(walk(world, "wg0").device, "wan0");
}

TEST(HonouredRules, ATableOfSpecificRoutesIsHeededAndItsDefaultIsNot) {
  World world = withLan();
  world.routes.insert(inTable(route("10.50.0.0/16", kLan, "192.168.7.254"), 52));
  world.routes.insert(inTable(route("0.0.0.0/0", kTunnel), 52));
  world.rules.insert(foreignRule(5270, 52));
  addTunnel(world, "10.50.0.9:51820");
  EXPECT_EQ(walk(world, "wg1").device, "lan0");
  EXPECT_EQ(walk(world, "wg0").device, "wan0") << "a default into a tunnel";
}

TEST(HonouredRules, MainsSpecificRoutesComeBeforeATableWhereTheyDid) {
  World world = withUplink();
  Rule main = foreignRule(99, kMainTable.value);
  main.suppressPrefixLength = 0;
  Rule mine = foreignRule(1000, 102);
  mine.destination = Prefix::parse("0.0.0.0/1");
  world.rules.insert(main);
  world.rules.insert(mine);
  world.routes.insert(route("192.168.7.0/24", kLan));
  addTunnel(world, "192.168.7.20:51820");
  world.rules.insert(foreignRule(101, 102));
  EXPECT_EQ(walk(world, "wg1").device, "lan0");
}

TEST(HonouredRules, AMarkOfSomebodyElsesMeansWhatItMeant) {
  World world = withUplink();
  Rule byMark = foreignRule(1000, 102);
  byMark.mark = {0x2, 0xff};
  world.rules.insert(byMark);
  const State state = desire({}, world);
  Packet packet = outerPacket(state, world.tunnels.at("wg0"), kServer4);
  packet.mark.value |= 0x2;
  EXPECT_EQ(explain(state, world, packet).device, "isp2");
}

TEST(HonouredRules, OneThatIsNotUnderstoodIsToldAndItsPeersAreLeftAlone) {
  World world = withUplink();
  std::erase_if(world.routes, [](const Route& each) { return each.hops.front().device == kTunnel; });
  Rule to = foreignRule(1000, 102);
  to.destination = Prefix::parse("203.0.113.0/24");
  to.otherSelector = true;
  world.rules.insert(to);
  const Steering steering = steer({}, world);
  ASSERT_EQ(steering.notes.size(), 2U);
  EXPECT_NE(steering.notes.front().find("not understood"), std::string::npos);
  EXPECT_NE(steering.notes.back().find("left alone"), std::string::npos);
  EXPECT_EQ(steering.tunnels.front().leftAlone.size(), 1U);
  EXPECT_TRUE(desire({}, world).tunnelMarks.empty());
  Config named;
  named.policies = {policy("first", {{"wan0", 1}})};
  named.wans = {wan("wan0", "wan0", 1)};
  named.tunnels = {tunnel("wg0", "first")};
  EXPECT_TRUE(steer(named, world).tunnels.front().leftAlone.empty()) << "whoever names WANs means these";
  world.routes.insert(route("0.0.0.0/1", kTunnel));
  world.routes.insert(route("128.0.0.0/1", kTunnel));
  EXPECT_TRUE(steer({}, world).tunnels.front().leftAlone.empty()) << "it would loop";
}

TEST(HonouredRules, OneThatIsInvertedIsNotUnderstood) {
  World world = withUplink();
  std::erase_if(world.routes, [](const Route& each) { return each.hops.front().device == kTunnel; });
  Rule notTo = foreignRule(1000, 102);
  notTo.invert = true;
  notTo.destination = Prefix::parse("203.0.113.0/24");
  world.rules.insert(notTo);
  EXPECT_TRUE(steer({}, world).tunnels.front().leftAlone.empty()) << "not for this peer";
  world.rules.erase(notTo);
  notTo.destination = Prefix::parse("10.0.0.0/8");
  world.rules.insert(notTo);
  EXPECT_EQ(steer({}, world).tunnels.front().leftAlone.size(), 1U);
}

/// Whose packets it is for is known, or it keeps its effect by itself.
TEST(HonouredRules, OneThatCannotBeForATunnelLeavesItAlone) {
  World world = withUplink();
  std::erase_if(world.routes, [](const Route& each) { return each.hops.front().device == kTunnel; });
  Rule rule = foreignRule(1000, 102);
  rule.otherSelector = true;
  const auto isLeftAlone = [&] {
    World with = world;
    with.rules.insert(rule);
    return !steer({}, with).tunnels.front().leftAlone.empty();
  };
  EXPECT_TRUE(isLeftAlone());
  rule.notForRoot = true;
  EXPECT_FALSE(isLeftAlone()) << "a user's";
  rule.notForRoot = false;
  rule.priority = 40000;
  EXPECT_FALSE(isLeftAlone()) << "behind main";
  rule.priority = 30;
  EXPECT_FALSE(isLeftAlone()) << "before ours";
  rule.priority = 1000;
  rule.otherSelector = false;
  rule.invert = true;
  rule.mark = {0xca6c, 0xffffffff};
  EXPECT_TRUE(isLeftAlone());
  world.tunnels.edit().at("wg0").fwmark = Mark{0xca6c};
  EXPECT_FALSE(isLeftAlone()) << "its own mark is excluded";
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

/// VRF hosts and Cilium move it: packets to this host itself must not leave by a WAN.
TEST(HonouredRules, TableLocalIsAskedFirstWhereverItsRuleIs) {
  for (const std::uint32_t priority : {100U, 32765U}) {
    World world = twoWans();
    std::erase_if(world.rules, [](const Rule& rule) { return rule.table == kLocalTable; });
    for (const Family family : kFamilies) world.rules.insert(kernelRule(family, priority, kLocalTable));
    Route own = route("127.0.0.0/8", IfIndex{1});
    own.table = kLocalTable;
    own.type = RouteType::local;
    world.routes.insert(own);
    world.tunnels.edit().at("wg0").peers = {peer(1, "127.0.0.1:51820")};
    for (const bool forward : {false, true}) {
      Config config;
      config.forward = forward;
      EXPECT_EQ(walk(world, "wg0", config).outcome, Outcome::local) << priority;
      const State state = desire(config, world);
      const auto isAt = [&](std::uint32_t at, const char* input) {
        return std::ranges::any_of(state.rules, [&](const Rule& rule) {
          return rule.table == kLocalTable && rule.inputInterface == input && rule.priority == at;
        });
      };
      EXPECT_TRUE(isAt(59, "lo")) << "also before the replies of servers, at 60";
      EXPECT_EQ(isAt(74, ""), forward) << "what arrives with a mark is for this host, too";
    }
  }
}

TEST(HonouredRules, ATunnelWhoseOwnMarkLeadsElsewhereIsLeftAlone) {
  World world = withUplink();
  Rule byMark = foreignRule(1000, 102);
  byMark.mark = {0x1234, 0xffffffff};
  world.rules.insert(byMark);
  world.tunnels.edit().at("wg0").fwmark = Mark{0x1234};
  EXPECT_EQ(walk(world, "wg0").device, "isp2");
  EXPECT_TRUE(steer({}, world).tunnels.front().leftAlone.contains(0));
}

TEST(HonouredRules, WhoIsNotOursPassesBy) {
  World world = withUplink();
  Rule to = foreignRule(1000, 102);
  to.destination = Prefix::parse("203.0.113.0/24");
  world.rules.insert(to);
  Rule before = foreignRule(500, kMainTable.value);
  before.destination = Prefix::parse("203.0.113.0/24");
  before.ipProtocol = 17;
  const State state = desire({}, world);
  world.rules.insert(before);
  Packet others = outerPacket(state, world.tunnels.at("wg0"), kServer4);
  others.mark = Mark{};
  others.destination = *Endpoint::parse("203.0.113.77:53");
  EXPECT_EQ(explain(state, world, others).device, explain({}, world, others).device);
}

TEST(HonouredRules, WithoutAnyThereIsNoRuleForThem) {
  for (const Rule& rule : desire({}, withUplink()).rules)
    EXPECT_TRUE(rule.action == RuleAction::lookup && rule.suppressGroup < 0) << describe(rule);
  World world = twoWans();
  Rule known = foreignRule(1000, 1);
  known.mark = {0x100, 0x3f00};
  world.rules.insert(known);
  world.routes.insert(inTable(route("0.0.0.0/0", kWan1, "198.51.100.1"), 1));
  EXPECT_TRUE(steer({}, world).honoured.rules.empty()) << "mwan3's rule for a WAN that we have";
}

TEST(Halves, ByAGatewayAreADefaultLikeAnyOther) {
  World world = withUplink();
  world.routes.insert(route("0.0.0.0/1", kUplink, "192.0.3.1"));
  world.routes.insert(route("128.0.0.0/1", kUplink, "192.0.3.1"));
  EXPECT_EQ(walk(world, "wg0").device, "isp2");
}

TEST(Marks, WhenNoneIsLeftNothingIsSteered) {
  World world = twoWans();
  Config config;
  for (std::uint32_t number = 1; number <= 15; ++number) {
    Rule named = foreignRule(100 + number, 254);
    named.mark = {number << 28, 0xffffffff};
    world.rules.insert(named);
  }
  const Steering steering = steer(config, world);
  EXPECT_TRUE(steering.policies.empty() && steering.tunnels.empty());
  EXPECT_FALSE(steering.problems.empty());
  EXPECT_EQ(desire(config, world), State{});
}

/// After mark_mask was changed, by a reload or over a restart.
TEST(Marks, OfAnotherMaskAreOursAsLongAsRulesOfOursHaveThem) {
  Picture picture;
  picture.world = twoWans();
  const State before = desire({}, picture.world);
  settle(picture, diff(before, {}), before);
  Config config;
  config.numbers.markMask = 0x30000000;
  takeTunnels(picture, config.numbers, picture.world.tunnels);
  const Steering steering = steer(config, picture.world);
  ASSERT_EQ(steering.policies.size(), 1U);
  EXPECT_EQ(steering.tunnels.front().fwmark, FwmarkUse::ours);
}

TEST(Marks, WhatATunnelsUserSendsPastItReachesOtherTunnelsNetworks) {
  World world = withLan();
  addTunnel(world, "203.0.113.99:51821", "10.98.0.0/24");
  world.routes.insert(route("10.98.0.0/24", kOther));
  world.tunnels.edit().at("wg0").fwmark = Mark{0xca6c};
  const State state = desire({}, world);
  Packet past = outerPacket(state, world.tunnels.at("wg0"), *Endpoint::parse("10.98.0.1:80"));
  EXPECT_EQ(explain(state, world, past).device, "wg1");
  past.destination = kServer4;
  EXPECT_EQ(explain(state, world, past).device, "wan0");
}

}  // namespace
}  // namespace wgsteer
