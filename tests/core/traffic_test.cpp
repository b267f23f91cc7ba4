// SPDX-License-Identifier: GPL-2.0-or-later
// Rules for any traffic: marks, ip rules, chains, and which connections stay where they are.
#include "core/traffic.hpp"

#include <algorithm>
#include <gtest/gtest.h>

#include "wgsteer/core/connection_marks.hpp"
#include "wgsteer/core/contingency.hpp"
#include "wgsteer/core/desire.hpp"
#include "wgsteer/core/plan.hpp"

#include "support/worlds.hpp"

namespace wgsteer {
namespace {

using test::twoWans;

WanConfig wan(const std::string& name, const IfName& device, std::uint32_t metric) {
  WanConfig made;
  made.name = name;
  made.device = device;
  made.metric = metric;
  return made;
}

RuleConfig rule(const std::string& name, const std::string& policy) {
  RuleConfig made;
  made.name = name;
  made.policy = policy;
  return made;
}

Config withRule(RuleConfig first = rule("tv", "fiber_first")) {
  Config config;
  config.numbers.markMask = kTrafficMarkMask;
  config.wans = {wan("fiber", "wan0", 1), wan("lte", "wan1", 2)};
  config.policies = {
      PolicyConfig{.name = "fiber_first", .members = {{.wan = "fiber", .metric = 10}, {.wan = "lte", .metric = 20}}}};
  config.rules = {std::move(first)};
  return config;
}

Config without(Config config) {
  config.rules.clear();
  return config;
}

std::vector<Rule> trafficRules(const Config& config, const State& state, Family family) {
  std::vector<Rule> rules;
  for (const Rule& each : state.rules)
    if (each.family == family && each.priority > config.numbers.foreignMarkPriority() &&
        each.priority < config.numbers.rulePriority + kLocalTrafficOffset)
      rules.push_back(each);
  return rules;
}

/// The mark that packets of the exit get, by its place among the WANs.
Slot exitOf(const Config& config, const World& world, std::size_t wan) {
  return steer(config, world).traffic->exits.at(wan);
}
Mark pinOf(const Config& config, const World& world, std::size_t wan) {
  return config.numbers.markOf(steer(config, world).traffic->policies.front().pins.at(wan));
}

TrafficProgram programOf(const Config& config, const World& world = twoWans()) {
  return trafficProgram(config, world, steer(config, world));
}

TEST(Traffic, LeavesEverythingElseAsItIs) {
  const World world = twoWans();
  const Config config = withRule();
  const State with = desire(config, world);
  State rest = with;
  for (const Family family : kFamilies)
    for (const Rule& added : with.rules)
      if (added.family == family && added.priority > config.numbers.foreignMarkPriority()) rest.rules.erase(added);
  rest.nft->layout.traffic = {};
  rest.nft->table.pinned.clear();
  rest.nft->table.arrivals.clear();
  rest.nft->table.namedMarks.clear();
  EXPECT_EQ(rest, desire(without(config), world));
}

TEST(Traffic, OnlyItsOwnMarksSeeItsRules) {
  const World world = twoWans();
  const Config config = withRule();
  const State state = desire(config, world);
  const auto rules = trafficRules(config, state, Family::v4);
  ASSERT_FALSE(rules.empty());
  EXPECT_EQ(rules.front().action, RuleAction::goto_);
  EXPECT_TRUE(rules.front().invert);
  EXPECT_EQ(rules.front().gotoPriority, rules.back().priority);
  EXPECT_EQ(rules.back().action, RuleAction::nop);
  const MarkMatch marks = config.numbers.trafficMarks();
  EXPECT_EQ(rules.front().mark, marks);
  const Steering steering = steer(config, world);
  for (const PolicyView& policy : steering.policies)
    EXPECT_FALSE(marks.matches(config.numbers.markOf(policy.target.slot))) << policy.name;
  for (const Wan& each : steering.wans) EXPECT_FALSE(marks.matches(config.numbers.markOf(each.slot))) << each.name;
  for (const auto& [wan, exit] : steering.traffic->exits) EXPECT_TRUE(marks.matches(config.numbers.markOf(exit)));
  for (const TrafficPolicy& policy : steering.traffic->policies) {
    EXPECT_TRUE(marks.matches(config.numbers.markOf(policy.chosen)));
    for (const auto& [wan, pin] : policy.pins) EXPECT_TRUE(marks.matches(config.numbers.markOf(pin)));
  }
}

TEST(Traffic, SpecificRoutesOfMainComeBeforePolicies) {
  Config config = withRule();
  config.insideTables = {TableId{220}};
  std::vector<std::pair<TableId, std::int32_t>> lookups;
  for (const Rule& each : trafficRules(config, desire(config, twoWans()), Family::v6))
    if (each.action == RuleAction::lookup) lookups.emplace_back(each.table, each.suppressPrefixLength);
  ASSERT_GE(lookups.size(), 3U);
  EXPECT_EQ(lookups[0], (std::pair{kMainTable, 1}));
  EXPECT_EQ(lookups[1], (std::pair{TableId{220}, 1}));
  EXPECT_EQ(lookups[2].second, -1);
}

TEST(Traffic, LocalAddressesComeFirstWhereTheirTableHasMoved) {
  World world = twoWans();
  std::erase_if(world.rules, [](const Rule& each) { return each.table == kLocalTable; });
  Rule local = test::kernelRule(Family::v4, 32765, kLocalTable);
  world.rules.insert(local);
  const Config config = withRule();
  const auto rules = trafficRules(config, desire(config, world), Family::v4);
  ASSERT_GE(rules.size(), 2U);
  EXPECT_EQ(rules[1].table, kLocalTable);
}

TEST(Traffic, ConnectionsStayOnEachExitThatCanBeUsed) {
  const World world = twoWans();
  const Config config = withRule();
  const auto pinned = desire(config, world).nft->table.pinned;
  const Slot policy = steer(config, world).traffic->policies.front().chosen;
  for (const Family family : kFamilies) {
    EXPECT_EQ(pinned.at({family, pinOf(config, world, 0)}), (PinnedWay{policy, false}))
        << "the kernel finds another exit by itself";
    EXPECT_EQ(pinned.at({family, pinOf(config, world, 1)}), PinnedWay{exitOf(config, world, 1)})
        << "though there is a better one";
  }
}

TEST(Traffic, ConnectionsFollowTheirPolicyOnlyWhereItLeadsToTheirExit) {
  World world = twoWans();
  Config config = withRule();
  const auto byExit = [&](Family family, std::size_t wan) {
    return desire(config, world).nft->table.pinned.at({family, pinOf(config, world, wan)}).exit;
  };
  world.wansDown["fiber"] = WanDown{"probes"};
  EXPECT_FALSE(byExit(Family::v4, 1));
  world.wansDown["lte"] = WanDown{"probes"};
  EXPECT_TRUE(byExit(Family::v4, 0)) << "the policy leads nowhere";
  EXPECT_TRUE(byExit(Family::v4, 1));
  world.wansDown.clear();
  config.policies.front().foreignSource = ForeignSource::reject;
  EXPECT_FALSE(byExit(Family::v4, 0));
  EXPECT_TRUE(byExit(Family::v6, 0)) << "established connections are not judged by their source";
  config.policies.front().foreignSource = ForeignSource::none;
  config.wans[1].sourceRouting = true;
  config.wans[1].prefixes = {*Prefix::parse("2001:db8:20::/56")};
  EXPECT_TRUE(byExit(Family::v6, 0)) << "the source may have been routed otherwise before";
  config = withRule();
  config.policies.front().members.resize(1);
  EXPECT_TRUE(byExit(Family::v4, 0)) << "there is no other exit";
}

TEST(Traffic, SharesFollowTheirMemberTables) {
  const World world = twoWans();
  Config config = withRule();
  config.policies.front().members[1].metric = config.policies.front().members[0].metric;
  const auto pinned = desire(config, world).nft->table.pinned;
  for (const std::size_t wan : {0U, 1U}) {
    const Mark pin = pinOf(config, world, wan);
    EXPECT_EQ(pinned.at({Family::v4, pin}), (PinnedWay{*config.numbers.slotIn(pin.value), false}));
  }
}

/// Index of the first change that changes the element of this pin, or adds or deletes a route of this table.
std::ptrdiff_t placeOf(const Plan& plan, Mark pin) {
  const auto changes = [&](const Change& change) {
    const auto* nft = std::get_if<NftTransaction>(&change);
    return nft != nullptr && std::ranges::any_of(nft->ops, [&](const NftOp& op) {
             const auto* pinned = std::get_if<NftPinned>(&op.member);
             return pinned != nullptr && pinned->pin == pin;
           });
  };
  return std::ranges::find_if(plan.changes, changes) - plan.changes.begin();
}
std::ptrdiff_t placeOfRoutes(const Plan& plan, TableId table) {
  const auto changes = [&](const Change& change) {
    const auto* add = std::get_if<AddRoute>(&change);
    const auto* remove = std::get_if<DeleteRoute>(&change);
    return (add != nullptr && add->route.table == table) || (remove != nullptr && remove->route.table == table);
  };
  return std::ranges::find_if(plan.changes, changes) - plan.changes.begin();
}

TEST(Traffic, ConnectionsAreHeldOnTheirExitBeforeThePolicyLeadsElsewhere) {
  World dead = twoWans();
  const Config config = withRule();
  const World alive = dead;
  dead.wansDown["fiber"] = WanDown{"probes"};
  const TableId table = steer(config, alive).policies[0].target.table;
  const Mark lte = pinOf(config, alive, 1);
  const Plan death = diff(desire(config, dead), desire(config, alive));
  ASSERT_LT(placeOfRoutes(death, table), std::ssize(death.changes));
  EXPECT_LT(placeOfRoutes(death, table), placeOf(death, lte));
  EXPECT_LT(placeOf(death, lte), std::ssize(death.changes));
  EXPECT_FALSE(firstRoutes(death).empty()) << "packets wait for nothing else";
  const Plan back = diff(desire(config, alive), desire(config, dead));
  EXPECT_LT(placeOf(back, lte), placeOfRoutes(back, table));
  EXPECT_LT(placeOfRoutes(back, table), placeOf(back, pinOf(config, alive, 0)));
  State old = desire(config, dead);
  old.nft->layout.intact = false;
  const Plan upgrade = diff(desire(config, alive), old);
  EXPECT_LT(placeOf(upgrade, lte), placeOfRoutes(upgrade, table)) << "in the table that is replaced";
}

TEST(Traffic, ConnectionsOfADeadExitAskAgain) {
  World world = twoWans();
  const Config config = withRule();
  world.wansDown["fiber"] = WanDown{"probes"};
  const auto pinned = desire(config, world).nft->table.pinned;
  EXPECT_FALSE(pinned.contains({Family::v4, pinOf(config, world, 0)}));
  EXPECT_TRUE(pinned.contains({Family::v4, pinOf(config, world, 1)}));
}

TEST(Traffic, ConnectionsStayWhereThereIsNoOtherExit) {
  World world = twoWans();
  const Config config = withRule();
  world.wansDown["fiber"] = WanDown{"probes"};
  world.wansDown["lte"] = WanDown{"probes"};
  const auto pinned = desire(config, world).nft->table.pinned;
  EXPECT_TRUE(pinned.contains({Family::v4, pinOf(config, world, 0)}));
  EXPECT_TRUE(pinned.contains({Family::v6, pinOf(config, world, 1)}));
}

TEST(Traffic, ConnectionsMoveBackIfThatIsAsked) {
  const World world = twoWans();
  Config config = withRule();
  config.policies.front().failback = Failback::move;
  EXPECT_FALSE(desire(config, world).nft->table.pinned.contains({Family::v4, pinOf(config, world, 1)}));
  config = withRule();
  config.wans[1].metered = true;
  EXPECT_FALSE(desire(config, world).nft->table.pinned.contains({Family::v4, pinOf(config, world, 1)}));
  EXPECT_TRUE(desire(config, world).nft->table.pinned.contains({Family::v4, pinOf(config, world, 0)}));
}

std::vector<Mark> sparesOf(const Config& config, const World& world) {
  std::vector<Mark> marks;
  for (const SpareExit& spare : spareExits(config, steer(config, world)))
    if (spare.family == Family::v4) marks.push_back(Mark{spare.mark.value});
  return marks;
}

TEST(Traffic, AnExitIsSpareWhileABetterOneCanBeUsed) {
  World world = twoWans();
  const Config config = withRule();
  EXPECT_EQ(sparesOf(config, world), std::vector{pinOf(config, world, 1)});
  world.wansDown["fiber"] = WanDown{"probes"};
  EXPECT_EQ(sparesOf(config, world), std::vector<Mark>{});
  world.wansDown["lte"] = WanDown{"probes"};
  EXPECT_EQ(sparesOf(config, world), std::vector<Mark>{}) << "there is nothing better";
  EXPECT_EQ(sparesOf(Config{}, world), std::vector<Mark>{});
}

TEST(Traffic, NothingStaysOnASpareExitIfItMovesAtOnce) {
  const World world = twoWans();
  Config config = withRule();
  config.policies.front().failback = Failback::move;
  EXPECT_EQ(sparesOf(config, world), std::vector<Mark>{});
}

TEST(Traffic, ASpareExitIsDrainedIfThatIsAsked) {
  const World world = twoWans();
  Config config = withRule();
  EXPECT_EQ(spareExits(config, steer(config, world)).at(0).drainAfter, std::nullopt);
  config.policies.front().failback = Failback::drain;
  config.policies.front().drainAfter = std::chrono::seconds{90};
  EXPECT_EQ(spareExits(config, steer(config, world)).at(0).drainAfter, std::chrono::seconds{90});
}

TEST(Traffic, MarksOfConnectionsAreToldByTheTable) {
  const World world = twoWans();
  EXPECT_EQ(connectionMarks(std::nullopt), std::nullopt);
  EXPECT_EQ(connectionMarks(desire(without(withRule()), world).nft), std::nullopt);
  NftState table = *desire(withRule(), world).nft;
  const ConnectionMarks marks{.marks = {0x40000000, 0xc0000000}, .bits = 0xff000000};
  EXPECT_EQ(connectionMarks(table), marks);
  table.layout.markMask = 0;
  EXPECT_EQ(connectionMarks(table), marks) << "read with other numbers";
  table.table.pinned.emplace(std::pair{Family::v4, Mark{0x00410000}}, PinnedWay{Slot{65}});
  EXPECT_EQ(connectionMarks(table), std::nullopt) << "of another mask";
}

std::set<std::pair<Family, Mark>> resettingIn(const Config& config, const World& world) {
  return desire(config, world).nft->table.resetting;
}

TEST(Traffic, TcpOfADeadExitIsResetIfThatIsAskedAndThereIsAnother) {
  World world = twoWans();
  Config config = withRule();
  world.wansDown["fiber"] = WanDown{"probes"};
  EXPECT_TRUE(resettingIn(config, world).empty());
  EXPECT_FALSE(programOf(config, world).resets);
  config.policies.front().reset = true;
  EXPECT_TRUE(programOf(config, world).resets);
  const Mark chosen = config.numbers.markOf(steer(config, world).traffic->policies.front().chosen);
  EXPECT_EQ(resettingIn(config, world), (std::set{std::pair{Family::v4, chosen}, std::pair{Family::v6, chosen}}));
  world.wansDown["lte"] = WanDown{"probes"};
  EXPECT_TRUE(resettingIn(config, world).empty()) << "they are kept: probes may be wrong";
  world.wansDown.clear();
  EXPECT_TRUE(resettingIn(config, world).empty());
  std::erase_if(world.routes, [](const Route& each) {
    return each.family() == Family::v6 && each.destination.length() == 0 && each.hops.front().device == test::kWan1;
  });
  EXPECT_TRUE(resettingIn(config, world).empty()) << "it never had IPv6";
  world.links.at(test::kWan1).carrier = false;
  EXPECT_EQ(resettingIn(config, world), (std::set{std::pair{Family::v4, chosen}, std::pair{Family::v6, chosen}}));
}

TEST(Traffic, WhatComesInByAWanIsAnsweredByIt) {
  World world = twoWans();
  const Config config = withRule();
  world.wansDown["lte"] = WanDown{"probes"};
  const NftTable table = desire(config, world).nft->table;
  EXPECT_EQ(table.arrivals.at({Family::v4, "wan0"}), exitOf(config, world, 0));
  EXPECT_FALSE(table.arrivals.contains({Family::v4, "wan1"})) << "its answers would not get through";
  EXPECT_EQ(table.pinned.at({Family::v4, config.numbers.markOf(exitOf(config, world, 1))}),
            PinnedWay{exitOf(config, world, 1)})
      << "what came in by it before has no other way";
}

TEST(Traffic, WholeMarksOfOthersAreLeftAlone) {
  World world = twoWans();
  Rule tproxy = test::kernelRule(Family::v4, 100, TableId{100});
  tproxy.mark = {1, 0xffffffff};
  world.rules.insert(tproxy);
  EXPECT_TRUE(desire(withRule(), world).nft->table.namedMarks.contains(Mark{1}));
}

TEST(Traffic, RulesOfOneFamilyLeaveTheOtherAlone) {
  RuleConfig tv = rule("tv", "fiber_first");
  tv.source.any = {*Prefix::parse("192.168.5.40"), *Prefix::parse("192.168.6.0/24")};
  tv.source.none = {*Prefix::parse("192.168.6.9")};
  const Config config = withRule(tv);
  const TrafficProgram program = programOf(config);
  ASSERT_EQ(program.matches.size(), 1U);
  EXPECT_EQ(program.matches.front().family, Family::v4);
  ASSERT_EQ(program.matches.front().conditions.size(), 2U);
  EXPECT_FALSE(program.matches.front().conditions[0].inverted);
  EXPECT_TRUE(program.matches.front().conditions[1].inverted);
  EXPECT_EQ(program.matches.front().chain, "rule_tv");
}

TEST(Traffic, OverlappingValuesAreJoined) {
  RuleConfig web = rule("web", "fiber_first");
  web.destinationPort.any = {{1000, 2000}, {80, 80}, {1500, 2500}, {2501, 2501}};
  const Config config = withRule(web);
  const TrafficProgram program = programOf(config);
  const auto ports = std::ranges::find(program.sets, "rule_web_dport", &TrafficSet::name);
  ASSERT_NE(ports, program.sets.end());
  EXPECT_EQ(ports->ranges, (std::vector<TrafficRange>{{{0, 80}, {0, 80}, {}}, {{3, 232}, {9, 197}, {}}}));
}

/// Sets of such values have no ranges.
TEST(Traffic, NeighbouringDevicesProtocolsAndHardwareAddressesStaySingle) {
  RuleConfig several = rule("several", "fiber_first");
  several.inputDevice.any = {"lan0", "lan1"};
  several.protocol.any = {7, 6};
  several.sourceMac.none = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}, {2, 0, 0, 0, 0, 1}};
  const Config config = withRule(several);
  const TrafficProgram program = programOf(config);
  for (const char* name : {"rule_several_iif", "rule_several_proto", "rule_several_not_mac"}) {
    const auto set = std::ranges::find(program.sets, name, &TrafficSet::name);
    ASSERT_NE(set, program.sets.end()) << name;
    ASSERT_EQ(set->ranges.size(), 2U) << name;
    for (const TrafficRange& range : set->ranges) EXPECT_EQ(range.first, range.last) << name;
  }
}

