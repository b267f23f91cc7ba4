// SPDX-License-Identifier: GPL-2.0-or-later
// What `explain` says about any traffic. That it is true: traffic_properties_test.cpp.
#include "wgsteer/core/explain_traffic.hpp"

#include <gtest/gtest.h>

#include "wgsteer/core/desire.hpp"

#include "support/worlds.hpp"

namespace wgsteer {
namespace {

using namespace test;

constexpr IfIndex kLan{4};

RuleConfig rule(const std::string& name, RuleUse use, const std::string& policy = {}) {
  RuleConfig made;
  made.name = name;
  made.use = use;
  made.policy = policy;
  return made;
}

/// A host with a LAN, and the rules tv (by lte, then fiber) and, for port 81, shut.
struct Gateway {
  World world = twoWans();
  Config config = fiberAndLte();

  Gateway() {
    std::erase_if(world.routes, [](const Route& each) { return each.destination.length() == 1; });
    world.links.emplace(kLan, link(kLan, "br-lan", ""));
    world.routes.insert(route("192.168.5.0/24", kLan));
    world.routes.insert(route("10.9.0.0/24", kTunnel));
    Route local = route("192.0.2.10", kWan0);
    local.table = kLocalTable;
    local.type = RouteType::local;
    world.routes.insert(local);
    config.numbers.markMask = kTrafficMarkMask;
    config.policies = {policy("lte_first", {{.wan = "lte", .metric = 1}, {.wan = "fiber", .metric = 2}})};
    config.rules = {rule("shut", RuleUse::unreachable), rule("tv", RuleUse::policy, "lte_first")};
    config.rules[0].destinationPort.any = {{81, 81}};
    config.rules[0].protocol.any = {6, 17};
    config.rules[1].source.any = {*Prefix::parse("192.168.5.0/24")};
  }

