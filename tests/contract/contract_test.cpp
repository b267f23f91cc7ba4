// SPDX-License-Identifier: GPL-2.0-or-later
// One suite over the fake kernel and the real one: what is committed is what is observed, from any state to any other,
// next to foreign objects, and even from the middle of a plan.
#include <cstdlib>
#include <gtest/gtest.h>
#include <memory>

#include "wgsteer/core/describe.hpp"
#include "wgsteer/core/desire.hpp"
#include "wgsteer/core/explain.hpp"

#include "kernel/linux_kernel.hpp"
#include "support/connections.hpp"
#include "support/fake_kernel.hpp"
#include "support/netns.hpp"
#include "support/worlds.hpp"

namespace wgsteer {
namespace {

using namespace test;

/// Three WANs with both families, a LAN, and, in place of a tunnel, a tun device with the halves of the default route.
void buildTopology() {
  for (int i = 0; i < 3; ++i) {
    const std::string number = std::to_string(i);
    addVethPair("wan" + number, "isp" + number);
    shell("ip address add 10.1" + number + ".0.10/24 dev wan" + number + "; ip -6 address add 2001:db8:1" + number +
          "::10/64 dev wan" + number + " nodad; ip route add default via 10.1" + number + ".0.1 dev wan" + number +
          " metric 1" + number + "; ip -6 route add default via 2001:db8:1" + number + "::1 dev wan" + number +
          " metric 1" + number);
  }
  addVethPair("lan0", "host0");
  shell("ip address add 10.50.0.1/24 dev lan0");
  for (const char* own : {"2001:db8:50::1/64", "2001:db8:50:1::1/64 valid_lft 7200 preferred_lft 3600 metric 77",
                          "2001:db8:50:2::1/64 preferred_lft 3600 noprefixroute home",
                          "2001:db8:50:3::1/64 valid_lft 7200 preferred_lft 7200 mngtmpaddr",
                          "2001:db8:50:4::1 peer 2001:db8:50:4::2/128 metric 78"})
    shell(std::string{"ip -6 address add "} + own + " dev lan0 nodad");
  shell(
      "ip tuntap add wg0 mode tun; ip link set wg0 up; ip address add 10.90.0.2/24 dev wg0;"
      "ip route add 0.0.0.0/1 dev wg0; ip route add 128.0.0.0/1 dev wg0;"
      "ip -6 route add ::/1 dev wg0; ip -6 route add 8000::/1 dev wg0");
  // Foreign objects, some with our protocol or our table numbers: only both together make an object ours.
  shell(
      "ip rule add priority 1500 fwmark 0x100/0x3f00 lookup 100; ip -6 rule add priority 1500 fwmark 0x100/0x3f00 "
      "lookup 100;"
      "ip rule add priority 70 fwmark 0x50000000/0xf0000000 lookup main;"
      "ip route add 10.77.0.0/16 dev lan0 table 100; ip route add unreachable 10.78.0.0/16 table 100 proto 87;"
      "nft add table inet foreign; nft add chain inet foreign output '{ type filter hook output priority 0; }'");
}

/// Everything that is not ours, as users see it.
std::string foreignState() {
  return shell(
      "ip rule | grep -v 'proto 87'; ip -6 rule | grep -v 'proto 87'; ip route show table 100; ip route show table "
      "main;"
      "ip -6 route show table main | sed 's/expires [0-9]*sec/expires/'; nft list table inet foreign");
}

struct RealKernel {
  RealKernel() : kernel(std::move(*kernel::LinuxKernel::open())) {}
  /// A conntrack entry, or one that is there after another packet; `number` tells those of a family apart.
  static void connect(Family family, Mark mark, std::uint16_t number, bool answered = false,
                      std::uint32_t seconds = 600, std::optional<Address> translatedTo = {}) {
    makeConnection({.family = family,
                    .mark = mark,
                    .port = number,
                    .answered = answered,
                    .seconds = seconds,
                    .translatedTo = translatedTo});
  }
  std::unique_ptr<kernel::LinuxKernel> kernel;
  Kernel& operator*() { return *kernel; }
  Kernel* operator->() { return kernel.get(); }
};

struct ModelKernel {
  ModelKernel() : kernel(std::make_unique<FakeKernel>()) {
    // The same world as that of the real kernel.
    kernel->real.world = std::move(*kernel::LinuxKernel::open().value()->observe({}, {.allRoutes = true})).world;
  }
  void connect(Family family, Mark mark, std::uint16_t number, bool answered = false, std::uint32_t seconds = 600,
               std::optional<Address> translatedTo = {}) {
    const FakeKernel::Connection made{.family = family,
                                      .mark = mark,
                                      .id = number,
                                      .answered = answered,
                                      .expiresIn = std::chrono::seconds{seconds},
                                      .translatedTo = translatedTo};
    auto& all = kernel->connections;
    const auto known = std::ranges::find_if(
        all, [&](const FakeKernel::Connection& each) { return each.family == family && each.id == number; });
    if (known == all.end())
      all.push_back(made);
    else
      *known = made;
  }
  std::unique_ptr<FakeKernel> kernel;
  Kernel& operator*() { return *kernel; }
  Kernel* operator->() { return kernel.get(); }
};

class Choice {
 public:
  explicit Choice(std::uint32_t seed) : state_(seed) {}
  unsigned below(unsigned limit) {
    state_ = state_ * 1664525 + 1013904223;
    return (state_ >> 8) % limit;
  }
  bool percent(unsigned chance) { return below(100) < chance; }

