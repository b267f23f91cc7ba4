// SPDX-License-Identifier: GPL-2.0-or-later
// Real packets. The router (this namespace) has two WANs and a peer behind both:
//
//     wan0 198.18.0.1, 2001:db8:0::1  ──── veth ────  isp0 198.18.0.2, 2001:db8:0::2  ┐  lo 203.0.113.55,
//     wan1 198.18.1.1, 2001:db8:1::1  ──── veth ────  isp1 198.18.1.2, 2001:db8:1::2  ┘     2001:db8:ff::55
//
// The main table's default leaves by wan0. Checksums are made in software (no offload), so that the peer's kernel
// verifies them: a packet with a wrong one never arrives.
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
// After libc's headers, or musl defines things twice.
#include <array>
#include <cstring>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <vector>

#include "environment.hpp"
#include "os/fd.hpp"

namespace wgsteer::nft::test {

namespace {

constexpr std::uint16_t kPeerPort = 51820;
constexpr Slot kFirstWan{1};
constexpr Slot kSecondWan{2};

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;

  explicit SocketAddress(const Endpoint& endpoint) {
    const auto bytes = endpoint.address.bytes();
    if (endpoint.address.family() == Family::v4) {
      sockaddr_in in{};
      in.sin_family = AF_INET;
      in.sin_port = htons(endpoint.port);
      std::memcpy(&in.sin_addr, bytes.data(), bytes.size());
      std::memcpy(&storage, &in, length = sizeof in);
    } else {
      sockaddr_in6 in{};
      in.sin6_family = AF_INET6;
      in.sin6_port = htons(endpoint.port);
      std::memcpy(&in.sin6_addr, bytes.data(), bytes.size());
      std::memcpy(&storage, &in, length = sizeof in);
    }
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

Endpoint toEndpoint(const sockaddr_storage& storage) {
  std::array<std::uint8_t, 16> bytes{};
  if (storage.ss_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, &storage, sizeof in);
    std::memcpy(bytes.data(), &in.sin_addr, 4);
    return {*Address::fromBytes(std::span(bytes).first(4)), ntohs(in.sin_port)};
  }
  sockaddr_in6 in{};
  std::memcpy(&in, &storage, sizeof in);
  std::memcpy(bytes.data(), &in.sin6_addr, 16);
  return {*Address::fromBytes(bytes), ntohs(in.sin6_port)};
}

/// A network namespace to step into and out of.
class Peer {
 public:
  Peer() : home_(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)) {
    EXPECT_EQ(::unshare(CLONE_NEWNET), 0);
    away_ = os::Fd(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    EXPECT_EQ(::setns(home_.get(), CLONE_NEWNET), 0);
  }
  /// In the form that ip(8) accepts.
  std::string name() const { return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(away_.get()); }
  template <class F>
  auto inside(F&& work) const {
    EXPECT_EQ(::setns(away_.get(), CLONE_NEWNET), 0);
    auto result = work();
    EXPECT_EQ(::setns(home_.get(), CLONE_NEWNET), 0);
    return result;
  }

 private:
  os::Fd home_;
  os::Fd away_;
};

os::Fd udpSocket(const Endpoint& local) {
  const int family = local.address.family() == Family::v4 ? AF_INET : AF_INET6;
  os::Fd socket(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  // Only a time limit for failures.
  const timeval patience{.tv_sec = 2, .tv_usec = 0};
  EXPECT_EQ(::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
  const SocketAddress address(local);
  EXPECT_EQ(::bind(socket.get(), address.get(), address.length), 0) << local.toString();
  return socket;
}

void setMark(const os::Fd& socket, std::uint32_t mark) {
  EXPECT_EQ(::setsockopt(socket.get(), SOL_SOCKET, SO_MARK, &mark, sizeof mark), 0);
}

/// Four bytes of the type and some more, as WireGuard's messages begin.
void sendMessage(const os::Fd& socket, const Endpoint& to, std::uint8_t type) {
  std::array<std::uint8_t, 148> payload{type};
  const SocketAddress address(to);
  EXPECT_EQ(::sendto(socket.get(), payload.data(), payload.size(), 0, address.get(), address.length),
            static_cast<ssize_t>(payload.size()));
}

/// The sender of the next packet; nullopt if none arrived.
std::optional<Endpoint> receivedFrom(const os::Fd& socket) {
  std::array<std::uint8_t, 256> payload{};
  sockaddr_storage from{};
  socklen_t length = sizeof from;
  if (::recvfrom(socket.get(), payload.data(), payload.size(), 0, reinterpret_cast<sockaddr*>(&from), &length) < 0)
    return std::nullopt;
  return toEndpoint(from);
}

void checksumsInSoftware(const char* device) {
  const os::Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ethtool_value off{.cmd = ETHTOOL_STXCSUM, .data = 0};
  ifreq request{};
  std::strncpy(request.ifr_name, device, IFNAMSIZ - 1);
  request.ifr_data = reinterpret_cast<char*>(&off);
  EXPECT_EQ(::ioctl(socket.get(), SIOCETHTOOL, &request), 0) << device;
}

Address wanAddress(Family family, int wan) {
  return *Address::parse(family == Family::v4 ? "198.18." + std::to_string(wan) + ".1"
                                              : "2001:db8:" + std::to_string(wan) + "::1");
}

Endpoint peerEndpoint(Family family) {
  return {*Address::parse(family == Family::v4 ? "203.0.113.55" : "2001:db8:ff::55"), kPeerPort};
}

}  // namespace

class NftPackets : public KernelTest, public ::testing::WithParamInterface<Family> {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    makeLinks();
    makeRoutes();
    peerSocket_ = peer_.inside([] { return udpSocket(peerEndpoint(GetParam())); });
    converge(state());
  }
  void TearDown() override {
    shell(
        "ip link del wan0; ip link del wan1; ip rule del fwmark 0x10000000/0xf0000000; "
        "ip rule del fwmark 0x20000000/0xf0000000; ip -6 rule del fwmark 0x10000000/0xf0000000; "
        "ip -6 rule del fwmark 0x20000000/0xf0000000");
  }

  NftState state() const {
    NftState state;
    state.layout.markMask = kDefaultMarkMask;
    for (const Slot slot : {kFirstWan, kSecondWan}) {
      const IfName device = slot == kFirstWan ? "wan0" : "wan1";
      state.table.wans.emplace(device, slot);
      state.table.policies.insert(slot);
      for (const Family family : kFamilies) {
        const Address address = wanAddress(family, slot.value - 1);
        state.table.addresses.emplace(device, address);
        state.table.bound.insert(address);
        state.table.sources.emplace(std::pair{device, family}, address);
        state.table.policySources.emplace(std::pair{numbers_.markOf(slot), family}, address);
      }
    }
    state.table.listenPorts = {ownPort_};
    for (const Slot slot : {kFirstWan, kSecondWan}) state.table.ownMarks.emplace(numbers_.markOf(slot), true);
    return state;
  }

  /// The peer is pinned to a WAN.
  NftState withEndpoint(int wan) const {
    NftState pinned = state();
    const Slot slot = wan == 0 ? kFirstWan : kSecondWan;
    pinned.table.endpoints.edit().emplace(peer(), slot);
    pinned.table.flows.edit().emplace(Flow{peer(), ownPort_}, slot);
    pinned.table.flowPorts.insert(ownPort_);
    return pinned;
  }

  /// Drops every incoming packet that is not an answer.
  void statefulFirewall() {
    shell(
        "nft add table inet firewall; nft add chain inet firewall input '{ type filter hook input priority 0; }'; "
        "nft add rule inet firewall input ct state established accept; "
        "nft add rule inet firewall input meta l4proto udp drop");
  }

  Address any() const { return Address::unspecified(GetParam()); }
  Endpoint peer() const { return peerEndpoint(GetParam()); }
  Address own(int wan) const { return wanAddress(GetParam(), wan); }
  bool wasCounted(const std::string& counter, unsigned packets) {
    return shell("nft list counter inet wgsteer " + counter).find("packets " + std::to_string(packets) + " ") !=
           std::string::npos;
  }

  /// A port for each test, so that conntrack sees a new flow in each: NAT is decided by the first packet of a flow.
  static inline std::uint16_t nextPort = 40000;
  std::uint16_t ownPort_ = nextPort += 10;
  Peer peer_;
  os::Fd peerSocket_;

 private:
  void makeLinks() {
    for (const std::string n : {"0", "1"}) {
      shell("ip link add wan" + n + " address 02:00:00:00:00:0" + n + " type veth peer name isp" + n +
            " address 02:00:00:00:01:0" + n + " netns " + peer_.name());
      shell("ip addr add 198.18." + n + ".1/24 dev wan" + n + "; ip addr add 2001:db8:" + n + "::1/64 dev wan" + n +
            " nodad; ip link set wan" + n + " up");
      peer_.inside([&] {
        return shell("ip link set lo up; ip addr add 198.18." + n + ".2/24 dev isp" + n +
                     "; ip addr add 2001:db8:" + n + "::2/64 dev isp" + n + " nodad; ip link set isp" + n + " up; " +
                     wgsteer::test::carrierOf("isp" + n));
      });
      shell(wgsteer::test::carrierOf("wan" + n));
      checksumsInSoftware(("wan" + n).c_str());
      makeNeighbours(n);
    }
    peer_.inside([] { return shell("ip addr add 203.0.113.55 dev lo; ip addr add 2001:db8:ff::55 dev lo nodad"); });
  }

  /// Permanent ones: solicitations for addresses of another link may be answered by the other link.
  void makeNeighbours(const std::string& n) {
    const std::string isp = " lladdr 02:00:00:00:01:0" + n + " dev wan" + n + " nud permanent";
    const std::string wan = " lladdr 02:00:00:00:00:0" + n + " dev isp" + n + " nud permanent";
    shell("ip neigh replace 198.18." + n + ".2" + isp + "; ip neigh replace 2001:db8:" + n + "::2" + isp);
    peer_.inside([&] {
      return shell("ip neigh replace 198.18." + n + ".1" + wan + "; ip neigh replace 2001:db8:" + n + "::1" + wan);
    });
  }

  void makeRoutes() {
    shell("ip route add default via 198.18.0.2; ip -6 route add default via 2001:db8:0::2");
    for (const std::string n : {"0", "1"}) {
      const std::string slot = n == "0" ? "1" : "2";
      shell("ip rule add fwmark 0x" + slot + "0000000/0xf0000000 lookup 10" + n + "; ip -6 rule add fwmark 0x" + slot +
            "0000000/0xf0000000 lookup 10" + n + "; ip route add default via 198.18." + n + ".2 dev wan" + n +
            " table 10" + n + "; ip -6 route add default via 2001:db8:" + n + "::2 dev wan" + n + " table 10" + n);
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Families, NftPackets, ::testing::Values(Family::v4, Family::v6),
                         [](const auto& instance) { return instance.param == Family::v4 ? "v4" : "v6"; });

/// What kernel WireGuard does in IPv6 after a failover: the mark is right, the source is the other WAN's.
TEST_P(NftPackets, AStaleSourceIsCorrected) {
  const os::Fd socket = udpSocket({own(0), ownPort_});
  setMark(socket, 0x20000000);
  sendMessage(socket, peer(), 4);
  EXPECT_EQ(receivedFrom(peerSocket_), (Endpoint{own(1), ownPort_}));
}

TEST_P(NftPackets, ARightSourceIsLeftAlone) {
  NftState more = state();
  const Address second = *Address::parse(GetParam() == Family::v4 ? "198.18.1.77" : "2001:db8:1::77");
  shell("ip addr add " + Prefix::host(second).toString() + " dev wan1" + (GetParam() == Family::v6 ? " nodad" : ""));
  more.table.addresses.emplace("wan1", second);
  converge(more);
  const os::Fd socket = udpSocket({second, ownPort_});
  setMark(socket, 0x20000000);
  sendMessage(socket, peer(), 4);
  EXPECT_EQ(receivedFrom(peerSocket_), (Endpoint{second, ownPort_}));
}

/// As after `ip route add local 198.18.2.128/25 dev lo`: an address of no device, on which a server was contacted.
TEST_P(NftPackets, ASourceThatBelongsToNoWanIsLeftAlone) {
  const Address service = *Address::parse(GetParam() == Family::v4 ? "198.18.1.177" : "2001:db8:1::177");
  shell(std::string{GetParam() == Family::v4 ? "ip" : "ip -6"} + " route add local " + service.toString() + " dev lo");
  // IPv4 lets a socket bind to it, IPv6 does not by itself.
  shell("sysctl -qw net.ipv6.ip_nonlocal_bind=1");
  const os::Fd socket = udpSocket({service, ownPort_});
  setMark(socket, 0x20000000);
  sendMessage(socket, peer(), 4);
  EXPECT_EQ(receivedFrom(peerSocket_), (Endpoint{service, ownPort_}));
  converge(withEndpoint(1));
  setMark(socket, 0);
  sendMessage(socket, peer(), 4);
  EXPECT_EQ(receivedFrom(peerSocket_), (Endpoint{service, ownPort_})) << "as it is if the peer is on a LAN";
}

/// Bits of the mark that are not ours concern only their owner.
TEST_P(NftPackets, AForeignMarkIsCorrectedOnlyWhenItIsATunnels) {
  const os::Fd socket = udpSocket({own(1), ownPort_});
  setMark(socket, 0xca6c);  // no rule for it: leaves by wan0
  sendMessage(socket, peer(), 4);
  EXPECT_EQ(receivedFrom(peerSocket_), (Endpoint{own(1), ownPort_}));
  NftState withMark = state();
  withMark.table.foreignMarks = {Mark{0xca6c}};
  converge(withMark);
  sendMessage(socket, peer(), 4);
  EXPECT_EQ(receivedFrom(peerSocket_), (Endpoint{own(0), ownPort_}));
}

/// As when our rules were deleted: the route leads into the tunnel that sent this packet.
TEST_P(NftPackets, WhatIsMarkedNeverLeavesByATunnel) {
  NftState loop = state();
  loop.table.tunnels = {"wan1"};
  converge(loop);
  const os::Fd socket = udpSocket({any(), ownPort_});
  setMark(socket, 0x20000000);
  const SocketAddress to(peer());
  EXPECT_EQ(::sendto(socket.get(), "", 1, 0, to.get(), to.length), -1);
  EXPECT_EQ(errno, EPERM);
  setMark(socket, 0x10000000);
  sendMessage(socket, peer(), 4);
  EXPECT_EQ(receivedFrom(peerSocket_), (Endpoint{own(0), ownPort_})) << "a device that is no tunnel";
  setMark(socket, 0x02000000);
  shell("ip route change default via 198.18.1.2; ip -6 route change default via 2001:db8:1::2");
  sendMessage(socket, peer(), 4);
  EXPECT_EQ(receivedFrom(peerSocket_), (Endpoint{own(1), ownPort_})) << "not marked by us";
}

/// Two tunnels to one server have different policies, and a program that only happens to talk to the same server is
/// left alone.
TEST_P(NftPackets, AFlowIsToldFromOthersByItsPort) {
  NftState shared = withEndpoint(1);
  const auto other = static_cast<std::uint16_t>(ownPort_ + 1);
  shared.table.flows.edit().emplace(Flow{peer(), other}, std::nullopt);
  shared.table.flowPorts.insert(other);
  converge(shared);
  const os::Fd first = udpSocket({any(), ownPort_});
  sendMessage(first, peer(), 4);
  EXPECT_EQ(receivedFrom(peerSocket_), (Endpoint{own(1), ownPort_}));
  const os::Fd leftAlone = udpSocket({any(), other});
  sendMessage(leftAlone, peer(), 4);
  EXPECT_EQ(receivedFrom(peerSocket_), (Endpoint{own(0), other}));
  const auto third = static_cast<std::uint16_t>(ownPort_ + 2);
  const os::Fd notWireGuard = udpSocket({any(), third});
  sendMessage(notWireGuard, peer(), 0x40);
  EXPECT_EQ(receivedFrom(peerSocket_), (Endpoint{own(0), third}));
  sendMessage(notWireGuard, peer(), 1);
  EXPECT_EQ(receivedFrom(peerSocket_), (Endpoint{own(1), third})) << "a tunnel whose port is not known yet";
}

TEST_P(NftPackets, AMarkThatOnlyLooksLikeOursIsLeftAlone) {
  NftState loop = state();
  loop.table.tunnels = {"wan0"};
  converge(loop);
  const os::Fd socket = udpSocket({own(1), ownPort_});
  setMark(socket, 0x50000000);  // no rule has it: leaves by wan0
  sendMessage(socket, peer(), 4);
  EXPECT_EQ(receivedFrom(peerSocket_), (Endpoint{own(1), ownPort_}));
}

TEST_P(NftPackets, AnEndpointGetsWayAndSourceOfItsPolicy) {
  statefulFirewall();
  converge(withEndpoint(1));
  const os::Fd socket = udpSocket({any(), ownPort_});
  setMark(socket, 0x10000000);
  sendMessage(socket, peer(), 4);
  ASSERT_EQ(receivedFrom(peerSocket_), (Endpoint{own(1), ownPort_}));
  sendMessage(peerSocket_, {own(1), ownPort_}, 4);
  EXPECT_EQ(receivedFrom(socket), peer()) << "conntrack has seen the right source, and takes this for an answer";
}

/// Masquerading would not change a flow that conntrack already knows.
TEST_P(NftPackets, AKnownFlowMovesWithItsPolicy) {
  statefulFirewall();
  const os::Fd socket = udpSocket({any(), ownPort_});
  sendMessage(socket, peer(), 4);
  ASSERT_EQ(receivedFrom(peerSocket_), (Endpoint{own(0), ownPort_}));
  for (const int wan : {1, 0, 1}) {
    converge(withEndpoint(wan));
    sendMessage(socket, peer(), 4);
    ASSERT_EQ(receivedFrom(peerSocket_), (Endpoint{own(wan), ownPort_}));
    sendMessage(peerSocket_, {own(wan), ownPort_}, 4);
    EXPECT_EQ(receivedFrom(socket), peer());
  }
}

/// The policy's table has moved to the second WAN; then the plan says so.
TEST_P(NftPackets, TheSourceOfAPolicyFollowsItsWan) {
  NftState pinned = withEndpoint(0);
  converge(pinned);
  pinned.table.policySources.insert_or_assign({Mark{0x10000000}, GetParam()}, own(1));
  converge(pinned);
  shell(
      "ip rule add pref 1 fwmark 0x10000000/0xf0000000 lookup 101; "
      "ip -6 rule add pref 1 fwmark 0x10000000/0xf0000000 lookup 101");
  const os::Fd socket = udpSocket({own(0), ownPort_});
  setMark(socket, 0x20000000);
  sendMessage(socket, peer(), 4);
  EXPECT_EQ(receivedFrom(peerSocket_), (Endpoint{own(1), ownPort_}));
  shell("ip rule del pref 1; ip -6 rule del pref 1");
}

TEST_P(NftPackets, WhatHasItsPolicysMarkKeepsItsSource) {
  NftState more = withEndpoint(1);
  const Address second = *Address::parse(GetParam() == Family::v4 ? "198.18.1.78" : "2001:db8:1::78");
  shell("ip addr add " + Prefix::host(second).toString() + " dev wan1" + (GetParam() == Family::v6 ? " nodad" : ""));
  more.table.addresses.emplace("wan1", second);
  converge(more);
  const os::Fd socket = udpSocket({second, ownPort_});
  setMark(socket, 0x20000000);
  sendMessage(socket, peer(), 4);
  EXPECT_EQ(receivedFrom(peerSocket_), (Endpoint{second, ownPort_}));
}

TEST_P(NftPackets, APolicyWithoutASourceLeavesThePacketsOwn) {
  NftState servers = withEndpoint(1);
  servers.table.policySources.clear();
  converge(servers);
  const os::Fd socket = udpSocket({own(1), ownPort_});
  sendMessage(socket, peer(), 4);
  EXPECT_EQ(receivedFrom(peerSocket_), (Endpoint{own(1), ownPort_}));
}

TEST_P(NftPackets, AMarkThatSomebodyClearsIsSetAgain) {
  shell(
      "nft add table inet theirs; nft add chain inet theirs output '{ type route hook output priority mangle; }'; "
      "nft add rule inet theirs output meta mark set 0x1");
  statefulFirewall();
  converge(withEndpoint(1));
  const os::Fd socket = udpSocket({any(), ownPort_});
  setMark(socket, 0x10000000);
  sendMessage(socket, peer(), 4);
  ASSERT_EQ(receivedFrom(peerSocket_), (Endpoint{own(1), ownPort_}));
  sendMessage(peerSocket_, {own(1), ownPort_}, 4);
  EXPECT_EQ(receivedFrom(socket), peer());
}

/// A packet of a host behind this one is routed by the policy, and NAT sets its source so that the answer finds its way
/// back.
TEST_P(NftPackets, AForwardedPacketIsMarkedAndMasqueraded) {
  NftState forwarding = withEndpoint(1);
  forwarding.layout.forward = true;
  converge(forwarding);
  const Peer host;
  const bool v4 = GetParam() == Family::v4;
  shell(
      "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1; "
      "ip link add lan0 type veth peer name eth0 netns " +
      host.name() + "; ip addr add 10.5.0.1/24 dev lan0; ip addr add fd05::1/64 dev lan0 nodad; ip link set lan0 up");
  host.inside([] {
    return shell(
        "ip addr add 10.5.0.2/24 dev eth0; ip addr add fd05::2/64 dev eth0 nodad; ip link set eth0 up; "
        "ip route add default via 10.5.0.1; ip -6 route add default via fd05::1");
  });
  // Not the tunnels' port: answers to that one are for the router.
  const Endpoint phone{*Address::parse(v4 ? "10.5.0.2" : "fd05::2"), static_cast<std::uint16_t>(ownPort_ + 1)};
  const os::Fd socket = host.inside([&] { return udpSocket(phone); });
  sendMessage(socket, peer(), 4);
  const auto seen = receivedFrom(peerSocket_);
  ASSERT_TRUE(seen.has_value());
  EXPECT_EQ(seen->address, own(1));
  sendMessage(peerSocket_, *seen, 4);
  EXPECT_EQ(receivedFrom(socket), peer());
  shell("ip link del lan0");
}

TEST_P(NftPackets, NothingTracksConnectionsWithoutForwarding) {
  EXPECT_EQ(shell("nft list table inet wgsteer").find("masquerade"), std::string::npos);
}

TEST_P(NftPackets, AnEndpointThatReturnsStaysAsItIs) {
  NftState returning = state();
  returning.table.endpoints.edit().emplace(peer(), std::nullopt);
  converge(returning);
  const os::Fd socket = udpSocket({own(0), ownPort_});
  sendMessage(socket, peer(), 4);
  EXPECT_EQ(receivedFrom(peerSocket_), (Endpoint{own(0), ownPort_}));
}

TEST_P(NftPackets, HandshakesAreCountedPerWan) {
  const os::Fd socket = udpSocket({own(1), ownPort_});
  setMark(socket, 0x20000000);
  sendMessage(socket, peer(), 1);
  sendMessage(socket, peer(), 4);
  ASSERT_TRUE(receivedFrom(peerSocket_).has_value());
  ASSERT_TRUE(receivedFrom(peerSocket_).has_value());
  EXPECT_TRUE(wasCounted("initiations_2", 1));
  EXPECT_TRUE(wasCounted("initiations_1", 0));
  sendMessage(peerSocket_, {own(1), ownPort_}, 2);
  ASSERT_TRUE(receivedFrom(socket).has_value());
  EXPECT_TRUE(wasCounted("responses_2", 1));
  EXPECT_TRUE(wasCounted("responses_1", 0));
  // Of the same name, but not in our table.
  shell(
      "nft add table ip wgsteer; nft add counter ip wgsteer initiations_2; nft add table inet other; "
      "nft add counter inet other responses_3; nft add counter inet other rule_web");
  shell("nft add counter inet wgsteer rule_tv '{ packets 7 bytes 700 ; }'");
  const auto counts = nft_->counters();
  ASSERT_TRUE(counts) << counts.error().toString();
  EXPECT_EQ(counts->handshakes, (HandshakesByWan{{kFirstWan, {}}, {kSecondWan, {.initiations = 1, .responses = 1}}}));
  EXPECT_EQ(counts->rules, (MatchesByRule{{"tv", 7}}));
  shell("nft flush ruleset");
  EXPECT_EQ(nft_->counters(), Counters{}) << "no table";
}

TEST_P(NftPackets, AnswersGetTheMarkOfTheWanTheyCameInBy) {
  shell(
      "nft add table inet probe; nft add chain inet probe input '{ type filter hook input priority 0; }'; "
      "nft add counter inet probe marked; nft add rule inet probe input meta mark 0x20000000 counter name marked; "
      "nft add chain inet probe first '{ type filter hook prerouting priority -151; }'; nft add counter inet probe "
      "early; "
      "nft add rule inet probe first meta mark 0x20000000 counter name early");
  const os::Fd socket = udpSocket({own(1), ownPort_});
  const Endpoint neighbouring{own(1), static_cast<std::uint16_t>(ownPort_ + 1)};
  const os::Fd other = udpSocket(neighbouring);
  sendMessage(peerSocket_, {own(1), ownPort_}, 4);
  ASSERT_TRUE(receivedFrom(socket).has_value());
  sendMessage(peerSocket_, neighbouring, 4);
  ASSERT_TRUE(receivedFrom(other).has_value());
  const std::string marked = shell("nft list counter inet probe marked");
  EXPECT_NE(marked.find("packets 1 "), std::string::npos) << marked;
  const std::string early = shell("nft list counter inet probe early");
  EXPECT_NE(early.find("packets 1 "), std::string::npos) << "before reverse path filters at mangle: " << early;
}

/// Packets of others may have the port of a tunnel.
TEST_P(NftPackets, WhatIsOnlyForwardedGetsNoMark) {
  shell(
      "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1; "
      "nft add table inet probe; nft add chain inet probe forward '{ type filter hook forward priority 0; }'; "
      "nft add counter inet probe seen; nft add counter inet probe marked; "
      "nft add rule inet probe forward meta l4proto udp counter name seen; "
      "nft add rule inet probe forward meta mark != 0 counter name marked; "
      "ip route add 198.51.100.0/24 via 198.18.0.2; ip -6 route add 2001:db8:77::/48 via 2001:db8:0::2");
  peer_.inside([] {
    return shell("ip route add 198.51.100.0/24 via 198.18.1.1; ip -6 route add 2001:db8:77::/48 via 2001:db8:1::1");
  });
  const Endpoint behind{*Address::parse(GetParam() == Family::v4 ? "198.51.100.9" : "2001:db8:77::9"), ownPort_};
  sendMessage(peerSocket_, behind, 4);
  const auto packets = [&](const char* counter) {
    return shell(std::string{"nft list counter inet probe "} + counter).find("packets 1 ") != std::string::npos;
  };
  EXPECT_TRUE(packets("seen"));
  EXPECT_FALSE(packets("marked"));
}

/// A mark of somebody's QoS may have our bits; what is forwarded into a tunnel is the user's traffic.
TEST_P(NftPackets, WhatIsForwardedIntoATunnelWithAForeignMarkIsNotDropped) {
  shell(
      "ip rule del fwmark 0x10000000/0xf0000000; ip -6 rule del fwmark 0x10000000/0xf0000000; "
      "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1; ip link add wg7 type veth peer name wg7p; "
      "ip link set wg7 up; ip link set wg7p up; nft add element inet wgsteer tunnel '{ wg7 }'; "
      "ip route add 198.51.100.0/24 dev wg7; ip -6 route add 2001:db8:77::/48 dev wg7; "
      "ip neigh add 198.51.100.9 lladdr 02:00:00:00:00:09 dev wg7; "
      "ip -6 neigh add 2001:db8:77::9 lladdr 02:00:00:00:00:09 dev wg7; "
      "nft add table inet probe; "
      "nft add chain inet probe pre '{ type filter hook prerouting priority 0; }'; "
      "nft add rule inet probe pre meta l4proto udp meta mark set 0x10000005; "
      "nft add chain inet probe post '{ type filter hook postrouting priority 300; }'; "
      "nft add counter inet probe sent; nft add rule inet probe post oifname wg7 meta l4proto udp counter name sent");
  peer_.inside([] {
    return shell("ip route add 198.51.100.0/24 via 198.18.1.1; ip -6 route add 2001:db8:77::/48 via 2001:db8:1::1");
  });
  sendMessage(peerSocket_, {*Address::parse(GetParam() == Family::v4 ? "198.51.100.9" : "2001:db8:77::9"), ownPort_},
              4);
  EXPECT_NE(shell("nft list counter inet probe sent").find("packets 1 "), std::string::npos);
}

}  // namespace wgsteer::nft::test
