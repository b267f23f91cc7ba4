// SPDX-License-Identifier: GPL-2.0-or-later
// What LinuxKernel considers ours or foreign, and what it still does after a failure.
#include "kernel/linux_kernel.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <poll.h>

#include "support/netns.hpp"

namespace wgsteer::kernel {
namespace {

using wgsteer::test::indexOf;
using wgsteer::test::shell;

constexpr TableId kTable{0x57470001};
constexpr int kLongEnough = 5000;  // ms, for things that happen at once

class LinuxKernelTest : public wgsteer::test::OwnNetwork {
 protected:
  void SetUp() override {
    OwnNetwork::SetUp();
    wgsteer::test::addWan("wan0", "192.0.2.2/24", "192.0.2.1", 10);
    wan0_ = indexOf("wan0");
    auto opened = LinuxKernel::open();
    ASSERT_TRUE(opened) << opened.error().toString();
    kernel_ = std::move(*opened);
  }

  Picture observe(const ObserveOptions& options = {}) {
    auto picture = kernel_->observe(numbers_, options);
    EXPECT_TRUE(picture) << picture.error().toString();
    if (!picture) return {};
    return std::move(*picture);
  }
  Route route() const {
    Route route;
    route.table = kTable;
    route.metric = 1;
    route.hops = {NextHop{.device = wan0_, .gateway = Address::v4(192, 0, 2, 1), .onlink = true}};
    route.protocol = kProtocol;
    return route;
  }
  static Route closing(Family family) {
    Route route;
    route.table = kTable;
    route.destination = route.source = Prefix::any(family);
    route.metric = kClosingMetric;
    route.type = RouteType::unreachable;
    route.protocol = kProtocol;
    return route;
  }
  Rule rule(Family family) const {
    Rule rule;
    rule.family = family;
    rule.priority = numbers_.markPriority();
    rule.mark = numbers_.mark(Slot{1});
    rule.table = kTable;
    rule.protocol = kProtocol;
    return rule;
  }
  State wanted() const {
    State state;
    state.routes = {closing(Family::v4), closing(Family::v6), route()};
    state.rules = {rule(Family::v4), rule(Family::v6)};
    return state;
  }