  TrafficWalk walk(const FirstPacket& first) const {
    const Steering steering = steer(config, world);
    const State state = desire(config, world, steering);
    return explain({config, world, steering, state}, first);
  }
  /// TCP from the LAN.
  TrafficWalk walk(const std::string& destination, const IfName& input = "br-lan") const {
    FirstPacket first;
    first.packet = {.destination = *Endpoint::parse(destination), .mark = {}, .source = Address::v4(192, 168, 5, 40)};
    first.packet.protocol = 6;
    first.packet.inputDevice = input;
    return walk(first);
  }
};

bool tells(const TrafficWalk& walk, const std::string& text, bool matched) {
  return std::ranges::any_of(walk.walk.steps,
                             [&](const WalkStep& step) { return step.text == text && step.matched == matched; });
}

TEST(ExplainTraffic, NamesRulePolicyAndWan) {
  const TrafficWalk walk = Gateway{}.walk("203.0.113.9:443");
  EXPECT_EQ(walk.why, "rule tv, policy lte_first: by WAN lte");
  EXPECT_EQ(walk.rule, "tv");
  EXPECT_EQ(walk.policy, "lte_first");
  EXPECT_EQ(walk.wan, "lte");
  EXPECT_EQ(walk.walk.device, "wan1");
  EXPECT_TRUE(tells(walk, "rule shut -> no match (dest_port), next rule", false));
  EXPECT_TRUE(tells(walk, "rule tv -> policy lte_first, mark 0x42000000", true));
  EXPECT_TRUE(tells(walk, "nft traffic_sent: its connection stays on WAN lte, connection mark 0x43000000", true));
}

TEST(ExplainTraffic, SaysThatNoRuleMatchesAndWhatIsNotKnown) {
  FirstPacket first;
  first.packet = {.destination = *Endpoint::parse("203.0.113.9:443"), .mark = {}, .source = {}};
  first.packet.inputDevice = "br-lan";
  const TrafficWalk walk = Gateway{}.walk(first);
  EXPECT_EQ(walk.why, "no rule matches: left alone");
  EXPECT_EQ(walk.walk.device, "wan0");
  EXPECT_TRUE(tells(walk, "rule tv -> no match (src_ip, which is not known), next rule", false));
}

/// What is not known is not excluded either.
TEST(ExplainTraffic, SaysThatAPortIsNotKnownAlsoIfSomeAreExcluded) {
  Gateway gateway;
  gateway.config.rules[1].sourcePort.none = {{1, 1023}};
  gateway.config.rules[1].protocol.any = {6, 17};
  const TrafficWalk unknown = gateway.walk("203.0.113.9:443");
  EXPECT_EQ(unknown.why, "no rule matches: left alone");
  EXPECT_TRUE(tells(unknown, "rule tv -> no match (src_port, which is not known), next rule", false));
  FirstPacket first;
  first.packet = {.destination = *Endpoint::parse("203.0.113.9:443"),
                  .mark = {},
                  .source = Address::v4(192, 168, 5, 40),
                  .sourcePort = 40000};
  first.packet.protocol = 6;
  first.packet.inputDevice = "br-lan";
  EXPECT_EQ(gateway.walk(first).rule, "tv");
}

/// Rules of other programs, wherever they are, that catch every packet without being about any in particular.
TEST(ExplainTraffic, RulesWorkBehindThoseOfOthersThatCatchEverything) {
  for (const std::uint32_t priority : {5U, 65U, 80U, 86U, 90U, 105U, 150U}) {
    Gateway gateway;
    gateway.world.rules.insert(kernelRule(Family::v4, priority, TableId{300}));
    Route into = route("0.0.0.0/0", kTunnel);
    into.table = TableId{300};
    gateway.world.routes.insert(into);
    EXPECT_EQ(gateway.walk("203.0.113.9:443").walk.device, "wan1") << priority;
    EXPECT_EQ(gateway.walk("203.0.113.9:81").walk.outcome, Outcome::unreachable) << priority;
  }
}

TEST(ExplainTraffic, SaysThatAMoreSpecificRouteComesFirst) {
  const TrafficWalk walk = Gateway{}.walk("10.9.0.7:443");
  EXPECT_EQ(walk.why, "rule tv matches, but 10.9.0.0/24 in main is more specific: inside");
  EXPECT_TRUE(walk.inside);
  EXPECT_EQ(walk.walk.device, "wg0");
  EXPECT_EQ(walk.wan, "");
}

TEST(ExplainTraffic, SaysThatARuleCanUseNoWan) {
  Gateway gateway;
  gateway.world.wansDown = {{"fiber", "probes"}, {"lte", "probes"}};
  const TrafficWalk walk = gateway.walk("203.0.113.9:443");
  EXPECT_EQ(walk.why, "rule tv can use no WAN now: unreachable");
  EXPECT_EQ(walk.walk.outcome, Outcome::unreachable);
  gateway.config.policies[0].lastResort = LastResort::main;
  EXPECT_EQ(gateway.walk("203.0.113.9:443").why, "rule tv can use no WAN now: left alone, as policy lte_first says");
}

TEST(ExplainTraffic, SaysWhatARuleWithoutAPolicyDoes) {
  Gateway gateway;
  EXPECT_EQ(gateway.walk("203.0.113.9:81").why, "rule shut refuses it: unreachable");
  gateway.config.rules[0].use = RuleUse::blackhole;
  EXPECT_EQ(gateway.walk("203.0.113.9:81").why, "rule shut drops it without an answer");
  gateway.config.rules[0].use = RuleUse::main;
  const TrafficWalk walk = gateway.walk("203.0.113.9:81");
  EXPECT_EQ(walk.why, "rule shut says main: left alone");
  EXPECT_EQ(walk.walk.mark, Mark{});
}

TEST(ExplainTraffic, SaysByWhichWanAConnectionIsAnswered) {
  Gateway gateway;
  const TrafficWalk walk = gateway.walk("192.0.2.10:22", "wan0");
  EXPECT_EQ(walk.why, "arrived on WAN fiber: answered over it");
  EXPECT_EQ(walk.walk.outcome, Outcome::local);
  EXPECT_EQ(walk.connection, walk.walk.mark);
  gateway.world.wansDown = {{"fiber", "probes"}};
  EXPECT_EQ(gateway.walk("192.0.2.10:22", "wan0").why, "arrived on wan0, a WAN that cannot be used now: left alone");
}

TEST(ExplainTraffic, LeavesMarksOfOthersAlone) {
  Gateway gateway;
  Rule tproxy = kernelRule(Family::v4, 100, TableId{100});
  tproxy.mark = {0xff000001, 0xffffffff};
  gateway.world.rules.insert(tproxy);
  FirstPacket first;
  first.packet = {.destination = *Endpoint::parse("203.0.113.9:443"), .mark = Mark{0xff000001}, .source = {}};
  first.packet.inputDevice = "br-lan";
  EXPECT_EQ(gateway.walk(first).why, "mark 0xff000001 belongs to another program's rule: left alone");
  first.packet.mark = Mark{0x1000000};
  EXPECT_EQ(gateway.walk(first).why, "WireGuard's own packet: rules do not apply");
}

TEST(ExplainTraffic, OfThisHostHasToHaveARouteBeforeItsRulesAreAsked) {
  Gateway gateway;
  gateway.config.rules[1].source = {};
  gateway.config.rules[1].protocol.any = {6};
  gateway.config.rules[1].destinationPort.any = {{443, 443}, {60000, 65535}};  // more than an ip rule can say
  FirstPacket first;
  first.packet = {.destination = *Endpoint::parse("203.0.113.9:443"), .mark = {}, .source = {}};
  first.packet.protocol = 6;
  const TrafficWalk walk = gateway.walk(first);
  EXPECT_EQ(walk.walk.device, "wan1");
  EXPECT_EQ(walk.walk.source, Address::parse("198.51.100.10")) << "not that of the first lookup";
  EXPECT_TRUE(tells(walk, "nft traffic_nat: 192.0.2.10 is not an address of wan1, masqueraded as 198.51.100.10", true));
  std::erase_if(gateway.world.routes, [](const Route& each) { return each.destination.isDefault(); });
  EXPECT_EQ(gateway.walk(first).why, "this host has no other route for it, so its rules are not consulted");
}

TEST(ExplainTraffic, WithoutRulesIsLeftAlone) {
  Gateway gateway;
  gateway.config.rules.clear();
  const TrafficWalk walk = gateway.walk("203.0.113.9:443");
  EXPECT_EQ(walk.why, "there are no rules for any traffic: left alone");
  EXPECT_EQ(walk.walk.device, "wan0");
}

}  // namespace
}  // namespace wgsteer
