// SPDX-License-Identifier: GPL-2.0-or-later
// IPv6 sources and the WANs that they belong to: `source_routing` of a WAN, `ipv6` of a policy.
#include <algorithm>
#include <gtest/gtest.h>

#include "wgsteer/core/desire.hpp"
#include "wgsteer/core/explain_traffic.hpp"
#include "wgsteer/core/plan.hpp"

#include "core/inspect_sources.hpp"
#include "core/source_routing.hpp"
#include "core/traffic.hpp"
#include "support/worlds.hpp"

namespace wgsteer {
namespace {

using test::kWan1;
using test::twoWans;

const Prefix kOfFiber = *Prefix::parse("2001:db8:a::/56");
const Prefix kOfLte = *Prefix::parse("2001:db8:b::/56");
constexpr std::uint32_t kInBlock = kDefaultRulePriority + kTrafficSourceOffset;

Config withPrefixes(ForeignSource treatment = ForeignSource::none) {
  Config config = test::fiberAndLte();
  config.numbers.markMask = kTrafficMarkMask;
  config.wans[0].prefixes = {kOfFiber};
  config.wans[1].prefixes = {kOfLte};
  for (WanConfig& wan : config.wans) wan.sourceRouting = true;
  config.policies = {test::policy("both", {{.wan = "lte", .metric = 1}, {.wan = "fiber", .metric = 2}}),
                     test::policy("lte_only", {{.wan = "lte", .metric = 1}})};
  for (PolicyConfig& policy : config.policies) policy.foreignSource = treatment;
  for (const char* policy : {"both", "lte_only"}) {
    RuleConfig& rule = config.rules.emplace_back();
    rule.name = rule.policy = policy;
    rule.destinationPort.any = {{80, 80}};
    rule.protocol.any = {6};
  }
  return config;
}

std::vector<Rule> rulesAt(const State& state, std::uint32_t priority) {
  std::vector<Rule> found;
  std::ranges::copy_if(state.rules, std::back_inserter(found),
                       [&](const Rule& rule) { return rule.priority == priority; });
  return found;
}

FirstPacket packetFrom(const char* source, std::uint16_t port = 80) {
  FirstPacket first;
  first.packet = {
      .destination = {*Address::parse("2001:db8:ff::1"), port}, .mark = {}, .source = Address::parse(source)};
  first.packet.outer = false;
  first.packet.inputDevice = "br-lan";
  first.packet.protocol = 6;
  return first;
}

TrafficWalk walk(const Config& config, const World& world, const FirstPacket& first) {
  const Steering steering = steer(config, world);
  const State state = desire(config, world, steering);
  return explain({config, world, steering, state}, first);
}

TEST(Sources, AreThoseOfMainsRoutesAndOfTheConfiguration) {
  World world = twoWans();
  Route own = test::route("::/0", kWan1, "fe80::1", 512);
  own.source = *Prefix::parse("2001:db8:c::/60");
  world.routes.insert(own);
  own.source = *Prefix::parse("2001:db8:b:1::/64");  // in what is configured
  world.routes.insert(own);
  own.table = TableId{100};
  own.source = *Prefix::parse("2001:db8:d::/60");
  world.routes.insert(own);
  const Steering steering = steer(withPrefixes(), world);
  EXPECT_EQ(steering.wans[0].prefixes, std::vector{kOfFiber});
  EXPECT_EQ(steering.wans[1].prefixes, (std::vector{kOfLte, *Prefix::parse("2001:db8:c::/60")}));
}

TEST(Sources, OfTwoWansTheFirstHasThem) {
  const World world = twoWans();
  Config config = withPrefixes();
  config.wans[1].prefixes = {*Prefix::parse("2001:db8:a:1::/64"), kOfLte};
  const Steering steering = steer(config, world);
  const auto routed = routedSources(steering);
  ASSERT_EQ(routed.size(), 2U);
  EXPECT_EQ(routed[0].prefix, kOfFiber);
  EXPECT_EQ(routed[1].prefix, kOfLte);
  const auto findings = inspectSources(world, steering);
  EXPECT_TRUE(std::ranges::any_of(findings, [](const Finding& each) {
    return each.what.starts_with("WANs fiber and lte both have 2001:db8:a:1::/64");
  }));
}

TEST(Sources, AreRoutedWithoutRulesAsWell) {
  const World world = twoWans();
  Config config = withPrefixes();
  config.rules.clear();
  config.insideTables = {TableId{220}};
  const State state = desire(config, world);
  const auto inside = rulesAt(state, kSourceInsidePriority);
  ASSERT_EQ(inside.size(), 2U);
  for (const Rule& rule : inside) {
    EXPECT_EQ(rule.table, kMainTable);
    EXPECT_EQ(rule.suppressPrefixLength, 1);
    EXPECT_EQ(rule.family, Family::v6);
    EXPECT_EQ(rule.mark, (MarkMatch{0, kTrafficMarkMask}));
  }
  EXPECT_EQ(rulesAt(state, kSourceInsidePriority + 1).size(), 2U);
  EXPECT_EQ(rulesAt(state, kSourcePriority).size(), 2U);
  for (WanConfig& wan : config.wans) wan.sourceRouting = false;
  State rest = state;
  std::erase_if(rest.rules, [](const Rule& rule) { return rule.priority >= kSourceInsidePriority; });
  EXPECT_EQ(rest, desire(config, world)) << "nothing else depends on it";
}

bool hasSourceRouting(const Config& config, const World& world) {
  return !rulesAt(desire(config, world), kSourcePriority).empty();
}

TEST(Sources, AskTableLocalFirstWhereItStandsBehind) {
  World world = twoWans();
  const Config config = withPrefixes();
  EXPECT_TRUE(rulesAt(desire(config, world), kSourceLocalPriority).empty());
  std::erase_if(world.rules, [](const Rule& each) { return each.family == Family::v6 && each.table == kLocalTable; });
  world.rules.insert(test::kernelRule(Family::v6, 32765, kLocalTable));
  const auto local = rulesAt(desire(config, world), kSourceLocalPriority);
  ASSERT_EQ(local.size(), 2U);
  EXPECT_EQ(local[0].table, kLocalTable);
  EXPECT_TRUE(hasSourceRouting(config, world)) << "table local alone is no obstacle";
}

TEST(Sources, AreNotRoutedBeforeRulesOfOthers) {
  World world = twoWans();
  const Config config = withPrefixes();
  ASSERT_TRUE(hasSourceRouting(config, world));
  Rule late = test::kernelRule(Family::v6, 32765, TableId{220});
  late.inputInterface = "br-lan";
  world.rules.insert(late);
  EXPECT_FALSE(hasSourceRouting(config, world));
  EXPECT_EQ(steer(config, world).problems.size(), 2U) << "of each WAN";
  EXPECT_FALSE(rulesAt(desire(config, world), kInBlock).empty()) << "what rules steer is not concerned";
}

TEST(Sources, AreNotRoutedWhereMainIsAskedBefore) {
  World world = twoWans();
  const Config config = withPrefixes();
  world.rules.insert(test::kernelRule(Family::v6, 1000, kMainTable));
  EXPECT_FALSE(hasSourceRouting(config, world));
  ASSERT_EQ(steer(config, world).problems.size(), 2U);
  EXPECT_NE(steer(config, world).problems[0].find("comes before its rules"), std::string::npos);
}

TEST(Sources, AreThoseOfAdministratorsRulesToo) {
  World world = twoWans();
  Config config = withPrefixes();
  config.wans[1].prefixes.clear();
  Rule rule = test::kernelRule(Family::v6, 1000, TableId{220});
  rule.source = kOfLte;
  world.rules.insert(rule);
  EXPECT_TRUE(steer(config, world).wans[1].prefixes.empty()) << "the table leads nowhere";
  Route route;
  route.table = TableId{220};
  route.destination = route.source = Prefix::any(Family::v6);
  route.hops = {NextHop{.device = kWan1, .gateway = Address::parse("fe80::1"), .onlink = false, .weight = 1}};
  world.routes.insert(route);
  EXPECT_EQ(steer(config, world).wans[1].prefixes, std::vector{kOfLte});
}

TEST(ForeignSources, CheckSaysWhichLeaveAsTheyAre) {
  const World world = twoWans();
  Config config = withPrefixes();
  const auto saysSo = [&] {
    const auto findings = inspectSources(world, steer(config, world));
    return std::ranges::count_if(findings, [](const Finding& finding) {
      return finding.what.find("leave by WAN lte as they are") != std::string::npos;
    });
  };
  EXPECT_EQ(saysSo(), 1) << "of the policy that has lte alone";
  config.wans[0].sourceRouting = false;
  EXPECT_EQ(saysSo(), 2);
  config.policies[0].foreignSource = config.policies[1].foreignSource = ForeignSource::masquerade;
  EXPECT_EQ(saysSo(), 0);
}

TEST(Sources, OfADeadWanAreLikeAnyOther) {
  World world = twoWans();
  world.wansDown["fiber"] = WanDown{"probes"};
  const State state = desire(withPrefixes(), world);
  for (const Rule& rule : state.rules) EXPECT_NE(rule.source, kOfFiber) << describe(rule);
}

TEST(Sources, ChooseAmongTheWansOfAPolicyAlone) {
  const World world = twoWans();
  const Config config = withPrefixes();
  const Steering steering = steer(config, world);
  const State state = desire(config, world, steering);
  const auto rules = rulesAt(state, kInBlock);
  ASSERT_EQ(rules.size(), 3U) << "fiber's and lte's of one policy, lte's of the other";
  for (const Rule& rule : rules) {
    const bool fiber = rule.source == kOfFiber;
    EXPECT_EQ(rule.table, config.numbers.wanTable(steering.wans[fiber ? 0 : 1].slot));
    if (fiber) {
      EXPECT_EQ(rule.mark, config.numbers.mark(steering.traffic->policies[0].chosen));
    }
  }
}

TEST(Sources, SharedConnectionsAreRoutedByTheirSourceToo) {
  const World world = twoWans();
  Config config = withPrefixes();
  for (PolicyMember& member : config.policies[0].members) member.metric = 1;
  const Steering steering = steer(config, world);
  ASSERT_TRUE(steering.traffic->policies[0].chooses);
  EXPECT_EQ(rulesAt(desire(config, world, steering), kInBlock).size(), 7U);
}

TEST(Sources, ExplainTellsWhy) {
  const World world = twoWans();
  Config config = withPrefixes();
  EXPECT_EQ(walk(config, world, packetFrom("2001:db8:a::9")).why,
            "rule both, policy both: by WAN fiber, which its source belongs to");
  EXPECT_EQ(walk(config, world, packetFrom("2001:db8:a::9", 81)).why,
            "no rule matches: by WAN fiber, which its source belongs to");
  EXPECT_EQ(walk(config, world, packetFrom("fd00::9")).why, "rule both, policy both: by WAN lte");
  config.rules.clear();
  EXPECT_EQ(walk(config, world, packetFrom("2001:db8:b::9")).why, "by WAN lte, which its source belongs to");
}

// ---- Sources that are not of the exit

TEST(ForeignSources, AreTreatedAsThePolicySays) {
  const World world = twoWans();
  const auto leavesAs = [&](ForeignSource treatment, const char* source) {
    Config config = withPrefixes(treatment);
    config.wans[0].sourceRouting = false;
    const TrafficWalk found = walk(config, world, packetFrom(source));
    return found.walk.outcome == Outcome::device ? found.walk.source->toString() : found.why;
  };
  EXPECT_EQ(leavesAs(ForeignSource::none, "2001:db8:a::9"), "2001:db8:a::9");
  EXPECT_EQ(leavesAs(ForeignSource::reject, "2001:db8:a::9"),
            "rule both, policy both: 2001:db8:a::9 is not a source of WAN lte: refused");
  EXPECT_EQ(leavesAs(ForeignSource::masquerade, "2001:db8:a::9"), "2001:db8:20::10");
  EXPECT_EQ(leavesAs(ForeignSource::translate, "2001:db8:a:7::9"), "2001:db8:b:7::9");
  for (const ForeignSource treatment :
       {ForeignSource::none, ForeignSource::reject, ForeignSource::masquerade, ForeignSource::translate}) {
    EXPECT_EQ(leavesAs(treatment, "2001:db8:b::9"), "2001:db8:b::9") << "delegated";
    EXPECT_EQ(leavesAs(treatment, "2001:db8:20::9"), "2001:db8:20::9") << "on its link";
  }
  EXPECT_EQ(leavesAs(ForeignSource::translate, "fd00::9"),
            "rule both, policy both: fd00::9 is not a source of WAN lte: refused");
}

TEST(ForeignSources, WhatIsWiderThanTheExitsPrefixIsAProblem) {
  const World world = twoWans();
  Config config = withPrefixes(ForeignSource::translate);
  config.insidePrefixes = {*Prefix::parse("fd12::/48"), *Prefix::parse("fd13::/64")};
  const Steering steering = steer(config, world);
  ASSERT_EQ(steering.problems.size(), 3U);
  EXPECT_EQ(
      steering.problems.back(),
      "policy lte_only cannot translate fd12::/48 for WAN lte: it is wider than 2001:db8:b::/56, so such connections "
      "are rejected; name a longer prefix in inside_prefixes, or set ipv6 = \"masquerade\"");
  const auto& translations = steering.traffic->foreignSources.back().translations;
  ASSERT_EQ(translations.size(), 2U);
  EXPECT_EQ(translations[0], (TrafficTranslation{"wan1", kOfFiber, kOfLte}));
  EXPECT_EQ(translations[1], (TrafficTranslation{"wan1", *Prefix::parse("fd13::/64"), kOfLte}));
}

TEST(ForeignSources, OfAnExitNothingOverlaps) {
  const World world = twoWans();
  Config config = withPrefixes(ForeignSource::masquerade);
  config.wans[0].prefixes = {*Prefix::parse("2001:db8:10::/48")};
  const auto prefixes = desire(config, world).nft->table.prefixes;
  EXPECT_EQ(prefixes, (std::set<std::pair<IfName, Prefix>>{{"wan0", *Prefix::parse("2001:db8:10::/48")},
                                                           {"wan1", *Prefix::parse("2001:db8:20::/64")},
                                                           {"wan1", kOfLte}}));
  EXPECT_TRUE(desire(withPrefixes(), world).nft->table.prefixes.empty()) << "nobody asks";
}

TEST(ForeignSources, CheckSaysWhichPrefixesAreNotKnown) {
  const World world = twoWans();
  Config config = withPrefixes(ForeignSource::reject);
  config.wans[0].prefixes.clear();
  const auto findings = inspectSources(world, steer(config, world));
  ASSERT_GE(findings.size(), 2U);
  EXPECT_EQ(findings[0].what, "WAN fiber: source_routing has no effect: no prefix of it is known");
  EXPECT_TRUE(std::ranges::any_of(findings, [](const Finding& each) {
    return each.what.starts_with("policy both: of WAN fiber only the sources on its own link count as right");
  }));
}

}  // namespace
}  // namespace wgsteer