  Numbers numbers_;
  IfIndex wan0_;
  std::unique_ptr<LinuxKernel> kernel_;
};

void expectDone(const CommitReport& report) {
  for (const ChangeResult& failed : report.failed) ADD_FAILURE() << failed.status.error().toString();
}

TEST_F(LinuxKernelTest, PlanMadeIsPlanObservedAndTakenBack) {
  expectDone(kernel_->commit(diff(wanted(), observe().observed), numbers_));
  EXPECT_EQ(observe().observed, wanted());
  expectDone(kernel_->commit(diff(State{}, wanted()), numbers_));
  EXPECT_EQ(observe().observed, State{});
}

TEST_F(LinuxKernelTest, OursIsByProtocolAndTable) {
  shell("ip route add default via 192.0.2.1 table 1464270849 metric 5 proto 87");
  shell("ip route add default via 192.0.2.1 table 1464270849 metric 6 proto static");
  shell("ip route add default via 192.0.2.1 metric 7 proto 87");
  shell(
      "ip rule add priority 4000 fwmark 1 lookup 1464270849 protocol 87;"
      "ip rule add priority 4001 fwmark 1 lookup 1464270849; ip rule add priority 4002 fwmark 1 lookup main protocol "
      "87");
  const Picture picture = observe();
  ASSERT_EQ(picture.observed.routes.size(), 1U);
  EXPECT_EQ(picture.observed.routes.begin()->metric, 5U);
  ASSERT_EQ(picture.observed.rules.size(), 1U);
  EXPECT_EQ(picture.observed.rules.begin()->priority, 4000U);
  std::vector<std::uint32_t> metrics;
  forEachDefault(picture.world.routes, Family::v4, [&](const Route& foreign) { metrics.push_back(foreign.metric); });
  std::ranges::sort(metrics);
  EXPECT_EQ(metrics, (std::vector<std::uint32_t>{6, 7, 10}));
  for (const std::uint32_t priority : {4001U, 4002U})
    EXPECT_TRUE(std::ranges::any_of(picture.world.rules, [&](const Rule& foreign) {
      return foreign.priority == priority;
    })) << priority;
}

TEST_F(LinuxKernelTest, AGotoOfOthersWithOurProtocolIsTheirs) {
  shell("ip rule add priority 31000 goto 31010 protocol 87");
  EXPECT_TRUE(observe().observed.rules.empty());
}

TEST_F(LinuxKernelTest, ATapIsNoTun) {
  shell("ip tuntap add tap0 mode tap; ip tuntap add tun0 mode tun");
  const Picture picture = observe();
  ASSERT_NE(picture.world.linkNamed("tap0"), nullptr);
  EXPECT_EQ(picture.world.linkNamed("tap0")->kind, "tap");
  EXPECT_EQ(picture.world.linkNamed("tun0")->kind, "tun");
}

/// Only the target differs, which the kernel does not compare: the new one comes before the old one goes.
TEST_F(LinuxKernelTest, AJumpToAnotherTargetReplacesTheOldOne) {
  shell("ip rule add priority 11 lookup 1000");
  const auto jump = [](std::uint32_t target) {
    State state;
    Rule rule;
    rule.priority = 10;
    rule.invert = true;
    rule.mark = {0, kDefaultMarkMask};
    rule.action = RuleAction::goto_;
    rule.gotoPriority = target;
    rule.suppressPrefixLength = static_cast<std::int32_t>(target);
    rule.protocol = kProtocol;
    state.rules = {rule};
    return state;
  };
  for (const std::uint32_t target : {70U, 60U, 70U}) {
    const Plan plan = diff(jump(target), observe().observed);
    EXPECT_TRUE(kernel_->commit(plan, {}).ok()) << target;
    EXPECT_EQ(observe().observed.rules, jump(target).rules) << target;
  }
}

bool leadsTo(const Picture& picture, const char* prefix) {
  const Prefix destination = *Prefix::parse(prefix);
  return std::ranges::any_of(picture.world.routes, [&](const Route& one) { return one.destination == destination; });
}

TEST_F(LinuxKernelTest, SpecificRoutesOfTheMainTableAreKept) {
  shell("ip route add 198.51.100.0/24 dev wan0; ip route add 198.51.101.0/24 dev wan0 table 77");
  EXPECT_TRUE(leadsTo(observe(), "192.0.2.0/24")) << "made by the kernel";
  EXPECT_TRUE(leadsTo(observe(), "198.51.100.0/24"));
  EXPECT_FALSE(leadsTo(observe(), "198.51.101.0/24"));
  EXPECT_FALSE(leadsTo(observe(), "192.0.2.2/32")) << "of table local";
  EXPECT_TRUE(leadsTo(observe({.allRoutes = true}), "198.51.101.0/24"));
}

TEST_F(LinuxKernelTest, WansAreGuessedFromDefaultRoutesUntilTheyAreSaid) {
  wgsteer::test::addVethPair("lan0", "lan0p");
  shell(
      "ip address add 10.20.0.1/24 dev lan0; ip route add 10.30.0.0/16 via 10.20.0.7 proto ospf;"
      "ip route add 10.40.0.0/16 via 192.0.2.1 proto bgp; ip route add 10.41.0.0/16 via 192.0.2.1 proto static");
  const Picture guessed = observe();
  EXPECT_EQ(guessed.world.interest.uplinks, std::set{wan0_});
  EXPECT_TRUE(leadsTo(guessed, "10.30.0.0/16"));
  EXPECT_TRUE(leadsTo(guessed, "10.40.0.0/16")) << "a company's network, behind one of its WANs";
  EXPECT_TRUE(leadsTo(guessed, "10.41.0.0/16"));
  const RouteInterest said{.uplinks = {indexOf("lan0")}};
  ASSERT_TRUE(kernel_->listen(said));
  const Picture known = observe();
  EXPECT_EQ(known.world.interest, said);
  EXPECT_TRUE(leadsTo(known, "10.30.0.0/16"));
  EXPECT_TRUE(leadsTo(known, "10.40.0.0/16"));
}

TEST_F(LinuxKernelTest, DefaultsOfOneMetricAreInTheKernelsOrder) {
  shell(
      "ip route add default via 192.0.2.8 dev wan0 metric 7 onlink; ip route append default via 192.0.2.1 dev wan0 "
      "metric 7 onlink; ip route prepend default via 192.0.2.3 dev wan0 metric 7 onlink");
  std::map<std::int32_t, std::string> gateways;
  for (const Route& each : observe().world.routes)
    if (each.destination.isDefault() && each.metric == 7)
      gateways[each.position.value] = each.hops.front().gateway->toString();
  std::vector<std::string> order;
  for (const auto& [position, gateway] : gateways) order.push_back(gateway);
  EXPECT_EQ(order, (std::vector<std::string>{"192.0.2.3", "192.0.2.8", "192.0.2.1"}));
}

TEST_F(LinuxKernelTest, AWholeFeedIsNotKept) {
  wgsteer::test::addVethPair("lan0", "lan0p");
  shell(
      "ip address add 10.20.0.1/24 dev lan0; ip route add 10.30.0.0/16 via 10.20.0.7 proto ospf;"
      "seq 0 9999 | awk '{ printf \"route add 100.64.%d.%d/32 via 192.0.2.1 proto bgp\\n\", $1 / 250, $1 % 250 + 1 }' |"
      " ip -batch -");
  const Picture picture = observe();
  EXPECT_TRUE(picture.world.tooManyRoutes) << "which check says";
  EXPECT_EQ(picture.world.leftOut, RouteInterest::LeftOut::fed);
  EXPECT_TRUE(leadsTo(picture, "10.30.0.0/16"));
  EXPECT_LT(picture.world.routes.size(), 20U);
  // The same feed by a device that is not a WAN is more than can be kept.
  ASSERT_TRUE(kernel_->listen({}));
  const Picture flooded = observe();
  EXPECT_TRUE(flooded.world.tooManyRoutes);
  EXPECT_FALSE(leadsTo(flooded, "10.30.0.0/16")) << "learned as well";
  EXPECT_TRUE(leadsTo(flooded, "10.20.0.0/24"));
  EXPECT_LT(flooded.world.routes.size(), 20U);
}

TEST_F(LinuxKernelTest, AFailureCostsWhatReliesOnItAlone) {
  expectDone(kernel_->commit(diff(wanted(), State{}), numbers_));
  Route impossible = route();
  impossible.metric = 2;
  impossible.hops.front().device = IfIndex{9999};
  Route other = route();
  other.metric = 3;
  Plan plan;
  plan.changes = {AddRoute{impossible, false},
                  AddRoute{other, false},
                  SetTunnelMark{"wg0", Mark{0}, Mark{rule(Family::v4).mark.value}},
                  DeleteRule{rule(Family::v4)},
                  DeleteRoute{route()},
                  DeleteRoute{closing(Family::v4)}};
  const CommitReport report = kernel_->commit(plan, numbers_);
  ASSERT_EQ(report.failed.size(), 1U);
  EXPECT_EQ(report.failed[0].change, plan.changes[0]);
  EXPECT_EQ(report.failed[0].status.error().kind, ErrorKind::notThere);
  EXPECT_EQ(report.done, 5U) << "all the rest: a tunnel that is gone has given its mark back";
  State expected = wanted();
  expected.routes.erase(route());
  expected.routes.insert(other);
  expected.routes.erase(closing(Family::v4));
  expected.rules.erase(rule(Family::v4));
  EXPECT_EQ(observe().observed, expected);
}

TEST_F(LinuxKernelTest, SwitchThatCannotBeSetHoldsNothingUp) {
  expectDone(kernel_->commit(diff(wanted(), State{}), numbers_));
  Plan plan;
  plan.changes = {SetSysctl{{SysctlKind::srcValidMark, "nowhere"}, true}, DeleteRule{rule(Family::v4)}};
  const CommitReport report = kernel_->commit(plan, numbers_);
  ASSERT_EQ(report.failed.size(), 1U);
  EXPECT_EQ(report.failed[0].status.error().kind, ErrorKind::notThere);
  EXPECT_EQ(report.failed[0].status.error().what.substr(0, 46), "sysctl -w net.ipv4.conf.nowhere.src_valid_mark");
  EXPECT_EQ(observe().observed.rules, std::set{rule(Family::v6)});
}

TEST_F(LinuxKernelTest, WhatWentAwayWithItsDeviceNeedsNoTakingBack) {
  Plan plan;
  plan.changes = {SetTunnelMark{"nowhere", Mark{0}}, SetSysctl{{SysctlKind::ignoreLinkdown6, "nowhere"}, false}};
  const CommitReport report = kernel_->commit(plan, numbers_);
  expectDone(report);
  EXPECT_EQ(report.done, 2U);
  plan.changes = {SetTunnelMark{"nowhere", Mark{0x10000000}}};
  EXPECT_FALSE(kernel_->commit(plan, numbers_).ok());
}

TEST_F(LinuxKernelTest, SwitchesOfADeviceWithADotInItsName) {
  wgsteer::test::addVethPair("wan.7", "peer.7");
  Plan plan;
  std::set<SysctlKind> all;
  for (const auto kind : {SysctlKind::ignoreLinkdown4, SysctlKind::ignoreLinkdown6, SysctlKind::srcValidMark}) {
    plan.changes.emplace_back(SetSysctl{{kind, "wan.7"}, true});
    all.insert(kind);
  }
  expectDone(kernel_->commit(plan, numbers_));
  EXPECT_EQ(observe().world.linkNamed("wan.7")->sysctls, all);
  plan.changes = {SetSysctl{{SysctlKind::srcValidMark, "wan.7"}, false}};
  expectDone(kernel_->commit(plan, numbers_));
  EXPECT_FALSE(observe().world.linkNamed("wan.7")->sysctls.contains(SysctlKind::srcValidMark));
}

TEST_F(LinuxKernelTest, RefreshReadsWhatIsStaleAndNothingElse) {
  expectDone(kernel_->commit(diff(wanted(), State{}), numbers_));
  Picture picture = observe();
  shell("ip route flush table 1464270849; ip rule flush protocol 87");
  ASSERT_TRUE(kernel_->refresh(picture, numbers_, {.ownRoutes = true}));
  EXPECT_EQ(picture.observed.routes, std::set{closing(Family::v6)});
  EXPECT_EQ(picture.observed.rules, wanted().rules);
  ASSERT_TRUE(kernel_->refresh(picture, numbers_, {.rtnetlink = true}));
  EXPECT_EQ(picture.observed.rules, std::set{rule(Family::v6)});
}

TEST_F(LinuxKernelTest, ChangesOfOthersWakeUpAndOwnOnesDoNot) {
  EXPECT_TRUE(kernel_->descriptors().empty());
  const Status subscribed = kernel_->subscribe();
  ASSERT_TRUE(subscribed) << subscribed.error().toString();
  std::vector<pollfd> waiting;
  for (const int descriptor : kernel_->descriptors())
    waiting.push_back({.fd = descriptor, .events = POLLIN, .revents = 0});
  ASSERT_EQ(waiting.size(), 3U) << "rtnetlink, nftables, tunnels in user space";
  Picture picture = observe();
  std::vector<Event> events;
  // The kernel keeps announcing the states of new links for a while.
  const auto note = [&](const Event& event) {
    if (!std::holds_alternative<LinkChanged>(event)) events.push_back(event);
  };
  kernel_->drain(note);
  events.clear();

  const Plan plan = diff(wanted(), picture.observed);
  expectDone(kernel_->commit(plan, numbers_));
  settle(picture, plan, wanted());
  kernel_->drain(note);
  EXPECT_TRUE(events.empty());

  shell("ip rule del priority 70; ip route flush table 1464270849");
  EXPECT_GT(::poll(waiting.data(), waiting.size(), kLongEnough), 0);
  kernel_->drain(note);
  for (const Event& event : events) EXPECT_TRUE(track(picture, event).relevant);
  EXPECT_EQ(picture.observed, observe().observed);
}

}  // namespace
}  // namespace wgsteer::kernel

int main(int argc, char** argv) { return wgsteer::test::runInOwnNetwork(argc, argv); }
