// SPDX-License-Identifier: GPL-2.0-or-later
// Routes and rules as the kernel has them, ours and foreign ones alike, as plain comparable values. For their meaning
// see rtnetlink(7), ip-rule(8), ip-route(8), include/uapi/linux/{rtnetlink,fib_rules}.h.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "wgsteer/core/address.hpp"
#include "wgsteer/core/ids.hpp"

namespace wgsteer {

/// `other` is any type that this program never makes, OpenWrt's own (12, policy_failed) included: looked at, never
/// touched.
enum class RouteType : std::uint8_t { unicast, local, blackhole, unreachable, prohibit, throw_, other };

struct NextHop {
  IfIndex device;
  std::optional<Address> gateway;  ///< may be of the other family (RTA_VIA); none: on-link or point-to-point
  bool onlink = false;
  std::uint16_t weight = 1;  ///< 1..256
  auto operator<=>(const NextHop&) const = default;
};

/// The nexthop object, ip-nexthop(8), from which a route takes its hops; 0: they are its own. The hops alone decide
/// where packets go, so comparisons of routes ignore it.
struct NexthopId {
  std::uint32_t value = 0;
  friend constexpr bool operator==(const NexthopId&, const NexthopId&) { return true; }
  friend constexpr std::strong_ordering operator<=>(const NexthopId&, const NexthopId&) {
    return std::strong_ordering::equal;
  }
};

/// The position of an IPv4 route among those with the same key (`ip route append`, `prepend`): the kernel uses the
/// first one that is alive (fib_table_lookup). The notification of a deleted route does not include it, so comparisons
/// of routes ignore it.
struct ListPosition {
  std::int32_t value = 0;  ///< lower comes first
  friend constexpr bool operator==(const ListPosition&, const ListPosition&) { return true; }
  friend constexpr std::strong_ordering operator<=>(const ListPosition&, const ListPosition&) {
    return std::strong_ordering::equal;
  }
};

/// Those RTA_METRICS that a path may need in order to work. A locked MTU is not lowered by what routers report.
struct RouteMetrics {
  std::uint32_t mtu = 0;  ///< 0: the device's
  bool mtuLocked = false;
  std::uint32_t advmss = 0;  ///< 0: derived from the MTU
  auto operator<=>(const RouteMetrics&) const = default;
};

struct Route {
  TableId table;
  Prefix destination;
  Prefix source;  ///< IPv6 source-specific routing; length 0: any (family as destination)
  std::uint32_t metric = 0;
  RouteType type = RouteType::unicast;
  std::vector<NextHop> hops;               ///< empty for all but unicast and local; several: multipath
  std::optional<Address> preferredSource;  ///< RTA_PREFSRC
  /// The preference that a router advertises (RFC 4191, RTA_PREF): 0 is medium, lower is preferred.
  std::int8_t order = 0;
  bool linkScope = false;  ///< on-link (RT_SCOPE_LINK); always false in IPv6, which has no scopes
  std::uint8_t protocol = 0;
  RouteMetrics metrics{};
  NexthopId nexthop{};
  ListPosition position{};

  Family family() const { return destination.family(); }
  /// What makes two routes "the same" to the kernel in a replace.
  auto key() const { return std::tie(table, destination, source, metric); }
  auto operator<=>(const Route&) const = default;
};

/// Whether packets to its destination are dropped or rejected. A `throw` route only ends the walk through its table.
inline bool refuses(const Route& route) {
  return route.type == RouteType::blackhole || route.type == RouteType::unreachable ||
         route.type == RouteType::prohibit;
}

/// Which of two usable routes of one table the kernel prefers for a packet that both match: the longer destination,
/// then the longer source (IPv6), the lower metric, the router's preference, the place in the list (fib_table_lookup,
/// find_rr_leaf).
inline bool takesPrecedence(const Route& route, const Route& over) {
  const auto rank = [](const Route& of) {
    return std::tuple{-of.destination.length(), -of.source.length(), of.metric, of.order, of.position.value};
  };
  return rank(route) < rank(over);
}

/// A nexthop object: hops of its own, or a group of others.
struct Nexthop {
  struct Member {
    std::uint32_t id = 0;
    std::uint16_t weight = 1;
    auto operator<=>(const Member&) const = default;
  };
  std::vector<NextHop> hops;  ///< at most one; none in a group or a blackhole
  std::vector<Member> members;
  bool blackhole = false;
  bool operator==(const Nexthop&) const = default;
};

enum class RuleAction : std::uint8_t { lookup, goto_, nop, blackhole, unreachable, prohibit, other };

struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  auto operator<=>(const PortRange&) const = default;
};

struct Rule {
  std::uint32_t priority = 0;
  Family family = Family::v4;
  bool invert = false;  ///< "not"
  std::optional<Prefix> source;
  std::optional<Prefix> destination;
  IfName inputInterface;
  IfName outputInterface;
  MarkMatch mark;  ///< mask 0: any
  RuleAction action = RuleAction::lookup;
  TableId table;
  std::int32_t suppressPrefixLength = -1;
  std::int64_t suppressGroup = -1;  ///< devices of this group (ip-link(8)); with it otherSelector is set
  bool l3mdev = false;              ///< looks up the table of the VRF; with it otherSelector is set
  std::uint32_t gotoPriority = 0;
  std::uint8_t ipProtocol = 0;  ///< 0: any
  std::optional<PortRange> sourcePort;
  std::optional<PortRange> destinationPort;
  bool notForRoot = false;     ///< a uid range without 0, whose packets WireGuard's are; with it otherSelector is set
  bool otherSelector = false;  ///< tos, uid range, l3mdev, tunnel id ...: not modelled here
  std::uint8_t protocol = 0;

  auto operator<=>(const Rule&) const = default;
};

inline bool refuses(const Rule& rule) {
  return rule.action == RuleAction::blackhole || rule.action == RuleAction::unreachable ||
         rule.action == RuleAction::prohibit;
}

}  // namespace wgsteer
