// SPDX-License-Identifier: GPL-2.0-or-later
// The specific routes of the main table: everything longer than a half of the address space. They say where LANs, other
// sites and hosts with a route of their own are, and are deliberate where a default is not.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "wgsteer/core/numbers.hpp"
#include "wgsteer/core/world.hpp"

namespace wgsteer {

/// A route of the main table to somewhere in particular. Halves of a default (/1) are a way to write a default.
inline bool isDeliberate(const Route& route) {
  return route.table == kMainTable && route.destination.length() > 1 && route.type == RouteType::unicast &&
         !route.hops.empty();
}

/// Whether all of its next hops leave by devices for which `is` holds.
template <class Is>
bool allHops(const World& world, const Route& route, Is is) {
  return std::ranges::all_of(route.hops, [&](const NextHop& hop) {
    const Link* link = world.link(hop.device);
    return link != nullptr && is(*link);
  });
}

/// A tun that no tunnel answers for may be a WireGuard that we cannot see: short prefixes by it may be the whole
/// Internet in pieces.
bool maybeTheInternet(const World& world, const Route& route);

/// Whether what main throws for this destination is led, by the rules for everybody behind main's, to a device that is
/// no tunnel.
bool goesOnInside(const World& world, const Prefix& destination);

/// Specific routes into tunnels that are no way to the Internet. A tunnel whose routes cover half of a family's address
/// space, in one piece or in many (0.0.0.0/5, 8.0.0.0/7, ...), carries everything and is deliberate about nothing.
std::vector<Route> routesIntoTunnels(const World& world);

/// Specific routes that lead elsewhere, and overlap with one of those into tunnels: where a packet goes that either of
/// them would take depends on both.
std::vector<Route> rivalsOf(const World& world, const std::vector<Route>& intoTunnels);

/// Whether main sends the whole Internet into tunnels by routes that are longer than a default's, halves of it or
/// pieces; or by pieces that are longer than this.
bool tunnelHasTheWorld(const World& world, Family family, std::uint8_t longerThan = 0);

/// The peers, by their places in their tunnels, whose packets main leads into a tunnel on purpose, and by what.
/// Whatever else has led there before: a peer of which one address is reached so is left alone whole.
std::map<IfName, std::map<std::size_t, std::string>> nestedPeers(const World& world,
                                                                 const std::vector<Route>& intoTunnels,
                                                                 const std::vector<Route>& rivals);

}  // namespace wgsteer
