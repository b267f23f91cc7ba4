// SPDX-License-Identifier: GPL-2.0-or-later
// What `check` says about rules for any traffic.
#include <algorithm>
#include <gtest/gtest.h>

#include "wgsteer/core/desire.hpp"
#include "wgsteer/core/inspect.hpp"
#include "wgsteer/core/rule_effect.hpp"

#include "support/worlds.hpp"

namespace wgsteer {
namespace {

using namespace test;
using Lines = std::vector<std::string>;

RuleConfig rule(const std::string& name, const std::vector<std::string>& from = {},
                const std::vector<std::string>& to = {}) {
  RuleConfig made;
  made.name = name;
  made.policy = "fiber_first";
  for (const std::string& text : from) made.source.any.push_back(*Prefix::parse(text));
  for (const std::string& text : to) made.destination.any.push_back(*Prefix::parse(text));
  return made;
}

RuleConfig refusing(RuleConfig made, RuleUse use = RuleUse::unreachable) {
  made.use = use;
  made.policy.clear();
  return made;
}

Config with(std::vector<RuleConfig> rules) {
  Config config = fiberAndLte();
  config.numbers.markMask = kTrafficMarkMask;
  config.policies = {policy("fiber_first", {{.wan = "fiber", .metric = 10}, {.wan = "lte", .metric = 20}}),
                     policy("lte_only", {{.wan = "lte"}})};
  config.rules = std::move(rules);
  return config;
}

/// "problem: what", one line per finding.
Lines found(const Config& config, const World& world = twoWans()) {
  constexpr std::array kNames{"conflict: ", "problem: ", "advice: "};
  Lines all;
  const Steering steering = steer(config, world);
  for (const Finding& finding : inspect(config, {world, {}}, steering, desire(config, world, steering)))
    all.push_back(kNames.at(std::to_underlying(finding.severity)) + finding.what);
  return all;
}

void withoutIpv6(World& world, IfIndex device) {
  std::erase_if(world.routes, [&](const Route& known) {
    return known.destination == Prefix::any(Family::v6) && known.hops.front().device == device;
  });
}

TEST(InspectTrafficRules, HasNothingToSayOfRulesThatWork) {
  EXPECT_EQ(
      found(with({rule("tv", {"192.168.5.40", "2001:db8::40"}), rule("web", {}, {"203.0.113.0/24"}), rule("rest")})),
      Lines{});
}

TEST(InspectTrafficRules, ACatchAllNamesWhatItHides) {
  const RuleConfig tv = refusing(rule("tv", {"192.168.5.40", "2001:db8::40"}));
  EXPECT_EQ(found(with({rule("all"), tv, refusing(rule("pc", {}, {"203.0.113.7"}))})),
            Lines{"problem: rules tv, pc can never match: the earlier rule all matches everything"});
  Config many = with({rule("all")});
  for (int i = 0; i < 9; ++i) many.rules.push_back(refusing(rule("r" + std::to_string(i), {}, {"203.0.113.7"})));
  EXPECT_EQ(found(many), Lines{"problem: rules r0, r1, r2, r3, r4 and 4 more can never match: the earlier "
                               "rule all matches everything"});
}

TEST(InspectTrafficRules, AWiderRuleBeforeIsAProblemUnlessItDoesTheSame) {
  const RuleConfig wide = rule("net", {}, {"203.0.113.0/24"});
  const RuleConfig narrow = rule("host", {}, {"203.0.113.7"});
  EXPECT_EQ(found(with({wide, refusing(narrow)})),
            Lines{"problem: rule host can never match: the earlier rule net matches everything that it could"});
  EXPECT_EQ(found(with({wide, narrow})),
            Lines{"advice: rule host can never match: the earlier rule net matches everything that it could"});
  EXPECT_EQ(found(with({narrow, wide})), Lines{});
}

TEST(InspectTrafficRules, HostsOfOneFamilyMayHaveTheOther) {
  EXPECT_EQ(found(with({rule("tv", {"192.168.5.40"})})),
            Lines{"advice: rule tv selects hosts by addresses of IPv4 alone: IPv6 of the same hosts is left alone"});
  EXPECT_EQ(
      found(with({refusing(rule("child", {"192.168.5.40"}), RuleUse::blackhole)})),
      Lines{"problem: rule child selects hosts by addresses of IPv4 alone: what they send by IPv6 is not refused"});
  RuleConfig meant = rule("tv", {"192.168.5.40"});
  meant.family = Family::v4;
  EXPECT_EQ(found(with({meant, rule("web", {"192.168.5.41"}, {"203.0.113.0/24"})})), Lines{});
}

TEST(InspectTrafficRules, AFamilyThatNobodyOffersIsNotMissed) {
  World world = twoWans();
  withoutIpv6(world, kWan0);
  withoutIpv6(world, kWan1);
  EXPECT_EQ(found(with({rule("tv", {"192.168.5.40"})}), world), Lines{});
}

TEST(InspectTrafficRules, DevicesAreToExistAndToBeNoWans) {
  RuleConfig made = rule("lan");
  made.inputDevice.any = {"wan0", "br-lan"};
  const Lines expected{
      "problem: rule lan: src_iface wan0 is a WAN: connections that arrive on a WAN are answered over it, whatever the "
      "rules say",
      "advice: rule lan: src_iface br-lan does not exist"};
  EXPECT_EQ(found(with({made})), expected);
  made.inputDevice = {.any = {}, .none = {"br-lan"}};
  EXPECT_EQ(found(with({made})), Lines{"advice: rule lan: src_iface br-lan does not exist"});
}

TEST(InspectTrafficRules, APolicyMayLackAFamily) {
  World world = twoWans();
  withoutIpv6(world, kWan1);
  RuleConfig made = rule("tv");
  made.policy = "lte_only";
  EXPECT_EQ(found(with({made}), world),
            Lines{"advice: no WAN of policy lte_only has IPv6: such connections of rule tv are refused"});
  made.family = Family::v4;
  EXPECT_EQ(found(with({made}), world), Lines{});
}

TEST(InspectTrafficRules, InsideDestinationsAreNotTheirs) {
  World world = twoWans();
  world.routes.insert(route("10.20.0.0/16", kTunnel));
  EXPECT_EQ(found(with({rule("office", {}, {"10.20.1.0/24", "203.0.113.7"})}), world),
            Lines{"advice: rule office has no effect on 10.20.1.0/24, to which there is a specific route: 10.20.0.0/16 "
                  "dev wg0 table main metric 0 proto 3"});
  EXPECT_EQ(found(with({refusing(rule("office", {}, {"10.20.1.0/24"}))}), world),
            Lines{"problem: rule office has no effect on any of its destinations, to which there is a specific route: "
                  "10.20.0.0/16 dev wg0 table main metric 0 proto 3"});
  EXPECT_EQ(
      found(with({rule("wide", {}, {"10.0.0.0/8"}), refusing(rule("own", {}, {"10.20.1.1"}), RuleUse::main)}), world),
      Lines{"problem: rule own can never match: the earlier rule wide matches everything that it could"});
}

TEST(InspectTrafficRules, AStrictFilterAlsoDropsTheirReplies) {
  World world = twoWans();
  world.rpFilterAll = 1;
  Config config = with({rule("tv")});
  config.sysctl = false;
  const Lines lines = found(config, world);
  EXPECT_EQ(std::ranges::count(lines,
                               "problem: strict rp_filter on wan0 drops replies from the tunnel's peers, and "
                               "those to what rules send by it"),
            1);
}

TEST(RuleEffects, AreTheExitsOfNewConnections) {
  World world = twoWans();
  const Config config = with({rule("tv"), rule("old", {"192.168.5.40"}), refusing(rule("no"))});
  const auto effects = [&] { return ruleEffects(config, world, steer(config, world)); };
  const auto before = effects();
  ASSERT_EQ(before.size(), 3U);
  EXPECT_EQ(before[0].exits.at(Family::v4), Lines{"fiber"});
  EXPECT_EQ(before[0].exits.at(Family::v6), Lines{"fiber"});
  EXPECT_FALSE(before[1].exits.contains(Family::v6));
  EXPECT_TRUE(before[2].exits.empty());
  EXPECT_EQ(before[2].whyNone, "");
  world.wansDown["fiber"] = WanDown{"probes"};
  EXPECT_EQ(effects()[0].exits.at(Family::v4), Lines{"lte"});
  world.wansDown["lte"] = WanDown{"probes"};
  EXPECT_EQ(effects()[0].exits.at(Family::v4), Lines{});
  EXPECT_EQ(effects()[0].whyNone, "no WAN of policy fiber_first can be used: connections are refused");
  EXPECT_EQ(effects()[2].whyNone, "");
  world.foreignTable = true;
  EXPECT_EQ(effects()[2].whyNone, "another program has nft table inet wgsteer");
}

TEST(RuleEffects, SeveralExitsOfOneMetricShare) {
  Config config = with({rule("tv")});
  config.policies[0].members[1].metric = 10;
  const World world = twoWans();
  EXPECT_EQ(ruleEffects(config, world, steer(config, world))[0].exits.at(Family::v4), (Lines{"fiber", "lte"}));
}

TEST(RuleEffects, ARuleWithoutAMarkHasNone) {
  Config config = with({rule("tv")});
  config.numbers.markMask = 0xfc000000;  // sixteen for traffic
  for (int i = 0; i < 9; ++i) {
    RuleConfig sticky = rule("s" + std::to_string(i), {}, {"203.0.113.7"});
    sticky.sticky = true;
    config.rules.push_back(sticky);
  }
  const World world = twoWans();
  const auto effects = ruleEffects(config, world, steer(config, world));
  EXPECT_EQ(effects.front().whyNone, "");
  EXPECT_EQ(effects.back().whyNone, "no mark left: widen mark_mask");
}

World withDefaultOf(std::uint32_t priority) {
  World world = twoWans();
  Rule all;
  all.priority = priority;
  all.table = TableId{300};
  world.rules.insert(all);
  Route by = route("0.0.0.0/0", kWan1, "198.51.100.1");
  by.table = TableId{300};
  world.routes.insert(by);
  return world;
}

RuleConfig local(RuleConfig made) {
  made.origin = Origin::local;
  return made;
}

/// What this host sends has no mark yet, by which it could be led past the other program's rule.
TEST(RuleEffects, AForeignRuleMayTakeThisHostsOwnConnections) {
  RuleConfig both = rule("both");
  RuleConfig forwarded = rule("forwarded");
  forwarded.origin = Origin::forwarded;
  RuleConfig own4 = local(rule("own4"));
  own4.family = Family::v4;
  Config config = with({forwarded, own4, both});
  const auto why = [&](const World& world) {
    Lines lines;
    for (const RuleEffect& effect : ruleEffects(config, world, steer(config, world))) lines.push_back(effect.whyNone);
    return lines;
  };
  config.rules.push_back(rule("hosts", {"192.168.5.40"}));
  const std::string by = "ip rule priority 150 lookup 300 comes first";
  EXPECT_EQ(why(withDefaultOf(150)), (Lines{"", by, "not for this host's own IPv4 connections: " + by, ""}));
  EXPECT_EQ(why(withDefaultOf(1000)), (Lines{"", "", "", ""})) << "behind ours";
  World empty = withDefaultOf(150);
  std::erase_if(empty.routes, [](const Route& each) { return each.table == TableId{300}; });
  EXPECT_EQ(why(empty), (Lines{"", "", "", ""})) << "its table has no answer";
}

TEST(RuleEffects, ChainsThatAskForThisHostComeBehindForeignRules) {
  RuleConfig marked = local(rule("marked"));
  marked.dscp.any = {46};
  const Config config = with({marked});
  const World world = withDefaultOf(150);
  EXPECT_EQ(ruleEffects(config, world, steer(config, world))[0].whyNone, "");
}

TEST(InspectTrafficRules, AForeignRuleMayTakeThisHostsOwnConnections) {
  RuleConfig own = local(rule("own"));
  own.family = Family::v4;
  const std::string what =
      "this host's own IPv4 connections never ask rules own, both: ip rule priority 150 lookup 300, of another "
      "program, takes them all before";
  RuleConfig both = rule("both");
  EXPECT_EQ(std::ranges::count(found(with({own, both}), withDefaultOf(150)), "problem: " + what), 1);
  const Lines lines = found(with({both}), withDefaultOf(150));
  EXPECT_TRUE(std::ranges::any_of(lines, [](const std::string& line) {
    return line.starts_with("advice: this host's own IPv4 connections never ask rule both: ");
  }));
}

TEST(ExitMarks, SayByWhomConnectionsWereGivenThem) {
  RuleConfig sticky = rule("bank", {}, {"203.0.113.7"});
  sticky.sticky = true;
  const Config config = with({rule("tv", {"192.168.5.40"}), sticky});
  const World world = twoWans();
  const Steering steering = steer(config, world);
  Lines marks;
  for (const ExitMark& mark : exitMarks(steering, config.numbers))
    marks.push_back(steering.wans[mark.wan].name + " " + mark.policy + " " + mark.rule);
  EXPECT_EQ(marks, (Lines{"fiber  ", "lte  ", "fiber fiber_first ", "lte fiber_first ", "fiber fiber_first bank",
                          "lte fiber_first bank"}));
}

}  // namespace
}  // namespace wgsteer