TEST(Traffic, OneMoreRuleMovesNoMark) {
  const World world = twoWans();
  Config config = withRule();
  const auto before = steer(config, world).traffic;
  config.policies.push_back({.name = "lte_only", .members = {{.wan = "lte"}}});
  config.rules.push_back(rule("late", "lte_only"));
  const auto after = steer(config, world).traffic;
  EXPECT_EQ(after->exits, before->exits);
  EXPECT_EQ(after->policies.front(), before->policies.front());
}

TEST(Traffic, ARuleWithoutAMarkIsAProblemAndNoOtherRulePays) {
  const World world = twoWans();
  Config config = withRule();
  config.numbers.markMask = 0xfc000000;  // sixteen for traffic
  for (int i = 0; i < 6; ++i) {
    const std::string name = "p" + std::to_string(i);
    config.policies.push_back({.name = name, .members = {{.wan = "fiber"}, {.wan = "lte"}}});
    config.rules.push_back(rule(name, name));
  }
  const Steering steering = steer(config, world);
  EXPECT_LT(steering.traffic->rules.size(), config.rules.size());
  EXPECT_EQ(steering.problems.size(), config.rules.size() - steering.traffic->rules.size());
  EXPECT_EQ(steering.traffic->rules.front().rule->name, "tv");
}

