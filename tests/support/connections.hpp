// SPDX-License-Identifier: GPL-2.0-or-later
// Entries of the real kernel's conntrack, made by request: no packets and no hooks are needed. For tests in a network
// namespace of their own.
#pragma once

#include <arpa/inet.h>
#include <cstdint>
#include <gtest/gtest.h>
#include <libmnl/libmnl.h>
#include <optional>

#include "wgsteer/core/address.hpp"
#include "wgsteer/core/ids.hpp"

#include "netlink/kernel_headers.hpp"
#include "netlink/request_socket.hpp"

namespace wgsteer::test {

/// One UDP connection to documentation addresses.
struct MadeConnection {
  Family family = Family::v4;
  Mark mark;
  std::uint16_t port = 0;  ///< of its source: tells connections apart
  bool answered = false;
  std::uint32_t seconds = 600;  ///< until it expires
  std::optional<Address> translatedTo = {};
};

namespace detail {

inline void putTuple(nlmsghdr* message, std::uint16_t direction, const MadeConnection& made) {
  const bool v4 = made.family == Family::v4;
  const bool there = direction == CTA_TUPLE_ORIG;
  const Address inside = *Address::parse(v4 ? "192.0.2.10" : "2001:db8::10");
  const Address outside = *Address::parse(v4 ? "203.0.113.5" : "2001:db8:ff::5");
  const Address& source = there ? inside : outside;
  const Address& destination = there ? outside : inside;
  const std::uint16_t service = 443;
  nlattr* const tuple = mnl_attr_nest_start(message, direction);
  nlattr* const addresses = mnl_attr_nest_start(message, CTA_TUPLE_IP);
  mnl_attr_put(message, v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, source.bytes().size(), source.bytes().data());
  mnl_attr_put(message, v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, destination.bytes().size(), destination.bytes().data());
  mnl_attr_nest_end(message, addresses);
  nlattr* const protocol = mnl_attr_nest_start(message, CTA_TUPLE_PROTO);
  mnl_attr_put_u8(message, CTA_PROTO_NUM, IPPROTO_UDP);
  mnl_attr_put_u16(message, CTA_PROTO_SRC_PORT, htons(there ? made.port : service));
  mnl_attr_put_u16(message, CTA_PROTO_DST_PORT, htons(there ? service : made.port));
  mnl_attr_nest_end(message, protocol);
  mnl_attr_nest_end(message, tuple);
}

inline void putTranslation(nlmsghdr* message, const Address& source) {
  const bool v4 = source.family() == Family::v4;
  nlattr* const translation = mnl_attr_nest_start(message, CTA_NAT_SRC);
  for (const std::uint16_t end : {v4 ? CTA_NAT_V4_MINIP : CTA_NAT_V6_MINIP, v4 ? CTA_NAT_V4_MAXIP : CTA_NAT_V6_MAXIP})
    mnl_attr_put(message, end, source.bytes().size(), source.bytes().data());
  mnl_attr_nest_end(message, translation);
}

}  // namespace detail

/// Makes one, or gives a new expiry to the one that is there.
inline void makeConnection(const MadeConnection& made) {
  auto socket = netlink::RequestSocket::open(NETLINK_NETFILTER);
  ASSERT_TRUE(socket) << socket.error().toString();
  netlink::Message message(NFNL_SUBSYS_CTNETLINK << 8U | IPCTNL_MSG_CT_NEW, NLM_F_CREATE);
  auto& header = message.extra<nfgenmsg>();
  header.nfgen_family = static_cast<std::uint8_t>(netlink::addressFamily(made.family));
  header.version = NFNETLINK_V0;
  for (const std::uint16_t direction : {CTA_TUPLE_ORIG, CTA_TUPLE_REPLY})
    detail::putTuple(message.header(), direction, made);
  if (made.translatedTo) detail::putTranslation(message.header(), *made.translatedTo);
  message.u32(CTA_TIMEOUT, htonl(made.seconds));
  message.u32(CTA_MARK, htonl(made.mark.value));
  const std::uint32_t answered = made.answered ? IPS_SEEN_REPLY : 0;
  message.u32(CTA_STATUS, htonl(IPS_CONFIRMED | answered));
  const Status done = socket->request(message, [] { return std::string("conntrack -I"); });
  ASSERT_TRUE(done) << done.error().toString();
}

}  // namespace wgsteer::test
