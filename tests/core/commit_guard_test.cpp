// SPDX-License-Identifier: GPL-2.0-or-later
// A refused change holds up only the changes that rely on it.
#include "wgsteer/core/commit_guard.hpp"

#include <algorithm>
#include <gtest/gtest.h>

#include "wgsteer/core/desire.hpp"
#include "wgsteer/core/refusals.hpp"

#include "support/worlds.hpp"

namespace wgsteer {
namespace {

using namespace test;
using Predicate = std::function<bool(const Change&)>;

/// A kernel that refuses the changes selected by the predicate and makes all others.
CommitReport attempt(const Plan& plan, State& state, const Predicate& refuses, ErrorKind kind = ErrorKind::refused) {
  return carryOut(plan, {}, [&](const Change& change) -> Status {
    if (refuses(change)) return fail(kind, "injected");
    apply(state, change);
    return {};
  });
}

template <class T>
bool made(const CommitReport& report) {
  return std::ranges::any_of(report.made, [](const Change& change) { return std::holds_alternative<T>(change); });
}

class Guard : public testing::Test {
 protected:
  Guard() : desired(desire({}, twoWans())), plan(diff(desired, {})) {}

  State desired;
  Plan plan;
  State state;
};

TEST_F(Guard, NothingIsRecordedWhenAllSucceeds) {
  const CommitReport report = attempt(plan, state, [](const Change&) { return false; });
  EXPECT_TRUE(report.ok());
  EXPECT_TRUE(report.made.empty());
  EXPECT_EQ(report.done, plan.changes.size());
  EXPECT_EQ(state, desired);
}

TEST_F(Guard, ARefusedDefaultRouteCostsNobodyAnything) {
  const auto refuses = [](const Change& change) {
    const auto* added = std::get_if<AddRoute>(&change);
    return added != nullptr && added->route.destination.isDefault() && added->route.type == RouteType::unicast &&
           added->route.family() == Family::v6 && added->route.hops.front().device == kWan1;
  };
  const CommitReport report = attempt(plan, state, refuses);
  EXPECT_EQ(report.failed.size(), 2U) << "in the WAN's table, and in the policy's";
  EXPECT_EQ(state.tunnelMarks, desired.tunnelMarks);
  EXPECT_EQ(state.nft, desired.nft);
  EXPECT_EQ(state.rules, desired.rules);
  EXPECT_EQ(state.routes.size() + 2, desired.routes.size());
}

TEST_F(Guard, ATableThatIsNotClosedHasNoRuleAndItsMarkIsNotGiven) {
  const TableId policyTable{kPolicyTableBase + 15};
  const auto refuses = [&](const Change& change) {
    const auto* added = std::get_if<AddRoute>(&change);
    return added != nullptr && added->route.metric == kClosingMetric && added->route.table == policyTable &&
           added->route.family() == Family::v4;
  };
  attempt(plan, state, refuses);
  EXPECT_TRUE(std::ranges::none_of(
      state.rules, [&](const Rule& rule) { return rule.family == Family::v4 && rule.table == policyTable; }));
  EXPECT_TRUE(state.tunnelMarks.empty());
  ASSERT_TRUE(state.nft);
  EXPECT_TRUE(state.nft->table.endpoints.empty()) << "an element would give the mark as well";
  EXPECT_EQ(state.nft->table.addresses, desired.nft->table.addresses) << "sources need nothing";
}

TEST_F(Guard, AnUnwritableSysctlCostsItself) {
  const CommitReport report =
      attempt(plan, state, [](const Change& change) { return std::holds_alternative<SetSysctl>(change); });
  EXPECT_EQ(report.failed.size(), desired.sysctls.size());
  State rest = desired;
  rest.sysctls.clear();
  rest.nft->table.changedSysctls.clear();
  EXPECT_EQ(state, rest) << "nor is it remembered: it would be turned off some day, whoever turns it on till then";
}

TEST_F(Guard, AnUnwritableSysctlThatWasRememberedIsForgotten) {
  state = desired;
  state.sysctls.clear();
  const Plan again = diff(desired, state);
  ASSERT_EQ(again.changes.size(), desired.sysctls.size());
  attempt(again, state, [](const Change& change) { return std::holds_alternative<SetSysctl>(change); });
  EXPECT_TRUE(state.nft->table.changedSysctls.empty());
}

TEST_F(Guard, ARecordThatCannotBeTakenOutIsTold) {
  const CommitReport report = attempt(plan, state, [](const Change& change) {
    const auto* transaction = std::get_if<NftTransaction>(&change);
    return std::holds_alternative<SetSysctl>(change) || (transaction != nullptr && !transaction->ops.front().add);
  });
  EXPECT_EQ(report.failed.size(), 2 * desired.sysctls.size());
  EXPECT_EQ(state.nft->table.changedSysctls, desired.nft->table.changedSysctls);
}

/// Of two addresses the kernel refuses one.
TEST_F(Guard, AnAddressThatIsRefusedCostsItself) {
  const OwnAddress one{IfIndex{20}, *Address::parse("2001:db8:a::1"), 64};
  const OwnAddress other{IfIndex{20}, *Address::parse("2001:db8:a::2"), 64};
  State both = desired;
  for (const OwnAddress& own : {one, other}) {
    both.deprecated.emplace(own, Preferred{1800});
    both.nft->table.deprecated.emplace(own.address, Deprecation{{1800}, 0});
  }
  state = desired;
  const auto refuses = [&](bool on) {
    return [&, on](const Change& change) {
      const auto* set = std::get_if<SetDeprecated>(&change);
      return set != nullptr && set->own == one && set->on == on;
    };
  };
  attempt(diff(both, state), state, refuses(true));
  EXPECT_EQ(state.deprecated, (std::map<OwnAddress, Preferred>{{other, {1800}}}));
  EXPECT_EQ(state.nft->table.deprecated, (std::map<Address, Deprecation>{{other.address, {{1800}, 0}}}));
  // What cannot be put back stays recorded, and with it the table.
  state = both;
  attempt(diff(State{}, state), state, refuses(false));
  EXPECT_EQ(state.deprecated, (std::map<OwnAddress, Preferred>{{one, {1800}}}));
  ASSERT_TRUE(state.nft);
  EXPECT_TRUE(state.nft->table.deprecated.contains(one.address));
}

TEST_F(Guard, AnAddressIsNotDeprecatedWithoutItsRecord) {
  const OwnAddress own{IfIndex{20}, *Address::parse("2001:db8:a::1"), 64};
  State wanted = desired;
  wanted.deprecated.emplace(own, Preferred{1800});
  wanted.nft->table.deprecated.emplace(own.address, Deprecation{{1800}, 0});
  state = desired;
  attempt(diff(wanted, state), state,
          [](const Change& change) { return std::holds_alternative<NftTransaction>(change); });
  EXPECT_TRUE(state.deprecated.empty());
}

TEST_F(Guard, ARefusingTunnelCostsItself) {
  World world = twoWans();
  Tunnel other = world.tunnels.at("wg0");
  other.name = "boring";
  world.tunnels.edit().emplace("boring", other);
  const State both = desire({}, world);
  attempt(diff(both, {}), state, [](const Change& change) {
    const auto* set = std::get_if<SetTunnelMark>(&change);
    return set != nullptr && set->tunnel == "boring";
  });
  State rest = both;
  rest.tunnelMarks.erase("boring");
  EXPECT_EQ(state, rest);
}

TEST_F(Guard, ABadElementCostsItself) {
  const auto isBad = [](const NftOp& op) {
    const auto* own = std::get_if<NftAddress>(&op.member);
    return op.add && own != nullptr && own->device == "wan1";
  };
  const CommitReport report = attempt(plan, state, [&](const Change& change) {
    const auto* transaction = std::get_if<NftTransaction>(&change);
    return transaction != nullptr && std::ranges::any_of(transaction->ops, isBad);
  });
  EXPECT_EQ(report.failed.size(), 2U) << "of both families";
  State rest = desired;
  std::erase_if(rest.nft->table.addresses, [](const auto& own) { return own.first == "wan1"; });
  EXPECT_EQ(state, rest);
}

TEST_F(Guard, WhatWillPassByItselfIsNotTakenApart) {
  std::size_t asked = 0;
  const CommitReport report = attempt(
      plan, state,
      [&](const Change& change) {
        const bool nft = std::holds_alternative<NftTransaction>(change);
        if (nft) ++asked;
        return nft;
      },
      ErrorKind::busy);
  EXPECT_EQ(report.failed.size(), 1U);
  EXPECT_EQ(asked, 1U);
  EXPECT_TRUE(state.sysctls.empty()) << "nothing would remember who turned them on";
}

TEST_F(Guard, ATunnelThatKeepsItsMarkKeepsTheRuleForIt) {
  state = desired;
  const CommitReport report = attempt(
      diff({}, desired), state, [](const Change& change) { return std::holds_alternative<SetTunnelMark>(change); });
  EXPECT_FALSE(report.ok());
  EXPECT_EQ(std::ranges::count(state.rules, Mark{0xf0000000}, [](const Rule& rule) { return Mark{rule.mark.value}; }),
            2);
  EXPECT_TRUE(std::ranges::any_of(state.routes, [](const Route& route) {
    return route.metric == kClosingMetric && route.table == TableId{kPolicyTableBase + 15};
  })) << "below it is the main table";
  EXPECT_EQ(state.rules.size(), 2U) << "all others go";
}

TEST_F(Guard, ASysctlThatCannotBeTakenBackStaysRemembered) {
  state = desired;
  attempt(diff({}, desired), state, [](const Change& change) { return std::holds_alternative<SetSysctl>(change); });
  ASSERT_TRUE(state.nft);
  EXPECT_EQ(state.nft->table.changedSysctls, desired.nft->table.changedSysctls);
}

// Each change of a plan in turn is refused whenever it is tried: all changes made are reported, the next look and plan
// complete the rest once the kernel no longer refuses, and no mark ever exists without its rule.
TEST_F(Guard, WhateverIsRefusedTheRestIsMadeAndTold) {
  for (const Change& victim : plan.changes) {
    State seen;
    const CommitReport report = attempt(plan, seen, [&](const Change& change) { return change == victim; });
    State told;
    for (const Change& change : report.made) apply(told, change);
    ASSERT_EQ(told, report.ok() ? State{} : seen);
    for (const auto& [tunnel, mark] : seen.tunnelMarks)
      for (const Family family : kFamilies)
        ASSERT_TRUE(std::ranges::any_of(seen.rules, [&](const Rule& rule) {
          return rule.family == family && rule.mark.value == mark.value;
        })) << tunnel;
    apply(seen, diff(desired, seen));
    ASSERT_EQ(seen, desired);
  }
}

class RefusalsTest : public testing::Test {
 protected:
  void refuse(const Change& change) {
    CommitReport report{.complete = false};
    report.failed.push_back({change, fail(ErrorKind::refused, "injected")});
    refusals.learn({{change}}, report, now);
  }