/// The rules at a place of the section for this host's own connections.
std::vector<Rule> ownRules(const Config& config, const World& world, Family family) {
  std::vector<Rule> rules;
  for (const Rule& each : desire(config, world).rules)
    if (each.family == family && each.priority >= config.numbers.rulePriority + kLocalRulesOffset)
      rules.push_back(each);
  return rules;
}

TEST(Traffic, OwnConnectionsAreRoutedBeforeTheirSourceIsChosen) {
  RuleConfig web = rule("web", "fiber_first");
  web.protocol.any = {6};
  web.destinationPort.any = {{443, 443}};
  web.destination.none = {*Prefix::parse("198.51.100.0/24")};
  const Config config = withRule(web);
  const World world = twoWans();
  EXPECT_TRUE(programOf(config).asksForLocal.empty());
  const auto rules = ownRules(config, world, Family::v4);
  ASSERT_EQ(rules.size(), 5U);
  EXPECT_EQ(rules[0].destination, Prefix::parse("198.51.100.0/24"));
  EXPECT_EQ(rules[0].gotoPriority, rules[3].priority) << "past this rule alone";
  EXPECT_EQ(rules[1].table, kMainTable);
  EXPECT_EQ(rules[2].table, steer(config, world).policies.back().target.table);
  for (const std::size_t place : {1U, 2U}) {
    EXPECT_EQ(rules[place].inputInterface, "lo");
    EXPECT_EQ(rules[place].ipProtocol, 6);
    EXPECT_EQ(rules[place].destinationPort, (PortRange{443, 443}));
    EXPECT_EQ(rules[place].mark, (MarkMatch{0, 0xffffffff})) << "what has a mark is routed by it";
  }
}

