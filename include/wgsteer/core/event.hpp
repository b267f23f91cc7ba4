// SPDX-License-Identifier: GPL-2.0-or-later
// Decoded kernel notifications, about foreign objects and ours alike; track() tells them apart.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "wgsteer/core/route.hpp"
#include "wgsteer/core/world.hpp"

namespace wgsteer {

struct LinkChanged {
  Link link;
};
struct LinkGone {
  IfIndex index;
};
struct AddressAdded {
  InterfaceAddress address;
};
struct AddressGone {
  InterfaceAddress address;
};
struct RouteAdded {
  Route route;
  bool replaced = false;  ///< NLM_F_REPLACE: takes the place of those with the same key, in IPv4 of the first of them
  bool appended = false;  ///< NLM_F_APPEND: placed after those with the same key, otherwise before them
};
struct RouteGone {
  Route route;
  std::uint32_t port = 0;  ///< netlink port of the program that deleted it, usually its process id; 0: the kernel
};
struct RuleAdded {
  Rule rule;
};
struct RuleGone {
  Rule rule;
  std::uint32_t port = 0;  ///< as in RouteGone
};
/// Another program changed our nftables table.
struct NftChanged {
  std::string by;     ///< "nft (pid 123)"; empty when not known
  bool lost = false;  ///< it may have changed: events were lost (ENOBUFS)
};
/// A device's switches changed (RTM_NEWNETCONF); IfIndex 0: those of "all".
struct SysctlsChanged {
  IfIndex device;
};
/// A WireGuard device appeared, vanished or was found changed by a poll.
struct TunnelsChanged {};
/// A nexthop object was added or changed.
struct NexthopChanged {
  std::uint32_t id = 0;
  Nexthop nexthop;
};
struct NexthopGone {
  std::uint32_t id = 0;
};
/// Events were lost (ENOBUFS, truncation): everything has to be read again.
struct Overrun {};

using Event = std::variant<LinkChanged, LinkGone, AddressAdded, AddressGone, RouteAdded, RouteGone, RuleAdded, RuleGone,
                           NftChanged, SysctlsChanged, TunnelsChanged, NexthopChanged, NexthopGone, Overrun>;

/// What made the engine act; reaction times are counted separately for each.
enum class Trigger : std::uint8_t {
  start,
  link,
  address,
  route,
  rule,
  nft,
  sysctl,
  tunnel,
  overrun,
  name,
  health,
  retry,
  reload
};
inline constexpr std::array<std::string_view, 13> kTriggerNames{"start",  "link",   "address", "route",   "rule",
                                                                "nft",    "sysctl", "tunnel",  "overrun", "name",
                                                                "health", "retry",  "reload"};

inline Trigger triggerOf(const Event& event) {
  constexpr std::array<Trigger, std::variant_size_v<Event>> kTriggers{
      Trigger::link,   Trigger::link,  Trigger::address, Trigger::address, Trigger::route,
      Trigger::route,  Trigger::rule,  Trigger::rule,    Trigger::nft,     Trigger::sysctl,
      Trigger::tunnel, Trigger::route, Trigger::route,   Trigger::overrun};
  return kTriggers[event.index()];
}

}  // namespace wgsteer