 private:
  std::uint32_t state_;
};

Config randomConfiguration(Choice& choice) {
  Config config;
  config.forward = choice.percent(30);
  config.sysctl = choice.percent(70);
  config.force = true;
  if (choice.percent(30)) config.numbers.rulePriority = 200;
  if (choice.percent(30)) return config;
  for (int i = 0; i < 3; ++i)
    if (choice.percent(70))
      config.wans.push_back({.name = "w" + std::to_string(i),
                             .device = "wan" + std::to_string(i),
                             .metric = 1 + choice.below(3),
                             .weight = 1 + choice.below(3)});
  if (config.wans.empty()) return config;
  PolicyConfig policy{
      .name = "some", .members = {}, .lastResort = choice.percent(20) ? LastResort::main : LastResort::unreachable};
  for (const WanConfig& wan : config.wans)
    if (choice.percent(60)) policy.members.push_back({wan.name, 1 + choice.below(2), 1 + choice.below(4)});
  if (!policy.members.empty()) config.policies.push_back(policy);
  return config;
}

/// A desired state for the current world, with peers that no real tunnel has, so tunnel marks are left out.
State randomDesire(const Config& config, World world, Choice& choice) {
  Tunnel tunnel;
  tunnel.name = "wg0";
  tunnel.listenPort = static_cast<std::uint16_t>(51820 + choice.below(3));
  tunnel.fwmark = Mark{choice.percent(50) ? 0xca6cU : 0U};
  for (unsigned i = 0; i < choice.below(6); ++i) {
    const std::string text = choice.percent(50) ? "203.0.113." + std::to_string(choice.below(4)) + ":51820"
                                                : "[2001:db8:ffff::" + std::to_string(choice.below(4)) + "]:51820";
    tunnel.peers.push_back(peer(static_cast<std::uint8_t>(i), text));
  }
  world.tunnels = {{"wg0", tunnel}};
  if (choice.percent(20)) world.wansDown = {{"w0", "silent"}};
  State state = desire(config, world);
  state.tunnelMarks.clear();
  return state;
}

template <class K>
class Contract : public testing::Test {};
using Kernels = testing::Types<ModelKernel, RealKernel>;
TYPED_TEST_SUITE(Contract, Kernels);

TYPED_TEST(Contract, WhatIsCommittedIsWhatIsObserved) {
  TypeParam kernel;
  const std::string foreign = foreignState();
  Choice choice{42};
  for (int step = 0; step < 300; ++step) {
    const Config config = randomConfiguration(choice);
    const auto before = kernel->observe(config.numbers);
    ASSERT_TRUE(before) << before.error().toString();
    const State desired = randomDesire(config, before->world, choice);
    const Plan plan = diff(desired, before->observed);
    const CommitReport report = kernel->commit(plan, config.numbers);
    ASSERT_TRUE(report.ok()) << "step " << step << ": " << report.failed.front().status.error().toString();
    const auto after = kernel->observe(config.numbers);
    ASSERT_TRUE(after) << after.error().toString();
    ASSERT_EQ(after->observed, desired) << "step " << step;
  }
  const CommitReport flushed = kernel->commit(diff(State{}, kernel->observe({})->observed), {});
  EXPECT_TRUE(flushed.ok());
  EXPECT_EQ(kernel->observe({})->observed, State{});
  EXPECT_EQ(foreignState(), foreign);
}

/// A plan that is interrupted after its n-th change, for all n, is completed by the next look and plan.
TYPED_TEST(Contract, ABrokenOffPlanIsCompletedByTheNext) {
  TypeParam kernel;
  Choice choice{7};
  const Picture empty = *kernel->observe({});
  const State desired = randomDesire({}, empty.world, choice);
  const Plan whole = diff(desired, empty.observed);
  for (std::size_t length = 0; length <= whole.changes.size(); ++length) {
    Plan part;
    part.changes.assign(whole.changes.begin(), whole.changes.begin() + static_cast<std::ptrdiff_t>(length));
    ASSERT_TRUE(kernel->commit(part, {}).ok());
    const Picture between = *kernel->observe({});
    ASSERT_TRUE(kernel->commit(diff(desired, between.observed), {}).ok()) << "after " << length;
    ASSERT_EQ(kernel->observe({})->observed, desired) << "after " << length;
    ASSERT_TRUE(kernel->commit(diff(State{}, desired), {}).ok());
  }
}

TYPED_TEST(Contract, AddingWhatIsThereIsAnErrorAndDeletingWhatIsGoneIsNot) {
  TypeParam kernel;
  const IfIndex wan = kernel->observe({})->world.linkNamed("wan0")->index;
  Route added = route("0.0.0.0/0", wan, "10.10.0.1", 1);
  added.table = TableId{kWanTableBase + 1};
  added.protocol = kProtocol;
  added.hops.front().onlink = true;
  ASSERT_TRUE(kernel->commit({{AddRoute{added}}}, {}).ok());
  const CommitReport again = kernel->commit({{AddRoute{added}}}, {});
  ASSERT_EQ(again.failed.size(), 1U);
  EXPECT_EQ(again.failed.front().status.error().kind, ErrorKind::alreadyThere);
  Route other = added;
  other.hops.front().gateway = Address::v4(10, 10, 0, 2);
  EXPECT_TRUE(kernel->commit({{AddRoute{other, true}}}, {}).ok());
  EXPECT_EQ(kernel->observe({})->observed.routes, std::set<Route>{other});
  EXPECT_TRUE(kernel->commit({{DeleteRoute{other}, DeleteRoute{other}}}, {}).ok());
  Route nowhere = added;
  nowhere.hops.front().device = IfIndex{4242};
  const CommitReport failed = kernel->commit({{AddRoute{nowhere}}}, {});
  ASSERT_EQ(failed.failed.size(), 1U);
  EXPECT_EQ(failed.failed.front().status.error().kind, ErrorKind::notThere);
}

/// A refused change is not among those that were made, whatever its position; the others are made.
TYPED_TEST(Contract, WhatLiesReadyIsMadeButForWhatIsRefused) {
  TypeParam kernel;
  const IfIndex wan = kernel->observe({})->world.linkNamed("wan0")->index;
  const auto routeBy = [&](std::uint32_t metric) {
    Route made = route("0.0.0.0/0", wan, "10.10.0.1", metric);
    made.table = TableId{kPolicyTableBase + 15};
    made.protocol = kProtocol;
    made.hops.front().onlink = true;
    return made;
  };
  Route nowhere = routeBy(3);
  nowhere.hops.front().device = IfIndex{4242};
  const std::vector<Change> refused{AddRoute{nowhere}};
  const std::vector<Change> writes{AddRoute{routeBy(1)}, AddRoute{routeBy(2)}, DeleteRoute{routeBy(1)},
                                   DeleteRoute{routeBy(1)}};
  for (std::size_t place = 0; place <= writes.size(); ++place) {
    std::vector<Change> all = writes;
    all.insert(all.begin() + static_cast<std::ptrdiff_t>(place), refused.front());
    kernel->prepare({{}, all, writes});
    EXPECT_EQ(kernel->commitPrepared(1), writes) << "refused at " << place;
    EXPECT_EQ(kernel->observe({})->observed.routes, std::set<Route>{routeBy(2)});
    ASSERT_TRUE(kernel->commit({{DeleteRoute{routeBy(2)}}}, {}).ok());
    EXPECT_EQ(kernel->commitPrepared(2), writes) << "and again, by another of those that lie ready";
    ASSERT_TRUE(kernel->commit({{DeleteRoute{routeBy(2)}}}, {}).ok());
  }
}

/// The address as the kernel has it.
InterfaceAddress ownIn(Kernel& kernel, const OwnAddress& own) {
  const World world = kernel.observe({})->world;
  const auto found = std::ranges::find(world.addresses, own, ownAddress);
  EXPECT_NE(found, world.addresses.end()) << own.address.toString();
  return found == world.addresses.end() ? InterfaceAddress{} : *found;
}

/// Lifetimes of every kind, and all that is easily lost when an address is written: its flags, its peer, its protocol,
/// and the metric and the end of its route.
TYPED_TEST(Contract, AnAddressIsDeprecatedAndAsBeforeAgain) {
  TypeParam kernel;
  const Picture picture = *kernel->observe({});
  std::vector<InterfaceAddress> before;
  for (const InterfaceAddress& own : picture.world.addressesOf(picture.world.linkNamed("lan0")->index))
    if (own.address.family() == Family::v6 && !own.address.isLinkLocal()) before.push_back(own);
  ASSERT_EQ(before.size(), 5U);
  const std::string routes = foreignState();
  for (const InterfaceAddress& own : before) {
    const OwnAddress which = ownAddress(own);
    const SetDeprecated done{which, own.lifetimes.preferred, true};
    ASSERT_FALSE(own.deprecated);
    for (int again = 0; again < 2; ++again) {
      ASSERT_TRUE(kernel->commit({{done}}, {}).ok());
      EXPECT_TRUE(ownIn(*kernel, which).deprecated);
    }
    const InterfaceAddress then = ownIn(*kernel, which);
    EXPECT_NE(then.lifetimes.written, own.lifetimes.written);
    InterfaceAddress expected = own;
    expected.deprecated = true;
    EXPECT_EQ(then, expected) << own.address.toString();
    EXPECT_EQ(foreignState(), routes);
    SetDeprecated undone = done;
    undone.on = false;
    for (int again = 0; again < 2; ++again) {
      ASSERT_TRUE(kernel->commit({{undone}}, {}).ok());
      EXPECT_EQ(ownIn(*kernel, which), own);
    }
    // A point in time is known to the second.
    EXPECT_NEAR(ownIn(*kernel, which).lifetimes.preferred.until, own.lifetimes.preferred.until, 1)
        << own.address.toString();
    EXPECT_EQ(foreignState(), routes);
  }
}

TYPED_TEST(Contract, AnAddressThatIsGoneCannotBeDeprecatedAndNeedNotBePutBack) {
  TypeParam kernel;
  const IfIndex lan = kernel->observe({})->world.linkNamed("lan0")->index;
  const SetDeprecated done{{lan, *Address::parse("2001:db8:50::99"), 64}, {}, true};
  const CommitReport report = kernel->commit({{done}}, {});
  ASSERT_EQ(report.failed.size(), 1U);
  EXPECT_EQ(report.failed.front().status.error().kind, ErrorKind::notThere);
  SetDeprecated undone = done;
  undone.on = false;
  EXPECT_TRUE(kernel->commit({{undone}}, {}).ok());
  undone.own.device = IfIndex{4242};
  EXPECT_TRUE(kernel->commit({{undone}}, {}).ok());
}

/// Through the whole way, with a table that records it: from whatever point, the next look knows what is ours.
TYPED_TEST(Contract, WhatIsDeprecatedIsRecordedAndFound) {
  TypeParam kernel;
  Config config;
  config.wans = {wan("w0", "wan0", 1), wan("w1", "wan1", 2)};
  config.wans[0].prefixes = {*Prefix::parse("2001:db8:50::/48")};
  config.wans[0].deprecate = true;
  Picture picture = *kernel->observe({});
  const auto converge = [&](bool dead) {
    WansDown down;
    if (dead) down.emplace("w0", WanDown{"silent"});
    for (int round = 0; round < 3; ++round) {
      picture.world.wansDown = down;
      const State wanted = desire(config, picture.world);
      const Plan plan = diff(wanted, picture.observed);
      if (plan.empty()) return round;
      EXPECT_TRUE(kernel->commit(plan, {}).ok());
      picture = *kernel->observe({});
    }
    return 3;
  };
  EXPECT_EQ(converge(false), 1);
  EXPECT_TRUE(picture.observed.deprecated.empty());
  EXPECT_EQ(converge(true), 2) << "the second time, the record says when it was";
  EXPECT_EQ(picture.observed.deprecated.size(), 5U);
  for (const auto& [address, record] : picture.observed.nft->table.deprecated) EXPECT_NE(record.written, 0U);
  EXPECT_EQ(converge(true), 0);
  EXPECT_EQ(converge(false), 1);
  EXPECT_TRUE(picture.observed.deprecated.empty());
  EXPECT_TRUE(picture.observed.nft->table.deprecated.empty());
  EXPECT_EQ(converge(true), 2);
  ASSERT_TRUE(kernel->commit(diff(State{}, picture.observed), {}).ok());
  picture = *kernel->observe({});
  EXPECT_EQ(picture.observed, State{});
  for (const InterfaceAddress& own : picture.world.addresses) EXPECT_FALSE(own.deprecated) << own.address.toString();
}

TYPED_TEST(Contract, NoMarkIsSetWithoutItsRule) {
  TypeParam kernel;
  Rule rule;
  rule.priority = 70;
  rule.mark = Numbers{}.mark(Slot{15});
  rule.table = Numbers{}.policyTable(Slot{15});
  rule.protocol = kProtocol;
  Plan plan{{SetTunnelMark{"wg0", Mark{0xf0000000}}}};
  plan.heldBack = {AddRule{rule}};
  const CommitReport report = kernel->commit(plan, {});
  EXPECT_FALSE(report.ok());
  EXPECT_EQ(report.done, 0U);
  EXPECT_TRUE(report.failed.empty()) << "it was not even tried";
}

/// Each change of a plan in turn is held back, as after a refusal: the reported changes are in the kernel, nothing that
/// relies on the missing one is, and the next plan completes it. Model and kernel agree, since both are tested against
/// the same expectations.
TYPED_TEST(Contract, WhateverIsHeldBackTheRestIsMadeAndTold) {
  TypeParam kernel;
  Choice choice{19};
  const Picture empty = *kernel->observe({});
  const State desired = randomDesire({}, empty.world, choice);
  const Plan whole = diff(desired, empty.observed);
  for (std::size_t victim = 0; victim < whole.changes.size(); ++victim) {
    Plan plan = whole;
    plan.heldBack = {plan.changes[victim]};
    plan.changes.erase(plan.changes.begin() + static_cast<std::ptrdiff_t>(victim));
    const CommitReport report = kernel->commit(plan, {});
    ASSERT_TRUE(report.failed.empty()) << report.failed.front().status.error().toString();
    ASSERT_FALSE(report.ok());
    State told;
    for (const Change& change : report.made) apply(told, change);
    const State seen = kernel->observe({})->observed;
    ASSERT_EQ(told, seen) << "without change " << victim;
    ASSERT_TRUE(kernel->commit(diff(desired, seen), {}).ok()) << "without change " << victim;
    ASSERT_EQ(kernel->observe({})->observed, desired);
    ASSERT_TRUE(kernel->commit(diff(State{}, desired), {}).ok());
  }
}

TYPED_TEST(Contract, AFailureCostsWhatReliesOnItAlone) {
  TypeParam kernel;
  Route nowhere = route("0.0.0.0/0", IfIndex{4242}, "10.10.0.1", 1);
  nowhere.table = TableId{kWanTableBase + 1};
  nowhere.protocol = kProtocol;
  Route closing = route("0.0.0.0/0", IfIndex{}, "", kClosingMetric);
  closing.hops.clear();
  closing.type = RouteType::unreachable;
  closing.table = nowhere.table;
  closing.protocol = kProtocol;
  Rule rule;
  rule.priority = 70;
  rule.mark = Numbers{}.mark(Slot{1});
  rule.table = nowhere.table;
  rule.inputInterface = "lo";
  rule.protocol = kProtocol;
  const CommitReport report = kernel->commit({{AddRoute{nowhere}, AddRoute{closing}, AddRule{rule}}}, {});
  ASSERT_EQ(report.failed.size(), 1U);
  EXPECT_EQ(report.made, (std::vector<Change>{AddRoute{closing}, AddRule{rule}}));
  const State seen = kernel->observe({})->observed;
  EXPECT_EQ(seen.rules, std::set<Rule>{rule});
  ASSERT_TRUE(kernel->commit(diff(State{}, seen), {}).ok());
}

using Counts = std::map<std::uint32_t, std::size_t>;

TYPED_TEST(Contract, ConnectionsAreForgottenByTheirMarkInBothFamilies) {
  TypeParam kernel;
  const std::uint32_t mask = 0xff000000;
  EXPECT_EQ(kernel->connectionsByMark(0xffffffff).value(), Counts{});
  EXPECT_TRUE(kernel->forgetConnections({0x11000000, mask})) << "there are none";
  for (const Family family : kFamilies) {
    kernel.connect(family, Mark{0x11000000}, 1);
    kernel.connect(family, Mark{0x11003f07}, 2);
    kernel.connect(family, Mark{0x12003f07}, 3);
    kernel.connect(family, Mark{0x00000011}, 4);
    kernel.connect(family, Mark{0}, 5);
  }
  EXPECT_EQ(kernel->connectionsByMark(mask).value(), (Counts{{0x11000000, 4}, {0x12000000, 2}}));
  EXPECT_TRUE(kernel->forgetConnections({0x11000000, mask}));
  EXPECT_EQ(kernel->connectionsByMark(0xffffffff).value(), (Counts{{0x12003f07, 2}, {0x11, 2}}))
      << "bits outside the mask neither match nor protect";
  EXPECT_TRUE(kernel->forgetConnections({0x13000000, mask})) << "there are others only";
  EXPECT_TRUE(kernel->forgetConnections({0x12000000, mask}));
  EXPECT_EQ(kernel->connectionsByMark(mask).value(), Counts{});
  EXPECT_TRUE(kernel->forgetConnections({0x11, 0xff}));
}

TYPED_TEST(Contract, ConnectionsAreForgottenInOneFamilyAlone) {
  TypeParam kernel;
  for (const Family family : kFamilies) kernel.connect(family, Mark{0x11000000}, 1);
  EXPECT_TRUE(kernel->forgetConnections({0x11000000, 0xff000000}, Family::v6));
  EXPECT_EQ(kernel->connectionsByMark(0xffffffff).value(), (Counts{{0x11000000, 1}}));
  EXPECT_TRUE(kernel->forgetConnections({0x11000000, 0xff000000}, Family::v6)) << "there are others only";
  EXPECT_EQ(kernel->connectionsByMark(0xffffffff).value(), (Counts{{0x11000000, 1}}));
  EXPECT_TRUE(kernel->forgetConnections({0x11000000, 0xff000000}, Family::v4));
  EXPECT_EQ(kernel->connectionsByMark(0xffffffff).value(), Counts{});
}

TYPED_TEST(Contract, ConnectionsThatWereNeverAnsweredAreForgotten) {
  TypeParam kernel;
  const MarkMatch mark{0x11000000, 0xff000000};
  EXPECT_EQ(kernel->forgetUnanswered(mark, Family::v4), 0U) << "there are none";
  for (const Family family : kFamilies) {
    kernel.connect(family, Mark{0x11000001}, 1);
    kernel.connect(family, Mark{0x11000002}, 2, true);
    kernel.connect(family, Mark{0x12000003}, 3);
  }
  EXPECT_EQ(kernel->forgetUnanswered(mark, Family::v6), 1U);
  EXPECT_EQ(kernel->connectionsByMark(0xff).value(), (Counts{{1, 1}, {2, 2}, {3, 2}}));
  EXPECT_EQ(kernel->forgetUnanswered(mark, Family::v4), 1U);
  EXPECT_EQ(kernel->connectionsByMark(0xff).value(), (Counts{{2, 2}, {3, 2}}));
  EXPECT_TRUE(kernel->forgetConnections({0x11000000, 0xff000000}));
  EXPECT_TRUE(kernel->forgetConnections({0x12000000, 0xff000000}));
}

/// The kernel's time goes on by itself, so the looks are moved apart by the times that the entries are given.
TYPED_TEST(Contract, ConnectionsThatAreIdleAreForgotten) {
  TypeParam kernel;
  const MarkMatch mark{0x11000000, 0xff000000};
  IdleWatch watch{std::chrono::seconds{30}};
  const auto look = [&](int seconds) {
    return kernel->forgetIdle(mark, Family::v4, watch, std::chrono::seconds{seconds}).value();
  };
  EXPECT_EQ(look(0), Drained{}) << "there are none";
  for (const Family family : kFamilies) {
    kernel.connect(family, Mark{0x11000001}, 1);
    kernel.connect(family, Mark{0x11000002}, 2);
    kernel.connect(family, Mark{0x12000003}, 3);
  }
  EXPECT_EQ(look(1000), (Drained{.forgotten = 0, .left = 2}));
  kernel.connect(Family::v4, Mark{0x11000001}, 1, false, 560);
  kernel.connect(Family::v4, Mark{0x11000002}, 2, false, 600);
  EXPECT_EQ(look(1040), (Drained{.forgotten = 1, .left = 1})) << "a packet sets the time anew";
  EXPECT_EQ(kernel->connectionsByMark(0xff).value(), (Counts{{1, 1}, {2, 2}, {3, 2}}));
  EXPECT_TRUE(kernel->forgetConnections({0x11000000, 0xff000000}));
  EXPECT_TRUE(kernel->forgetConnections({0x12000000, 0xff000000}));
}

TYPED_TEST(Contract, ConnectionsWithAWrongTranslationAreForgotten) {
  TypeParam kernel;
  const std::uint32_t mask = 0xff000000;
  // Not the numbers of others: an entry that exists cannot be given a translation.
  for (const bool v4 : {true, false}) {
    const Family family = v4 ? Family::v4 : Family::v6;
    const Address right = *Address::parse(v4 ? "198.51.100.10" : "2001:db8:20::10");
    const Address wrong = *Address::parse(v4 ? "192.0.2.99" : "2001:db8:10::99");
    const std::map<Mark, std::set<Address>> wrongSources{{Mark{0x11000000}, {wrong}}};
    EXPECT_EQ(kernel->forgetTranslatedTo(mask, wrongSources), 0U) << "there are none";
    kernel.connect(family, Mark{0x11000001}, 11, true, 600, wrong);
    kernel.connect(family, Mark{0x11000002}, 12, true, 600, right);
    kernel.connect(family, Mark{0x11000003}, 13, true);
    kernel.connect(family, Mark{0x12000004}, 14, true, 600, wrong);
    kernel.connect(family, Mark{0x00000005}, 15, true, 600, wrong);
    EXPECT_EQ(kernel->forgetTranslatedTo(mask, {}), 0U);
    EXPECT_EQ(kernel->forgetTranslatedTo(mask, wrongSources), 1U);
    EXPECT_EQ(kernel->connectionsByMark(0xff).value(), (Counts{{2, 1}, {3, 1}, {4, 1}, {5, 1}}));
    for (const std::uint32_t left : {2U, 3U, 4U, 5U}) EXPECT_TRUE(kernel->forgetConnections({left, 0xff}));
  }
}

TYPED_TEST(Contract, ConnectionsLoseTheirMarksButNotThoseOfOthers) {
  TypeParam kernel;
  const MarkMatch marks{0x40000000, 0xc0000000};
  EXPECT_EQ(kernel->unmarkConnections(marks, 0xff000000), 0U) << "there are none";
  for (const Family family : kFamilies) {
    kernel.connect(family, Mark{0x41003f01}, 1);
    kernel.connect(family, Mark{0x45000002}, 2, true);
    kernel.connect(family, Mark{0x82000003}, 3);
    kernel.connect(family, Mark{0x00003f04}, 4);
  }
  EXPECT_EQ(kernel->unmarkConnections(marks, 0xff000000), 4U);
  EXPECT_EQ(kernel->connectionsByMark(0xffffffff).value(),
            (Counts{{0x3f01, 2}, {0x2, 2}, {0x82000003, 2}, {0x3f04, 2}}));
  EXPECT_EQ(kernel->unmarkConnections(marks, 0xff000000), 0U);
  EXPECT_FALSE(kernel->unmarkConnections({0, 0xc0000000}, 0xff000000));
  for (const std::uint32_t left : {1U, 2U, 3U, 4U}) EXPECT_TRUE(kernel->forgetConnections({left, 0xff}));
}

TYPED_TEST(Contract, ConnectionsWithoutAMarkAreNeverForgotten) {
  TypeParam kernel;
  kernel.connect(Family::v4, Mark{0x11000000}, 1);
  kernel.connect(Family::v4, Mark{0x11}, 2);
  for (const MarkMatch refused : {MarkMatch{0, 0}, MarkMatch{0, 0xff000000}, MarkMatch{0x11000000, 0}}) {
    const Status done = kernel->forgetConnections(refused);
    ASSERT_FALSE(done) << refused.toString();
    EXPECT_EQ(done.error().kind, ErrorKind::refused);
    EXPECT_FALSE(kernel->forgetUnanswered(refused, Family::v4));
    IdleWatch watch{std::chrono::seconds{0}};
    EXPECT_FALSE(kernel->forgetIdle(refused, Family::v4, watch, {}));
  }
  EXPECT_EQ(kernel->connectionsByMark(0xffffffff).value(), (Counts{{0x11000000, 1}, {0x11, 1}}));
  EXPECT_EQ(kernel->connectionsByMark(0).value(), Counts{});
  EXPECT_TRUE(kernel->forgetConnections({0x11000000, 0xff000000}));
  EXPECT_TRUE(kernel->forgetConnections({0x11, 0xff}));
}

/// The simulator agrees with the kernel: every marked packet is also looked up in the real FIB.
TEST(RealFib, TheSimulatorAgreesAndNoMarkedPacketEntersTheTunnel) {
  RealKernel kernel;
  Choice choice{11};
  for (int step = 0; step < 60; ++step) {
    const Config config = randomConfiguration(choice);
    Picture picture = *kernel->observe(config.numbers, {.allRoutes = true});
    const State desired = randomDesire(config, picture.world, choice);
    ASSERT_TRUE(kernel->commit(diff(desired, picture.observed), config.numbers).ok());
    picture = *kernel->observe(config.numbers, {.allRoutes = true});
    for (const Rule& rule : desired.rules) {
      if (rule.source) continue;
      const char* destination = rule.family == Family::v4 ? "203.0.113.1" : "2001:db8:ffff::1";
      const Packet packet{
          .destination = {*Address::parse(destination), 0}, .mark = Mark{rule.mark.value}, .source = {}};
      const Walk walk = explain(desired, picture.world, packet);
      const auto found = kernel.kernel->lookup(packet);
      ASSERT_EQ(found.has_value(), walk.outcome == Outcome::device || walk.outcome == Outcome::loop)
          << "step " << step << " mark " << hex(packet.mark.value);
      if (!found) continue;
      const bool balanced = walk.route->hops.size() > 1;
      if (!balanced) {
        EXPECT_EQ(picture.world.link(found->device)->name, walk.device) << "step " << step;
      }
      const bool lastResortMain = walk.route->table == kMainTable;
      if (!lastResortMain) {
        EXPECT_NE(picture.world.link(found->device)->name, "wg0") << "step " << step;
      }
    }
  }
  ASSERT_TRUE(kernel->commit(diff(State{}, kernel->observe({})->observed), {}).ok());
}

TEST(RealEvents, OthersChangesAreHeardAndOurOwnAreNot) {
  RealKernel kernel;
  ASSERT_TRUE(kernel->subscribe());
  Picture picture = *kernel->observe({});
  Choice choice{3};
  const State desired = randomDesire({}, picture.world, choice);
  ASSERT_TRUE(kernel->commit(diff(desired, picture.observed), {}).ok());
  std::string own;
  kernel->drain([&](const Event& event) {
    // The folders of user-space tunnels' sockets are those of the machine, where other programs may be at work.
    const bool maybeOthers = std::holds_alternative<TunnelsChanged>(event);
    if (!maybeOthers && !std::holds_alternative<SysctlsChanged>(event))
      own += describe(event, deviceNames(picture.world)) + "\n";
  });
  EXPECT_EQ(own, "") << "echoes of our own changes";
  const Rule victim = *desired.rules.begin();
  shell("ip rule del priority " + std::to_string(victim.priority) + " fwmark " + victim.mark.toString());
  bool heard = false;
  kernel->drain([&](const Event& event) {
    const auto* gone = std::get_if<RuleGone>(&event);
    heard |= gone != nullptr && gone->rule == victim;
  });
  EXPECT_TRUE(heard);
  ASSERT_TRUE(kernel->commit(diff(State{}, kernel->observe({})->observed), {}).ok());
}

}  // namespace
}  // namespace wgsteer

int main(int argc, char** argv) { return wgsteer::test::runInOwnNetwork(argc, argv, wgsteer::buildTopology); }