TEST(Traffic, WhatIpRulesCannotSayIsAskedInTheChains) {
  RuleConfig by = rule("by", "fiber_first");
  const auto asks = [](const RuleConfig& one) { return !programOf(withRule(one)).asksForLocal.empty(); };
  EXPECT_FALSE(asks(by));
  by.dscp.any = {46};
  EXPECT_TRUE(asks(by));
  by.origin = Origin::forwarded;
  EXPECT_FALSE(asks(by)) << "it is not about this host's own";
  RuleConfig high = rule("high", "fiber_first");
  high.destinationPort.any = {{60000, 65535}};
  EXPECT_TRUE(asks(high)) << "the kernel refuses such a range";
  RuleConfig sticky = rule("sticky", "fiber_first");
  sticky.sticky = true;
  EXPECT_TRUE(asks(sticky));
}

TEST(Traffic, WhatIsRefusedIsAskedInTheChains) {
  World world = twoWans();
  const auto asks = [&](const RuleConfig& one) { return programOf(withRule(one), world).asksForLocal; };
  EXPECT_EQ(asks(rule("by", "fiber_first")), std::set<Family>{});
  RuleConfig refuse = rule("refuse", "fiber_first");
  refuse.use = RuleUse::unreachable;
  EXPECT_EQ(asks(refuse), (std::set{Family::v4, Family::v6})) << "answers of services are not refused";
  refuse.origin = Origin::forwarded;
  EXPECT_EQ(asks(refuse), std::set<Family>{});
  for (const char* wan : {"fiber", "lte"}) world.wansDown[wan] = WanDown{"probes"};
  EXPECT_EQ(asks(rule("by", "fiber_first")), (std::set{Family::v4, Family::v6}));
}

