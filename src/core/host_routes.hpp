// SPDX-License-Identifier: GPL-2.0-or-later
// The specific routes of the main table, and of tables in which every packet is looked up before it (strongSwan's 220):
// everything longer than half of the address space. They say where LANs, other sites and hosts with a route of their
// own are; unlike a default route, they are deliberate.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "wgsteer/core/numbers.hpp"
#include "wgsteer/core/steering.hpp"
#include "wgsteer/core/world.hpp"

namespace wgsteer {

/// Whether all of its next hops leave by devices for which `is` holds.
template <class Is>
bool allHops(const World& world, const Route& route, Is is) {
  return std::ranges::all_of(route.hops, [&](const NextHop& hop) {
    const Link* link = world.link(hop.device);
    return link != nullptr && is(*link);
  });
}

/// The addresses of all peers, known by name or by endpoint.
class KnownEndpoints {
 public:
  explicit KnownEndpoints(const World& world);
  bool anyIn(const Prefix& prefix) const;

 private:
  std::vector<Address> addresses_;  ///< sorted
};

/// A tun device without a known tunnel may be a WireGuard that we cannot see: short prefixes by it may cover the whole
/// Internet.
bool maybeTheInternet(const World& world, const Route& route);

/// Whether, after a `throw` route of main for this destination, the rules after main's that apply to all packets lead
/// to a device that is not a tunnel.
bool goesOnInside(const World& world, const Prefix& destination);

/// The routes into tunnels other than full tunnels, and their rivals. A tunnel whose routes cover half of a family's
/// address space, in one piece or in many (0.0.0.0/5, 8.0.0.0/7, ...), carries everything, so none of its routes is
/// deliberate.
TunnelRoutes tunnelRoutes(const World& world);

/// Whether main sends the whole Internet into tunnels by routes longer than a default route, halves of it or smaller
/// pieces; only pieces longer than `longerThan` count.
bool tunnelHasTheWorld(const World& world, Family family, std::uint8_t longerThan = 0);

/// The peers, by index in their tunnel, whose packets these lead into a tunnel on purpose, and by which route. If one
/// address of a peer is reached like that, the whole peer is left alone.
std::map<IfName, std::map<std::size_t, std::string>> nestedPeers(const World& world, const TunnelRoutes& routes);

}  // namespace wgsteer
