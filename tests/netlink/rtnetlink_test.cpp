// SPDX-License-Identifier: GPL-2.0-or-later
// Requests to the real kernel, and its state afterwards.
#include "netlink/rtnetlink.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <gtest/gtest.h>

#include "wgsteer/core/numbers.hpp"

#include "netlink/count_allocations.hpp"
#include "netlink/rtnl_bytes.hpp"
#include "netlink/rtnl_random.hpp"
#include "support/netns.hpp"

namespace wgsteer::netlink {
namespace {

using test::Random;
using wgsteer::test::indexOf;
using wgsteer::test::shell;

constexpr TableId kTable{0x57470001};
constexpr int kRounds = 300;

class RtnetlinkTest : public wgsteer::test::OwnNetwork {
 protected:
  void SetUp() override {
    OwnNetwork::SetUp();
    wgsteer::test::addVethPair("wan0", "wan0p");
    wgsteer::test::addVethPair("wan1", "wan1p");
    wan0_ = indexOf("wan0");
    wan1_ = indexOf("wan1");
    auto opened = Rtnetlink::open();
    ASSERT_TRUE(opened) << opened.error().toString();
    kernel_.emplace(std::move(*opened));
  }

  std::set<Route> routesIn(Family family, TableId table) {
    const auto found = kernel_->routes(family, table, [](const Route&) { return true; });
    EXPECT_TRUE(found) << found.error().toString();
    return found.value_or(std::set<Route>{});
  }
  std::set<Rule> rules(Family family) {
    const auto found = kernel_->rules(family);
    EXPECT_TRUE(found) << found.error().toString();
    return found.value_or(std::set<Rule>{});
  }
  Route defaultBy(const char* gateway) const {
    Route route;
    route.table = kTable;
    const Address address = *Address::parse(gateway);
    route.destination = route.source = Prefix::any(address.family());
    route.metric = 1;
    route.hops = {NextHop{.device = wan0_, .gateway = address, .onlink = true}};
    route.protocol = kProtocol;
    return route;
  }
  static Rule markRule(Family family = Family::v4) {
    Rule rule;
    rule.family = family;
    rule.priority = 70;
    rule.mark = {0x10000000, 0xf0000000};
    rule.table = kTable;
    rule.protocol = kProtocol;
    return rule;
  }

