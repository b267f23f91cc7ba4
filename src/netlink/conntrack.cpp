// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/conntrack.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
// After libc's <netinet/in.h>, or musl defines things twice.
#include <cerrno>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

namespace wgsteer::netlink {

namespace {

constexpr std::uint16_t messageType(std::uint16_t type) {
  return static_cast<std::uint16_t>(NFNL_SUBSYS_CTNETLINK << 8U | type);
}

void putHeader(Message& message, std::uint8_t family) {
  auto& header = message.extra<nfgenmsg>();
  header.nfgen_family = family;
  header.version = NFNETLINK_V0;
}

std::uint16_t networkPort(const Attributes<CTA_PROTO_MAX>& protocol, std::size_t type) {
  return ntohs(protocol.integer<std::uint16_t>(type).value_or(0));
}

/// The destination of the packets of one direction; nullopt unless they are UDP.
std::optional<Endpoint> destinationOf(Bytes tuple, Family family) {
  const Attributes<CTA_TUPLE_MAX> parts(tuple);
  if (!parts.has(CTA_TUPLE_IP) || !parts.has(CTA_TUPLE_PROTO)) return std::nullopt;
  const Attributes<CTA_PROTO_MAX> protocol(*parts.at(CTA_TUPLE_PROTO));
  if (protocol.integer<std::uint8_t>(CTA_PROTO_NUM) != IPPROTO_UDP) return std::nullopt;
  const Attributes<CTA_IP_MAX> addresses(*parts.at(CTA_TUPLE_IP));
  const auto address = addresses.address(family == Family::v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, family);
  if (!address) return std::nullopt;
  return Endpoint{*address, networkPort(protocol, CTA_PROTO_DST_PORT)};
}

Status deleteFlow(RequestSocket& socket, const Flow& flow) {
  Message message(messageType(IPCTNL_MSG_CT_DELETE), 0);
  putHeader(message, flow.family);
  message.bytes(CTA_TUPLE_ORIG | NLA_F_NESTED, flow.tuple);
  if (flow.id) message.u32(CTA_ID, *flow.id);
  if (flow.zone) message.u16(CTA_ZONE, *flow.zone);
  return socket.request(message, [] { return std::string("conntrack -D -p udp"); });
}

/// Whether there is no ctnetlink, nor a module for it (nfnetlink_rcv_msg).
bool hasNoConntrack(const Error& error) { return error.code == EINVAL || error.code == EOPNOTSUPP; }

}  // namespace

std::optional<Flow> staleFlow(const nlmsghdr* message, const std::map<Endpoint, std::set<Address>>& rightSources) {
  const auto parts = partsOf<nfgenmsg>(message);
  if (!parts || message->nlmsg_type != messageType(IPCTNL_MSG_CT_NEW)) return std::nullopt;
  const std::uint8_t number = parts->header.nfgen_family;
  if (number != AF_INET && number != AF_INET6) return std::nullopt;
  const Family family = number == AF_INET ? Family::v4 : Family::v6;
  const Attributes<CTA_MAX> attributes(parts->attributes);
  const auto original = attributes.at(CTA_TUPLE_ORIG);
  const auto reply = attributes.at(CTA_TUPLE_REPLY);
  if (!original || !reply) return std::nullopt;
  const auto peer = destinationOf(*original, family);
  const auto answered = destinationOf(*reply, family);
  if (!peer || !answered) return std::nullopt;
  const auto known = rightSources.find(*peer);
  if (known == rightSources.end() || known->second.contains(answered->address)) return std::nullopt;
  return Flow{.family = number,
              .tuple = {original->begin(), original->end()},
              .id = attributes.integer<std::uint32_t>(CTA_ID),
              .zone = attributes.integer<std::uint16_t>(CTA_ZONE)};
}

Result<std::size_t> Conntrack::forget(const std::map<Endpoint, std::set<Address>>& rightSources) {
  if (rightSources.empty()) return 0;
  if (!socket_) {
    auto opened = RequestSocket::open(NETLINK_NETFILTER);
    if (!opened) return std::unexpected(opened.error());
    socket_ = std::move(*opened);
  }
  std::vector<Flow> stale;
  Message message(messageType(IPCTNL_MSG_CT_GET), 0);
  putHeader(message, AF_UNSPEC);
  const Status dumped = socket_->dump(
      message,
      [&](const nlmsghdr* answer) {
        if (auto flow = staleFlow(answer, rightSources)) stale.push_back(std::move(*flow));
      },
      [] { return std::string("conntrack -L -p udp"); });
  // Flows come and go all the time; those seen so far are enough.
  if (!dumped && dumped.error().kind != ErrorKind::overrun) {
    if (hasNoConntrack(dumped.error())) return 0;
    return std::unexpected(dumped.error());
  }
  std::size_t forgotten = 0;
  for (const Flow& flow : stale) {
    const Status done = deleteFlow(*socket_, flow);
    if (!done && done.error().kind != ErrorKind::notThere) return std::unexpected(done.error());
    if (done) ++forgotten;
  }
  return forgotten;
}

}  // namespace wgsteer::netlink
