// SPDX-License-Identifier: GPL-2.0-or-later
// Other programs' rules and marks beside ours.
#include <algorithm>
#include <gtest/gtest.h>

#include "wgsteer/core/describe.hpp"
#include "wgsteer/core/inspect.hpp"
#include "wgsteer/core/ours.hpp"
#include "wgsteer/core/plan.hpp"
#include "wgsteer/core/track.hpp"

#include "core/hosts.hpp"
#include "support/catch_all.hpp"

namespace wgsteer {
namespace {

using namespace test;

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
  EXPECT_TRUE(conflicts({}, {world, {}}, steer({}, world)).empty());
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
  world.routes.insert(inTable(route("0.0.0.0/0", kTunnel), 1000));
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
    world.routes.insert(inTable(route("0.0.0.0/0", kTunnel), 500));
    EXPECT_EQ(walk(world, "wg0").device, "wan0") << priority;
    for (const Finding& finding : inspect({}, {world, {}}, steer({}, world), desire({}, world)))
      EXPECT_NE(finding.severity, Severity::problem) << priority << ": " << finding.what;
  }
}

/// wg-quick up of a second full tunnel, after ours: its rule knows our mark alone.
TEST(Jump, LeadsPacketsOfATunnelWithItsOwnMarkAsWell) {
  World world = twoWans();
  world.tunnels.edit().at("wg0").fwmark = Mark{0xca6c};
  Rule before = kernelRule(Family::v4, 11, TableId{1000});
  before.invert = true;
  before.mark = {0xf0000000, 0xffffffff};
  world.rules.insert(before);
  world.routes.insert(inTable(route("0.0.0.0/0", kTunnel), 1000));
  EXPECT_EQ(walk(world, "wg0").device, "wan0");
  const State state = desire({}, world);
  const auto jump = std::ranges::find_if(state.rules, [](const Rule& rule) {
    return rule.action == RuleAction::goto_ && rule.priority == 10 && rule.mark.value == 0xca6c;
  });
  ASSERT_NE(jump, state.rules.end());
  EXPECT_TRUE(isOurs(*jump));
}

/// Gotos are for packets of nobody as well: none may stand before a rule of others and lead behind it.
TEST(Jump, LeadsNobodyPastRulesOfOthers) {
  for (const std::uint32_t priority : {59U, 61U, 66U, 75U, 82U, 90U, 97U, 200U, 300U, 500U, 715U}) {
    for (const bool traffic : {false, true}) {
      World world = withLan();
      Rule honoured = kernelRule(Family::v4, 5000, TableId{200});
      honoured.destination = Prefix::parse("198.18.0.0/16");
      world.rules.insert(honoured);
      world.routes.insert(inTable(route("0.0.0.0/0", kLan, "192.168.7.254"), 200));
      Rule particular = kernelRule(Family::v4, priority, TableId{});
      particular.action = RuleAction::prohibit;
      particular.destination = Prefix::parse("10.99.0.0/16");
      world.rules.insert(particular);
      const State state = desire(traffic ? test::catchAll() : Config{}, world);
      EXPECT_TRUE(std::ranges::any_of(state.rules, [](const Rule& rule) { return rule.action == RuleAction::goto_; }));
      for (const Rule& rule : state.rules) {
        const bool takesOthers = rule.action == RuleAction::goto_ && rule.mark.matches(Mark{}) != rule.invert;
        EXPECT_FALSE(takesOthers && rule.family == Family::v4 && rule.priority <= priority &&
                     rule.gotoPriority > priority)
            << priority << (traffic ? " with rules: " : ": ") << describe(rule);
      }
    }
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

/// A foreign rule that looks up a table.
Rule foreignRule(std::uint32_t priority, std::uint32_t table) {
  Rule rule;
  rule.priority = priority;
  rule.table = TableId{table};
  return rule;
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

TEST(HonouredRules, OfSomethingSpecificMayLeadIntoATunDevice) {
  World world = twoWans();
  constexpr IfIndex kTun{77};
  world.links.emplace(kTun, link(kTun, "tun0", "tun"));
  world.routes.insert(inTable(route("0.0.0.0/0", kTun), 64));
  const auto honoured = [&](const std::function<void(Rule&)>& select) {
    World with = world;
    Rule rule = foreignRule(1000, 64);
    select(rule);
    with.rules.insert(rule);
    return !steer({}, with).honoured.rules.empty();
  };
  EXPECT_TRUE(honoured([](Rule& rule) { rule.destination = Prefix::parse("203.0.113.0/24"); }));
  EXPECT_TRUE(honoured([](Rule& rule) { rule.destinationPort = PortRange{51820, 51820}; }));
  EXPECT_TRUE(honoured([](Rule& rule) { rule.mark = {1, 0xffffffff}; }));
  EXPECT_FALSE(honoured([](Rule&) {})) << "a full tunnel";
  EXPECT_FALSE(honoured([](Rule& rule) { rule.destination = Prefix::parse("128.0.0.0/1"); })) << "half of one";
  world.routes.insert(inTable(route("0.0.0.0/0", kTunnel), 65));
  EXPECT_FALSE(honoured([](Rule& rule) {
    rule.table = TableId{65};
    rule.destination = Prefix::parse("203.0.113.0/24");
  })) << "WireGuard's own packets";
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

TEST(Halves, ByAGatewayAreADefaultLikeAnyOther) {
  World world = withUplink();
  world.routes.insert(route("0.0.0.0/1", kUplink, "192.0.3.1"));
  world.routes.insert(route("128.0.0.0/1", kUplink, "192.0.3.1"));
  EXPECT_EQ(walk(world, "wg0").device, "isp2");
}

}  // namespace
}  // namespace wgsteer
