// SPDX-License-Identifier: GPL-2.0-or-later
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>

#include "netlink/declared.hpp"
#include "netlink/rtnl.hpp"

namespace wgsteer::netlink {

namespace {

/// FRA_SPORT_MASK and FRA_DPORT_MASK of linux/fib_rules.h since 6.15.
constexpr std::uint16_t kSourcePortMask = 28;
constexpr std::uint16_t kDestinationPortMask = 29;

constexpr auto kActions = std::to_array<Name<RuleAction>>({
    {FR_ACT_TO_TBL, RuleAction::lookup},
    {FR_ACT_GOTO, RuleAction::goto_},
    {FR_ACT_NOP, RuleAction::nop},
    {FR_ACT_BLACKHOLE, RuleAction::blackhole},
    {FR_ACT_UNREACHABLE, RuleAction::unreachable},
    {FR_ACT_PROHIBIT, RuleAction::prohibit},
});
static_assert(kActions.size() == std::to_underlying(RuleAction::other), "all but `other` have a number");

/// As in fib_rule_policy of net/core/fib_rules.c.
constexpr auto kAttributes = std::to_array<Declared>({
    {FRA_DST, Length::address},
    {FRA_SRC, Length::address},
    {FRA_IIFNAME},
    {FRA_OIFNAME},
    {FRA_GOTO, Length::u32},
    {FRA_PRIORITY, Length::u32},
    {FRA_FWMARK, Length::u32},
    {FRA_FWMASK, Length::u32},
    {FRA_FLOW, Length::u32},
    {FRA_SUPPRESS_IFGROUP, Length::u32},
    {FRA_SUPPRESS_PREFIXLEN, Length::u32},
    {FRA_TABLE, Length::u32},
    {FRA_L3MDEV, Length::u8},
    {FRA_PROTOCOL, Length::u8},
    {FRA_IP_PROTO, Length::u8},
    {FRA_SPORT_RANGE, Length::u32},
    {FRA_DPORT_RANGE, Length::u32},
});
static_assert(sizeof(fib_rule_port_range) == sizeof(std::uint32_t));

std::optional<PortRange> portsIn(const Attributes<FRA_DPORT_RANGE>& attributes, std::size_t type) {
  const auto payload = attributes.at(type);
  if (!payload) return std::nullopt;
  fib_rule_port_range range{};
  std::memcpy(&range, payload->data(), sizeof range);
  return PortRange{range.start, range.end};
}

void putPorts(Message& message, std::uint16_t type, const std::optional<PortRange>& ports) {
  if (ports) message.object(type, fib_rule_port_range{.start = ports->first, .end = ports->last});
}

std::optional<Prefix> prefixIn(const Attributes<FRA_DPORT_RANGE>& attributes, std::size_t type, Family family,
                               std::uint8_t length) {
  const auto address = attributes.address(type, family);
  if (!address) return std::nullopt;
  return Prefix{*address, length};
}

bool isWhole(std::uint8_t length, Family family, const std::optional<Bytes>& address) {
  return length == 0 || (length <= bitsOf(family) && address && address->size() == bitsOf(family) / 8U);
}

/// Selectors that we do not model. All ones is "no tun id", "all users" and the like.
bool hasOtherSelector(const fib_rule_hdr& header, const Attributes<FRA_DPORT_RANGE>& attributes, Bytes all) {
  bool other = header.tos != 0 || attributes.has(FRA_TUN_ID) || attributes.has(FRA_UID_RANGE);
  if (const auto l3mdev = attributes.integer<std::uint8_t>(FRA_L3MDEV)) other |= *l3mdev != 0;
  if (const auto flow = attributes.integer<std::uint32_t>(FRA_FLOW)) other |= *flow != 0;
  if (const auto group = attributes.integer<std::uint32_t>(FRA_SUPPRESS_IFGROUP)) other |= *group != 0xffffffff;
  // Selectors of later kernels (dscp, flow label, port masks) have numbers beyond those known here. The mask that comes
  // with every single port (6.15) has no effect if it is all ones.
  forEachAttribute(all, [&](std::uint16_t type, Bytes value) {
    const bool wholePort = (type == kSourcePortMask || type == kDestinationPortMask) &&
                           readInteger<std::uint16_t>(value) == std::uint16_t{0xffff};
    other |= type > FRA_DPORT_RANGE && !wholePort;
  });
  return other;
}

}  // namespace

std::optional<Rule> decodeRule(const nlmsghdr* message) {
  const auto parts = partsOf<fib_rule_hdr>(message);
  if (!parts) return std::nullopt;
  const fib_rule_hdr& header = parts->header;
  const auto family = familyOf(header.family);
  if (!family || !conforms(parts->attributes, kAttributes, family)) return std::nullopt;
  const Attributes<FRA_DPORT_RANGE> attributes{parts->attributes};
  // With part of its selector missing it would be another rule.
  if (!isWhole(header.src_len, *family, attributes.at(FRA_SRC)) ||
      !isWhole(header.dst_len, *family, attributes.at(FRA_DST)))
    return std::nullopt;

  Rule rule;
  rule.family = *family;
  rule.priority = attributes.u32(FRA_PRIORITY);
  rule.invert = (header.flags & FIB_RULE_INVERT) != 0;
  rule.source = prefixIn(attributes, FRA_SRC, *family, header.src_len);
  rule.destination = prefixIn(attributes, FRA_DST, *family, header.dst_len);
  rule.inputInterface = attributes.text(FRA_IIFNAME);
  rule.outputInterface = attributes.text(FRA_OIFNAME);
  rule.mark = {attributes.u32(FRA_FWMARK), attributes.u32(FRA_FWMASK)};
  // The kernel leaves the mask out of its answer when mark and mask are both zero, never otherwise.
  if (attributes.has(FRA_FWMARK) && !attributes.has(FRA_FWMASK) && rule.mark.value != 0) rule.mark.mask = 0xffffffff;
  rule.action = ours(kActions, header.action, RuleAction::other);
  rule.table = TableId{attributes.u32(FRA_TABLE, header.table)};
  if (rule.action != RuleAction::lookup) rule.table = TableId{0};
  rule.suppressPrefixLength = static_cast<std::int32_t>(attributes.u32(FRA_SUPPRESS_PREFIXLEN, 0xffffffff));
  const std::uint32_t group = attributes.u32(FRA_SUPPRESS_IFGROUP, 0xffffffff);
  rule.suppressGroup = group == 0xffffffff ? -1 : std::int64_t{group};
  rule.l3mdev = attributes.integer<std::uint8_t>(FRA_L3MDEV).value_or(0) != 0;
  rule.gotoPriority = attributes.u32(FRA_GOTO);
  rule.ipProtocol = attributes.integer<std::uint8_t>(FRA_IP_PROTO).value_or(0);
  rule.sourcePort = portsIn(attributes, FRA_SPORT_RANGE);
  rule.destinationPort = portsIn(attributes, FRA_DPORT_RANGE);
  if (const auto uids = attributes.at(FRA_UID_RANGE))
    rule.notForRoot = readInteger<std::uint32_t>(*uids).value_or(0) > 0;  // fib_rule_uid_range: the first comes first
  rule.otherSelector = hasOtherSelector(header, attributes, parts->attributes);
  rule.protocol = attributes.integer<std::uint8_t>(FRA_PROTOCOL).value_or(0);
  return rule;
}

void encodeRule(Message& message, const Rule& rule) {
  auto& header = message.extra<fib_rule_hdr>();
  header.family = static_cast<std::uint8_t>(addressFamily(rule.family));
  header.action = kernels(kActions, rule.action, FR_ACT_UNSPEC);
  header.table = static_cast<std::uint8_t>(rule.table.value < 256 ? rule.table.value : RT_TABLE_UNSPEC);
  if (rule.invert) header.flags = FIB_RULE_INVERT;
  if (rule.source) header.src_len = rule.source->length();
  if (rule.destination) header.dst_len = rule.destination->length();

  message.u32(FRA_PRIORITY, rule.priority);
  message.u8(FRA_PROTOCOL, rule.protocol);
  if (rule.action == RuleAction::lookup) message.u32(FRA_TABLE, rule.table.value);
  if (rule.action == RuleAction::goto_) message.u32(FRA_GOTO, rule.gotoPriority);
  if (rule.source) message.bytes(FRA_SRC, rule.source->address().bytes());
  if (rule.destination) message.bytes(FRA_DST, rule.destination->address().bytes());
  if (!rule.inputInterface.empty()) message.text(FRA_IIFNAME, rule.inputInterface);
  if (!rule.outputInterface.empty()) message.text(FRA_OIFNAME, rule.outputInterface);
  if (rule.mark.mask != 0) {
    message.u32(FRA_FWMARK, rule.mark.value);
    message.u32(FRA_FWMASK, rule.mark.mask);
  }
  if (rule.suppressPrefixLength >= 0)
    message.u32(FRA_SUPPRESS_PREFIXLEN, static_cast<std::uint32_t>(rule.suppressPrefixLength));
  if (rule.suppressGroup >= 0) message.u32(FRA_SUPPRESS_IFGROUP, static_cast<std::uint32_t>(rule.suppressGroup));
  if (rule.l3mdev) message.u8(FRA_L3MDEV, 1);
  if (rule.ipProtocol != 0) message.u8(FRA_IP_PROTO, rule.ipProtocol);
  putPorts(message, FRA_SPORT_RANGE, rule.sourcePort);
  putPorts(message, FRA_DPORT_RANGE, rule.destinationPort);
}

}  // namespace wgsteer::netlink
