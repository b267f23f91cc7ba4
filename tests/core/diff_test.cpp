// SPDX-License-Identifier: GPL-2.0-or-later
// The order of changes, and that the kernel would accept each one. properties_test.cpp tests that they lead to the
// desired state.
#include <algorithm>
#include <gtest/gtest.h>

#include "wgsteer/core/desire.hpp"
#include "wgsteer/core/plan.hpp"

#include "support/worlds.hpp"

namespace wgsteer {
namespace {

using namespace test;

Route ours(const std::string& destination, const std::string& gateway, std::uint32_t metric = 1) {
  Route made = route(destination, kWan0, gateway, metric);
  made.table = TableId{kWanTableBase + 1};
  made.protocol = kProtocol;
  return made;
}

Route closing() {
  Route made = ours("0.0.0.0/0", "", kClosingMetric);
  made.hops.clear();
  made.type = RouteType::unreachable;
  return made;
}

Rule ruleFor(Slot slot) {
  const Numbers numbers;
  Rule made = kernelRule(Family::v4, numbers.markPriority(), numbers.wanTable(slot));
  made.mark = numbers.mark(slot);
  made.protocol = kProtocol;
  return made;
}

State withRoutes(std::set<Route> routes) {
  State state;
  state.routes = std::move(routes);
  return state;
}

State withTable(const NftTable& table) {
  State state;
  state.nft = NftState{.layout = {.markMask = kDefaultMarkMask, .forward = false, .intact = true}, .table = table};
  return state;
}

/// Kinds of changes in the order of the plan, without repetitions.
std::vector<std::string> kinds(const Plan& plan) {
  constexpr std::array kNames{"add route", "delete route", "add rule", "delete rule",
                              "mark",      "sysctl",       "address",  "nft"};
  std::vector<std::string> order;
  for (const Change& change : plan.changes)
    if (const char* name = kNames.at(change.index()); order.empty() || order.back() != name) order.emplace_back(name);
  return order;
}

using Kinds = std::vector<std::string>;

TEST(Diff, BuildsFromTheGroundUp) {
  const State desired = desire({}, twoWans());
  EXPECT_EQ(kinds(diff(desired, {})), (Kinds{"add route", "add rule", "nft", "mark", "sysctl"}));
}

TEST(Diff, TakesDownFromTheTop) {
  const State observed = desire({}, twoWans());
  const Plan plan = diff({}, observed);
  EXPECT_EQ(kinds(plan), (Kinds{"mark", "sysctl", "nft", "delete rule", "delete route"}));
  EXPECT_EQ(std::get<SetTunnelMark>(plan.changes.front()), (SetTunnelMark{"wg0", Mark{0}, Mark{0xf0000000}}));
}

TEST(Diff, RemovesWhatIsStaleOnlyAfterAllIsThere) {
  State observed = desire({}, twoWans());
  observed.rules.insert(ruleFor(Slot{9}));
  observed.routes.insert(ours("10.0.0.0/8", "192.0.2.9"));
  State desired = desire({}, twoWans());
  observed.tunnelMarks.clear();
  observed.rules.erase(*desired.rules.begin());
  EXPECT_EQ(kinds(diff(desired, observed)), (Kinds{"add rule", "mark", "delete rule", "delete route"}));
}

TEST(DiffRoutes, ClosesATableFirstAndThenPrefixesBeforeTheDefault) {
  const Plan plan = diff(withRoutes({ours("0.0.0.0/0", "192.0.2.1"), ours("192.0.2.0/24", ""), closing()}), {});
  EXPECT_EQ(plan.changes, (std::vector<Change>{AddRoute{closing(), false}, AddRoute{ours("192.0.2.0/24", ""), false},
                                               AddRoute{ours("0.0.0.0/0", "192.0.2.1"), false}}));
}

TEST(DiffRoutes, OpensATableLast) {
  const Plan plan = diff({}, withRoutes({ours("0.0.0.0/0", "192.0.2.1"), ours("192.0.2.0/24", ""), closing()}));
  EXPECT_EQ(plan.changes, (std::vector<Change>{DeleteRoute{ours("0.0.0.0/0", "192.0.2.1")},
                                               DeleteRoute{ours("192.0.2.0/24", "")}, DeleteRoute{closing()}}));
}

TEST(DiffRoutes, ReplacesWhatHasTheSameKeyInOneStep) {
  const Route before = ours("0.0.0.0/0", "192.0.2.1");
  const Route after = ours("0.0.0.0/0", "192.0.2.254");
  EXPECT_EQ(diff(withRoutes({after}), withRoutes({before})).changes, std::vector<Change>{(AddRoute{after, true})});
}

TEST(DiffRoutes, AddsWhatDiffersInMetricBesideTheOld) {
  const Route before = ours("0.0.0.0/0", "192.0.2.1", 1);
  const Route after = ours("0.0.0.0/0", "192.0.2.1", 2);
  EXPECT_EQ(diff(withRoutes({after}), withRoutes({before})).changes,
            (std::vector<Change>{AddRoute{after, false}, DeleteRoute{before}}));
}

TEST(DiffRoutes, RemovesTheOthersOfSeveralWithOneKey) {
  const Route right = ours("0.0.0.0/0", "192.0.2.1");
  const Route wrong = ours("0.0.0.0/0", "192.0.2.2");
  const Route alsoWrong = ours("0.0.0.0/0", "192.0.2.3");
  EXPECT_EQ(diff(withRoutes({right}), withRoutes({right, wrong})).changes, std::vector<Change>{DeleteRoute{wrong}})
      << "nothing to replace: the right one is there";
  EXPECT_EQ(diff(withRoutes({right}), withRoutes({wrong, alsoWrong})).changes,
            (std::vector<Change>{AddRoute{right, true}, DeleteRoute{alsoWrong}}))
      << "a replacement takes the place of one";
}

TEST(DiffNft, MakesANewTableInOneTransaction) {
  NftTable table;
  table.listenPorts = {51820};
  const Plan plan = diff(withTable(table), {});
  ASSERT_EQ(plan.changes.size(), 1U);
  const auto& made = std::get<NftTransaction>(plan.changes.front());
  EXPECT_TRUE(made.createTable);
  EXPECT_FALSE(made.deleteTable);
  EXPECT_EQ(made.ops, (std::vector<NftOp>{{true, NftListenPort{51820}}}));
}

TEST(DiffNft, RebuildsATableThatIsNotAsItShouldBe) {
  NftTable table;
  table.listenPorts = {51820};
  State broken = withTable(table);
  broken.nft->layout.intact = false;
  const Plan plan = diff(withTable(table), broken);
  ASSERT_EQ(plan.changes.size(), 1U);
  const auto& made = std::get<NftTransaction>(plan.changes.front());
  EXPECT_TRUE(made.deleteTable && made.createTable);
  EXPECT_EQ(made.ops.size(), 1U) << "all of its contents again";
}

TEST(DiffNft, KeepsAnOrderThatTheKernelTakes) {
  NftTable before;
  before.policies = {Slot{14}};
  before.endpoints = {{kServer4, Slot{14}}};
  NftTable after;
  after.policies = {Slot{15}};
  after.endpoints = {{kServer4, Slot{15}}};
  const Plan plan = diff(withTable(after), withTable(before));
  ASSERT_EQ(plan.changes.size(), 1U);
  EXPECT_EQ(std::get<NftTransaction>(plan.changes.front()).ops,
            (std::vector<NftOp>{{false, NftEndpoint{kServer4, Slot{14}}},
                                {true, NftPolicy{Slot{15}}},
                                {true, NftEndpoint{kServer4, Slot{15}}},
                                {false, NftPolicy{Slot{14}}}}))
      << "an element goes before its chain goes, and comes after its chain came";
}

TEST(DiffNft, LetsANumberChangeHands) {
  NftTable before;
  before.wans = {{"wan0", Slot{1}}, {"wan1", Slot{2}}};
  NftTable after;
  after.wans = {{"wan0", Slot{2}}, {"wan1", Slot{1}}};
  const Plan plan = diff(withTable(after), withTable(before));
  ASSERT_EQ(plan.changes.size(), 1U);
  const auto& ops = std::get<NftTransaction>(plan.changes.front()).ops;
  ASSERT_EQ(ops.size(), 4U);
  EXPECT_TRUE(!ops[0].add && !ops[1].add && ops[2].add && ops[3].add);
}

TEST(DiffNft, KnowsAWansAddressBeforeARouteLeadsThere) {
  NftTable after;
  after.addresses = {{"wan0", *Address::parse("192.0.2.10")}};
  after.sources = {{{"wan0", Family::v4}, *Address::parse("192.0.2.10")}};
  after.listenPorts = {51820};
  State desired = withTable(after);
  desired.routes = {ours("0.0.0.0/0", "192.0.2.1")};
  const Plan plan = diff(desired, withTable({}));
  EXPECT_EQ(kinds(plan), (Kinds{"nft", "add route", "nft"}));
  EXPECT_EQ(std::get<NftTransaction>(plan.changes.front()).ops.size(), 2U);
}

TEST(DiffNft, ForgetsAWansAddressWhenNoRouteLeadsThereAnyMore) {
  const Address old = *Address::parse("2001:db8::10");
  NftTable before;
  before.addresses = {{"wan0", old}};
  before.sources = {{{"wan0", Family::v6}, old}};
  State observed = withTable(before);
  observed.routes = {ours("::/0", "2001:db8::1")};
  const Plan lost = diff(withTable({}), observed);
  EXPECT_EQ(kinds(lost), (Kinds{"delete route", "nft"})) << "or the kernel would have chosen another WAN's meanwhile";
  EXPECT_EQ(std::get<NftTransaction>(lost.changes.back()).ops.size(), 2U);

  const Address fresh = *Address::parse("2001:db8::11");
  NftTable after;
  after.addresses = {{"wan0", fresh}};
  after.sources = {{{"wan0", Family::v6}, fresh}};
  const Plan changed = diff(withTable(after), observed);
  EXPECT_EQ(kinds(changed), (Kinds{"nft", "delete route", "nft"}));
  EXPECT_EQ(std::get<NftTransaction>(changed.changes.front()).ops.size(), 3U) << "a changed element is one step";
}

TEST(DiffNft, ChangesSourcesOfPoliciesWhenTheRoutesAreRight) {
  NftTable before;
  before.policySources = {{{Mark{0xf0000000}, Family::v4}, *Address::parse("192.0.2.10")}};
  NftTable after;
  after.policySources = {{{Mark{0xf0000000}, Family::v4}, *Address::parse("198.51.100.10")}};
  State observed = withTable(before);
  observed.routes = {ours("0.0.0.0/0", "192.0.2.1")};
  const Plan plan = diff(withTable(after), observed);
  EXPECT_EQ(kinds(plan), (Kinds{"delete route", "nft"})) << "nft may have to wait for others";
  EXPECT_EQ(std::get<NftTransaction>(plan.changes.back()).ops.size(), 2U);
}

TEST(DiffNft, RemembersASwitchFromBeforeItIsOnUntilItIsOff) {
  const Sysctl sysctl{SysctlKind::srcValidMark, "wan0"};
  NftTable table;
  table.changedSysctls = {sysctl};
  State on = withTable(table);
  on.sysctls = {sysctl};
  EXPECT_EQ(kinds(diff(on, withTable({}))), (Kinds{"nft", "sysctl"}));
  EXPECT_EQ(kinds(diff(withTable({}), on)), (Kinds{"sysctl", "nft"}));
  EXPECT_EQ(kinds(diff({}, on)), (Kinds{"sysctl", "nft"})) << "also when the whole table goes";
}

TEST(DiffNft, RemembersAnAddressFromBeforeItIsDeprecatedUntilItIsNot) {
  const OwnAddress own{IfIndex{20}, *Address::parse("2001:db8:a::1"), 64};
  NftTable table;
  table.deprecated = {{own.address, {{1800}, 0}}};
  State dead = withTable(table);
  dead.deprecated = {{own, {1800}}};
  EXPECT_EQ(kinds(diff(dead, withTable({}))), (Kinds{"nft", "address"}));
  EXPECT_EQ(kinds(diff(withTable({}), dead)), (Kinds{"address", "nft"}));
  EXPECT_EQ(kinds(diff({}, dead)), (Kinds{"address", "nft"})) << "also when the whole table goes";
  NftTable confirmed = table;
  confirmed.deprecated.at(own.address).written = 77;
  State after = withTable(confirmed);
  after.deprecated = dead.deprecated;
  const Plan plan = diff(after, dead);
  EXPECT_EQ(kinds(plan), Kinds{"nft"}) << "a changed record is one step";
  EXPECT_EQ(std::get<NftTransaction>(plan.changes.front()).ops.size(), 2U);
}

TEST(DiffMarks, SetsWhatIsMissingAndGivesBackWhatIsNotOursAnyMore) {
  State desired;
  desired.tunnelMarks = {{"wg0", Mark{0x10000000}}, {"wg1", Mark{0x10000000}}, {"wg2", Mark{0x10000000}}};
  State observed;
  observed.tunnelMarks = {{"wg1", Mark{0x20000000}}, {"wg2", Mark{0x10000000}}, {"wg3", Mark{0x10000000}}};
  EXPECT_EQ(diff(desired, observed).changes,
            (std::vector<Change>{SetTunnelMark{"wg0", Mark{0x10000000}},
                                 SetTunnelMark{"wg1", Mark{0x10000000}, Mark{0x20000000}},
                                 SetTunnelMark{"wg3", Mark{0}, Mark{0x10000000}}}));
}

TEST(Apply, WithoutATableHasNothingToPutMembersInto) {
  State state;
  apply(state, NftTransaction{.layout = {}, .ops = {{true, NftListenPort{1}}}});
  EXPECT_EQ(state, State{});
}

}  // namespace
}  // namespace wgsteer
