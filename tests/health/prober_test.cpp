// SPDX-License-Identifier: GPL-2.0-or-later
// Rounds with the answers that a kernel gives, and what the network does to them.
#include "health/prober.hpp"

#include <arpa/inet.h>
#include <fstream>
#include <gtest/gtest.h>

#include "peer_network.hpp"
#include "support/targets.hpp"

namespace wgsteer::health::test {
namespace {

constexpr Mark kMark{0x30000000};

std::string answered(const std::vector<TargetRound>& results) {
  std::string text;
  for (const TargetRound& result : results)
    text += (text.empty() ? "" : " ") + std::to_string(result.answered) + "/" + std::to_string(result.sent);
  return text;
}

void allowPingSockets(bool allowed) {
  std::ofstream{"/proc/sys/net/ipv4/ping_group_range"} << (allowed ? "0 2147483647" : "1 0");
}

class Probes : public wgsteer::test::OwnNetwork {
 protected:
  void SetUp() override {
    OwnNetwork::SetUp();
    peer_.emplace();
  }
  static WanConfig wan(TrackMethod method, const std::vector<std::string>& targets, double timeout = 5) {
    WanConfig made{
        .name = "fiber", .device = "wan0", .trackIp = wgsteer::test::targets(targets), .trackMethod = method};
    made.timeout = fromSeconds(timeout);
    return made;
  }
  static Prober prober(const WanConfig& wan) {
    auto made = Prober::create(wan, kMark);
    EXPECT_TRUE(made);
    return std::move(*made);
  }
  /// Drops what arrives there, if the rule matches.
  void drop(const std::string& rule) const {
    peer_->shell(
        "nft 'add table inet t; add chain inet t in { type filter hook input priority 0; }; add rule inet t in " +
        rule + "'");
  }
  std::optional<PeerNetwork> peer_;
};

class Icmp : public Probes, public ::testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    Probes::SetUp();
    allowPingSockets(GetParam());
  }
};

TEST_P(Icmp, BothFamiliesAreAnswered) {
  peer_->addWan("wan0", 10);
  Prober probes = prober(wan(TrackMethod::icmp, {"192.0.2.1", "2001:db8:2::1", "192.0.2.11"}));
  for (int round = 0; round < 3; ++round) {
    const auto results = probeOnce(probes);
    EXPECT_EQ(answered(results), "1/1 1/1 1/1") << probes.trouble();
    for (const TargetRound& result : results) {
      EXPECT_GT(result.latency.count(), 0);
      EXPECT_LT(result.latency, std::chrono::seconds{5});
    }
  }
  EXPECT_EQ(probes.trouble(), "");
  EXPECT_FALSE(probes.running());
}

TEST_P(Icmp, WhatIsDroppedIsLost) {
  peer_->addWan("wan0", 10);
  drop("ip daddr 192.0.2.11 drop; add rule inet t in ip6 daddr 2001:db8:2::11 drop");
  Prober probes = prober(wan(TrackMethod::icmp, {"192.0.2.1", "192.0.2.11", "2001:db8:2::11", "2001:db8:2::1"}, 1));
  const Instant before = os::monotonicNow();
  EXPECT_EQ(answered(probeOnce(probes)), "1/1 0/1 0/1 1/1");
  EXPECT_GE(os::monotonicNow() - before, std::chrono::seconds{1});
}

TEST_P(Icmp, CountsEachQuestion) {
  peer_->addWan("wan0", 10);
  drop("ip daddr 192.0.2.11 numgen inc mod 2 0 drop");
  WanConfig config = wan(TrackMethod::icmp, {"192.0.2.1", "192.0.2.11"}, 1);
  config.count = 4;
  Prober probes = prober(config);
  EXPECT_EQ(answered(probeOnce(probes)), "4/4 2/4");
}

