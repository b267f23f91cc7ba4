// SPDX-License-Identifier: GPL-2.0-or-later
// track() models what the real kernel does without announcing it: after each command, the picture built from events
// equals the one from reading everything.
#include "wgsteer/core/untold.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include "kernel/linux_kernel.hpp"
#include "support/netns.hpp"

namespace wgsteer::kernel {
namespace {

using wgsteer::test::indexOf;
using wgsteer::test::shell;

class Untold : public wgsteer::test::OwnNetwork {
 protected:
  void SetUp() override {
    OwnNetwork::SetUp();
    for (const char* device : {"wan0", "wan1"}) wgsteer::test::addVethPair(device, std::string{device} + "p");
    shell(
        "ip link set lo up; ip address add 192.0.2.2/24 dev wan0; ip address add 198.51.100.2/24 dev wan1;"
        "ip -6 address add 2001:db8:a::2/64 dev wan0 nodad; ip -6 address add 2001:db8:b::2/64 dev wan1 nodad");
    auto opened = LinuxKernel::open();
    ASSERT_TRUE(opened) << opened.error().toString();
    kernel_ = std::move(*opened);
    ASSERT_TRUE(kernel_->subscribe());
    ASSERT_TRUE(kernel_->listen({.uplinks = {indexOf("wan0"), indexOf("wan1")}}));
    auto seen = kernel_->observe({});
    ASSERT_TRUE(seen) << seen.error().toString();
    picture_ = std::move(*seen);
  }

  void hear() {
    kernel_->drain([&](const Event& event) { track(picture_, event); });
  }
  /// Runs the command, and expects no unannounced changes. Links may be announced later (linkwatch).
  void expectAllTold(const std::string& command) {
    shell(command);
    std::string difference;
    for (int i = 0; i < 100; ++i) {
      hear();
      Picture seen;
      ASSERT_TRUE(kernel_->refresh(seen, {}, {.network = true}));
      difference = untold(picture_, seen).value_or("");
      if (difference.empty()) return;
      pollfd waits{.fd = kernel_->descriptors().front(), .events = POLLIN, .revents = 0};
      ::poll(&waits, 1, 50);
    }
    ADD_FAILURE() << command << ": " << difference;
  }
  std::string parked() const {
    std::string text;
    for (const Route& route : picture_.world.parked) text += "[" + describe(route, deviceNames(picture_.world)) + "]";
    return text;
  }

