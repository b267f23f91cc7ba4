// SPDX-License-Identifier: GPL-2.0-or-later
// Rules and tables as the kernel walks them: fib_rules_lookup(), fib_rule_match(), fib_table_lookup().
#include "wgsteer/core/explain.hpp"

#include <functional>
#include <gtest/gtest.h>

#include "wgsteer/core/desire.hpp"

#include "support/worlds.hpp"

namespace wgsteer {
namespace {

using namespace test;

constexpr TableId kTable{100};

Packet to(const Endpoint& destination, Mark mark = {}) { return {.destination = destination, .mark = mark}; }
const Packet kPacket = to(kServer4);

Walk walked(const World& world, const Packet& packet = kPacket) { return explain({}, world, packet); }

/// A world in which only this rule leads to wan1.
World withRule(const std::function<void(Rule&)>& change) {
  World world = twoWans();
  Route other = route("0.0.0.0/0", kWan1, "198.51.100.1");
  other.table = kTable;
  world.routes.insert(other);
  Rule rule = kernelRule(Family::v4, 50, kTable);
  change(rule);
  world.rules.insert(rule);
  return world;
}

World withRoutes(std::set<Route> routes) {
  World world = twoWans();
  world.routes = std::move(routes);
  return world;
}

Route typed(const std::string& destination, RouteType type, std::uint32_t metric = 0) {
  Route made = route(destination, kWan0, "", metric);
  made.type = type;
  if (type != RouteType::local) made.hops.clear();
  return made;
}

TEST(Explain, FindsTheLoopThatNobodyPrevents) {
  const Walk walk = walked(twoWans());
  EXPECT_EQ(walk.outcome, Outcome::loop);
  EXPECT_EQ(walk.device, "wg0");
  EXPECT_EQ(walk.source, Address::parse("10.9.0.2")) << "the tunnel's own";
}

TEST(Explain, IsNoLoopForWhatTunnelsAreThereToCarry) {
  Packet carried = kPacket;
  carried.outer = false;
  const Walk walk = walked(twoWans(), carried);
  EXPECT_EQ(walk.outcome, Outcome::device);
  EXPECT_EQ(walk.device, "wg0");
}

TEST(Explain, SaysThatAMarkedPacketIsKeptOutOfATunnelWhosever) {
  const World world = twoWans();
  State state = desire({}, world);
  // The rules are gone, the table is not.
  state.rules.clear();
  Packet packet = outerPacket(state, world.tunnels.at("wg0"), kServer4);
  for (const bool outer : {true, false}) {
    packet.outer = outer;
    EXPECT_EQ(explain(state, world, packet).outcome, Outcome::dropped) << outer;
  }
}

TEST(Explain, FollowsTheTunnelsMarkToAWanAndItsAddress) {
  const World world = twoWans();
  const State state = desire({}, world);
  for (const auto& [endpoint, gateway, source] :
       {std::tuple{"203.0.113.55:51820", "192.0.2.1", "192.0.2.10"},
        std::tuple{"[2001:db8:99::1]:51820", "2001:db8:10::1", "2001:db8:10::10"}}) {
    const Packet packet = outerPacket(state, world.tunnels.at("wg0"), *Endpoint::parse(endpoint));
    EXPECT_EQ(packet.mark, state.tunnelMarks.at("wg0"));
    const Walk walk = explain(state, world, packet);
    EXPECT_EQ(walk.outcome, Outcome::device) << endpoint;
    EXPECT_EQ(walk.device, "wan0");
    EXPECT_EQ(walk.gateway, Address::parse(gateway));
    EXPECT_EQ(walk.source, Address::parse(source));
  }
}

TEST(Explain, TakesTheNextWanAsTheKernelDoesBeforeAnybodyHasActed) {
  World world = twoWans();
  const State state = desire({}, world);
  world.links.at(kWan0).carrier = false;
  const Packet packet = outerPacket(state, world.tunnels.at("wg0"), kServer4);
  EXPECT_EQ(explain(state, world, packet).device, "wan1");
  State withoutSwitches = state;
  withoutSwitches.sysctls.clear();
  EXPECT_EQ(explain(withoutSwitches, world, packet).device, "wan0") << "a route without carrier goes on being used";
  world.links.at(kWan1).up = false;
  EXPECT_EQ(explain(state, world, packet).outcome, Outcome::unreachable) << "closed: never the main table";
}

TEST(Explain, TellsEachStepAndWhetherItMatched) {
  const Walk walk = walked(withRule([](Rule& rule) { rule.mark = {7, 0xff}; }), to(kServer4, Mark{0x107}));
  ASSERT_EQ(walk.steps.size(), 2U);
  EXPECT_EQ(walk.steps[0].text, "priority 0 lookup local proto 2 -> no route, next rule");
  EXPECT_EQ(walk.steps[1].text,
            "priority 50 fwmark 0x7/0xff lookup 100 proto 2 -> default via 198.51.100.1 dev wan1 table 100 metric 0 "
            "proto 3");
  EXPECT_TRUE(walk.steps[1].matched);
  EXPECT_FALSE(walked(withRule([](Rule& rule) { rule.mark = {7, 0xff}; })).steps[1].matched);
}

TEST(ExplainRules, MatchByEverySelector) {
  struct Row {
    const char* name;
    std::function<void(Rule&)> change;
    bool matches;
  };
  const std::vector<Row> rows{
      {"none", [](Rule&) {}, true},
      {"inverted", [](Rule& rule) { rule.invert = true; }, false},
      {"mark", [](Rule& rule) { rule.mark = {1, 1}; }, false},
      {"not mark", [](Rule& rule) { rule.mark = {1, 1}, rule.invert = true; }, true},
      {"to there", [](Rule& rule) { rule.destination = Prefix::parse("203.0.113.0/24"); }, true},
      {"to elsewhere", [](Rule& rule) { rule.destination = Prefix::parse("203.0.112.0/24"); }, false},
      {"from, without a source yet", [](Rule& rule) { rule.source = Prefix::parse("192.0.2.0/24"); }, false},
      {"from all", [](Rule& rule) { rule.source = Prefix::any(Family::v4); }, true},
      {"what comes in by lo is this host's own", [](Rule& rule) { rule.inputInterface = "lo"; }, true},
      {"forwarded", [](Rule& rule) { rule.inputInterface = "wan0"; }, false},
      {"bound to a device", [](Rule& rule) { rule.outputInterface = "wan1"; }, false},
      {"udp", [](Rule& rule) { rule.ipProtocol = 17; }, true},
      {"tcp", [](Rule& rule) { rule.ipProtocol = 6; }, false},
      {"its port", [](Rule& rule) { rule.destinationPort = PortRange{51820, 51821}; }, true},
      {"other ports", [](Rule& rule) { rule.destinationPort = PortRange{1, 51819}; }, false},
      {"unknown source port", [](Rule& rule) { rule.sourcePort = PortRange{1, 65535}; }, false},
      {"what is not understood", [](Rule& rule) { rule.otherSelector = true; }, false},
      {"the other family", [](Rule& rule) { rule.family = Family::v6; }, false},
  };
  for (const Row& row : rows) EXPECT_EQ(walked(withRule(row.change)).device, row.matches ? "wan1" : "wg0") << row.name;
}

TEST(ExplainRules, FromMatchesTheSourceThatIsAskedFor) {
  const World world = withRule([](Rule& rule) { rule.source = Prefix::parse("192.0.2.10"); });
  Packet packet = kPacket;
  packet.source = Address::parse("192.0.2.10");
  EXPECT_EQ(walked(world, packet).device, "wan1");
  EXPECT_EQ(walked(world, packet).source, packet.source) << "kept, whatever WAN it leaves by";
  packet.source = Address::parse("192.0.2.11");
  EXPECT_EQ(walked(world, packet).device, "wg0");
}

TEST(ExplainRules, MayRefuse) {
  for (const RuleAction action : {RuleAction::blackhole, RuleAction::unreachable, RuleAction::prohibit})
    EXPECT_EQ(walked(withRule([&](Rule& rule) { rule.action = action; })).outcome, Outcome::unreachable);
  EXPECT_EQ(walked(withRule([](Rule& rule) { rule.action = RuleAction::nop; })).device, "wg0");
}

TEST(ExplainRules, OfEmptyTablesPassOn) {
  EXPECT_EQ(walked(withRule([](Rule& rule) { rule.table = TableId{101}; })).device, "wg0");
  EXPECT_EQ(walked(withRoutes({})).outcome, Outcome::noRoute);
}

TEST(ExplainRules, JumpForwardToARuleThatIsThere) {
  World world = withRule([](Rule&) {});
  Rule jump = kernelRule(Family::v4, 10, TableId{});
  jump.action = RuleAction::goto_;
  jump.gotoPriority = 32766;
  world.rules.insert(jump);
  const Walk walk = walked(world);
  EXPECT_EQ(walk.device, "wg0") << "past the rule of priority 50";
  EXPECT_EQ(walk.steps[1].text, "priority 10 goto 32766 proto 2");

  world.rules.erase(jump);
  jump.gotoPriority = 60;
  world.rules.insert(jump);
  EXPECT_EQ(walked(world).device, "wan1") << "nothing has that priority: the kernel calls it unresolved and goes on";
}

TEST(ExplainRules, SuppressRoutesThatAreTooShort) {
  for (const auto& [length, device] : {std::pair{-1, "wan0"}, std::pair{0, "wan1"}}) {
    World world = withRule([&](Rule&) {});
    world.routes = {route("0.0.0.0/0", kWan0, "192.0.2.1")};
    Route other = route("0.0.0.0/0", kWan1, "198.51.100.1");
    other.table = kTable;
    world.routes.insert(other);
    Rule rule = kernelRule(Family::v4, 40, kMainTable);
    rule.suppressPrefixLength = length;
    world.rules.insert(rule);
    EXPECT_EQ(walked(world).device, device);
    world.routes.insert(route("203.0.113.0/24", kWan0, "192.0.2.1"));
    EXPECT_EQ(walked(world).device, "wan0") << "longer than what is suppressed";
  }
}

TEST(ExplainRules, NeverSuppressARefusal) {
  World world = withRule([](Rule&) {});
  world.routes.insert(typed("0.0.0.0/0", RouteType::unreachable));
  std::erase_if(world.routes,
                [](const Route& own) { return own.type == RouteType::unicast && own.table == kMainTable; });
  Rule rule = kernelRule(Family::v4, 40, kMainTable);
  rule.suppressPrefixLength = 0;
  world.rules.insert(rule);
  EXPECT_EQ(walked(world).outcome, Outcome::unreachable) << "an error ends the walk before it is asked how long it is";
}

TEST(ExplainTables, PreferTheLongerPrefixThenTheSmallerMetric) {
  EXPECT_EQ(walked(withRoutes({route("0.0.0.0/0", kTunnel), route("203.0.113.0/24", kWan1, "", 9)})).device, "wan1");
  EXPECT_EQ(walked(withRoutes({route("0.0.0.0/0", kWan0, "", 9), route("0.0.0.0/0", kWan1, "", 8)})).device, "wan1");
}

TEST(ExplainTables, PreferTheBetterRouterAmongEqualMetrics) {
  Route usual = route("::/0", kWan0, "fe80::1", 1024);
  Route better = route("::/0", kWan1, "fe80::2", 1024);
  better.order = -1;  // "high", RFC 4191
  World world = withRoutes({usual, better});
  for (auto& [index, link] : world.links) link.hasIpv6 = true;
  const Packet packet = to(*Endpoint::parse("[2001:db8:ffff::55]:51820"));
  EXPECT_EQ(walked(world, packet).device, "wan1");
  std::swap(usual.order, better.order);
  world.routes = {usual, better};
  EXPECT_EQ(walked(world, packet).device, "wan0");
}

TEST(ExplainTables, PassOverWhatIsDead) {
  World world = withRoutes({route("203.0.113.0/24", kWan0), route("0.0.0.0/0", kWan1)});
  world.links.at(kWan0).up = false;
  EXPECT_EQ(walked(world).device, "wan1") << "link down";
  world.links.at(kWan0).up = true;
  world.links.at(kWan0).carrier = false;
  EXPECT_EQ(walked(world).device, "wan0") << "no carrier alone is no reason";
  world.links.at(kWan0).sysctls = {SysctlKind::ignoreLinkdown6};
  EXPECT_EQ(walked(world).device, "wan0") << "the other family's switch";
  world.links.at(kWan0).sysctls = {SysctlKind::ignoreLinkdown4};
  EXPECT_EQ(walked(world).device, "wan1");
  world.links.erase(kWan0);
  EXPECT_EQ(walked(world).device, "wan1") << "device gone";
}

TEST(ExplainTables, TakeTheFirstLivingHopOfSeveral) {
  Route both = route("0.0.0.0/0", kWan0, "192.0.2.1");
  both.hops.push_back({.device = kWan1, .gateway = Address::parse("198.51.100.1")});
  World world = withRoutes({both});
  EXPECT_EQ(walked(world).gateway, Address::parse("192.0.2.1"));
  world.links.at(kWan0).up = false;
  EXPECT_EQ(walked(world).gateway, Address::parse("198.51.100.1"));
}

TEST(ExplainTables, EndByTheTypeOfTheRoute) {
  for (const auto& [type, outcome] : std::map<RouteType, Outcome>{{RouteType::local, Outcome::local},
                                                                  {RouteType::blackhole, Outcome::unreachable},
                                                                  {RouteType::unreachable, Outcome::unreachable},
                                                                  {RouteType::prohibit, Outcome::unreachable},
                                                                  {RouteType::throw_, Outcome::noRoute}})
    EXPECT_EQ(walked(withRoutes({route("0.0.0.0/0", kWan0), typed("203.0.113.55", type)})).outcome, outcome);
}

TEST(ExplainTables, HaveSourceSpecificRoutesForTheirSourcesOnly) {
  const Endpoint far{*Address::parse("2001:db8:99::1"), 51820};
  Route specific = route("::/0", kWan1, "2001:db8:20::1", 5);
  specific.source = *Prefix::parse("2001:db8:20::/56");
  const World world = withRoutes({route("::/0", kWan0, "2001:db8:10::1", 1), specific});
  EXPECT_EQ(walked(world, to(far)).device, "wan0") << "no source yet";
  Packet packet = to(far);
  packet.source = Address::parse("2001:db8:20::10");
  EXPECT_EQ(walked(world, packet).device, "wan1") << "whatever its metric";
  packet.source = Address::parse("2001:db8:10::10");
  EXPECT_EQ(walked(world, packet).device, "wan0");
}

TEST(ExplainSource, IsTheRoutesOwnOrTheFirstUsableOne) {
  World world = withRoutes({route("0.0.0.0/0", kWan0)});
  InterfaceAddress tentative = address(kWan0, "192.0.2.2/24");
  tentative.tentative = true;
  world.addresses.insert(tentative);
  InterfaceAddress linkScope = address(kWan0, "169.254.1.1/16");
  linkScope.linkScope = true;
  world.addresses.insert(linkScope);
  EXPECT_EQ(walked(world).source, Address::parse("192.0.2.10"));
  Route asked = route("0.0.0.0/0", kWan0);
  asked.preferredSource = Address::parse("192.0.2.77");
  world.routes = {asked};
  EXPECT_EQ(walked(world).source, Address::parse("192.0.2.77"));
  world = withRoutes({route("0.0.0.0/0", kWan0)});
  world.addresses.clear();
  EXPECT_EQ(walked(world).source, std::nullopt);
}

/// The tunnel uses fiber, and its only peer lte.
struct Pinned {
  World world = twoWans();
  State state;
  Pinned() {
    Config config = fiberAndLte();
    config.policies = {policy("first", {{.wan = "fiber"}}), policy("second", {{.wan = "lte"}})};
    config.tunnels = {tunnel("wg0", "first")};
    config.peers = {pinned("wg0", 1, "second")};
    state = desire(config, world);
  }
  Walk walk(const Endpoint& endpoint) const {
    return explain(state, world, outerPacket(state, world.tunnels.at("wg0"), endpoint));
  }
};

TEST(ExplainNft, MarksAPinnedPeerAnewAndCorrectsItsSource) {
  const Walk walk = Pinned{}.walk(kServer4);
  EXPECT_EQ(walk.outcome, Outcome::device);
  EXPECT_EQ(walk.device, "wan1");
  EXPECT_EQ(walk.source, Address::parse("198.51.100.10")) << "not that of the first lookup";
  EXPECT_EQ(walk.mark, Mark{0x20000000});
}

TEST(ExplainNft, KeepsTheSourceWhenThePolicyHasNone) {
  Pinned without;
  without.state.nft->table.policySources.clear();
  EXPECT_EQ(without.walk(kServer4).source, Address::parse("192.0.2.10"));
}

TEST(ExplainNft, KnowsAnEndpointByItsPort) {
  const Walk walk = Pinned{}.walk({kServer4.address, 51821});
  EXPECT_EQ(walk.device, "wan0");
  EXPECT_EQ(walk.mark, Mark{0x10000000});
}

TEST(ExplainNft, KeepsTheBitsOfOthers) {
  const Pinned pinnedPeer;
  Packet packet = to(kServer4, Mark{0x1000ca6c});
  packet.sourcePort = 51820;
  EXPECT_EQ(explain(pinnedPeer.state, pinnedPeer.world, packet).mark, Mark{0x2000ca6c});
}

TEST(ExplainNft, LeavesAPacketFromAnotherPortToItsMark) {
  const Pinned pinnedPeer;
  Packet packet = to(kServer4, Mark{0x10000000});
  packet.sourcePort = 4000;
  EXPECT_EQ(explain(pinnedPeer.state, pinnedPeer.world, packet).mark, Mark{0x10000000});
}

TEST(ExplainNft, DoesNothingWithoutItsTableOrForAPacketWithoutARoute) {
  Pinned pinnedPeer;
  pinnedPeer.state.nft->layout.intact = false;
  EXPECT_EQ(pinnedPeer.walk(kServer4).device, "wan0");
  pinnedPeer.state.nft.reset();
  EXPECT_EQ(pinnedPeer.walk(kServer4).device, "wan0");
  Pinned closed;
  closed.world.links.at(kWan0).up = false;
  EXPECT_EQ(closed.walk(kServer4).outcome, Outcome::unreachable) << "the output hook never sees it";
}

TEST(OuterPacket, CarriesTheUsersMarkWhereThatIsKept) {
  Tunnel own = twoWans().tunnels.at("wg0");
  own.fwmark = Mark{0xca6c};
  EXPECT_EQ(outerPacket({}, own, kServer4).mark, Mark{0xca6c});
  State state;
  state.tunnelMarks = {{"wg0", Mark{0x10000000}}};
  EXPECT_EQ(outerPacket(state, own, kServer4).mark, Mark{0x10000000});
}

}  // namespace
}  // namespace wgsteer
