// SPDX-License-Identifier: GPL-2.0-or-later
#include "ruleset.hpp"

#include <netinet/in.h>
// After libc's <netinet/in.h>, or musl defines things twice.
#include <charconv>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <utility>

namespace wgsteer::nft {

namespace {

constexpr std::uint32_t kIfNameSize = 16;
constexpr std::uint32_t kPortSize = 4;  // in a concatenation: padded to a multiple of four
constexpr std::uint32_t kIpv4Size = 4;
constexpr std::uint32_t kIpv6Size = 16;

/// Filter chains of others at mangle (-150) have had their say on the mark of what leaves; conntrack has not.
constexpr std::int32_t kSentChainPriority = -150;

constexpr std::uint8_t kHandshakeInitiation = 1;
constexpr std::uint8_t kHandshakeResponse = 2;

constexpr std::uint32_t type(DataType one) { return std::to_underlying(one); }
/// nft packs the types of a concatenation six bits each.
constexpr std::uint32_t type(DataType one, DataType two) { return type(one) << 6U | type(two); }
constexpr std::uint32_t type(DataType one, DataType two, DataType three) { return type(one, two) << 6U | type(three); }

}  // namespace

using enum DataType;

const std::array<SetShape, kSetCount> kSets{{
    {SetId::wan, "wan", SetKind::set, type(ifName), kIfNameSize, ByteOrder::host},
    {SetId::address4, "address4", SetKind::set, type(ifName, ipv4), kIfNameSize + kIpv4Size, ByteOrder::none},
    {SetId::address6, "address6", SetKind::set, type(ifName, ipv6), kIfNameSize + kIpv6Size, ByteOrder::none},
    {SetId::source4, "source4", SetKind::map, type(ifName), kIfNameSize, ByteOrder::host, type(ipv4), kIpv4Size},
    {SetId::source6, "source6", SetKind::map, type(ifName), kIfNameSize, ByteOrder::host, type(ipv6), kIpv6Size},
    {SetId::policySource4, "policy_source4", SetKind::map, type(mark), sizeof(std::uint32_t), ByteOrder::host,
     type(ipv4), kIpv4Size},
    {SetId::policySource6, "policy_source6", SetKind::map, type(mark), sizeof(std::uint32_t), ByteOrder::host,
     type(ipv6), kIpv6Size},
    {SetId::endpoint4, "endpoint4", SetKind::verdictMap, type(ipv4, inetService), kIpv4Size + kPortSize,
     ByteOrder::none},
    {SetId::endpoint6, "endpoint6", SetKind::verdictMap, type(ipv6, inetService), kIpv6Size + kPortSize,
     ByteOrder::none},
    {SetId::flow4, "flow4", SetKind::verdictMap, type(ipv4, inetService, inetService), kIpv4Size + 2 * kPortSize,
     ByteOrder::none},
    {SetId::flow6, "flow6", SetKind::verdictMap, type(ipv6, inetService, inetService), kIpv6Size + 2 * kPortSize,
     ByteOrder::none},
    {SetId::arrival, "arrival", SetKind::verdictMap, type(ifName), kIfNameSize, ByteOrder::host},
    {SetId::listenPort, "listen_port", SetKind::set, type(inetService), 2, ByteOrder::network},
    {SetId::tunnel, "tunnel", SetKind::set, type(ifName), kIfNameSize, ByteOrder::host},
    {SetId::foreignMark, "foreign_mark", SetKind::set, type(mark), sizeof(std::uint32_t), ByteOrder::host},
    {SetId::ownMark, "own_mark", SetKind::set, type(mark), sizeof(std::uint32_t), ByteOrder::host},
    {SetId::keptOut, "kept_out", SetKind::verdictMap, type(mark), sizeof(std::uint32_t), ByteOrder::host},
    {SetId::ignoreLinkdown4, "ignore_linkdown4", SetKind::set, type(ifName), kIfNameSize, ByteOrder::host},
    {SetId::ignoreLinkdown6, "ignore_linkdown6", SetKind::set, type(ifName), kIfNameSize, ByteOrder::host},
    {SetId::srcValidMark, "src_valid_mark", SetKind::set, type(ifName), kIfNameSize, ByteOrder::host},
    {SetId::initiations, "initiations", SetKind::counterMap, type(ifName), kIfNameSize, ByteOrder::host},
}};

const SetShape& shapeOf(SetId id) { return kSets[std::to_underlying(id)]; }

std::uint32_t setFlags(const SetShape& shape) {
  switch (shape.kind) {
    case SetKind::set:
      return 0;
    case SetKind::counterMap:
      return NFT_SET_OBJECT;
    case SetKind::map:
    case SetKind::verdictMap:
      break;
  }
  return NFT_SET_MAP;
}

namespace {

/// Packets that are marked neither by us nor by the owner of a tunnel are not WireGuard's. Most have no mark at all,
/// and are let go first.
void leaveUnmarked(Chain& chain, const Numbers& numbers) {
  chain.rules.emplace_back().noneOf(numbers.markMask).markNotIn("foreign_mark").thenReturn();
}

Chain sourceChain(const Numbers& numbers) {
  Chain chain{"source", Hook{"filter", NF_INET_LOCAL_OUT, kSourceChainPriority}, {}};
  leaveUnmarked(chain, numbers);
  // As the socket has set it: nobody's chain comes before this one, and adds bits of its own.
  chain.rules.emplace_back().markNotIn("own_mark").markNotIn("foreign_mark").thenReturn();
  chain.rules.emplace_back().notUdpReturn();
  // A device that is no WAN is not in source4/6, and the rule breaks off.
  chain.rules.emplace_back().isFamily(Family::v4).sourceNotOf("address4", Family::v4).setSource("source4", Family::v4);
  chain.rules.emplace_back().isFamily(Family::v6).sourceNotOf("address6", Family::v6).setSource("source6", Family::v6);
  return chain;
}

/// A peer with a way of its own whatever the mark; any other only without one, and if it looks like WireGuard: what
/// other programs send to the same server is theirs.
void goByPeers(Chain& chain, const Numbers& numbers) {
  chain.rules.emplace_back().isFamily(Family::v4).isUdp().goByFlow("flow4", Family::v4);
  chain.rules.emplace_back().isFamily(Family::v6).isUdp().goByFlow("flow6", Family::v6);
  chain.rules.emplace_back().anyOf(numbers.markMask).thenReturn();
  chain.rules.emplace_back().markIn("foreign_mark").thenReturn();
  chain.rules.emplace_back().typeOfNoWireGuard().thenReturn();
  chain.rules.emplace_back().reservedOfNoWireGuard().thenReturn();
  chain.rules.emplace_back().isFamily(Family::v4).isUdp().goByEndpoint("endpoint4", Family::v4);
  chain.rules.emplace_back().isFamily(Family::v6).isUdp().goByEndpoint("endpoint6", Family::v6);
}

/// After `source`, not before: a packet that is re-routed here still has its first device's name in later hooks of this
/// traversal, and its new source would be taken for a wrong one.
Chain outputChain(const Numbers& numbers) {
  Chain chain{"output", Hook{"route", NF_INET_LOCAL_OUT, kOutputChainPriority}, {}};
  chain.rules.emplace_back().notUdpReturn();
  goByPeers(chain, numbers);
  return chain;
}

Chain remarkChain(const Numbers& numbers) {
  Chain chain{"remark", Hook{"route", NF_INET_LOCAL_OUT, kMangleChainPriority}, {}};
  chain.rules.emplace_back().notUdpReturn();
  chain.rules.emplace_back().anyOf(numbers.markMask).thenReturn();
  goByPeers(chain, numbers);
  return chain;
}

/// What is for this host, and for a tunnel's port: others' packets may have that port as well.
Chain arrivalChain(const char* name, std::int32_t priority) {
  Chain chain{name, Hook{"filter", NF_INET_PRE_ROUTING, priority}, {}};
  chain.rules.emplace_back().notUdpReturn();
  for (const Family family : kFamilies)
    chain.rules.emplace_back()
        .isUdp()
        .destinationPortIn("listen_port")
        .isFamily(family)
        .destinationOf(family == Family::v4 ? "address4" : "address6", family)
        .goByInput("arrival");
  return chain;
}

Chain preroutingChain(bool forward) {
  Chain chain = arrivalChain("prerouting", kMangleChainPriority);
  if (!forward) return chain;
  for (const Family family : kFamilies) {
    const char* map = family == Family::v4 ? "endpoint4" : "endpoint6";
    chain.rules.emplace_back().inputNotIn("wan").isFamily(family).isUdp().goByEndpoint(map, family);
  }
  return chain;
}

Chain sentChain(const Numbers& numbers) {
  Chain chain{"sent", Hook{"filter", NF_INET_POST_ROUTING, kSentChainPriority}, {}};
  leaveUnmarked(chain, numbers);
  chain.rules.emplace_back().notUdpReturn();
  chain.rules.emplace_back().isWireGuard(kHandshakeInitiation).countByOutput("initiations");
  chain.rules.emplace_back().goByMark(numbers.markMask, "kept_out");
  return chain;
}

/// Safety net: drops packets only while our rule or routes are missing.
Chain tunnelsChain() {
  Chain chain{kTunnelsChain, {}, {}};
  chain.rules.emplace_back().outputIn("tunnel").count().thenDrop();
  return chain;
}

Chain postroutingChain(const Numbers& numbers) {
  Chain chain{"postrouting", Hook{"nat", NF_INET_POST_ROUTING, kNatChainPriority}, std::vector<Rule>(4)};
  chain.rules[0].noneOf(numbers.markMask).thenReturn();
  chain.rules[1].notUdpReturn();
  chain.rules[2].outputIn("wan").isFamily(Family::v4).sourceNotOf("address4", Family::v4).thenMasquerade();
  chain.rules[3].outputIn("wan").isFamily(Family::v6).sourceNotOf("address6", Family::v6).thenMasquerade();
  return chain;
}

std::string numbered(std::string_view prefix, Slot slot) { return std::string(prefix) + std::to_string(slot.value); }

}  // namespace

std::vector<Chain> baseChains(const Numbers& numbers, bool forward) {
  std::vector<Chain> chains;
  // First, for elements and rules lead there.
  chains.push_back(tunnelsChain());
  chains.push_back(sourceChain(numbers));
  chains.push_back(outputChain(numbers));
  chains.push_back(remarkChain(numbers));
  chains.push_back(arrivalChain("early", kEarlyChainPriority));
  chains.push_back(preroutingChain(forward));
  chains.push_back(sentChain(numbers));
  // A chain of type nat would make the kernel track all connections of a host that does not want that.
  if (forward) chains.push_back(postroutingChain(numbers));
  return chains;
}

Chain policyChain(const Numbers& numbers, Slot slot) {
  Chain chain{policyChainName(slot), {}, std::vector<Rule>(6)};
  chain.rules[0].count();
  // Routed by this mark from the first: its source is right, and may be another address of the WAN than ours.
  chain.rules[1].hasMark(numbers.mark(slot)).thenReturn();
  chain.rules[2].stampMark(numbers.mark(slot));
  // Sources of other hosts are for NAT.
  chain.rules[3].cameIn().thenReturn();
  chain.rules[4].isFamily(Family::v4).setSourceByMark(numbers.markMask, "policy_source4", Family::v4);
  chain.rules[5].isFamily(Family::v6).setSourceByMark(numbers.markMask, "policy_source6", Family::v6);
  return chain;
}

Chain wanChain(const Numbers& numbers, Slot slot) {
  Chain chain{wanChainName(slot), {}, std::vector<Rule>(3)};
  // Of the two chains that lead here, the second finds nothing to do.
  chain.rules[0].hasMark(numbers.mark(slot)).thenReturn();
  chain.rules[1].isWireGuard(kHandshakeResponse).countNamed(responsesCounter(slot));
  chain.rules[2].stampMark(numbers.mark(slot));
  return chain;
}

std::string policyChainName(Slot slot) { return numbered(kPolicyPrefix, slot); }
std::string wanChainName(Slot slot) { return numbered(kWanPrefix, slot); }
std::string initiationsCounter(Slot slot) { return numbered(kInitiationsPrefix, slot); }
std::string responsesCounter(Slot slot) { return numbered(kResponsesPrefix, slot); }

std::optional<Slot> slotFromName(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return std::nullopt;
  const std::string_view digits = name.substr(prefix.size());
  if (digits.empty() || digits.front() < '1' || digits.front() > '9') return std::nullopt;
  std::uint8_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return Slot{value};
}

}  // namespace wgsteer::nft