TEST(Traffic, SocketsBoundToAnyUplinkLeaveByIt) {
  World world = twoWans();
  const IfIndex lan{50};
  world.links.emplace(lan, test::link(lan, "lan0"));
  world.routes.insert(test::route("10.0.0.0/8", lan, "192.168.1.2"));
  Route other = test::route("0.0.0.0/0", lan, "192.168.1.2");
  other.table = TableId{77};
  const auto bound = [](const State& state, const IfName& device) {
    return std::ranges::count_if(state.rules, [&](const Rule& each) {
      return each.action == RuleAction::goto_ && each.outputInterface == device && each.family == Family::v4;
    });
  };
  EXPECT_EQ(bound(desire(withRule(), world), "wan0"), 2) << "among what is marked, and among what is not";
  EXPECT_EQ(bound(desire(withRule(), world), "lan0"), 0);
  world.routes.insert(other);
  EXPECT_EQ(bound(desire(withRule(), world), "lan0"), 2) << "an uplink that is no WAN";
}

TEST(Traffic, OfTwoRoutersOnOneDeviceEachHasTheAddressInItsNetwork) {
  World world = twoWans();
  world.addresses.insert(test::address(test::kWan0, "10.1.0.10/24"));
  world.routes.insert(test::route("0.0.0.0/0", test::kWan0, "10.1.0.1", 5));
  Config config = withRule();
  config.wans[1].device = "wan0";
  config.wans[0].gateway = {*Address::parse("192.0.2.1")};
  config.wans[1].gateway = {*Address::parse("10.1.0.1")};
  const Steering steering = steer(config, world);
  ASSERT_EQ(steering.wans.size(), 2U);
  const State state = desire(config, world);
  const auto tableOf = [&](const char* source) {
    for (const Rule& each : state.rules)
      if (each.source == Prefix::parse(source) && each.table != kMainTable && each.mark.value == 0) return each.table;
    return TableId{};
  };
  EXPECT_EQ(tableOf("192.0.2.10/32"), config.numbers.wanTable(steering.wans[0].slot));
  EXPECT_EQ(tableOf("10.1.0.10/32"), config.numbers.wanTable(steering.wans[1].slot));
}

TEST(Traffic, WhatTalksToANetworkIsLeftAlone) {
  for (const Family family : kFamilies) {
    const State state = desire(withRule(), twoWans());
    const auto passes = [&](const char* to) {
      return std::ranges::any_of(state.rules, [&](const Rule& each) {
        return each.family == family && each.action == RuleAction::goto_ && each.inputInterface == "lo" &&
               each.destination == Prefix::parse(to);
      });
    };
    EXPECT_TRUE(passes(family == Family::v4 ? "224.0.0.0/4" : "ff00::/8"));
    EXPECT_TRUE(std::ranges::any_of(state.rules, [&](const Rule& each) {
      const std::uint16_t client = family == Family::v4 ? 68 : 546;
      return each.family == family && each.action == RuleAction::goto_ && each.sourcePort == PortRange{client, client};
    })) << "leases are renewed";
  }
}

/// In table 220.
Route routeTo(const char* destination, IfIndex device) {
  Route route;
  route.table = TableId{220};
  route.destination = *Prefix::parse(destination);
  route.source = Prefix::any(Family::v4);
  route.hops = {NextHop{.device = device, .gateway = {}, .onlink = false, .weight = 1}};
  return route;
}

std::vector<Rule> foreignCopies(const World& world) {
  std::vector<Rule> copies;
  for (const Rule& each : desire(withRule(), world).rules)
    if (each.table == TableId{220} && each.inputInterface != "lo") copies.push_back(each);
  return copies;
}

TEST(Traffic, RulesOfOthersThatLeadElsewhereComeFirst) {
  World world = twoWans();
  Rule vpn = test::kernelRule(Family::v4, 220, TableId{220});
  world.rules.insert(vpn);
  EXPECT_TRUE(foreignCopies(world).empty()) << "the table is empty";
  world.routes.insert(routeTo("10.99.0.0/16", test::kWan0));
  ASSERT_EQ(foreignCopies(world).size(), 1U);
  EXPECT_EQ(foreignCopies(world)[0].suppressPrefixLength, 1) << "a default route for all is what rules are about";
  EXPECT_EQ(foreignCopies(world)[0].priority, Numbers{}.rulePriority + kTrafficForeignOffset);
}

Rule foreignRule(std::uint32_t priority, const char* source, RuleAction action = RuleAction::lookup) {
  Rule rule = test::kernelRule(Family::v4, priority, action == RuleAction::lookup ? TableId{220} : TableId{});
  if (source != nullptr) rule.source = Prefix::parse(source);
  rule.action = action;
  return rule;
}

/// Of forwarded packets, in the order in which they are asked.
std::vector<Rule> copiesIn(const World& world) {
  const Config config = withRule();
  const std::uint32_t first = config.numbers.rulePriority + kTrafficForeignOffset;
  std::vector<Rule> copies;
  for (const Rule& each : desire(config, world).rules)
    if (each.family == Family::v4 && each.priority >= first && each.priority < first + kTrafficForeignSteps)
      copies.push_back(each);
  return copies;
}