  Refusals refusals;
  Instant now = std::chrono::hours{1};
  const Change one = SetTunnelMark{"wg0", Mark{0xf0000000}};
  const Change other = SetTunnelMark{"wg1", Mark{0xf0000000}};
};

TEST_F(RefusalsTest, HoldBackWhatWasRefusedAMomentAgoAndNothingElse) {
  refuse(one);
  const Plan plan = refusals.withhold({{one, other}}, now);
  EXPECT_EQ(plan.changes, std::vector<Change>{other});
  EXPECT_EQ(plan.heldBack, std::vector<Change>{one});
  EXPECT_EQ(refusals.withhold({{SetTunnelMark{"wg0", Mark{0xe0000000}}}}, now).changes.size(), 1U) << "another change";
}

TEST_F(RefusalsTest, AreTriedAgainMoreAndMoreRarelyEachForItself) {
  refuse(one);
  EXPECT_EQ(refusals.nextDue(), now + Refusals::kFirstDelay);
  now += Refusals::kFirstDelay;
  EXPECT_EQ(refusals.withhold({{one}}, now).changes.size(), 1U);
  refuse(one);
  EXPECT_EQ(refusals.nextDue(), now + 2 * Refusals::kFirstDelay);
  for (int i = 0; i < 20; ++i) refuse(one);
  EXPECT_EQ(refusals.nextDue(), now + Refusals::kLongestDelay);
  CommitReport report{.complete = false};
  report.failed.push_back({other, fail(ErrorKind::refused, "injected")});
  refusals.learn(refusals.withhold({{one, other}}, now), report, now);
  EXPECT_EQ(refusals.nextDue(), now + Refusals::kFirstDelay) << "the new one does not wait for the old one";
}

TEST_F(RefusalsTest, ForgetWhatIsNotAskedForAnyMore) {
  refuse(one);
  refusals.learn({}, {}, now);
  EXPECT_TRUE(refusals.empty());
}

TEST_F(RefusalsTest, HoldBackMembersOfATransactionAlone) {
  const NftOp bad{true, NftTunnel{"bad"}};
  const NftOp good{true, NftTunnel{"good"}};
  refuse(NftTransaction{.ops = {bad}});
  const Plan plan = refusals.withhold({{NftTransaction{.ops = {bad, good}}}}, now);
  ASSERT_EQ(plan.changes.size(), 1U);
  EXPECT_EQ(std::get<NftTransaction>(plan.changes.front()).ops, std::vector<NftOp>{good});
  EXPECT_TRUE(refusals.withhold({{NftTransaction{.ops = {bad}}}}, now).empty());
}

TEST_F(RefusalsTest, NameTheWansWhoseDefaultIsRefused) {
  Route refused = route("::/0", kWan1, "2001:db8:20::1", 1);
  refused.table = TableId{kWanTableBase + 2};
  refuse(AddRoute{refused});
  const std::map<std::pair<Slot, Family>, std::string> expected{{{Slot{2}, Family::v6}, "injected"}};
  EXPECT_EQ(refusals.wans(), expected);
}

}  // namespace
}  // namespace wgsteer