TEST_P(Icmp, LargeOnesAreAnsweredAndDroppedWhereOnlySmallOnesPass) {
  peer_->addWan("wan0", 10);
  drop("ip length > 1000 drop; add rule inet t in ip6 length > 1000 drop");
  WanConfig config = wan(TrackMethod::icmp, {"192.0.2.1", "2001:db8:2::1"});
  config.size = 900;
  Prober small = prober(config);
  EXPECT_EQ(answered(probeOnce(small)), "1/1 1/1");
  config.size = 1100;
  config.timeout = std::chrono::milliseconds{200};
  Prober large = prober(config);
  EXPECT_EQ(answered(probeOnce(large)), "0/1 0/1");
}

TEST_P(Icmp, LeavesByItsDeviceWithItsMark) {
  peer_->addWan("wan0", 10);
  // What a tunnel would do: a better route to everything.
  wgsteer::test::shell(
      "ip link add tun0 type dummy; ip link set tun0 up; ip route add 192.0.2.1 dev tun0; ip route add default dev "
      "tun0;"
      "nft 'add table inet t; add chain inet t out { type filter hook output priority 0; };"
      "add rule inet t out oif wan0 meta mark 0x30000000 icmp type echo-request counter comment \"right\";"
      "add rule inet t out icmp type echo-request counter comment \"all\"'");
  Prober probes = prober(wan(TrackMethod::icmp, {"192.0.2.1"}));
  EXPECT_EQ(answered(probeOnce(probes)), "1/1");
  const std::string counters = wgsteer::test::shell("nft list chain inet t out");
  EXPECT_NE(counters.find("packets 1 bytes 84 comment \"right\""), std::string::npos) << counters;
  EXPECT_NE(counters.find("packets 1 bytes 84 comment \"all\""), std::string::npos) << counters;
}

TEST_P(Icmp, MaxTtlIsAsConfigured) {
  peer_->addWan("wan0", 10);
  drop("ip ttl 7 counter; add rule inet t in ip6 hoplimit 7 counter");
  WanConfig config = wan(TrackMethod::icmp, {"192.0.2.1", "2001:db8:2::1"});
  config.maxTtl = 7;
  Prober probes = prober(config);
  EXPECT_EQ(answered(probeOnce(probes)), "1/1 1/1");
  const std::string counters = peer_->shell("nft list chain inet t in");
  EXPECT_NE(counters.find("ip ttl 7 counter packets 1"), std::string::npos) << counters;
  EXPECT_NE(counters.find("ip6 hoplimit 7 counter packets 1"), std::string::npos) << counters;
}

TEST_P(Icmp, SurvivesADeviceThatVanishesAndComesBack) {
  Prober probes = prober(wan(TrackMethod::icmp, {"192.0.2.1", "2001:db8:2::1"}));
  EXPECT_EQ(answered(probeOnce(probes)), "0/1 0/1");
  EXPECT_EQ(probes.trouble(), "bind to device wan0: No such device");
  IfIndex last{};
  for (int i = 0; i < 2; ++i) {
    peer_->addWan("wan0", 10);
    EXPECT_NE(wgsteer::test::indexOf("wan0"), last);
    last = wgsteer::test::indexOf("wan0");
    EXPECT_EQ(answered(probeOnce(probes)), "1/1 1/1") << probes.trouble();
    EXPECT_EQ(probes.trouble(), "");
    probes.start();
    wgsteer::test::shell("ip link delete wan0");
    probes.start();
    EXPECT_EQ(answered(finishRound(probes)), "0/1 0/1");
  }
}

INSTANTIATE_TEST_SUITE_P(Sockets, Icmp, ::testing::Bool(),
                         [](const auto& each) { return each.param ? "Ping" : "Raw"; });

TEST_F(Probes, WhatCannotBeSentIsLostAtOnce) {
  peer_->addWan("wan0", 10);
  wgsteer::test::shell("ip link set wan0 down");
  for (const TrackMethod method : {TrackMethod::icmp, TrackMethod::dns, TrackMethod::tcp}) {
    Prober probes = prober(wan(method, {"198.51.100.1", "2001:db8:ffff::1"}, 60));
    EXPECT_EQ(answered(probeOnce(probes)), "0/1 0/1");
    EXPECT_NE(probes.trouble().find("unreachable"), std::string::npos) << probes.trouble();
  }
}