TEST(Traffic, RefusalsOfOthersStay) {
  for (const RuleAction action : {RuleAction::prohibit, RuleAction::unreachable, RuleAction::blackhole}) {
    World world = twoWans();
    world.rules.insert(foreignRule(1000, "192.168.7.0/24", action));
    const auto copies = copiesIn(world);
    ASSERT_EQ(copies.size(), 1U);
    EXPECT_EQ(copies[0].action, action);
    EXPECT_EQ(copies[0].source, Prefix::parse("192.168.7.0/24"));
  }
}

TEST(Traffic, ATableThatRefusesIsAKillSwitch) {
  World world = twoWans();
  world.rules.insert(foreignRule(1000, "192.168.5.40"));
  Route refusal = routeTo("0.0.0.0/0", test::kWan0);
  refusal.metric = 1000;
  refusal.type = RouteType::unreachable;
  refusal.hops.clear();
  world.routes.insert(refusal);
  ASSERT_EQ(copiesIn(world).size(), 1U);
  EXPECT_EQ(copiesIn(world)[0].suppressPrefixLength, -1);
  world.routes.insert(routeTo("0.0.0.0/0", test::kWan0));
  EXPECT_TRUE(copiesIn(world).empty()) << "while it leads to a WAN, our rules decide";
}

TEST(Traffic, WhatComesBeforeARefusalComesBeforeItsCopy) {
  World world = twoWans();
  Rule toLan = test::kernelRule(Family::v4, 1000, kMainTable);
  toLan.destination = Prefix::parse("192.168.0.0/16");
  world.rules.insert(toLan);
  Rule elsewhere = test::kernelRule(Family::v4, 1001, kMainTable);
  elsewhere.source = Prefix::parse("10.0.0.0/8");
  world.rules.insert(elsewhere);
  EXPECT_TRUE(copiesIn(world).empty()) << "our rules do the same";
  world.rules.insert(foreignRule(2000, "192.168.7.0/24", RuleAction::prohibit));
  const auto copies = copiesIn(world);
  ASSERT_EQ(copies.size(), 2U) << "one cannot match the same packets";
  EXPECT_EQ(copies[0].action, RuleAction::goto_);
  EXPECT_EQ(copies[0].destination, toLan.destination);
  EXPECT_EQ(copies[0].gotoPriority, withRule().numbers.rulePriority + kTrafficMainOffset);
  EXPECT_EQ(copies[1].action, RuleAction::prohibit);
  EXPECT_LT(copies[0].priority, copies[1].priority);
}

TEST(Traffic, RulesOfOthersAreFollowedThroughTheirGotos) {
  World world = twoWans();
  world.routes.insert(routeTo("10.99.0.0/16", test::kWan0));
  Rule there = foreignRule(1000, nullptr, RuleAction::goto_);
  there.destination = Prefix::parse("10.99.0.0/16");
  there.gotoPriority = 2000;
  world.rules.insert(there);
  Rule past = foreignRule(1500, nullptr, RuleAction::goto_);
  past.gotoPriority = 2001;
  world.rules.insert(past);
  world.rules.insert(foreignRule(2000, nullptr));
  world.rules.insert(foreignRule(2001, nullptr, RuleAction::nop));
  const auto copies = copiesIn(world);
  ASSERT_EQ(copies.size(), 1U);
  EXPECT_EQ(copies[0].destination, there.destination);
  EXPECT_EQ(copies[0].table, TableId{220});
}

TEST(Traffic, RulesOfOthersThatCannotBeRepeatedAreTold) {
  World world = twoWans();
  Rule byUser = foreignRule(1000, nullptr, RuleAction::prohibit);
  byUser.otherSelector = true;
  world.rules.insert(byUser);
  EXPECT_TRUE(copiesIn(world).empty());
  const auto notes = steer(withRule(), world).notes;
  ASSERT_EQ(notes.size(), 1U);
  EXPECT_NE(notes[0].find("has no effect on packets of rules for any traffic"), std::string::npos) << notes[0];
}

TEST(Traffic, WhatMainThrowsIsLeftToTheRulesBehindIt) {
  World world = twoWans();
  Route thrown = routeTo("10.99.0.0/16", test::kWan0);
  thrown.table = kMainTable;
  thrown.type = RouteType::throw_;
  thrown.hops.clear();
  world.routes.insert(thrown);
  const Config config = withRule();
  std::size_t forwarded = 0, own = 0;
  for (const Rule& each : desire(config, world).rules) {
    if (each.destination != thrown.destination) continue;
    EXPECT_EQ(each.action, RuleAction::goto_);
    ++(each.inputInterface == "lo" ? own : forwarded);
  }
  EXPECT_EQ(forwarded, 1U);
  EXPECT_EQ(own, 1U);
}

TEST(Traffic, RulesOfOthersThatAreTooManyAreTold) {
  World world = twoWans();
  Route local = routeTo("0.0.0.0/0", test::kWan0);
  local.type = RouteType::local;
  world.routes.insert(local);
  const auto addRules = [&](std::uint32_t first, std::uint32_t count) {
    for (std::uint32_t i = first; i < first + count; ++i) {
      Rule rule = test::kernelRule(Family::v4, 1000 + i, TableId{220});
      rule.source =
          Prefix::host(Address::v4(192, 168, static_cast<std::uint8_t>(i / 250), static_cast<std::uint8_t>(i % 250)));
      world.rules.insert(rule);
    }
  };
  const auto problems = [&] { return steer(withRule(), world).problems; };
  addRules(0, 128);
  EXPECT_EQ(foreignCopies(world).size(), 128U);
  EXPECT_TRUE(problems().empty());
  addRules(128, 1);
  EXPECT_EQ(foreignCopies(world).size(), 128U);
  ASSERT_EQ(problems().size(), 1U);
  EXPECT_NE(problems().front().find("priority 1128"), std::string::npos) << problems().front();
}

