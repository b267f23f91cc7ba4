// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/conntrack.hpp"

#include <arpa/inet.h>
#include <array>
#include <cerrno>

#include "netlink/declared.hpp"
#include "netlink/kernel_headers.hpp"

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

// As in ct_nla_policy, tuple_nla_policy, proto_nla_policy and cta_ip_nla_policy of net/netfilter.
constexpr auto kFlowAttributes = std::to_array<Declared>({
    {CTA_TUPLE_ORIG, Length::any, true},
    {CTA_TUPLE_REPLY, Length::any, true},
    {CTA_ID, Length::u32},
    {CTA_ZONE, Length::u16},
});
constexpr auto kTupleAttributes = std::to_array<Declared>({
    {CTA_TUPLE_IP, Length::any, true},
    {CTA_TUPLE_PROTO, Length::any, true},
});
constexpr auto kProtocolAttributes = std::to_array<Declared>({
    {CTA_PROTO_NUM, Length::u8, true},
    {CTA_PROTO_DST_PORT, Length::u16},
});
constexpr auto kAddressAttributes4 = std::to_array<Declared>({{CTA_IP_V4_DST, Length::address, true}});
constexpr auto kAddressAttributes6 = std::to_array<Declared>({{CTA_IP_V6_DST, Length::address, true}});

/// nullopt: malformed.
std::optional<Address> destinationAddress(Bytes addresses, Family family) {
  const bool v4 = family == Family::v4;
  if (!conforms(addresses, v4 ? kAddressAttributes4 : kAddressAttributes6, family)) return std::nullopt;
  return Attributes<CTA_IP_MAX>(addresses).address(v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, family);
}

/// nullopt: malformed, or not UDP.
std::optional<std::uint16_t> destinationPort(Bytes protocol) {
  if (!conforms(protocol, kProtocolAttributes)) return std::nullopt;
  const Attributes<CTA_PROTO_MAX> attributes(protocol);
  if (attributes.integer<std::uint8_t>(CTA_PROTO_NUM) != IPPROTO_UDP) return std::nullopt;
  return attributes.integer<std::uint16_t>(CTA_PROTO_DST_PORT).transform([](std::uint16_t port) {
    return ntohs(port);
  });
}

/// The destination of the packets of one direction; nullopt: malformed, or not UDP.
std::optional<Endpoint> destinationOf(Bytes tuple, Family family) {
  if (!conforms(tuple, kTupleAttributes)) return std::nullopt;
  const Attributes<CTA_TUPLE_MAX> parts(tuple);
  const auto port = destinationPort(*parts.at(CTA_TUPLE_PROTO));
  const auto address = port ? destinationAddress(*parts.at(CTA_TUPLE_IP), family) : std::nullopt;
  if (!address) return std::nullopt;
  return Endpoint{*address, *port};
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
  const auto family = familyOf(parts->header.nfgen_family);
  if (!family || !conforms(parts->attributes, kFlowAttributes)) return std::nullopt;
  const Attributes<CTA_MAX> attributes(parts->attributes);
  const Bytes original = *attributes.at(CTA_TUPLE_ORIG);
  const auto peer = destinationOf(original, *family);
  const auto answered = destinationOf(*attributes.at(CTA_TUPLE_REPLY), *family);
  if (!peer || !answered) return std::nullopt;
  const auto known = rightSources.find(*peer);
  if (known == rightSources.end() || known->second.contains(answered->address)) return std::nullopt;
  return Flow{.family = parts->header.nfgen_family,
              .tuple = {original.begin(), original.end()},
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