std::string refused(const std::vector<TargetRound>& results) {
  std::string text;
  for (const TargetRound& result : results)
    text += (text.empty() ? "" : " ") + std::to_string(result.refused) + "/" + std::to_string(result.sent);
  return text;
}

constexpr std::array kMethods{TrackMethod::icmp, TrackMethod::dns, TrackMethod::tcp};

/// The kill switch of wg-quick(8), for both families.
void killSwitch(const char* how) {
  for (const char* tool : {"iptables", "ip6tables"})
    wgsteer::test::shell(std::string{tool} + " -" + how +
                         " OUTPUT ! -o wg0 -m mark ! --mark 0xca6c -m addrtype ! --dst-type LOCAL -j REJECT");
}

TEST_F(Probes, WhatAKillSwitchRejectsIsRefusedByThisHost) {
  peer_->addWan("wan0", 10);
  // Each with an existing remote answer, so that our own refusal cannot be mistaken for a remote one.
  for (const bool pingSockets : {true, false}) {
    allowPingSockets(pingSockets);
    for (const TrackMethod method : kMethods) {
      killSwitch("I");
      Prober probes = prober(wan(method, {"192.0.2.1", "2001:db8:2::1"}, 3));
      const auto results = probeOnce(probes);
      EXPECT_EQ(answered(results), "0/1 0/1") << std::to_underlying(method);
      EXPECT_EQ(refused(results), "1/1 1/1") << std::to_underlying(method) << probes.trouble();
      EXPECT_NE(probes.trouble(), "");
      killSwitch("D");
      EXPECT_EQ(refused(probeOnce(probes)), "0/1 0/1") << "not refused any more";
    }
  }
}

TEST_F(Probes, WhatAClosedOutputChainDropsIsRefusedByThisHost) {
  peer_->addWan("wan0", 10);
  wgsteer::test::shell(
      "nft 'add table inet t; add chain inet t out { type filter hook output priority 0; policy drop; };"
      "add rule inet t out icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept'");
  for (const TrackMethod method : {TrackMethod::icmp, TrackMethod::dns, TrackMethod::tcp}) {
    Prober probes = prober(wan(method, {"192.0.2.1", "2001:db8:2::1"}, 1));
    const auto results = probeOnce(probes);
    EXPECT_EQ(answered(results), "0/1 0/1") << std::to_underlying(method);
    EXPECT_EQ(refused(results), "1/1 1/1") << std::to_underlying(method) << probes.trouble();
  }
  wgsteer::test::shell("nft delete table inet t");
}

TEST_F(Probes, WhatAProhibitRouteStopsIsRefusedByThisHost) {
  peer_->addWan("wan0", 10);
  // IPv4 treats a host as a neighbour if there is no route by the device to which a socket is bound.
  wgsteer::test::shell("ip -6 rule add pref 5 prohibit");
  for (const TrackMethod method : kMethods) {
    Prober probes = prober(wan(method, {"2001:db8:2::1"}, 60));
    EXPECT_EQ(refused(probeOnce(probes)), "1/1") << std::to_underlying(method);
  }
  wgsteer::test::shell("ip -6 rule del pref 5");
}

TEST_F(Probes, WhatOurOwnClosedTablesStopIsNotRefused) {
  peer_->addWan("wan0", 10);
  wgsteer::test::shell("ip -6 rule add pref 5 unreachable");
  for (const TrackMethod method : kMethods) {
    Prober probes = prober(wan(method, {"2001:db8:2::1"}, 60));
    const auto results = probeOnce(probes);
    EXPECT_EQ(refused(results), "0/1") << std::to_underlying(method);
    EXPECT_EQ(answered(results), "0/1");
  }
  wgsteer::test::shell("ip -6 rule del pref 5");
}