TEST(Traffic, RulesOfOthersForCertainPacketsCountWithTheirDefaultRoutes) {
  World world = twoWans();
  Rule proxy = test::kernelRule(Family::v4, 220, TableId{220});
  proxy.mark = {1, 1};
  world.rules.insert(proxy);
  world.routes.insert(routeTo("0.0.0.0/0", test::kWan0));
  EXPECT_TRUE(foreignCopies(world).empty()) << "about WANs our rules decide";
  world.routes.clear();
  Route local = routeTo("0.0.0.0/0", test::kWan0);
  local.type = RouteType::local;
  world.routes.insert(local);
  ASSERT_EQ(foreignCopies(world).size(), 1U);
  EXPECT_EQ(foreignCopies(world)[0].mark, (MarkMatch{1, 1}));
  EXPECT_EQ(foreignCopies(world)[0].suppressPrefixLength, -1);
}

TEST(Traffic, ConnectionsOfAFormerConfigurationStay) {
  World world = twoWans();
  const Config before = withRule();
  const Mark pin = pinOf(before, world, 0);
  world.adopted.trafficSlots = desire(before, world).nft->layout.traffic.slots;
  Config config = withRule(rule("other", "another"));
  config.policies.front().name = "another";
  const NftState now = *desire(config, world).nft;
  EXPECT_EQ(now.table.pinned.at({Family::v4, pin}), PinnedWay{exitOf(config, world, 0)});
  EXPECT_NE(pinOf(config, world, 0), pin) << "the mark does not get another meaning";
  EXPECT_TRUE(now.layout.traffic.slots.contains("policy fiber_first by fiber"));
  world.wansDown["fiber"] = WanDown{"probes"};
  EXPECT_FALSE(desire(config, world).nft->table.pinned.contains({Family::v4, pin}));
}

TEST(Traffic, TheAddressOfAnotherWanIsAWrongTranslation) {
  World world = twoWans();
  const Config config = withRule();
  const Address former = *Address::parse("192.0.2.99");
  const auto known =
      translationsOf(steer(config, world), world, config.numbers, {{{"fiber", Family::v4}, std::optional{former}}});
  ASSERT_EQ(known.size(), 1U) << "of one exit in one family";
  EXPECT_EQ(known.begin()->first, pinOf(config, world, 0));
  EXPECT_EQ(known.begin()->second.wrong, (std::set<Address>{former, *Address::parse("198.51.100.10")}));
  EXPECT_EQ(known.begin()->second.right, std::set<Address>{*Address::parse("192.0.2.10")});
  EXPECT_TRUE(translationsOf(steer(config, world), world, config.numbers, {}).empty());
}

TEST(Traffic, AWanKeepsItsTableWhenAnotherIsAddedBeforeIt) {
  World world = twoWans();
  Config config = withRule();
  world.adopted.wanSlots = {{"wan0", Slot{1}}, {"wan1", Slot{2}}};
  config.wans.insert(config.wans.begin(), wan("cable", "cable0", 9));
  const Steering steering = steer(config, world);
  ASSERT_EQ(steering.wans.size(), 3U);
  EXPECT_EQ(steering.wans[0].slot, Slot{3});
  EXPECT_EQ(steering.wans[1].slot, Slot{1});
  EXPECT_EQ(steering.wans[2].slot, Slot{2});
}

TEST(Traffic, ExcludedCodePointsAreConditionsOfOneStatement) {
  RuleConfig by = rule("by", "fiber_first");
  by.dscp.none = {46, 8};
  const TrafficProgram excluding = programOf(withRule(by));
  ASSERT_EQ(excluding.matches.size(), 2U) << "one for each family";
  for (const TrafficMatch& match : excluding.matches) {
    EXPECT_EQ(match.notDscp, (std::vector<std::uint8_t>{46, 8}));
    EXPECT_FALSE(match.dscp);
  }
  by.dscp.any = {46, 0};
  const TrafficProgram both = programOf(withRule(by));
  ASSERT_EQ(both.matches.size(), 2U);
  EXPECT_EQ(both.matches.front().dscp, 0);
  EXPECT_TRUE(both.matches.front().notDscp.empty());
  EXPECT_NE(excluding.toString(), both.toString());
  by.dscp = {};
  for (std::uint8_t point = 0; point < 60; ++point) by.dscp.none.push_back(point);
  EXPECT_EQ(programOf(withRule(by)).matches.size(), 8U) << "so many that a statement for each other one is shorter";
}

/// Statements that exclude other code points are not one lookup.
TEST(Traffic, OnlyStatementsWithTheSameExclusionsAreJoined) {
  Config config = withRule();
  config.rules.clear();
  for (int i = 0; i < 4; ++i) {
    RuleConfig host = rule("h" + std::to_string(i), "fiber_first");
    host.source.any = {*Prefix::parse("10.0.0." + std::to_string(i))};
    host.dscp.none = {static_cast<std::uint8_t>(i == 3 ? 8 : 46)};
    config.rules.push_back(host);
  }
  const TrafficProgram program = programOf(config);
  ASSERT_EQ(program.matches.size(), 2U);
  EXPECT_FALSE(program.matches[0].map.empty());
  EXPECT_EQ(program.matches[1].notDscp, std::vector<std::uint8_t>{8});
}

TEST(Traffic, RulesOfOnePriorityWithOtherPrefixesAreToldApart) {
  RuleConfig one = rule("one", "fiber_first");
  one.destination.any = {*Prefix::parse("203.0.113.0/24"), *Prefix::parse("198.18.0.0/15")};
  const auto rules = ownRules(withRule(one), twoWans(), Family::v4);
  ASSERT_GE(rules.size(), 4U);
  EXPECT_EQ(rules[0].priority, rules[1].priority);
  EXPECT_NE(rules[0].suppressGroup, rules[1].suppressGroup);
}

