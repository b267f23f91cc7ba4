// SPDX-License-Identifier: GPL-2.0-or-later
// Answers of WG_CMD_GET_DEVICE as libnl would make them, whole, split, cut and odd; and requests to families that do
// not exist. tests/vm tests the kernel's own WireGuard.
#include "netlink/wireguard_genl.hpp"

#include <cstring>
#include <gtest/gtest.h>
#include <linux/genetlink.h>
#include <linux/wireguard.h>
#include <memory>
#include <netinet/in.h>
#include <netlink/attr.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>

#include "netlink/secret_scan.hpp"

namespace wgsteer::netlink {
namespace {

using Key = std::array<std::uint8_t, PublicKey::kSize>;

Key keyOf(std::uint8_t byte) {
  Key key{};
  key.fill(byte);
  return key;
}
PublicKey publicKey(std::uint8_t byte) { return PublicKey{keyOf(byte)}; }

/// One message of an answer.
class Answer {
 public:
  Answer() : message_(nlmsg_alloc(), nlmsg_free) {
    EXPECT_NE(genlmsg_put(raw(), 0, 1, 20, 0, NLM_F_MULTI, WG_CMD_GET_DEVICE, 1), nullptr);
  }
  template <class T>
  Answer& put(int type, const T& value) {
    EXPECT_EQ(nla_put(raw(), type, sizeof value, &value), 0);
    return *this;
  }
  Answer& text(int type, const char* value) {
    EXPECT_EQ(nla_put_string(raw(), type, value), 0);
    return *this;
  }
  template <class Fill>
  Answer& nest(int type, const Fill& fill) {
    nlattr* start = nla_nest_start(raw(), type);
    EXPECT_NE(start, nullptr);
    fill();
    EXPECT_EQ(nla_nest_end(raw(), start), 0);
    return *this;
  }
  Answer& allowedIp(const char* text) {
    const Prefix prefix = *Prefix::parse(text);
    return nest(0, [&] {
      put(WGALLOWEDIP_A_FAMILY, static_cast<std::uint16_t>(prefix.family() == Family::v4 ? AF_INET : AF_INET6));
      put(WGALLOWEDIP_A_CIDR_MASK, prefix.length());
      const auto bytes = prefix.address().bytes();
      EXPECT_EQ(nla_put(raw(), WGALLOWEDIP_A_IPADDR, static_cast<int>(bytes.size()), bytes.data()), 0);
    });
  }
  Bytes attributes() const {
    const auto* header = static_cast<const genlmsghdr*>(nlmsg_data(nlmsg_hdr(message_.get())));
    return {reinterpret_cast<const std::uint8_t*>(genlmsg_attrdata(header, 0)),
            static_cast<std::size_t>(genlmsg_attrlen(header, 0))};
  }

