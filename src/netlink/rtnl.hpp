// SPDX-License-Identifier: GPL-2.0-or-later
// Converts between rtnetlink(7) messages and our values: decodes what the kernel sends, encodes what is requested.
// Decoders are total: nullopt for a message that is malformed or irrelevant, never an error. What the kernel can
// express in two ways (scopes, unspecified metrics, devices of unreachable routes) is normalised here, so that values
// can be compared.
#pragma once

#include <linux/rtnetlink.h>
#include <optional>
#include <utility>

#include "wgsteer/core/plan.hpp"
#include "wgsteer/core/route.hpp"
#include "wgsteer/core/world.hpp"

#include "netlink/wire.hpp"

namespace wgsteer::netlink {

/// RTA_NH_ID of linux/rtnetlink.h since 5.3.
inline constexpr std::uint16_t kNexthopId = 30;

/// RTM_NEWLINK, RTM_DELLINK.
std::optional<Link> decodeLink(const nlmsghdr* message);
/// RTM_NEWADDR, RTM_DELADDR.
std::optional<InterfaceAddress> decodeAddress(const nlmsghdr* message);
/// The address in `present` (RTM_NEWADDR) with the other preferred lifetime. False: nothing is to be written.
bool encodeDeprecated(Message& message, const nlmsghdr* present, const SetDeprecated& set);
/// RTM_NEWROUTE, RTM_DELROUTE. nullopt for cached and cloned ones.
std::optional<Route> decodeRoute(const nlmsghdr* message);
void encodeRoute(Message& message, const Route& route);
/// RTA_GATEWAY, or RTA_VIA for a gateway of the other family; both of their right lengths.
std::optional<Address> gatewayIn(const std::optional<Bytes>& gateway, const std::optional<Bytes>& via);
/// RTM_NEWNEXTHOP, RTM_DELNEXTHOP: id and object. nullopt for those of forwarding databases.
std::optional<std::pair<std::uint32_t, Nexthop>> decodeNexthop(const nlmsghdr* message);
/// RTM_NEWRULE, RTM_DELRULE. The whole selector is always written: a deletion with only part of it could remove another
/// rule.
std::optional<Rule> decodeRule(const nlmsghdr* message);
void encodeRule(Message& message, const Rule& rule);

}  // namespace wgsteer::netlink