TEST(Traffic, ManyHostsAreOneLookup) {
  Config config = withRule();
  config.rules.clear();
  for (int i = 0; i < 50; ++i) {
    RuleConfig host = rule("h" + std::to_string(i), "fiber_first");
    host.source.any = {*Prefix::parse("10.0.0." + std::to_string(i))};
    config.rules.push_back(host);
  }
  config.rules.push_back(rule("all", "fiber_first"));
  config.rules[50].source.any = {*Prefix::parse("10.0.0.0/24")};
  const TrafficProgram program = programOf(config);
  ASSERT_EQ(program.matches.size(), 1U);
  const auto map = std::ranges::find(program.sets, program.matches.front().map, &TrafficSet::name);
  ASSERT_NE(map, program.sets.end());
  EXPECT_EQ(map->ranges.size(), 51U);
  for (std::size_t i = 0; i < 50; ++i) EXPECT_EQ(map->ranges[i].chain, "rule_h" + std::to_string(i));
  EXPECT_EQ(map->ranges[50].chain, "rule_all");
  EXPECT_EQ(map->ranges[50].first.back(), 50);
}

TEST(Traffic, SharesAreByWeightAndFallBackToThePolicy) {
  Config config = withRule();
  config.policies.front().members = {{.wan = "fiber", .metric = 10, .weight = 3},
                                     {.wan = "lte", .metric = 10, .weight = 1}};
  World world = twoWans();
  const TrafficProgram program = programOf(config);
  ASSERT_EQ(program.verdicts.front().choices.size(), 2U);
  EXPECT_EQ(program.verdicts.front().choices[0].below, 3U);
  EXPECT_EQ(program.verdicts.front().choices[1].below, 4U);
  const auto leads = [&](std::size_t wan) {
    const TableId table = config.numbers.memberTable(steer(config, world).traffic->policies.front().pins.at(wan));
    return std::ranges::any_of(desire(config, world).routes,
                               [&](const Route& each) { return each.table == table && each.destination.isDefault(); });
  };
  EXPECT_TRUE(leads(0));
  EXPECT_TRUE(leads(1));
  world.wansDown["fiber"] = WanDown{"probes"};
  EXPECT_FALSE(leads(0));
  EXPECT_TRUE(leads(1));
}

TEST(Traffic, PairsAreSharedByTheChainsAndThisHostsOwnByTheKernel) {
  Config config = withRule();
  config.policies.front().members = {{.wan = "fiber", .metric = 10, .weight = 3},
                                     {.wan = "lte", .metric = 10, .weight = 1}};
  config.policies.front().balance = Balance::pair;
  const TrafficProgram program = programOf(config);
  EXPECT_EQ(program.verdicts.front().balance, Balance::pair);
  ASSERT_EQ(program.verdicts.front().choices.size(), 2U);
  EXPECT_EQ(program.verdicts.front().choices[1].below, 4U);
  EXPECT_TRUE(program.asksForLocal.empty());
  EXPECT_NE(program.toString().find(" pair<3:"), std::string::npos);
}

TEST(Traffic, FlowtablesFindTheWanOfAnExitBeforeItsDeviceIsTakenForThatOfABoundSocket) {
  const Config config = withRule();
  const World world = twoWans();
  const Steering steering = steer(config, world);
  for (const Family family : kFamilies) {
    const auto rules = trafficRules(config, desire(config, world), family);
    for (const auto& [index, exit] : steering.traffic->exits) {
      const Wan& wan = steering.wans[index];
      const auto found = std::ranges::find_if(rules, [&](const Rule& each) {
        return each.mark.matches(config.numbers.markOf(exit)) && each.mark.mask != 0 &&
               each.outputInterface == wan.device;
      });
      ASSERT_NE(found, rules.end()) << wan.name;
      EXPECT_EQ(found->table, config.numbers.wanTable(wan.slot));
      EXPECT_LT(found->priority, config.numbers.rulePriority + kTrafficPastOffset);
    }
  }
}

TEST(Traffic, MarksOutliveAChangeOfTheConfiguration) {
  World world = twoWans();
  Config config = withRule();
  const auto before = steer(config, world).traffic;
  world.adopted.trafficSlots = before->slots;
  config.policies.insert(config.policies.begin(), {.name = "earlier", .members = {{.wan = "lte"}}});
  config.rules.insert(config.rules.begin(), rule("first", "earlier"));
  config.wans.insert(config.wans.begin(), wan("new", "wan9", 9));
  const auto after = steer(config, world).traffic;
  for (const auto& [name, slot] : before->slots) EXPECT_EQ(after->slots.at(name), slot) << name;
  std::set<Slot> all;
  for (const auto& [name, slot] : after->slots) EXPECT_TRUE(all.insert(slot).second) << name;
}

TEST(Traffic, RefusalsAreAnsweredByTheKernel) {
  RuleConfig closed = rule("closed", "");
  closed.use = RuleUse::unreachable;
  const Config config = withRule(closed);
  const World world = twoWans();
  const Slot slot = *steer(config, world).traffic->unreachable;
  const auto rules = trafficRules(config, desire(config, world), Family::v4);
  EXPECT_TRUE(std::ranges::any_of(rules, [&](const Rule& each) {
    return each.action == RuleAction::unreachable && each.mark == config.numbers.mark(slot);
  }));
}

TEST(Traffic, ConnectionsAskAgainOnlyWhenTheirTableNoLongerLeadsToTheDeadExit) {
  World world = twoWans();
  const Config config = withRule();
  const State before = desire(config, world);
  world.wansDown["fiber"] = WanDown{"probes"};
  const Plan plan = diff(desire(config, world), before);
  std::ptrdiff_t lastRoute = -1;
  std::ptrdiff_t unpinned = -1;
  for (std::size_t i = 0; i < plan.changes.size(); ++i) {
    const Change& change = plan.changes[i];
    if (std::holds_alternative<DeleteRoute>(change)) lastRoute = static_cast<std::ptrdiff_t>(i);
    if (const auto* nft = std::get_if<NftTransaction>(&change))
      for (const NftOp& op : nft->ops)
        if (!op.add && std::holds_alternative<NftPinned>(op.member)) unpinned = static_cast<std::ptrdiff_t>(i);
  }
  ASSERT_GE(lastRoute, 0);
  EXPECT_GT(unpinned, lastRoute);
}

}  // namespace
}  // namespace wgsteer
