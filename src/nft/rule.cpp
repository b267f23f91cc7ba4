// SPDX-License-Identifier: GPL-2.0-or-later
#include "nft/rule.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "netlink/kernel_headers.hpp"

namespace wgsteer::nft {

namespace {

// Where things are in the headers of IPv4, IPv6 and UDP.
struct AddressField {
  std::uint32_t offset;
  std::uint32_t length;
};
constexpr AddressField sourceField(Family family) {
  return family == Family::v4 ? AddressField{12, 4} : AddressField{8, 16};
}
constexpr AddressField destinationField(Family family) {
  return family == Family::v4 ? AddressField{16, 4} : AddressField{24, 16};
}
constexpr std::uint32_t kIpv4ChecksumOffset = 10;
constexpr std::uint32_t kUdpSourcePortOffset = 0;
constexpr std::uint32_t kUdpDestinationPortOffset = 2;
constexpr std::uint32_t kUdpHeaderSize = 8;

constexpr std::uint32_t kNone = 0;

// A concatenation's second component starts at the next multiple of four bytes: after 4 bytes in the second 32-bit
// register, after 16 in the second of 128 bits.
constexpr std::uint32_t registerAfter(Family family) { return family == Family::v4 ? NFT_REG32_01 : NFT_REG_2; }
constexpr std::uint32_t registerAfterPort(Family family) { return family == Family::v4 ? NFT_REG32_02 : NFT_REG32_05; }

ExpressionPtr newExpression(const char* name) { return owned<ExpressionPtr>(nftnl_expr_alloc(name)); }

}  // namespace

Rule& Rule::add(ExpressionPtr expression) {
  nftnl_rule_add_expr(rule_.get(), expression.release());
  return *this;
}

Rule& Rule::loadMeta(std::uint32_t key, std::uint32_t reg) {
  auto meta = newExpression("meta");
  nftnl_expr_set_u32(meta.get(), NFTNL_EXPR_META_KEY, key);
  nftnl_expr_set_u32(meta.get(), NFTNL_EXPR_META_DREG, reg);
  return add(std::move(meta));
}

Rule& Rule::loadPayload(std::uint32_t base, std::uint32_t offset, std::uint32_t length, std::uint32_t reg) {
  auto payload = newExpression("payload");
  nftnl_expr_set_u32(payload.get(), NFTNL_EXPR_PAYLOAD_BASE, base);
  nftnl_expr_set_u32(payload.get(), NFTNL_EXPR_PAYLOAD_OFFSET, offset);
  nftnl_expr_set_u32(payload.get(), NFTNL_EXPR_PAYLOAD_LEN, length);
  nftnl_expr_set_u32(payload.get(), NFTNL_EXPR_PAYLOAD_DREG, reg);
  return add(std::move(payload));
}

Rule& Rule::maskAndXor(std::uint32_t mask, std::uint32_t bits) {
  auto bitwise = newExpression("bitwise");
  nftnl_expr_set_u32(bitwise.get(), NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
  nftnl_expr_set_u32(bitwise.get(), NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
  nftnl_expr_set_u32(bitwise.get(), NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
  nftnl_expr_set_u32(bitwise.get(), NFTNL_EXPR_BITWISE_LEN, sizeof mask);
  nftnl_expr_set(bitwise.get(), NFTNL_EXPR_BITWISE_MASK, &mask, sizeof mask);
  nftnl_expr_set(bitwise.get(), NFTNL_EXPR_BITWISE_XOR, &bits, sizeof bits);
  return add(std::move(bitwise));
}

Rule& Rule::compare(std::uint32_t op, const void* bytes, std::uint32_t length) {
  auto comparison = newExpression("cmp");
  nftnl_expr_set_u32(comparison.get(), NFTNL_EXPR_CMP_SREG, NFT_REG_1);
  nftnl_expr_set_u32(comparison.get(), NFTNL_EXPR_CMP_OP, op);
  nftnl_expr_set(comparison.get(), NFTNL_EXPR_CMP_DATA, bytes, length);
  return add(std::move(comparison));
}

Rule& Rule::lookup(const char* set, bool inverted) {
  auto search = newExpression("lookup");
  nftnl_expr_set_u32(search.get(), NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
  nftnl_expr_set_str(search.get(), NFTNL_EXPR_LOOKUP_SET, set);
  nftnl_expr_set_u32(search.get(), NFTNL_EXPR_LOOKUP_FLAGS, inverted ? std::uint32_t{NFT_LOOKUP_F_INV} : 0);
  return add(std::move(search));
}

Rule& Rule::lookupInto(const char* map, std::uint32_t reg) {
  auto search = newExpression("lookup");
  nftnl_expr_set_u32(search.get(), NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
  nftnl_expr_set_str(search.get(), NFTNL_EXPR_LOOKUP_SET, map);
  nftnl_expr_set_u32(search.get(), NFTNL_EXPR_LOOKUP_DREG, reg);
  nftnl_expr_set_u32(search.get(), NFTNL_EXPR_LOOKUP_FLAGS, 0);  // as the kernel reports it
  return add(std::move(search));
}

Rule& Rule::verdict(int code, const char* chain) {
  auto immediate = newExpression("immediate");
  nftnl_expr_set_u32(immediate.get(), NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
  nftnl_expr_set_u32(immediate.get(), NFTNL_EXPR_IMM_VERDICT, static_cast<std::uint32_t>(code));
  if (chain != nullptr) nftnl_expr_set_str(immediate.get(), NFTNL_EXPR_IMM_CHAIN, chain);
  return add(std::move(immediate));
}

Rule& Rule::isUdp() {
  const std::uint8_t udp = IPPROTO_UDP;
  return loadMeta(NFT_META_L4PROTO, NFT_REG_1).compare(NFT_CMP_EQ, &udp, sizeof udp);
}

Rule& Rule::notUdpReturn() {
  const std::uint8_t udp = IPPROTO_UDP;
  return loadMeta(NFT_META_L4PROTO, NFT_REG_1).compare(NFT_CMP_NEQ, &udp, sizeof udp).verdict(NFT_RETURN);
}

Rule& Rule::isFamily(Family family) {
  const std::uint8_t protocol = family == Family::v4 ? NFPROTO_IPV4 : NFPROTO_IPV6;
  return loadMeta(NFT_META_NFPROTO, NFT_REG_1).compare(NFT_CMP_EQ, &protocol, sizeof protocol);
}

Rule& Rule::isUnmarked() { return loadMeta(NFT_META_MARK, NFT_REG_1).compare(NFT_CMP_EQ, &kNone, sizeof kNone); }

Rule& Rule::isMarked() { return loadMeta(NFT_META_MARK, NFT_REG_1).compare(NFT_CMP_NEQ, &kNone, sizeof kNone); }

Rule& Rule::noneOf(std::uint32_t mask) { return hasMark({.value = 0, .mask = mask}); }

Rule& Rule::anyOf(std::uint32_t mask) {
  return loadMeta(NFT_META_MARK, NFT_REG_1).maskAndXor(mask, 0).compare(NFT_CMP_NEQ, &kNone, sizeof kNone);
}

Rule& Rule::hasMark(MarkMatch mark) {
  return loadMeta(NFT_META_MARK, NFT_REG_1)
      .maskAndXor(mark.mask, 0)
      .compare(NFT_CMP_EQ, &mark.value, sizeof mark.value);
}

Rule& Rule::cameIn() { return loadMeta(NFT_META_IIF, NFT_REG_1).compare(NFT_CMP_NEQ, &kNone, sizeof kNone); }

Rule& Rule::markIn(const char* set) { return loadMeta(NFT_META_MARK, NFT_REG_1).lookup(set, false); }
Rule& Rule::markNotIn(const char* set) { return loadMeta(NFT_META_MARK, NFT_REG_1).lookup(set, true); }

/// A map, not a set: nft 1.0.6 prints a comparison of masked bits with a set in a form that it cannot read back.
Rule& Rule::goByMark(std::uint32_t mask, const char* map) {
  return loadMeta(NFT_META_MARK, NFT_REG_1).maskAndXor(mask, 0).lookupInto(map, NFT_REG_VERDICT);
}

Rule& Rule::inputNotIn(const char* set) { return loadMeta(NFT_META_IIFNAME, NFT_REG_1).lookup(set, true); }
Rule& Rule::outputNotIn(const char* set) { return loadMeta(NFT_META_OIFNAME, NFT_REG_1).lookup(set, true); }
Rule& Rule::outputIn(const char* set) { return loadMeta(NFT_META_OIFNAME, NFT_REG_1).lookup(set, false); }

Rule& Rule::sourceIn(const char* set, Family family) {
  const auto [offset, length] = sourceField(family);
  return loadPayload(NFT_PAYLOAD_NETWORK_HEADER, offset, length, NFT_REG_1).lookup(set, false);
}

Rule& Rule::sourceNotOf(const char* set, Family family) {
  const auto [offset, length] = sourceField(family);
  return loadMeta(NFT_META_OIFNAME, NFT_REG_1)
      .loadPayload(NFT_PAYLOAD_NETWORK_HEADER, offset, length, NFT_REG_2)
      .lookup(set, true);
}

Rule& Rule::sourceOf(const char* set, Family family) {
  const auto [offset, length] = sourceField(family);
  return loadMeta(NFT_META_OIFNAME, NFT_REG_1)
      .loadPayload(NFT_PAYLOAD_NETWORK_HEADER, offset, length, NFT_REG_2)
      .lookup(set, false);
}

Rule& Rule::destinationOf(const char* set, Family family) {
  const auto [offset, length] = destinationField(family);
  return loadMeta(NFT_META_IIFNAME, NFT_REG_1)
      .loadPayload(NFT_PAYLOAD_NETWORK_HEADER, offset, length, NFT_REG_2)
      .lookup(set, false);
}

Rule& Rule::setSource(const char* map, Family family) {
  return loadMeta(NFT_META_OIFNAME, NFT_REG_1).lookupInto(map, NFT_REG_1).writeSource(family);
}

Rule& Rule::setSourceByMark(std::uint32_t mask, const char* map, Family family) {
  return loadMeta(NFT_META_MARK, NFT_REG_1).maskAndXor(mask, 0).lookupInto(map, NFT_REG_1).writeSource(family);
}

Rule& Rule::writeSource(Family family) {
  const auto [offset, length] = sourceField(family);
  auto write = newExpression("payload");
  nftnl_expr_set_u32(write.get(), NFTNL_EXPR_PAYLOAD_SREG, NFT_REG_1);
  nftnl_expr_set_u32(write.get(), NFTNL_EXPR_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
  nftnl_expr_set_u32(write.get(), NFTNL_EXPR_PAYLOAD_OFFSET, offset);
  nftnl_expr_set_u32(write.get(), NFTNL_EXPR_PAYLOAD_LEN, length);
  const bool v4 = family == Family::v4;
  nftnl_expr_set_u32(write.get(), NFTNL_EXPR_PAYLOAD_CSUM_TYPE, v4 ? NFT_PAYLOAD_CSUM_INET : NFT_PAYLOAD_CSUM_NONE);
  nftnl_expr_set_u32(write.get(), NFTNL_EXPR_PAYLOAD_CSUM_OFFSET, v4 ? kIpv4ChecksumOffset : 0);
  nftnl_expr_set_u32(write.get(), NFTNL_EXPR_PAYLOAD_FLAGS, NFT_PAYLOAD_L4CSUM_PSEUDOHDR);
  return add(std::move(write));
}

Rule& Rule::destinationPortIn(const char* set) {
  return loadPayload(NFT_PAYLOAD_TRANSPORT_HEADER, kUdpDestinationPortOffset, 2, NFT_REG_1).lookup(set, false);
}

Rule& Rule::sourcePortIn(const char* set) {
  return loadPayload(NFT_PAYLOAD_TRANSPORT_HEADER, kUdpSourcePortOffset, 2, NFT_REG_1).lookup(set, false);
}

Rule& Rule::goByEndpoint(const char* map, Family family) {
  const auto [offset, length] = destinationField(family);
  return loadPayload(NFT_PAYLOAD_NETWORK_HEADER, offset, length, NFT_REG_1)
      .loadPayload(NFT_PAYLOAD_TRANSPORT_HEADER, kUdpDestinationPortOffset, 2, registerAfter(family))
      .lookupInto(map, NFT_REG_VERDICT);
}

Rule& Rule::goByFlow(const char* map, Family family) {
  const auto [offset, length] = destinationField(family);
  return loadPayload(NFT_PAYLOAD_NETWORK_HEADER, offset, length, NFT_REG_1)
      .loadPayload(NFT_PAYLOAD_TRANSPORT_HEADER, kUdpDestinationPortOffset, 2, registerAfter(family))
      .loadPayload(NFT_PAYLOAD_TRANSPORT_HEADER, kUdpSourcePortOffset, 2, registerAfterPort(family))
      .lookupInto(map, NFT_REG_VERDICT);
}

Rule& Rule::goByInput(const char* map) {
  return loadMeta(NFT_META_IIFNAME, NFT_REG_1).lookupInto(map, NFT_REG_VERDICT);
}

Rule& Rule::isWireGuard(std::uint8_t messageType) {
  // The type and three reserved bytes, drivers/net/wireguard/messages.h.
  const std::array<std::uint8_t, 4> header{messageType, 0, 0, 0};
  return loadPayload(NFT_PAYLOAD_TRANSPORT_HEADER, kUdpHeaderSize, header.size(), NFT_REG_1)
      .compare(NFT_CMP_EQ, header.data(), header.size());
}

// One rule with a mask for both would suffice, but nft 1.1.3 lists that as @th,72,29 != 0, which is a different rule
// when it is loaded again.
Rule& Rule::typeOfNoWireGuard() {
  // The types are 1 to 4; 0 and 5 to 7 practically do not occur.
  constexpr std::uint8_t kLast = 7;
  return loadPayload(NFT_PAYLOAD_TRANSPORT_HEADER, kUdpHeaderSize, sizeof kLast, NFT_REG_1)
      .compare(NFT_CMP_GT, &kLast, sizeof kLast);
}

Rule& Rule::reservedOfNoWireGuard() {
  constexpr std::uint32_t kReserved = 3;
  return loadPayload(NFT_PAYLOAD_TRANSPORT_HEADER, kUdpHeaderSize + 1, kReserved, NFT_REG_1)
      .compare(NFT_CMP_NEQ, &kNone, kReserved);
}

Rule& Rule::loadConnection(std::uint32_t key) {
  auto connection = newExpression("ct");
  nftnl_expr_set_u32(connection.get(), NFTNL_EXPR_CT_KEY, key);
  nftnl_expr_set_u32(connection.get(), NFTNL_EXPR_CT_DREG, NFT_REG_1);
  return add(std::move(connection));
}

Rule& Rule::hasConnectionMark(MarkMatch mark) {
  return loadConnection(NFT_CT_MARK).maskAndXor(mark.mask, 0).compare(NFT_CMP_EQ, &mark.value, sizeof mark.value);
}

Rule& Rule::goByConnectionMark(std::uint32_t mask, const char* map) {
  return loadConnection(NFT_CT_MARK).maskAndXor(mask, 0).lookupInto(map, NFT_REG_VERDICT);
}

Rule& Rule::stampConnectionMark(MarkMatch mark) {
  loadConnection(NFT_CT_MARK).maskAndXor(~mark.mask, mark.value);
  auto connection = newExpression("ct");
  nftnl_expr_set_u32(connection.get(), NFTNL_EXPR_CT_KEY, NFT_CT_MARK);
  nftnl_expr_set_u32(connection.get(), NFTNL_EXPR_CT_SREG, NFT_REG_1);
  return add(std::move(connection));
}

Rule& Rule::isInState(std::uint32_t states) {
  return loadConnection(NFT_CT_STATE).maskAndXor(states, 0).compare(NFT_CMP_NEQ, &kNone, sizeof kNone);
}

Rule& Rule::hasBegun() {
  return loadConnection(NFT_CT_STATUS).maskAndXor(IPS_CONFIRMED, 0).compare(NFT_CMP_NEQ, &kNone, sizeof kNone);
}

Rule& Rule::isMidStream() {
  constexpr std::uint32_t kFlagsOffset = 13;
  constexpr std::uint8_t kSynOrReset = 0x02 | 0x04;
  constexpr std::uint8_t kNeither = 0;
  return isProtocol(IPPROTO_TCP)
      .loadPayload(NFT_PAYLOAD_TRANSPORT_HEADER, kFlagsOffset, sizeof kSynOrReset, NFT_REG_1)
      .maskBytes({kSynOrReset})
      .compare(NFT_CMP_EQ, &kNeither, sizeof kNeither);
}

Rule& Rule::isOriginal() {
  const std::uint8_t original = 0;  // IP_CT_DIR_ORIGINAL
  return loadConnection(NFT_CT_DIRECTION).compare(NFT_CMP_EQ, &original, sizeof original);
}

Rule& Rule::isReply() {
  const std::uint8_t reply = 1;  // IP_CT_DIR_REPLY
  return loadConnection(NFT_CT_DIRECTION).compare(NFT_CMP_EQ, &reply, sizeof reply);
}

Rule& Rule::hasNotMark(MarkMatch mark) {
  return loadMeta(NFT_META_MARK, NFT_REG_1)
      .maskAndXor(mark.mask, 0)
      .compare(NFT_CMP_NEQ, &mark.value, sizeof mark.value);
}

Rule& Rule::inputIn(const char* set) { return loadMeta(NFT_META_IIFNAME, NFT_REG_1).lookup(set, false); }

Rule& Rule::outputIs(const IfName& device) {
  std::array<char, kMaxIfNameLength + 1> name{};
  std::ranges::copy(std::string_view{device}.substr(0, kMaxIfNameLength), name.begin());
  return loadMeta(NFT_META_OIFNAME, NFT_REG_1).compare(NFT_CMP_EQ, name.data(), name.size());
}

Rule& Rule::fromHere() { return loadMeta(NFT_META_IIF, NFT_REG_1).compare(NFT_CMP_EQ, &kNone, sizeof kNone); }

Rule& Rule::isProtocol(std::uint8_t protocol) {
  return loadMeta(NFT_META_L4PROTO, NFT_REG_1).compare(NFT_CMP_EQ, &protocol, sizeof protocol);
}

Rule& Rule::destinationPortBetween(std::uint16_t first, std::uint16_t last) {
  const std::uint16_t low = htons(first);
  const std::uint16_t high = htons(last);
  return loadPayload(NFT_PAYLOAD_TRANSPORT_HEADER, kUdpDestinationPortOffset, sizeof low, NFT_REG_1)
      .compare(NFT_CMP_GTE, &low, sizeof low)
      .compare(NFT_CMP_LTE, &high, sizeof high);
}

Rule& Rule::icmpTypeBetween(std::uint8_t first, std::uint8_t last) {
  return loadPayload(NFT_PAYLOAD_TRANSPORT_HEADER, 0, sizeof first, NFT_REG_1)
      .compare(NFT_CMP_GTE, &first, sizeof first)
      .compare(NFT_CMP_LTE, &last, sizeof last);
}

Rule& Rule::loadAddressType() {
  auto fib = newExpression("fib");
  nftnl_expr_set_u32(fib.get(), NFTNL_EXPR_FIB_FLAGS, NFTA_FIB_F_DADDR);
  nftnl_expr_set_u32(fib.get(), NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
  nftnl_expr_set_u32(fib.get(), NFTNL_EXPR_FIB_DREG, NFT_REG_1);
  return add(std::move(fib));
}

Rule& Rule::destinationIsOfType(std::uint32_t type) {
  return loadAddressType().compare(NFT_CMP_EQ, &type, sizeof type);
}

Rule& Rule::hasCodePoint(Family family, std::uint8_t dscp) {
  return loadCodePoint(family).compareCodePoint(family, NFT_CMP_EQ, dscp);
}

Rule& Rule::hasNoneOf(Family family, const std::vector<std::uint8_t>& dscps) {
  for (const std::uint8_t dscp : dscps) loadCodePoint(family).compareCodePoint(family, NFT_CMP_NEQ, dscp);
  return *this;
}

/// In IPv6: version (4 bits), traffic class (8, of which the code point is the upper 6), flow label.
Rule& Rule::loadCodePoint(Family family) {
  if (family == Family::v4) return loadPayload(NFT_PAYLOAD_NETWORK_HEADER, 1, 1, NFT_REG_1).maskBytes({0xfc});
  return loadPayload(NFT_PAYLOAD_NETWORK_HEADER, 0, 2, NFT_REG_1).maskBytes({0x0f, 0xc0});
}

Rule& Rule::compareCodePoint(Family family, std::uint32_t operation, std::uint8_t dscp) {
  if (family == Family::v4) {
    const auto wanted = static_cast<std::uint8_t>(dscp << 2U);
    return compare(operation, &wanted, sizeof wanted);
  }
  const std::array<std::uint8_t, 2> wanted{static_cast<std::uint8_t>(dscp >> 2U),
                                           static_cast<std::uint8_t>((dscp & 0x3U) << 6U)};
  return compare(operation, wanted.data(), wanted.size());
}

Rule& Rule::maskBytes(std::initializer_list<std::uint8_t> mask) {
  const std::array<std::uint8_t, 4> none{};
  const auto length = static_cast<std::uint32_t>(mask.size());
  auto bitwise = newExpression("bitwise");
  nftnl_expr_set_u32(bitwise.get(), NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
  nftnl_expr_set_u32(bitwise.get(), NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
  nftnl_expr_set_u32(bitwise.get(), NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
  nftnl_expr_set_u32(bitwise.get(), NFTNL_EXPR_BITWISE_LEN, length);
  nftnl_expr_set(bitwise.get(), NFTNL_EXPR_BITWISE_MASK, std::data(mask), length);
  nftnl_expr_set(bitwise.get(), NFTNL_EXPR_BITWISE_XOR, none.data(), length);
  return add(std::move(bitwise));
}

Rule& Rule::loadField(TrafficField field) {
  const auto address = [this](AddressField at) {
    return &loadPayload(NFT_PAYLOAD_NETWORK_HEADER, at.offset, at.length, NFT_REG_1);
  };
  constexpr std::uint32_t kSourceMacOffset = 6;
  constexpr std::uint32_t kMacLength = 6;
  switch (field) {
    case TrafficField::inputDevice:
      return loadMeta(NFT_META_IIFNAME, NFT_REG_1);
    case TrafficField::source4:
      return *address(sourceField(Family::v4));
    case TrafficField::source6:
      return *address(sourceField(Family::v6));
    case TrafficField::destination4:
      return *address(destinationField(Family::v4));
    case TrafficField::destination6:
      return *address(destinationField(Family::v6));
    case TrafficField::sourcePort:
      return loadPayload(NFT_PAYLOAD_TRANSPORT_HEADER, kUdpSourcePortOffset, 2, NFT_REG_1);
    case TrafficField::destinationPort:
      return loadPayload(NFT_PAYLOAD_TRANSPORT_HEADER, kUdpDestinationPortOffset, 2, NFT_REG_1);
    case TrafficField::protocol:
      return loadMeta(NFT_META_L4PROTO, NFT_REG_1);
    case TrafficField::sourceMac: {
      const std::uint16_t ethernet = 1;  // ARPHRD_ETHER: other devices have no such header
      return loadMeta(NFT_META_IIFTYPE, NFT_REG_1)
          .compare(NFT_CMP_EQ, &ethernet, sizeof ethernet)
          .loadPayload(NFT_PAYLOAD_LL_HEADER, kSourceMacOffset, kMacLength, NFT_REG_1);
    }
    case TrafficField::mark:
      break;
  }
  return loadMeta(NFT_META_MARK, NFT_REG_1);
}

Rule& Rule::fieldIn(TrafficField field, const char* set, bool inverted) {
  return loadField(field).lookup(set, inverted);
}
Rule& Rule::goByField(TrafficField field, const char* map) { return loadField(field).lookupInto(map, NFT_REG_VERDICT); }

Rule& Rule::nextHopIs(const Address& router) {
  const bool v4 = router.family() == Family::v4;
  auto route = newExpression("rt");
  nftnl_expr_set_u32(route.get(), NFTNL_EXPR_RT_KEY, v4 ? NFT_RT_NEXTHOP4 : NFT_RT_NEXTHOP6);
  nftnl_expr_set_u32(route.get(), NFTNL_EXPR_RT_DREG, NFT_REG_1);
  const auto bytes = router.bytes();
  return add(std::move(route)).compare(NFT_CMP_EQ, bytes.data(), static_cast<std::uint32_t>(bytes.size()));
}

/// Numbers are compared as bytes, so they are put into network order first, as nft(8) does.
Rule& Rule::inNetworkOrder() {
  auto order = newExpression("byteorder");
  nftnl_expr_set_u32(order.get(), NFTNL_EXPR_BYTEORDER_SREG, NFT_REG_1);
  nftnl_expr_set_u32(order.get(), NFTNL_EXPR_BYTEORDER_DREG, NFT_REG_1);
  nftnl_expr_set_u32(order.get(), NFTNL_EXPR_BYTEORDER_OP, NFT_BYTEORDER_HTON);
  nftnl_expr_set_u32(order.get(), NFTNL_EXPR_BYTEORDER_LEN, sizeof(std::uint32_t));
  nftnl_expr_set_u32(order.get(), NFTNL_EXPR_BYTEORDER_SIZE, sizeof(std::uint32_t));
  return add(std::move(order));
}

Rule& Rule::destinationTypeBetween(std::uint32_t first, std::uint32_t last) {
  const std::uint32_t low = htonl(first);
  const std::uint32_t high = htonl(last);
  return loadAddressType()
      .inNetworkOrder()
      .compare(NFT_CMP_GTE, &low, sizeof low)
      .compare(NFT_CMP_LTE, &high, sizeof high);
}

Rule& Rule::below(std::uint32_t limit) {
  const std::uint32_t bytes = htonl(limit);
  return inNetworkOrder().compare(NFT_CMP_LT, &bytes, sizeof bytes);
}

Rule& Rule::randomBelow(std::uint32_t sum, std::uint32_t limit) {
  auto number = newExpression("numgen");
  nftnl_expr_set_u32(number.get(), NFTNL_EXPR_NG_DREG, NFT_REG_1);
  nftnl_expr_set_u32(number.get(), NFTNL_EXPR_NG_TYPE, NFT_NG_RANDOM);
  nftnl_expr_set_u32(number.get(), NFTNL_EXPR_NG_MODULUS, sum);
  return add(std::move(number)).below(limit);
}

Rule& Rule::sourceHashBelow(Family family, std::uint32_t sum, std::uint32_t limit) {
  const auto [offset, length] = sourceField(family);
  return loadPayload(NFT_PAYLOAD_NETWORK_HEADER, offset, length, NFT_REG_1).hashBelow(length, sum, limit);
}

Rule& Rule::pairHashBelow(Family family, std::uint32_t sum, std::uint32_t limit) {
  const auto [source, length] = sourceField(family);
  const auto [destination, same] = destinationField(family);
  return loadPayload(NFT_PAYLOAD_NETWORK_HEADER, source, length, NFT_REG_1)
      .loadPayload(NFT_PAYLOAD_NETWORK_HEADER, destination, same, registerAfter(family))
      .hashBelow(length + same, sum, limit);
}

Rule& Rule::hashBelow(std::uint32_t length, std::uint32_t sum, std::uint32_t limit) {
  // A seed of our own: without one the kernel draws another for each rule, and their answers would not fit together.
  constexpr std::uint32_t kSeed = 0x5747;
  auto hash = newExpression("hash");
  nftnl_expr_set_u32(hash.get(), NFTNL_EXPR_HASH_TYPE, NFT_HASH_JENKINS);
  nftnl_expr_set_u32(hash.get(), NFTNL_EXPR_HASH_SREG, NFT_REG_1);
  nftnl_expr_set_u32(hash.get(), NFTNL_EXPR_HASH_DREG, NFT_REG_1);
  nftnl_expr_set_u32(hash.get(), NFTNL_EXPR_HASH_LEN, length);
  nftnl_expr_set_u32(hash.get(), NFTNL_EXPR_HASH_MODULUS, sum);
  nftnl_expr_set_u32(hash.get(), NFTNL_EXPR_HASH_SEED, kSeed);
  return add(std::move(hash)).below(limit);
}

/// In IPv6, a host has many addresses of one prefix of 64 bits.
Rule& Rule::maskHost(Family family) {
  constexpr std::uint8_t kOfAHost = 64;
  return family == Family::v4 ? *this : maskAddress6(kOfAHost);
}

Rule& Rule::maskAddress6(std::uint8_t length) {
  std::array<std::uint8_t, 16> mask{};
  const std::array<std::uint8_t, 16> none{};
  for (std::size_t bit = 0; bit < length; ++bit)
    mask.at(bit / 8) = static_cast<std::uint8_t>(mask.at(bit / 8) | 0x80U >> bit % 8);
  auto bitwise = newExpression("bitwise");
  nftnl_expr_set_u32(bitwise.get(), NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
  nftnl_expr_set_u32(bitwise.get(), NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
  nftnl_expr_set_u32(bitwise.get(), NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
  nftnl_expr_set_u32(bitwise.get(), NFTNL_EXPR_BITWISE_LEN, mask.size());
  nftnl_expr_set(bitwise.get(), NFTNL_EXPR_BITWISE_MASK, mask.data(), mask.size());
  nftnl_expr_set(bitwise.get(), NFTNL_EXPR_BITWISE_XOR, none.data(), none.size());
  return add(std::move(bitwise));
}

/// Of a prefix that ends with a byte, nft(8) loads these bytes alone.
Rule& Rule::sourceWithin(const Prefix& prefix) {
  const auto [offset, length] = sourceField(prefix.family());
  const auto bytes = prefix.address().bytes();
  const std::uint32_t whole = prefix.length() / 8U;
  if (prefix.length() % 8 == 0)
    return loadPayload(NFT_PAYLOAD_NETWORK_HEADER, offset, whole, NFT_REG_1).compare(NFT_CMP_EQ, bytes.data(), whole);
  return loadPayload(NFT_PAYLOAD_NETWORK_HEADER, offset, length, NFT_REG_1)
      .maskAddress6(prefix.length())
      .compare(NFT_CMP_EQ, bytes.data(), length);
}

Rule& Rule::sourceRemembered(Family family, const char* set) {
  const auto [offset, length] = sourceField(family);
  return loadPayload(NFT_PAYLOAD_NETWORK_HEADER, offset, length, NFT_REG_1).maskHost(family).lookup(set, false);
}

Rule& Rule::loadOriginalSource(Family family) {
  auto connection = newExpression("ct");
  nftnl_expr_set_u32(connection.get(), NFTNL_EXPR_CT_KEY, family == Family::v4 ? NFT_CT_SRC_IP : NFT_CT_SRC_IP6);
  nftnl_expr_set_u32(connection.get(), NFTNL_EXPR_CT_DREG, NFT_REG_1);
  nftnl_expr_set_u8(connection.get(), NFTNL_EXPR_CT_DIR, 0);  // IP_CT_DIR_ORIGINAL
  return add(std::move(connection)).maskHost(family);
}

Rule& Rule::changeSet(std::uint32_t operation, const char* set, std::chrono::milliseconds timeout) {
  auto change = newExpression("dynset");
  nftnl_expr_set_u32(change.get(), NFTNL_EXPR_DYNSET_SREG_KEY, NFT_REG_1);
  nftnl_expr_set_u32(change.get(), NFTNL_EXPR_DYNSET_OP, operation);
  nftnl_expr_set_str(change.get(), NFTNL_EXPR_DYNSET_SET_NAME, set);
  // Also 0, as the kernel reports it.
  nftnl_expr_set_u64(change.get(), NFTNL_EXPR_DYNSET_TIMEOUT, static_cast<std::uint64_t>(timeout.count()));
  return add(std::move(change));
}

Rule& Rule::remember(Family family, const char* set, std::chrono::milliseconds timeout) {
  return isFamily(family).loadOriginalSource(family).changeSet(NFT_DYNSET_OP_UPDATE, set, timeout);
}

Rule& Rule::forget(Family family, const char* set) {
  return isFamily(family).loadOriginalSource(family).changeSet(NFT_DYNSET_OP_DELETE, set, {});
}

Rule& Rule::thenReturn() { return verdict(NFT_RETURN); }
Rule& Rule::thenJump(const char* chain) { return verdict(NFT_JUMP, chain); }
Rule& Rule::thenGoto(const char* chain) { return verdict(NFT_GOTO, chain); }
Rule& Rule::thenDrop() { return verdict(NF_DROP); }
Rule& Rule::thenMasquerade() { return add(newExpression("masq")); }

Rule& Rule::loadImmediate(const Address& address, std::uint32_t reg) {
  const auto bytes = address.bytes();
  auto immediate = newExpression("immediate");
  nftnl_expr_set_u32(immediate.get(), NFTNL_EXPR_IMM_DREG, reg);
  nftnl_expr_set(immediate.get(), NFTNL_EXPR_IMM_DATA, bytes.data(), static_cast<std::uint32_t>(bytes.size()));
  return add(std::move(immediate));
}

Rule& Rule::thenTranslateTo(const Prefix& prefix) {
  loadImmediate(prefix.address(), NFT_REG_1).loadImmediate(prefix.last(), NFT_REG_2);
  auto nat = newExpression("nat");
  nftnl_expr_set_u32(nat.get(), NFTNL_EXPR_NAT_TYPE, NFT_NAT_SNAT);
  nftnl_expr_set_u32(nat.get(), NFTNL_EXPR_NAT_FAMILY, NFPROTO_IPV6);
  nftnl_expr_set_u32(nat.get(), NFTNL_EXPR_NAT_REG_ADDR_MIN, NFT_REG_1);
  nftnl_expr_set_u32(nat.get(), NFTNL_EXPR_NAT_REG_ADDR_MAX, NFT_REG_2);
  // NF_NAT_RANGE_MAP_IPS as the kernel reports it.
  nftnl_expr_set_u32(nat.get(), NFTNL_EXPR_NAT_FLAGS, NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_NETMAP);
  return add(std::move(nat));
}

Rule& Rule::thenReset() {
  auto reject = newExpression("reject");
  nftnl_expr_set_u32(reject.get(), NFTNL_EXPR_REJECT_TYPE, NFT_REJECT_TCP_RST);
  return add(std::move(reject));
}

Rule& Rule::thenRefuse6(std::uint8_t code) {
  auto reject = newExpression("reject");
  nftnl_expr_set_u32(reject.get(), NFTNL_EXPR_REJECT_TYPE, NFT_REJECT_ICMP_UNREACH);
  nftnl_expr_set_u8(reject.get(), NFTNL_EXPR_REJECT_CODE, code);
  return add(std::move(reject));
}

Rule& Rule::count() { return add(newExpression("counter")); }

Rule& Rule::countNamed(const std::string& counter) {
  auto reference = newExpression("objref");
  nftnl_expr_set_u32(reference.get(), NFTNL_EXPR_OBJREF_IMM_TYPE, NFT_OBJECT_COUNTER);
  nftnl_expr_set_str(reference.get(), NFTNL_EXPR_OBJREF_IMM_NAME, counter.c_str());
  return add(std::move(reference));
}

Rule& Rule::countByOutput(const char* map) {
  loadMeta(NFT_META_OIFNAME, NFT_REG_1);
  auto reference = newExpression("objref");
  nftnl_expr_set_u32(reference.get(), NFTNL_EXPR_OBJREF_SET_SREG, NFT_REG_1);
  nftnl_expr_set_str(reference.get(), NFTNL_EXPR_OBJREF_SET_NAME, map);
  return add(std::move(reference));
}

Rule& Rule::stampMark(MarkMatch mark) {
  loadMeta(NFT_META_MARK, NFT_REG_1).maskAndXor(~mark.mask, mark.value);
  auto meta = newExpression("meta");
  nftnl_expr_set_u32(meta.get(), NFTNL_EXPR_META_KEY, NFT_META_MARK);
  nftnl_expr_set_u32(meta.get(), NFTNL_EXPR_META_SREG, NFT_REG_1);
  return add(std::move(meta));
}

std::string canonicalText(nftnl_rule* rule) {
  std::string text;
  const ExpressionIteratorPtr iterator(nftnl_expr_iter_create(rule));
  if (!iterator) throw std::bad_alloc();
  while (nftnl_expr* expression = nftnl_expr_iter_next(iterator.get())) {
    const std::string_view name = nftnl_expr_get_str(expression, NFTNL_EXPR_NAME);
    text.append("[ ").append(name).append(" ");
    if (name != "counter") {
      std::array<char, 512> buffer{};
      const int size = nftnl_expr_snprintf(buffer.data(), buffer.size(), expression, NFTNL_OUTPUT_DEFAULT, 0);
      text.append(buffer.data());
      // None of ours is so long: what differs only behind must not look like it.
      if (size < 0 || static_cast<std::size_t>(size) >= buffer.size()) text.append(" ...");
    }
    text.append("]");
  }
  return text;
}

}  // namespace wgsteer::nft