  IfIndex wan0_;
  IfIndex wan1_;
  std::optional<Rtnetlink> kernel_;
};

void expectDone(const Status& status) { EXPECT_TRUE(status) << status.error().toString(); }

TEST_F(RtnetlinkTest, RandomRoutesAreReadBackAsTheyWereWritten) {
  Random random{11};
  const std::array devices{wan0_.value, wan1_.value};
  for (int i = 0; i < kRounds; ++i) {
    const Route route = random.route(devices);
    expectDone(kernel_->addRoute(route, false));
    const std::set<Route> found = routesIn(route.family(), route.table);
    EXPECT_TRUE(found.contains(route)) << ::testing::PrintToString(route) << "\n" << ::testing::PrintToString(found);
    expectDone(kernel_->deleteRoute(route));
    EXPECT_FALSE(routesIn(route.family(), route.table).contains(route)) << ::testing::PrintToString(route);
  }
}

TEST_F(RtnetlinkTest, RandomRulesAreReadBackAsTheyWereWritten) {
  Random random{12};
  for (int i = 0; i < kRounds; ++i) {
    const Rule rule = random.rule();
    const std::set<Rule> before = rules(rule.family);
    expectDone(kernel_->addRule(rule));
    std::set<Rule> expected = before;
    expected.insert(rule);
    EXPECT_EQ(rules(rule.family), expected) << ::testing::PrintToString(rule);
    expectDone(kernel_->deleteRule(rule));
    EXPECT_EQ(rules(rule.family), before) << ::testing::PrintToString(rule);
  }
}

/// The rules around those of the policies, once there are rules for any traffic. Together, since each must be told from
/// its neighbours when it is deleted.
std::vector<Rule> rulesForTraffic(Family family) {
  const auto rule = [&](std::uint32_t priority, RuleAction action) {
    Rule made;
    made.family = family;
    made.priority = priority;
    made.action = action;
    made.protocol = kProtocol;
    return made;
  };
  const MarkMatch unmarked{0, 0xff000000};
  Rule around = rule(59, RuleAction::goto_);
  around.mark = unmarked;
  around.gotoPriority = 90;
  Rule made = rule(60, RuleAction::goto_);
  made.inputInterface = "lo";
  made.gotoPriority = 69;
  Rule inside = rule(61, RuleAction::lookup);
  inside.table = kMainTable;
  inside.suppressPrefixLength = 1;
  Rule stamped = inside;
  stamped.priority = 62;
  stamped.suppressGroup = kStampGroup;
  stamped.otherSelector = true;
  Rule drop = rule(63, RuleAction::blackhole);
  drop.mark = {0x5000000, 0xff000000};
  Rule closing = rule(78, RuleAction::unreachable);
  closing.mark = unmarked;
  closing.invert = true;
  Rule refuse = rule(80, RuleAction::prohibit);
  refuse.mark = {0x6000000, 0xff000000};
  Rule stampedEnd = rule(90, RuleAction::nop);
  stampedEnd.suppressGroup = kStampGroup;
  stampedEnd.otherSelector = true;
  return {around, made, inside, stamped, drop, closing, rule(79, RuleAction::unreachable), refuse, stampedEnd};
}

TEST_F(RtnetlinkTest, RulesForTrafficAreReadBackAsTheyWereWritten) {
  for (const Family family : kFamilies) {
    const std::set<Rule> before = rules(family);
    std::set<Rule> expected = before;
    const std::vector<Rule> all = rulesForTraffic(family);
    // A jump is written before its target in one round, and after it in the other.
    for (const bool backwards : {false, true}) {
      std::vector<Rule> order = all;
      if (backwards) std::ranges::reverse(order);
      for (const Rule& rule : order) {
        expectDone(kernel_->addRule(rule));
        expected.insert(rule);
        EXPECT_EQ(rules(family), expected) << ::testing::PrintToString(rule);
      }
      for (const Rule& rule : order) {
        expectDone(kernel_->deleteRule(rule));
        expected.erase(rule);
        EXPECT_EQ(rules(family), expected) << ::testing::PrintToString(rule);
      }
    }
    EXPECT_EQ(rules(family), before);
  }
}

TEST_F(RtnetlinkTest, RuleOfSomebodyElseWithTheSameSelectorStays) {
  for (const Family family : kFamilies) {
    Rule theirs = markRule(family);
    theirs.protocol = 3;
    expectDone(kernel_->addRule(theirs));
    expectDone(kernel_->addRule(markRule(family)));
    expectDone(kernel_->addRule(markRule(family)));
    EXPECT_TRUE(rules(family).contains(markRule(family)));
    expectDone(kernel_->deleteRule(markRule(family)));
    EXPECT_FALSE(rules(family).contains(markRule(family)));
    EXPECT_TRUE(rules(family).contains(theirs));
  }
}

TEST_F(RtnetlinkTest, WhatIsGoneIsDeletedAlready) {
  expectDone(kernel_->deleteRule(markRule()));
  expectDone(kernel_->deleteRule(markRule(Family::v6)));
  expectDone(kernel_->deleteRoute(defaultBy("192.0.2.1")));
  expectDone(kernel_->deleteRoute(defaultBy("fe80::1")));
  const Route route = defaultBy("192.0.2.1");
  expectDone(kernel_->addRoute(route, false));
  shell("ip link del wan0");
  expectDone(kernel_->deleteRoute(route));
}

TEST_F(RtnetlinkTest, RouteOfAnotherProtocolIsNotDeleted) {
  for (const char* gateway : {"192.0.2.1", "fe80::1"}) {
    Route theirs = defaultBy(gateway);
    theirs.protocol = 3;
    expectDone(kernel_->addRoute(theirs, false));
    expectDone(kernel_->deleteRoute(defaultBy(gateway)));
    EXPECT_TRUE(routesIn(theirs.family(), kTable).contains(theirs));
  }
}

TEST_F(RtnetlinkTest, AddIsExclusiveAndReplaceIsNot) {
  for (const auto& [first, second] : {std::pair{"192.0.2.1", "192.0.2.9"}, std::pair{"fe80::1", "fe80::9"}}) {
    expectDone(kernel_->addRoute(defaultBy(first), false));
    const Status again = kernel_->addRoute(defaultBy(second), false);
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().kind, ErrorKind::alreadyThere);
    expectDone(kernel_->addRoute(defaultBy(second), true));
    const Route now = defaultBy(second);
    EXPECT_EQ(routesIn(now.family(), kTable), std::set{now});
  }
}

TEST_F(RtnetlinkTest, RefusalsSayWhatAndWhy) {
  Route route = defaultBy("192.0.2.1");
  route.hops.front().onlink = false;
  Status refused = kernel_->addRoute(route, false);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kernelSays, "Nexthop has invalid gateway");
  EXPECT_EQ(refused.error().code, ENETUNREACH);
  EXPECT_TRUE(refused.error().what.starts_with("ip route add default via 192.0.2.1 dev if")) << refused.error().what;
  route.hops.front().device = IfIndex{9999};
  route.hops.front().onlink = true;
  refused = kernel_->addRoute(route, false);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::notThere);
  route.hops.resize(1000, route.hops.front());
  refused = kernel_->addRoute(route, false);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EMSGSIZE);
}