TEST_F(Probes, AGatewayThatIsNotThereIsNoRefusalThoughThisHostSaysIt) {
  peer_->addWan("wan0", 10);
  // Nobody has these addresses: after three neighbour requests the kernel sends "unreachable" from our own address.
  Prober probes = prober(wan(TrackMethod::tcp, {"192.0.2.99", "2001:db8:2::99"}, 6));
  const auto results = probeOnce(probes);
  EXPECT_EQ(refused(results), "0/1 0/1") << probes.trouble();
  EXPECT_EQ(answered(results), "0/1 0/1");
}

TEST_F(Probes, WhatOthersRejectIsNoRefusalOfOurs) {
  peer_->addWan("wan0", 10);
  drop(
      "meta nfproto ipv4 reject with icmp admin-prohibited; add rule inet t in tcp dport 443 reject with icmpx "
      "admin-prohibited");
  for (const TrackMethod method : kMethods) {
    Prober probes = prober(wan(method, {"192.0.2.1"}, 1));
    EXPECT_EQ(refused(probeOnce(probes)), "0/1") << std::to_underlying(method);
  }
  Prober v6 = prober(wan(TrackMethod::tcp, {"2001:db8:2::1"}, 1));
  const auto results = probeOnce(v6);
  EXPECT_EQ(refused(results), "0/1");
  EXPECT_EQ(answered(results), "0/1");
}

TEST_F(Probes, ARoundUnderWayIsGivenUp) {
  peer_->addWan("wan0", 10);
  drop("icmp type echo-request drop");
  Prober probes = prober(wan(TrackMethod::icmp, {"192.0.2.1"}, 60));
  probes.start();
  EXPECT_TRUE(probes.running());
  probes.cancel();
  EXPECT_FALSE(probes.running());
  EXPECT_FALSE(probes.ready());
  peer_->shell("nft flush ruleset");
  EXPECT_EQ(answered(probeOnce(probes)), "1/1");
}

TEST_F(Probes, TcpCountsAcceptedAndRefused) {
  peer_->addWan("wan0", 10);
  const os::Fd server = peer_->socketIn(AF_INET, SOCK_STREAM, 0, "192.0.2.1", 443);
  ASSERT_EQ(::listen(server.get(), 1), 0);
  Prober probes = prober(wan(TrackMethod::tcp, {"192.0.2.1", "192.0.2.11:99", "2001:db8:2::1", "[2001:db8:2::11]:99"}));
  EXPECT_EQ(answered(probeOnce(probes)), "1/1 1/1 1/1 1/1");
}

TEST_F(Probes, TcpDoesNotCountDroppedAndUnreachable) {
  peer_->addWan("wan0", 10);
  drop("ip daddr 192.0.2.11 drop; add rule inet t in ip daddr 192.0.2.12 reject with icmp host-unreachable");
  Prober probes = prober(wan(TrackMethod::tcp, {"192.0.2.1", "192.0.2.11", "192.0.2.12"}, 1));
  EXPECT_EQ(answered(probeOnce(probes)), "1/1 0/1 0/1");
}

TEST(ProbeTargets, HaveTheMethodsPortUnlessTheyNameOne) {
  WanConfig config{
      .trackIp = wgsteer::test::targets({"9.9.9.9", "2620:fe::fe:53", "[2620:fe::fe]:853", "1.1.1.1:5353"}),
      .trackMethod = TrackMethod::dns};
  const auto v6 = [](const char* text) { return *Address::parse(text); };
  EXPECT_EQ(probeTargets(config), (std::vector<Endpoint>{{Address::v4(9, 9, 9, 9), 53},
                                                         {v6("2620:fe::fe:53"), 53},
                                                         {v6("2620:fe::fe"), 853},
                                                         {Address::v4(1, 1, 1, 1), 5353}}));
  config.trackIp = wgsteer::test::targets({"9.9.9.9"});
  config.trackMethod = TrackMethod::tcp;
  EXPECT_EQ(probeTargets(config).front().port, 443);
  config.trackMethod = TrackMethod::icmp;
  EXPECT_EQ(probeTargets(config).front().port, 0);
}

}  // namespace
}  // namespace wgsteer::health::test

int main(int argc, char** argv) { return wgsteer::test::runInOwnNetwork(argc, argv); }
