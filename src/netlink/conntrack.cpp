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

void putHeader(Message& message, std::uint8_t family, std::uint8_t version = NFNETLINK_V0) {
  auto& header = message.extra<nfgenmsg>();
  header.nfgen_family = family;
  header.version = version;
}

// As in ct_nla_policy, tuple_nla_policy, proto_nla_policy and cta_ip_nla_policy of net/netfilter.
constexpr auto kFlowAttributes = std::to_array<Declared>({
    {CTA_TUPLE_ORIG, Length::any, true},
    {CTA_TUPLE_REPLY, Length::any, true},
    {CTA_STATUS, Length::u32},
    {CTA_TIMEOUT, Length::u32},
    {CTA_MARK, Length::u32},
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

/// The destination of the packets of one direction, of any protocol; nullopt: malformed.
std::optional<Address> destinationAddressOf(Bytes tuple, Family family) {
  if (!conforms(tuple, kTupleAttributes)) return std::nullopt;
  return destinationAddress(*Attributes<CTA_TUPLE_MAX>(tuple).at(CTA_TUPLE_IP), family);
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

/// The parts of IPCTNL_MSG_CT_NEW that every reader of it needs.
struct Entry {
  Family family = Family::v4;
  Attributes<CTA_MAX> attributes;
  Flow flow;
};

std::optional<Entry> entryIn(const nlmsghdr* message) {
  const auto parts = partsOf<nfgenmsg>(message);
  if (!parts || message->nlmsg_type != messageType(IPCTNL_MSG_CT_NEW)) return std::nullopt;
  const auto family = familyOf(parts->header.nfgen_family);
  if (!family || !conforms(parts->attributes, kFlowAttributes)) return std::nullopt;
  Entry entry{.family = *family, .attributes = Attributes<CTA_MAX>(parts->attributes), .flow = {}};
  const Bytes original = *entry.attributes.at(CTA_TUPLE_ORIG);
  entry.flow = {.family = parts->header.nfgen_family,
                .tuple = {original.begin(), original.end()},
                .id = entry.attributes.integer<std::uint32_t>(CTA_ID),
                .zone = entry.attributes.integer<std::uint16_t>(CTA_ZONE)};
  return entry;
}

/// Numbers in network byte order, as all of this subsystem are.
std::optional<std::uint32_t> numberIn(const Attributes<CTA_MAX>& attributes, std::size_t type) {
  return attributes.integer<std::uint32_t>(type).transform([](std::uint32_t number) { return ntohl(number); });
}

void putMark(Message& message, MarkMatch mark) {
  message.u32(CTA_MARK, htonl(mark.value));
  message.u32(CTA_MARK_MASK, htonl(mark.mask));
}

std::string commandOf(const char* verb, MarkMatch mark) {
  return std::string("conntrack ") + verb + " -m " + mark.toString();
}

/// A mask of 0 matches every flow, and a value of 0 all those of others.
Status refuseOthers(MarkMatch mark) {
  if (mark.value != 0 && mark.mask != 0) return {};
  return fail(ErrorKind::refused, commandOf("-D", mark) + ": would delete connections without a mark");
}

void putFlow(Message& message, const Flow& flow) {
  putHeader(message, flow.family);
  message.bytes(CTA_TUPLE_ORIG | NLA_F_NESTED, flow.tuple);
  if (flow.zone) message.u16(CTA_ZONE, *flow.zone);
}

Status deleteFlow(RequestSocket& socket, const Flow& flow) {
  Message message(messageType(IPCTNL_MSG_CT_DELETE), 0);
  putFlow(message, flow);
  if (flow.id) message.u32(CTA_ID, *flow.id);
  return socket.request(message, [] { return std::string("conntrack -D"); });
}

/// Without NLM_F_CREATE, so that a flow that is gone stays gone. Bits that the mask lacks stay
/// (ctnetlink_change_mark(), 5.15 to 6.18).
Status unmarkFlow(RequestSocket& socket, const Flow& flow, std::uint32_t bits) {
  Message message(messageType(IPCTNL_MSG_CT_NEW), 0);
  putFlow(message, flow);
  putMark(message, {.value = 0, .mask = bits});
  return socket.request(message, [&] { return commandOf("-U", {.value = 0, .mask = bits}); });
}

/// Whether there is no ctnetlink, nor a module for it (nfnetlink_rcv_msg).
bool hasNoConntrack(const Error& error) { return error.code == EINVAL || error.code == EOPNOTSUPP; }

/// Whether a dump has shown enough. Flows come and go all the time: those seen before it was interrupted are enough.
Status outcomeOf(const Status& dumped) {
  if (dumped || dumped.error().kind == ErrorKind::overrun || hasNoConntrack(dumped.error())) return {};
  return dumped;
}

}  // namespace

std::optional<Flow> staleFlow(const nlmsghdr* message, const std::map<Endpoint, std::set<Address>>& rightSources) {
  auto entry = entryIn(message);
  if (!entry) return std::nullopt;
  const auto peer = destinationOf(*entry->attributes.at(CTA_TUPLE_ORIG), entry->family);
  const auto answered = destinationOf(*entry->attributes.at(CTA_TUPLE_REPLY), entry->family);
  if (!peer || !answered) return std::nullopt;
  const auto known = rightSources.find(*peer);
  if (known == rightSources.end() || known->second.contains(answered->address)) return std::nullopt;
  return std::move(entry->flow);
}

std::optional<MarkedFlow> markedFlow(const nlmsghdr* message, std::uint32_t mask) {
  auto entry = entryIn(message);
  if (!entry) return std::nullopt;
  const Mark mark{numberIn(entry->attributes, CTA_MARK).value_or(0)};
  if ((mark.value & mask) == 0) return std::nullopt;
  const std::uint32_t status = numberIn(entry->attributes, CTA_STATUS).value_or(IPS_SEEN_REPLY);
  MarkedFlow marked{.flow = std::move(entry->flow),
                    .mark = mark,
                    .answered = (status & IPS_SEEN_REPLY) != 0,
                    .expiresIn = {},
                    .translatedTo = {}};
  if ((status & IPS_SRC_NAT) != 0)
    marked.translatedTo = destinationAddressOf(*entry->attributes.at(CTA_TUPLE_REPLY), entry->family);
  if ((status & (IPS_FIXED_TIMEOUT | IPS_OFFLOAD)) == 0)
    marked.expiresIn = numberIn(entry->attributes, CTA_TIMEOUT).transform([](std::uint32_t seconds) {
      return std::chrono::seconds{seconds};
    });
  return marked;
}

Status Conntrack::open() {
  if (socket_) return {};
  auto opened = RequestSocket::open(NETLINK_NETFILTER);
  if (!opened) return std::unexpected(opened.error());
  socket_ = std::move(*opened);
  return {};
}

Result<std::size_t> Conntrack::forget(const std::map<Endpoint, std::set<Address>>& rightSources) {
  if (rightSources.empty()) return 0;
  if (auto opened = open(); !opened) return std::unexpected(opened.error());
  std::vector<Flow> stale;
  Message message(messageType(IPCTNL_MSG_CT_GET), 0);
  putHeader(message, AF_UNSPEC);
  const Status dumped = socket_->dump(
      message,
      [&](const nlmsghdr* answer) {
        if (auto flow = staleFlow(answer, rightSources)) stale.push_back(std::move(*flow));
      },
      [] { return std::string("conntrack -L -p udp"); });
  if (const Status usable = outcomeOf(dumped); !usable) return std::unexpected(usable.error());
  return deleteAll(stale);
}

Result<std::size_t> Conntrack::forEach(const std::vector<Flow>& flows,
                                       const std::function<Status(const Flow&)>& request) {
  std::size_t count = 0;
  for (const Flow& flow : flows) {
    const Status done = request(flow);
    if (!done && done.error().kind != ErrorKind::notThere) return std::unexpected(done.error());
    if (done) ++count;
  }
  return count;
}

Result<std::size_t> Conntrack::deleteAll(const std::vector<Flow>& flows) {
  return forEach(flows, [&](const Flow& flow) { return deleteFlow(*socket_, flow); });
}

Status Conntrack::forgetMarked(MarkMatch mark, std::optional<Family> family) {
  if (auto ours = refuseOthers(mark); !ours) return ours;
  if (auto opened = open(); !opened) return opened;
  Message message(messageType(IPCTNL_MSG_CT_DELETE), 0);
  // With version 0 the family does not count (ctnetlink_del_conntrack, 5.15 to 6.18): both are meant.
  constexpr std::uint8_t kFamilyCounts = 1;
  if (family)
    putHeader(message, static_cast<std::uint8_t>(addressFamily(*family)), kFamilyCounts);
  else
    putHeader(message, AF_UNSPEC);
  putMark(message, mark);
  const Status done = socket_->request(message, [&] { return commandOf("-D", mark); });
  if (done || done.error().kind == ErrorKind::notThere || hasNoConntrack(done.error())) return {};
  return done;
}

// What the kernel filters is checked here again: before 5.15 it ignores the condition on the status.
Status Conntrack::dumpMarked(const Selection& selection, const std::function<void(MarkedFlow)>& onFlow) {
  if (auto opened = open(); !opened) return opened;
  Message message(messageType(IPCTNL_MSG_CT_GET), 0);
  putHeader(message, selection.family ? static_cast<std::uint8_t>(addressFamily(*selection.family)) : AF_UNSPEC);
  if (selection.mark) putMark(message, *selection.mark);
  if (selection.onlySilent) {
    message.u32(CTA_STATUS, 0);
    message.u32(CTA_STATUS_MASK, htonl(IPS_SEEN_REPLY));
  }
  const auto isSelected = [&](const MarkedFlow& marked) {
    return (!selection.mark || selection.mark->matches(marked.mark)) &&
           (!selection.family || addressFamily(*selection.family) == marked.flow.family) &&
           !(selection.onlySilent && marked.answered);
  };
  return outcomeOf(socket_->dump(
      message,
      [&](const nlmsghdr* answer) {
        auto marked = markedFlow(answer, selection.mask);
        if (marked && isSelected(*marked)) onFlow(std::move(*marked));
      },
      [&] { return commandOf("-L", selection.mark.value_or(MarkMatch{0, selection.mask})); }));
}

// The same two conditions in a deletion would make it one request (5.15 and 6.1 were read). But a kernel that ignores
// the second one (5.10 was read) would delete the answered flows as well, so what the dump has shown is deleted one by
// one: 2000 took 10 ms (6.18). What is answered in between begins anew, as it would have without an answer.
Result<std::size_t> Conntrack::forgetUnanswered(MarkMatch mark, Family family) {
  if (auto ours = refuseOthers(mark); !ours) return std::unexpected(ours.error());
  std::vector<Flow> silent;
  const Status dumped = dumpMarked({.mask = mark.mask, .mark = mark, .family = family, .onlySilent = true},
                                   [&](MarkedFlow marked) { silent.push_back(std::move(marked.flow)); });
  if (!dumped) return std::unexpected(dumped.error());
  return deleteAll(silent);
}

Result<Drained> Conntrack::forgetIdle(MarkMatch mark, Family family, IdleWatch& watch, Instant now) {
  if (auto ours = refuseOthers(mark); !ours) return std::unexpected(ours.error());
  std::vector<Flow> flows;
  std::vector<IdleWatch::Seen> seen;
  std::size_t all = 0;
  const Status dumped = dumpMarked({.mask = mark.mask, .mark = mark, .family = family}, [&](MarkedFlow marked) {
    ++all;
    if (!marked.expiresIn || !marked.flow.id) return;
    seen.push_back({.id = *marked.flow.id, .expiresIn = *marked.expiresIn});
    flows.push_back(std::move(marked.flow));
  });
  if (!dumped) return std::unexpected(dumped.error());
  const auto idle = watch.look(now, seen);
  std::erase_if(flows, [&](const Flow& flow) { return !idle.contains(*flow.id); });
  const auto forgotten = deleteAll(flows);
  if (!forgotten) return std::unexpected(forgotten.error());
  return Drained{.forgotten = *forgotten, .left = all - *forgotten};
}

Result<std::size_t> Conntrack::forgetTranslatedTo(std::uint32_t mask,
                                                  const std::map<Mark, std::set<Address>>& wrongSources) {
  if (wrongSources.empty()) return 0;
  std::vector<Flow> wrong;
  const Status dumped = dumpMarked({.mask = mask, .mark = {}, .family = {}}, [&](MarkedFlow marked) {
    const auto known = wrongSources.find(Mark{marked.mark.value & mask});
    if (known != wrongSources.end() && marked.translatedTo && known->second.contains(*marked.translatedTo))
      wrong.push_back(std::move(marked.flow));
  });
  if (!dumped) return std::unexpected(dumped.error());
  return deleteAll(wrong);
}

Result<std::size_t> Conntrack::unmark(MarkMatch mark, std::uint32_t bits) {
  if (auto ours = refuseOthers(mark); !ours) return std::unexpected(ours.error());
  std::vector<Flow> flows;
  const Status dumped = dumpMarked({.mask = mark.mask, .mark = mark, .family = {}},
                                   [&](MarkedFlow marked) { flows.push_back(std::move(marked.flow)); });
  if (!dumped) return std::unexpected(dumped.error());
  return forEach(flows, [&](const Flow& flow) { return unmarkFlow(*socket_, flow, bits); });
}

Result<std::map<std::uint32_t, std::size_t>> Conntrack::countMarked(std::uint32_t mask) {
  std::map<std::uint32_t, std::size_t> counts;
  if (mask == 0) return counts;
  // The kernel cannot be asked for "not 0".
  const Status dumped = dumpMarked({.mask = mask, .mark = {}, .family = {}},
                                   [&](const MarkedFlow& marked) { ++counts[marked.mark.value & mask]; });
  if (!dumped) return std::unexpected(dumped.error());
  return counts;
}

}  // namespace wgsteer::netlink