TEST_F(RtnetlinkTest, TableThatWasNeverUsedIsEmpty) {
  for (const Family family : kFamilies) EXPECT_TRUE(routesIn(family, TableId{kPolicyTableBase}).empty());
}

TEST_F(RtnetlinkTest, HotPathDoesNotAllocate) {
  const Route one = defaultBy("192.0.2.1");
  const Route other = defaultBy("192.0.2.9");
  const Rule rule = markRule();
  const std::size_t before = test::allocations();
  const bool done = kernel_->addRoute(one, true) && kernel_->addRoute(other, true) && kernel_->deleteRoute(other) &&
                    kernel_->addRule(rule) && kernel_->deleteRule(rule);
  EXPECT_EQ(test::allocations(), before);
  EXPECT_TRUE(done);
}

TEST_F(RtnetlinkTest, LookupFollowsMarkRuleAndTable) {
  shell("ip address add 192.0.2.2/24 dev wan0; ip address add 198.51.100.2/24 dev wan1");
  shell("ip route add default via 198.51.100.1 dev wan1");
  const Packet marked{.destination = *Endpoint::parse("203.0.113.55:51820"), .mark = Mark{0x10000000}, .source = {}};
  Packet plain = marked;
  plain.mark = Mark{0};
  expectDone(kernel_->addRule(markRule()));
  expectDone(kernel_->addRoute(defaultBy("192.0.2.1"), false));
  const auto found = kernel_->lookup(marked);
  ASSERT_TRUE(found) << found.error().toString();
  EXPECT_EQ(found->device, wan0_);
  EXPECT_EQ(found->gateway, Address::v4(192, 0, 2, 1));
  EXPECT_EQ(found->source, Address::v4(192, 0, 2, 2));
  EXPECT_EQ(kernel_->lookup(plain).value().device, wan1_);

  Route closing = defaultBy("192.0.2.1");
  closing.hops.clear();
  closing.type = RouteType::unreachable;
  closing.metric = kClosingMetric;
  expectDone(kernel_->addRoute(closing, false));
  expectDone(kernel_->deleteRoute(defaultBy("192.0.2.1")));
  const auto closed = kernel_->lookup(marked);
  ASSERT_FALSE(closed);
  EXPECT_EQ(closed.error().code, EHOSTUNREACH);
}

TEST_F(RtnetlinkTest, LinksWithTheirSwitchesAndAddresses) {
  shell("echo 2 > /proc/sys/net/ipv4/conf/wan0/rp_filter; echo 1 > /proc/sys/net/ipv4/conf/wan0/src_valid_mark");
  shell("ip address add 10.8.0.1 peer 10.8.0.2/32 dev wan1; ip link set wan1p down");
  const auto links = kernel_->links();
  ASSERT_TRUE(links) << links.error().toString();
  Link expected;
  expected.index = wan0_;
  expected.name = "wan0";
  expected.kind = "veth";
  expected.up = expected.carrier = true;
  expected.rpFilter = 2;
  expected.sysctls = {SysctlKind::srcValidMark};
  EXPECT_EQ(links->at(wan0_), expected);
  EXPECT_TRUE(links->at(wan1_).up);
  EXPECT_FALSE(links->at(wan1_).carrier);
  EXPECT_TRUE(links->at(indexOf("lo")).loopback);
  const auto addresses = kernel_->addresses();
  ASSERT_TRUE(addresses) << addresses.error().toString();
  InterfaceAddress own;
  own.device = wan1_;
  own.address = Address::v4(10, 8, 0, 1);
  own.prefixLength = 32;
  own.peer = Address::v4(10, 8, 0, 2);
  EXPECT_TRUE(addresses->contains(own));
}

}  // namespace
}  // namespace wgsteer::netlink

int main(int argc, char** argv) { return wgsteer::test::runInOwnNetwork(argc, argv); }
