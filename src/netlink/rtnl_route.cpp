// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <linux/icmpv6.h>
#include <linux/rtnetlink.h>

#include "netlink/declared.hpp"
#include "netlink/rtnl.hpp"

namespace wgsteer::netlink {

namespace {

constexpr auto kTypes = std::to_array<Name<RouteType>>({
    {RTN_UNICAST, RouteType::unicast},
    {RTN_LOCAL, RouteType::local},
    {RTN_BLACKHOLE, RouteType::blackhole},
    {RTN_UNREACHABLE, RouteType::unreachable},
    {RTN_PROHIBIT, RouteType::prohibit},
    {RTN_THROW, RouteType::throw_},
});
static_assert(kTypes.size() == std::to_underlying(RouteType::other), "all but `other` have a number");

/// As in rtm_ipv4_policy and rtm_ipv6_policy of the kernel.
constexpr auto kAttributes = std::to_array<Declared>({
    {RTA_DST, Length::address},
    {RTA_SRC, Length::address},
    {RTA_OIF, Length::u32},
    {RTA_GATEWAY, Length::address},
    {RTA_PRIORITY, Length::u32},
    {RTA_PREFSRC, Length::address},
    {RTA_METRICS},
    {RTA_MULTIPATH},
    {RTA_TABLE, Length::u32},
    {RTA_VIA, Length::via},
    {RTA_PREF, Length::u8},
    {kNexthopId, Length::u32},
});

/// Those of a hop in RTA_MULTIPATH.
constexpr auto kHopAttributes = std::to_array<Declared>({
    {RTA_GATEWAY, Length::address},
    {RTA_VIA, Length::via},
});

/// Those in RTA_METRICS.
constexpr auto kMetricAttributes = std::to_array<Declared>({
    {RTAX_LOCK, Length::u32},
    {RTAX_MTU, Length::u32},
    {RTAX_ADVMSS, Length::u32},
});

/// nullopt: malformed.
std::optional<std::vector<NextHop>> multipathHops(Bytes bytes, Family family) {
  std::vector<NextHop> hops;
  while (bytes.size() >= sizeof(rtnexthop)) {
    rtnexthop header{};
    std::memcpy(&header, bytes.data(), sizeof header);
    if (header.rtnh_len < sizeof header || header.rtnh_len > bytes.size()) return std::nullopt;
    const Bytes own = bytes.subspan(sizeof header, header.rtnh_len - sizeof header);
    if (!conforms(own, kHopAttributes, family)) return std::nullopt;
    const Attributes<RTA_VIA> attributes{own};
    hops.push_back({.device = IfIndex{header.rtnh_ifindex},
                    .gateway = gatewayIn(attributes.at(RTA_GATEWAY), attributes.at(RTA_VIA)),
                    .onlink = (header.rtnh_flags & RTNH_F_ONLINK) != 0,
                    .weight = static_cast<std::uint16_t>(header.rtnh_hops + 1)});
    bytes = bytes.subspan(std::min(aligned(header.rtnh_len), bytes.size()));
  }
  return hops;
}

/// nullopt: malformed.
std::optional<std::vector<NextHop>> hopsOf(const rtmsg& header, const Attributes<kNexthopId>& multi,
                                           const Attributes<RTA_TABLE>& attributes, Family family) {
  if (const auto multipath = attributes.at(RTA_MULTIPATH)) {
    auto hops = multipathHops(*multipath, family);
    if (hops) std::ranges::sort(*hops);
    return hops;
  }
  const auto device = attributes.integer<std::int32_t>(RTA_OIF);
  if (!device) return std::vector<NextHop>{};
  return std::vector{NextHop{.device = IfIndex{*device},
                             .gateway = gatewayIn(multi.at(RTA_GATEWAY), multi.at(RTA_VIA)),
                             .onlink = (header.rtm_flags & RTNH_F_ONLINK) != 0,
                             .weight = 1}};
}

void putGateway(Message& message, const NextHop& hop, Family family) {
  if (!hop.gateway) return;
  if (hop.gateway->family() == family) return message.bytes(RTA_GATEWAY, hop.gateway->bytes());
  std::array<std::uint8_t, sizeof(std::uint16_t) + 16> via{};
  const auto viaFamily = static_cast<std::uint16_t>(addressFamily(hop.gateway->family()));
  std::memcpy(via.data(), &viaFamily, sizeof viaFamily);
  std::ranges::copy(hop.gateway->bytes(), via.begin() + sizeof viaFamily);
  message.bytes(RTA_VIA, Bytes{via}.first(sizeof viaFamily + hop.gateway->bytes().size()));
}

void putMultipath(Message& message, const Route& route) {
  nlattr* nest = mnl_attr_nest_start(message.header(), RTA_MULTIPATH);
  for (const NextHop& hop : route.hops) {
    auto* start = static_cast<char*>(mnl_nlmsg_get_payload_tail(message.header()));
    auto* header = message.more<rtnexthop>();
    if (header == nullptr) break;
    header->rtnh_ifindex = hop.device.value;
    header->rtnh_hops = static_cast<unsigned char>(hop.weight - 1);
    header->rtnh_flags = hop.onlink ? RTNH_F_ONLINK : 0;
    putGateway(message, hop, route.family());
    const auto* end = static_cast<char*>(mnl_nlmsg_get_payload_tail(message.header()));
    header->rtnh_len = static_cast<unsigned short>(end - start);
  }
  mnl_attr_nest_end(message.header(), nest);
}

/// nullopt: malformed.
std::optional<RouteMetrics> metricsIn(Bytes nest) {
  if (!conforms(nest, kMetricAttributes)) return std::nullopt;
  const Attributes<RTAX_ADVMSS> attributes{nest};
  RouteMetrics metrics;
  metrics.mtu = attributes.u32(RTAX_MTU);
  metrics.mtuLocked = metrics.mtu != 0 && (attributes.u32(RTAX_LOCK) & 1U << RTAX_MTU) != 0;
  metrics.advmss = attributes.u32(RTAX_ADVMSS);
  return metrics;
}

void putMetrics(Message& message, const RouteMetrics& metrics) {
  if (metrics == RouteMetrics{}) return;
  nlattr* nest = mnl_attr_nest_start(message.header(), RTA_METRICS);
  if (metrics.mtuLocked) message.u32(RTAX_LOCK, 1U << RTAX_MTU);
  if (metrics.mtu != 0) message.u32(RTAX_MTU, metrics.mtu);
  if (metrics.advmss != 0) message.u32(RTAX_ADVMSS, metrics.advmss);
  mnl_attr_nest_end(message.header(), nest);
}

/// nullopt if there is a length but no address, or an invalid one.
std::optional<Prefix> prefixIn(const Attributes<RTA_TABLE>& attributes, std::size_t type, Family family,
                               std::uint8_t length) {
  if (length > bitsOf(family)) return std::nullopt;
  if (length == 0) return Prefix::any(family);
  const auto address = attributes.address(type, family);
  if (!address) return std::nullopt;
  return Prefix{*address, length};
}

/// RFC 4191, 2.1; the reserved value counts as medium.
std::int8_t orderOf(std::uint8_t routerPreference) {
  if (routerPreference == ICMPV6_ROUTER_PREF_HIGH) return -1;
  return routerPreference == ICMPV6_ROUTER_PREF_LOW ? 1 : 0;
}

}  // namespace

std::optional<Address> gatewayIn(const std::optional<Bytes>& gateway, const std::optional<Bytes>& via) {
  if (gateway) return Address::fromBytes(*gateway);
  return via ? Address::fromBytes(via->subspan(sizeof(std::uint16_t))) : std::nullopt;
}

std::optional<Route> decodeRoute(const nlmsghdr* message) {
  const auto parts = partsOf<rtmsg>(message);
  if (!parts) return std::nullopt;
  const rtmsg& header = parts->header;
  const auto family = familyOf(header.rtm_family);
  if (!family || (header.rtm_flags & RTM_F_CLONED) != 0) return std::nullopt;
  // For packets with one type of service only, which ours do not have: unusable, whatever the prefix.
  if (header.rtm_tos != 0 || !conforms(parts->attributes, kAttributes, family)) return std::nullopt;
  const Attributes<RTA_TABLE> attributes{parts->attributes};
  const Attributes<kNexthopId> gateways{parts->attributes};

  Route route;
  route.table = TableId{attributes.u32(RTA_TABLE, header.rtm_table)};
  const auto destination = prefixIn(attributes, RTA_DST, *family, header.rtm_dst_len);
  const auto source = prefixIn(attributes, RTA_SRC, *family, header.rtm_src_len);
  if (!destination || !source) return std::nullopt;
  route.destination = *destination;
  route.source = *source;
  route.metric = attributes.u32(RTA_PRIORITY);
  route.type = ours(kTypes, header.rtm_type, RouteType::other);
  // IPv6 attaches unreachable routes to the loopback device; they have no real next hop.
  if (route.type == RouteType::unicast || route.type == RouteType::local) {
    auto hops = hopsOf(header, gateways, attributes, *family);
    if (!hops) return std::nullopt;
    route.hops = std::move(*hops);
  }
  route.preferredSource = attributes.address(RTA_PREFSRC, *family);
  route.order = orderOf(gateways.integer<std::uint8_t>(RTA_PREF).value_or(ICMPV6_ROUTER_PREF_MEDIUM));
  route.linkScope = *family == Family::v4 && route.type == RouteType::unicast && header.rtm_scope == RT_SCOPE_LINK;
  route.protocol = header.rtm_protocol;
  if (const auto nest = attributes.at(RTA_METRICS)) {
    const auto metrics = metricsIn(*nest);
    if (!metrics) return std::nullopt;
    route.metrics = *metrics;
  }
  route.nexthop.value = gateways.u32(kNexthopId);
  return route;
}

void encodeRoute(Message& message, const Route& route) {
  auto& header = message.extra<rtmsg>();
  header.rtm_family = static_cast<unsigned char>(addressFamily(route.family()));
  header.rtm_dst_len = route.destination.length();
  header.rtm_src_len = route.source.length();
  header.rtm_table = static_cast<unsigned char>(route.table.value < 256 ? route.table.value : RT_TABLE_UNSPEC);
  header.rtm_protocol = route.protocol;
  header.rtm_scope = static_cast<unsigned char>(route.linkScope ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE);
  header.rtm_type = kernels(kTypes, route.type, RTN_UNSPEC);
  if (route.hops.size() == 1 && route.hops.front().onlink) header.rtm_flags = RTNH_F_ONLINK;

  message.u32(RTA_TABLE, route.table.value);
  if (!route.destination.isDefault()) message.bytes(RTA_DST, route.destination.address().bytes());
  if (!route.source.isDefault()) message.bytes(RTA_SRC, route.source.address().bytes());
  message.u32(RTA_PRIORITY, route.metric);
  putMetrics(message, route.metrics);
  if (route.preferredSource) message.bytes(RTA_PREFSRC, route.preferredSource->bytes());
  if (route.hops.size() > 1) {
    putMultipath(message, route);
  } else if (route.hops.size() == 1) {
    message.u32(RTA_OIF, static_cast<std::uint32_t>(route.hops.front().device.value));
    putGateway(message, route.hops.front(), route.family());
  }
}

}  // namespace wgsteer::netlink