 private:
  nl_msg* raw() const { return message_.get(); }
  std::unique_ptr<nl_msg, void (*)(nl_msg*)> message_;
};

sockaddr_in v4Endpoint() {
  const std::array<std::uint8_t, 4> raw{203, 0, 113, 55};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(51821);
  std::memcpy(&address.sin_addr, raw.data(), raw.size());
  return address;
}

sockaddr_in6 v6Endpoint() {
  const auto parsed = *Address::parse("2001:db8::1");
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(1);
  address.sin6_scope_id = 7;
  std::memcpy(&address.sin6_addr, parsed.bytes().data(), parsed.bytes().size());
  return address;
}

/// As struct __kernel_timespec.
struct HandshakeTime {
  std::int64_t seconds = 0;
  std::int64_t nanoseconds = 0;
};

/// Two peers, with everything that the kernel reports about them.
Answer wholeAnswer() {
  Answer answer;
  answer.put(WGDEVICE_A_IFINDEX, std::uint32_t{7}).text(WGDEVICE_A_IFNAME, "wg0");
  answer.put(WGDEVICE_A_PRIVATE_KEY, keyOf(0xee)).put(WGDEVICE_A_PUBLIC_KEY, keyOf(0xdd));
  answer.put(WGDEVICE_A_LISTEN_PORT, std::uint16_t{51820}).put(WGDEVICE_A_FWMARK, std::uint32_t{0x10000000});
  answer.nest(WGDEVICE_A_PEERS, [&] {
    answer.nest(0, [&] {
      answer.put(WGPEER_A_PUBLIC_KEY, keyOf(0xbb)).put(WGPEER_A_PRESHARED_KEY, keyOf(0xee));
      answer.put(WGPEER_A_LAST_HANDSHAKE_TIME, HandshakeTime{.seconds = 1700000000, .nanoseconds = 5});
      answer.put(WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, std::uint16_t{25});
      answer.put(WGPEER_A_TX_BYTES, std::uint64_t{148}).put(WGPEER_A_RX_BYTES, ~std::uint64_t{0});
      answer.put(WGPEER_A_PROTOCOL_VERSION, std::uint32_t{1}).put(WGPEER_A_ENDPOINT, v4Endpoint());
      answer.nest(WGPEER_A_ALLOWEDIPS, [&] { answer.allowedIp("10.0.0.0/8").allowedIp("::/0"); });
    });
    answer.nest(0, [&] {
      answer.put(WGPEER_A_PUBLIC_KEY, keyOf(0xaa)).put(WGPEER_A_ENDPOINT, v6Endpoint());
      answer.nest(WGPEER_A_ALLOWEDIPS, [&] { answer.allowedIp("2001:db8:1::/48"); });
    });
  });
  return answer;
}

const std::vector<Peer> kPeers{{.publicKey = publicKey(0xbb),
                                .endpoint = Endpoint::parse("203.0.113.55:51821"),
                                .allowedIps = {*Prefix::parse("10.0.0.0/8"), *Prefix::parse("::/0")},
                                .persistentKeepalive = 25,
                                .lastHandshake = fromEpoch(1700000000),
                                .receivedBytes = ~std::uint64_t{0},
                                .sentBytes = 148},
                               {.publicKey = publicKey(0xaa),
                                .endpoint = Endpoint::parse("[2001:db8::1]:1"),
                                .allowedIps = {*Prefix::parse("2001:db8:1::/48")}}};

TEST(GenlAnswer, HasAllOfADevice) {
  Tunnel tunnel;
  EXPECT_TRUE(decodeDevice(wholeAnswer().attributes(), tunnel));
  EXPECT_EQ(tunnel.name, "wg0");
  EXPECT_EQ(tunnel.backend, TunnelBackend::kernel);
  EXPECT_EQ(tunnel.listenPort, 51820);
  EXPECT_EQ(tunnel.fwmark, Mark{0x10000000});
  EXPECT_EQ(tunnel.peers, kPeers);
}

TEST(GenlAnswer, APeerGoesOnInTheNextMessage) {
  Tunnel tunnel;
  EXPECT_TRUE(decodeDevice(wholeAnswer().attributes(), tunnel));
  // The kernel repeats nothing of the device, and of the peer only its key (get_peer() in
  // drivers/net/wireguard/netlink.c).
  Answer next;
  next.nest(WGDEVICE_A_PEERS, [&] {
    next.nest(0, [&] {
      next.put(WGPEER_A_PUBLIC_KEY, keyOf(0xaa));
      next.nest(WGPEER_A_ALLOWEDIPS, [&] { next.allowedIp("192.0.2.0/24").allowedIp("192.0.2.7/32"); });
    });
    next.nest(0, [&] { next.put(WGPEER_A_PUBLIC_KEY, keyOf(0xcc)); });
  });
  EXPECT_TRUE(decodeDevice(next.attributes(), tunnel));
  std::vector<Peer> expected = kPeers;
  expected[1].allowedIps = {*Prefix::parse("2001:db8:1::/48"), *Prefix::parse("192.0.2.0/24"),
                            *Prefix::parse("192.0.2.7")};
  expected.push_back({.publicKey = publicKey(0xcc), .endpoint = {}, .allowedIps = {}});
  EXPECT_EQ(tunnel.peers, expected);
  EXPECT_EQ(tunnel.name, "wg0");
  EXPECT_EQ(tunnel.listenPort, 51820);
  EXPECT_EQ(tunnel.fwmark, Mark{0x10000000});
}

TEST(GenlAnswer, UnknownAttributesArePassedOver) {
  Answer answer;
  answer.put(WGDEVICE_A_MAX + 1, std::uint32_t{1}).put(NLA_TYPE_MASK, std::uint32_t{1}).put(0, std::uint32_t{1});
  answer.nest(WGDEVICE_A_PEERS, [&] {
    answer.nest(0, [&] { answer.put(WGPEER_A_PUBLIC_KEY, keyOf(0xaa)).put(WGPEER_A_MAX + 1, std::uint32_t{1}); });
  });
  Tunnel tunnel;
  EXPECT_TRUE(decodeDevice(answer.attributes(), tunnel));
  EXPECT_EQ(tunnel.peers, (std::vector<Peer>{{.publicKey = publicKey(0xaa), .endpoint = {}, .allowedIps = {}}}));
}

TEST(GenlAnswer, AWrongLengthIsAnErrorAndNotAnAbsentAttribute) {
  for (const std::uint16_t type : {WGDEVICE_A_LISTEN_PORT, WGDEVICE_A_FWMARK}) {
    Answer answer;
    answer.put(type, std::uint8_t{1});
    Tunnel tunnel;
    EXPECT_FALSE(decodeDevice(answer.attributes(), tunnel)) << type;
  }
}

TEST(GenlAnswer, AnEndpointHasTheLengthOfItsFamily) {
  const auto peersWith = [](const auto& endpoint) {
    Answer answer;
    answer.nest(WGDEVICE_A_PEERS, [&] {
      answer.nest(0, [&] { answer.put(WGPEER_A_PUBLIC_KEY, keyOf(0xaa)).put(WGPEER_A_ENDPOINT, endpoint); });
    });
    Tunnel tunnel;
    const bool wellFormed = decodeDevice(answer.attributes(), tunnel);
    EXPECT_EQ(wellFormed, !tunnel.peers.empty());
    return tunnel.peers.size();
  };
  EXPECT_EQ(peersWith(v4Endpoint()), 1U);
  EXPECT_EQ(peersWith(v6Endpoint()), 1U);
  EXPECT_EQ(peersWith(std::uint16_t{AF_INET}), 0U);
  sockaddr_storage longer{};
  longer.ss_family = AF_INET6;
  EXPECT_EQ(peersWith(longer), 0U);
  sockaddr_in other = v4Endpoint();
  for (const sa_family_t family : std::initializer_list<sa_family_t>{AF_INET6, AF_UNIX}) {
    other.sin_family = family;
    EXPECT_EQ(peersWith(other), 0U) << family;
  }
}

TEST(GenlAnswer, AMalformedPeerCostsNoOtherPeer) {
  Answer answer;
  answer.nest(WGDEVICE_A_PEERS, [&] {
    answer.nest(0, [&] { answer.put(WGPEER_A_ENDPOINT, v4Endpoint()); });
    answer.nest(0, [&] { answer.put(WGPEER_A_PUBLIC_KEY, std::uint32_t{1}); });
    answer.nest(
        0, [&] { answer.put(WGPEER_A_PUBLIC_KEY, keyOf(0xbb)).put(WGPEER_A_LAST_HANDSHAKE_TIME, std::uint32_t{1}); });
    answer.nest(0, [&] {
      answer.put(WGPEER_A_PUBLIC_KEY, keyOf(0xaa));
      answer.nest(WGPEER_A_ALLOWEDIPS, [&] {
        answer.nest(0, [] {});
        answer.nest(0, [&] {
          answer.put(WGALLOWEDIP_A_FAMILY, std::uint16_t{AF_INET6}).put(WGALLOWEDIP_A_CIDR_MASK, std::uint8_t{8});
          answer.put(WGALLOWEDIP_A_IPADDR, std::uint32_t{0});
        });
        answer.nest(0, [&] {
          answer.put(WGALLOWEDIP_A_FAMILY, std::uint16_t{AF_UNIX}).put(WGALLOWEDIP_A_CIDR_MASK, std::uint8_t{8});
          answer.put(WGALLOWEDIP_A_IPADDR, std::uint32_t{0});
        });
        answer.allowedIp("10.0.0.0/8");
      });
    });
  });
  Tunnel tunnel;
  EXPECT_FALSE(decodeDevice(answer.attributes(), tunnel));
  const std::vector<Peer> peers{
      {.publicKey = publicKey(0xaa), .endpoint = {}, .allowedIps = {*Prefix::parse("10.0.0.0/8")}}};
  EXPECT_EQ(tunnel.peers, peers);
}

TEST(GenlAnswer, APeerWithoutEndpointHasNone) {
  Answer answer;
  answer.nest(WGDEVICE_A_PEERS, [&] {
    answer.nest(0, [&] { answer.put(WGPEER_A_PUBLIC_KEY, keyOf(0xaa)).put(WGPEER_A_ENDPOINT, sockaddr_in6{}); });
  });
  Tunnel tunnel;
  EXPECT_TRUE(decodeDevice(answer.attributes(), tunnel));
  ASSERT_EQ(tunnel.peers.size(), 1U);
  EXPECT_FALSE(tunnel.peers[0].endpoint);
}

TEST(GenlAnswer, CutAnywhereIsReadAsFarAsItGoes) {
  const Answer whole = wholeAnswer();
  for (std::size_t length = 0; length <= whole.attributes().size(); ++length) {
    // A copy of the exact size: a read of one byte too many is seen by AddressSanitizer.
    const std::vector<std::uint8_t> cut(whole.attributes().begin(),
                                        whole.attributes().begin() + static_cast<std::ptrdiff_t>(length));
    Tunnel tunnel;
    decodeDevice(cut, tunnel);
    const bool complete = length == whole.attributes().size();
    EXPECT_EQ(tunnel.peers, complete ? kPeers : std::vector<Peer>{}) << length;
  }
}

TEST(GenlAnswer, WithAnyByteChangedIsReadWithoutHarm) {
  const Answer whole = wholeAnswer();
  std::vector<std::uint8_t> bytes(whole.attributes().begin(), whole.attributes().end());
  for (std::size_t at = 0; at < bytes.size(); ++at)
    for (const unsigned flip : {0x01U, 0x04U, 0x80U, 0xffU}) {
      const std::uint8_t right = bytes[at];
      bytes[at] = static_cast<std::uint8_t>(right ^ flip);
      Tunnel tunnel;
      decodeDevice(bytes, tunnel);
      EXPECT_LE(tunnel.peers.size(), 3U) << at;
      bytes[at] = right;
    }
}

TEST(GenlRequest, AFamilyThatIsNotThereIsNoTunnel) {
  WireGuardGenl genl;
  // Twice: it may exist the next time.
  for (int i = 0; i < 2; ++i) {
    const auto tunnel = genl.read("wg0", "wgsteer-none");
    ASSERT_FALSE(tunnel);
    EXPECT_EQ(tunnel.error().kind, ErrorKind::notThere) << tunnel.error().toString();
  }
  const auto marked = genl.setFwmark("wg0", "wgsteer-none", Mark{1});
  ASSERT_FALSE(marked);
  EXPECT_EQ(marked.error().kind, ErrorKind::notThere);
  EXPECT_TRUE(marked.error().what.starts_with("generic netlink family wgsteer-none: ")) << marked.error().what;
}

TEST(GenlRequest, ADeviceOfAnotherKindIsNoTunnel) {
  // The family of generic netlink itself always exists, and answers EOPNOTSUPP to command 0, which is
  // WG_CMD_GET_DEVICE: the same error that WireGuard returns for a device that is not its own.
  WireGuardGenl genl;
  for (int i = 0; i < 2; ++i) {
    const auto tunnel = genl.read("lo", "nlctrl");
    ASSERT_FALSE(tunnel);
    EXPECT_EQ(tunnel.error().kind, ErrorKind::notThere) << tunnel.error().toString();
    EXPECT_TRUE(tunnel.error().what.starts_with("wg show lo: ")) << tunnel.error().what;
  }
}

TEST(GenlRequest, WhatWasReceivedCanBeWiped) {
  auto socket = RequestSocket::open(NETLINK_GENERIC);
  ASSERT_TRUE(socket) << socket.error().toString();
  Message message{GENL_ID_CTRL, 0};
  message.extra<genlmsghdr>() = {.cmd = CTRL_CMD_GETFAMILY, .version = 1, .reserved = 0};
  message.text(CTRL_ATTR_FAMILY_NAME, "nlctrl");
  std::optional<test::Secret> received;
  const auto asked = socket->ask(
      message,
      [&](const nlmsghdr* answer) {
        // With its header, which has our port and sequence number, so it is unique.
        received.emplace(std::span{reinterpret_cast<const std::uint8_t*>(answer), answer->nlmsg_len});
      },
      [] { return std::string{"nlctrl"}; });
  ASSERT_TRUE(asked) << asked.error().toString();
  ASSERT_TRUE(received);
  // An ack has since overwritten the beginning of the buffer: search for what remains after it.
  EXPECT_TRUE(received->tail(48).isInMemory());
  socket->wipe();
  EXPECT_FALSE(received->tail(48).isInMemory());
}

}  // namespace
}  // namespace wgsteer::netlink
