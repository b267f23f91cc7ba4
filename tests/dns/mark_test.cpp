// SPDX-License-Identifier: GPL-2.0-or-later
// By which WAN queries leave: two WANs lead to the same name server, and a device with the default route drops
// everything, like a tunnel that needs the answer.
#include <gtest/gtest.h>

#include "dns/fixture.hpp"
#include "support/netns.hpp"

namespace wgsteer::dns {
namespace {

using namespace test;
using std::chrono::milliseconds;
using wgsteer::test::addVethPair;
using wgsteer::test::shell;

constexpr Mark kMark{0x10000000};

class Leaving : public ResolverTest {
 protected:
  Leaving() : server_(dnsmasq(hosts(), "192.0.2.53"), kDnsmasqReady, connectWans) {
    write("resolv.conf", "nameserver 192.0.2.53\n");
    addVethPair("tunnel", "nowhere");
    shell(
        "set -e; ip address add 10.0.0.2/32 dev tunnel; ip link set tunnel arp off up; ip route add default dev tunnel"
        "; ip route add default via 198.51.100.1 table 100; ip rule add fwmark 0x10000000/0xf0000000 lookup 100"
        "; nft add table inet test; nft add counter inet test swallowed"
        "; nft add chain inet test output '{ type filter hook output priority 0; }'"
        "; nft add rule inet test output oifname tunnel meta l4proto '{ udp, tcp }' counter name swallowed");
  }
  ~Leaving() override {
    shell(
        "nft delete table inet test; ip rule del fwmark 0x10000000/0xf0000000; ip route flush table 100"
        "; ip link del tunnel; ip link del wan0; ip link del wan1");
  }

  ResolverOptions options() const {
    ResolverOptions options;
    options.timeout = milliseconds{200};
    return options;
  }
  static bool tunnelIsQuiet() {
    return shell("nft list counter inet test swallowed").find("packets 0 ") != std::string::npos;
  }
  bool askedFrom(const std::string& source) {
    return server_.output().find("vpn.example.com from " + source) != std::string::npos;
  }

  ServerProcess server_;

 private:
  static std::vector<std::string> hosts() {
    std::vector<std::string> options{"--log-queries", "--local=/example.com/",
                                     "--host-record=vpn.example.com,203.0.113.1"};
    for (int i = 1; i <= 50; ++i) options.push_back("--host-record=many.example.com,203.0.113." + std::to_string(i));
    return options;
  }
  /// 198.51.100.2 on wan0 and 203.0.113.2 on wan1; the server is one hop beyond either.
  static void connectWans(int process) {
    const std::string inside = "nsenter -t " + std::to_string(process) + " -n ";
    shell("set -e; " + inside + "ip link set lo up; " + inside + "ip address add 192.0.2.53/32 dev lo");
    const char* networks[] = {"198.51.100.", "203.0.113."};
    for (int i = 0; i < 2; ++i) {
      const std::string wan = "wan" + std::to_string(i);
      const std::string network = networks[i];
      addVethPair(wan, wan + "p");
      shell("set -e; ip link set " + wan + "p netns " + std::to_string(process) + "; " + inside + "ip address add " +
            network + "1/24 dev " + wan + "p; " + inside + "ip link set " + wan + "p up; ip address add " + network +
            "2/24 dev " + wan + "; ip link set " + wan + " up");
    }
  }
};

TEST_F(Leaving, WithoutAMarkTheTunnelSwallowsThem) {
  Resolver asker = resolver(options());
  const ResolveResult result = ask(asker, "vpn.example.com");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ResolveFailure::timeout) << result.error().what;
  EXPECT_FALSE(tunnelIsQuiet());
}

TEST_F(Leaving, MarkedTheyTakeTheWan) {
  ResolverOptions marked = options();
  marked.mark = kMark;
  Resolver asker = resolver(marked);
  const ResolveResult result = ask(asker, "vpn.example.com");
  ASSERT_TRUE(result) << result.error().what;
  EXPECT_TRUE(askedFrom("198.51.100.2")) << server_.output();
  EXPECT_TRUE(tunnelIsQuiet());
}

TEST_F(Leaving, SoDoTheirConnections) {
  ResolverOptions marked = options();
  marked.mark = kMark;
  Resolver asker = resolver(marked);
  const ResolveResult result = ask(asker, "many.example.com");
  ASSERT_TRUE(result) << result.error().what;
  EXPECT_EQ(result->name.addresses.size(), 50U);
  EXPECT_TRUE(tunnelIsQuiet());
}

TEST_F(Leaving, AResolverOfAWanTakesThatWan) {
  shell("ip route add default via 203.0.113.1 dev wan1 metric 50");
  ResolverOptions bound = options();
  bound.servers = {Address::v4(192, 0, 2, 53)};
  bound.device = "wan1";
  Resolver asker = resolver(bound);
  for (const char* name : {"vpn.example.com", "many.example.com"}) {
    const ResolveResult result = ask(asker, name);
    ASSERT_TRUE(result) << result.error().what;
  }
  EXPECT_TRUE(askedFrom("203.0.113.2")) << server_.output();
  EXPECT_TRUE(tunnelIsQuiet());
}

TEST_F(Leaving, WhatKeepsThemHereIsSaid) {
  ResolverOptions bound = options();
  bound.device = "nowhere0";
  Resolver asker = resolver(bound);
  const ResolveResult result = ask(asker, "vpn.example.com");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ResolveFailure::serverFailure);
  EXPECT_EQ(result.error().what, "A: SO_BINDTODEVICE nowhere0: No such device");
}

/// A server on this host, with marked packets to port 53 dropped.
class OnThisHost : public ResolverTest {
 protected:
  void SetUp() override {
    shell(
        "set -e; ip address add 192.168.1.1/32 dev lo; nft add table inet test"
        "; nft add chain inet test output '{ type filter hook output priority 0; }'"
        "; nft add rule inet test output udp dport 53 meta mark != 0 drop");
  }
  void TearDown() override { shell("nft delete table inet test; ip address del 192.168.1.1/32 dev lo"); }
  ResolveResult askAt(const std::string& address, bool known) {
    const ServerProcess server{dnsmasq({"--host-record=vpn.example.com,203.0.113.1"}, address), kDnsmasqReady};
    write("resolv.conf", "nameserver " + address + "\n");
    ResolverOptions options;
    options.timeout = milliseconds{200};
    options.mark = kMark;
    options.device = "wan0";
    if (!known) options.device.clear();
    if (known) options.isOwn = [](const Address& each) { return each == Address::v4(192, 168, 1, 1); };
    Resolver asker = resolver(options);
    return ask(asker, "vpn.example.com", Families::v4);
  }
};

TEST_F(OnThisHost, QueriesAreNeitherMarkedNorBound) {
  for (const char* address : {"127.0.0.1", "127.0.0.53", "192.168.1.1"}) {
    const ResolveResult result = askAt(address, true);
    EXPECT_TRUE(result) << address << ": " << result.error().what;
  }
  EXPECT_FALSE(askAt("192.168.1.1", false)) << "the mark would have been dropped";
}

}  // namespace
}  // namespace wgsteer::dns

int main(int argc, char** argv) { return wgsteer::test::runInOwnNetwork(argc, argv); }