  Picture picture_;
  std::unique_ptr<LinuxKernel> kernel_;
};

constexpr const char* kBoth =
    "ip route add default nexthop via 192.0.2.1 dev wan0 nexthop via 198.51.100.1 dev wan1 weight 3;"
    "ip route add 10.0.0.0/8 nexthop via 192.0.2.1 dev wan0 nexthop via 198.51.100.1 dev wan1";

TEST_F(Untold, SeveralHopsLoseOneLinkAfterTheOther) {
  expectAllTold(kBoth);
  expectAllTold("ip link set wan0 down");
  EXPECT_EQ(parked(), "") << "the other hop lives";
  expectAllTold("ip link set wan1 down");
  EXPECT_NE(parked(), "");
  expectAllTold("ip link set wan0 up; ip link set wan1 up");
}

TEST_F(Untold, SeveralHopsLoseADevice) {
  expectAllTold(kBoth);
  expectAllTold("ip link del wan0");
  EXPECT_EQ(parked(), "[default via 198.51.100.1 dev wan1 table main metric 0 proto 3]");
  expectAllTold("ip route add default via 198.51.100.9 dev wan1 metric 50");
  EXPECT_EQ(parked(), "") << "a real one is there";
}

TEST_F(Untold, SeveralHopsOfIpv6LoseADevice) {
  expectAllTold(
      "ip -6 route add default nexthop via 2001:db8:a::1 dev wan0 nexthop via 2001:db8:b::1 dev wan1;"
      "ip -6 route add 2001:db8:c::/48 via 2001:db8:a::7 dev wan0");
  // The announcement does not say what is left, so that is queried.
  shell("ip link del wan0");
  Tracked all;
  kernel_->drain([&](const Event& event) { all.stale |= track(picture_, event).stale; });
  if (all.stale.rtnetlink) {
    ASSERT_TRUE(kernel_->refresh(picture_, {}, {.network = true}));
  }
  expectAllTold("true");
  EXPECT_EQ(picture_.world.routes.begin()->family(), Family::v4);
}

TEST_F(Untold, SeveralHopsLoseTheLastAddress) {
  expectAllTold(kBoth);
  expectAllTold("ip address del 192.0.2.2/24 dev wan0");
  expectAllTold("ip address del 198.51.100.2/24 dev wan1");
}

TEST_F(Untold, PreferredSourcesGo) {
  expectAllTold(
      "ip address add 192.0.2.5/24 dev wan0; ip -6 address add 2001:db8:a::5/64 dev wan0 nodad;"
      "ip route add 10.0.0.0/8 via 192.0.2.1 src 192.0.2.5; ip route add default via 192.0.2.1 src 192.0.2.5 table 2;"
      "ip -6 route add 2001:db8:c::/48 via 2001:db8:a::1 src 2001:db8:a::5;"
      "ip -6 route add default via 2001:db8:a::1 src 2001:db8:a::5 table 2");
  expectAllTold("ip address del 192.0.2.5/24 dev wan0; ip -6 address del 2001:db8:a::5/64 dev wan0");
}

TEST_F(Untold, MetricsAndTypesOfService) {
  expectAllTold(
      "ip route add default via 192.0.2.1 mtu lock 1400 advmss 1360; ip route add default via 192.0.2.7 tos 0x10;"
      "ip -6 route add default via 2001:db8:a::1 mtu 1380");
  std::string text;
  forEachDefault(picture_.world.routes, Family::v4,
                 [&](const Route& route) { text += describe(route, deviceNames(picture_.world)); });
  EXPECT_EQ(text, "default via 192.0.2.1 dev wan0 table main metric 0 proto 3 mtu lock 1400 advmss 1360");
}

TEST_F(Untold, RulesOfOthers) {
  expectAllTold(
      "ip rule add priority 69 not fwmark 0/0xf0000000 lookup 77; ip rule add priority 1000 l3mdev;"
      "ip rule add priority 900 lookup main suppress_ifgroup 5; ip -6 rule add priority 31000 fwmark 1/1 lookup main "
      "protocol 87");
  bool inverted = false;
  bool l3mdev = false;
  bool group = false;
  for (const Rule& rule : picture_.world.rules) {
    inverted |= rule.invert && rule.mark == MarkMatch{0, 0xf0000000};
    l3mdev |= rule.l3mdev && rule.otherSelector;
    group |= rule.suppressGroup == 5;
  }
  EXPECT_TRUE(inverted && l3mdev && group);
  EXPECT_TRUE(picture_.observed.rules.empty()) << "a stranger's with our protocol";
  expectAllTold("ip rule del priority 69; ip rule del priority 1000; ip rule del priority 900");
}

/// With and without the hops in announcements of routes with an object: net.ipv4.nexthop_compat_mode.
class UntoldNexthops : public Untold, public ::testing::WithParamInterface<int> {
 protected:
  void SetUp() override {
    Untold::SetUp();
    shell("sysctl -qw net.ipv4.nexthop_compat_mode=" + std::to_string(GetParam()));
    expectAllTold(
        "ip nexthop add id 7 via 192.0.2.1 dev wan0; ip nexthop add id 8 via 198.51.100.1 dev wan1;"
        "ip nexthop add id 9 group 7/8,2; ip nexthop add id 17 via 2001:db8:a::1 dev wan0;"
        "ip nexthop add id 20 blackhole; ip nexthop add id 21 via 2001:db8:a::1 dev wan0;"
        "ip route add default nhid 7 metric 5; ip route add default nhid 9 metric 6; ip route add 10.8.0.0/16 nhid 9;"
        "ip route add 10.9.0.0/16 nhid 20; ip route add 10.10.0.0/16 nhid 21; ip -6 route add default nhid 17");
  }
  std::string defaults() const {
    std::string text;
    forEachDefault(picture_.world.routes, Family::v4, [&](const Route& route) {
      for (const NextHop& hop : route.hops)
        text += (hop.gateway ? hop.gateway->toString() : "-") + "*" + std::to_string(hop.weight) + " ";
    });
    return text;
  }
};

TEST_P(UntoldNexthops, AreSeenThrough) { EXPECT_EQ(defaults(), "192.0.2.1*1 192.0.2.1*1 198.51.100.1*2 "); }

TEST_P(UntoldNexthops, ObjectIsAnotherOne) {
  expectAllTold("ip nexthop replace id 7 via 192.0.2.254 dev wan0");
  EXPECT_EQ(defaults(), "192.0.2.254*1 192.0.2.254*1 198.51.100.1*2 ");
  expectAllTold("ip route replace default nhid 8 metric 5");
  expectAllTold("ip nexthop replace id 9 group 8");
  EXPECT_EQ(defaults(), "198.51.100.1*1 198.51.100.1*1 ");
}

TEST_P(UntoldNexthops, ObjectIsDeleted) {
  expectAllTold("ip nexthop del id 7");
  EXPECT_EQ(defaults(), "198.51.100.1*1 ");
  expectAllTold("ip nexthop del id 8");
  EXPECT_EQ(defaults(), "");
  EXPECT_EQ(parked(), "") << "somebody wanted it so";
  expectAllTold("ip nexthop flush");
}

TEST_P(UntoldNexthops, LinkTakesItsObjects) {
  expectAllTold("ip link set wan0p down");
  EXPECT_EQ(defaults(), "198.51.100.1*1 ");
  EXPECT_NE(parked().find("default via 192.0.2.1 dev wan0"), std::string::npos) << parked();
  expectAllTold("ip link set wan1 down");
  EXPECT_EQ(defaults(), "");
  expectAllTold("ip link set wan0p up; ip link set wan1 up");
}

TEST_P(UntoldNexthops, DeviceTakesItsObjects) { expectAllTold("ip link del wan1"); }

INSTANTIATE_TEST_SUITE_P(CompatMode, UntoldNexthops, ::testing::Values(0, 1),
                         [](const auto& tested) { return tested.param == 0 ? "off" : "on"; });

}  // namespace
}  // namespace wgsteer::kernel
