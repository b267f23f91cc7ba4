// SPDX-License-Identifier: GPL-2.0-or-later
// What a plan is made from: what the kernel says about everything that is not ours (links, addresses, foreign routes
// and rules, tunnels and their peers), and as its base what only we know. Values; core/track.hpp folds events into
// them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <ranges>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "wgsteer/core/address.hpp"
#include "wgsteer/core/family_map.hpp"
#include "wgsteer/core/ids.hpp"
#include "wgsteer/core/lifetime.hpp"
#include "wgsteer/core/route.hpp"
#include "wgsteer/core/route_interest.hpp"
#include "wgsteer/core/shared_map.hpp"
#include "wgsteer/core/sysctl.hpp"
#include "wgsteer/core/time.hpp"

namespace wgsteer {

struct Link {
  IfIndex index;
  IfName name;
  std::string kind;      ///< IFLA_INFO_KIND: "wireguard", "veth", "tun" ..., "tap"; empty for plain hardware
  bool up = false;       ///< IFF_UP
  bool carrier = false;  ///< IFF_LOWER_UP
  bool loopback = false;
  bool pointToPoint = false;
  bool inVrf = false;   ///< IFLA_INFO_SLAVE_KIND is "vrf"
  bool hasIpv6 = true;  ///< false: no IPv6 on this device (module absent), so it has no IPv6 switches either
  /// From IFLA_AF_SPEC. rp_filter and src_valid_mark are the device's own values; "all" is in World.
  std::uint8_t rpFilter = 0;
  std::set<SysctlKind> sysctls;  ///< those that are on
  bool operator==(const Link&) const = default;
};

struct InterfaceAddress {
  IfIndex device;
  Address address;
  std::uint8_t prefixLength = 0;
  std::optional<Address> peer;  ///< point-to-point: the prefix is the peer's
  bool deprecated = false;
  bool tentative = false;  ///< or duplicate: not usable as a source
  bool temporary = false;  ///< IPv6 privacy address
  bool linkScope = false;  ///< scope link or host
  bool noPrefixRoute = false;
  std::uint8_t protocol = 0;
  Lifetimes lifetimes{};  ///< of IPv6
  auto operator<=>(const InterfaceAddress&) const = default;
};

/// What makes an address of a device that address.
struct OwnAddress {
  IfIndex device;
  Address address;
  std::uint8_t prefixLength = 0;
  auto operator<=>(const OwnAddress&) const = default;
};
inline OwnAddress ownAddress(const InterfaceAddress& own) { return {own.device, own.address, own.prefixLength}; }

struct Peer {
  PublicKey publicKey;
  std::optional<Endpoint> endpoint;
  std::vector<Prefix> allowedIps;
  std::uint16_t persistentKeepalive = 0;  ///< seconds; 0: off
  WallSeconds lastHandshake{};            ///< the epoch: never
  std::uint64_t receivedBytes = 0;
  std::uint64_t sentBytes = 0;
  bool operator==(const Peer&) const = default;
};

enum class TunnelBackend : std::uint8_t { kernel, userspace };

/// In which network namespace a tunnel's packets are sent. The kernel's WireGuard has its socket where its device was
/// made, wherever that is moved to, and only while it is up.
enum class SocketPlace : std::uint8_t { here, elsewhere, unknown };

struct Tunnel {
  IfName name;
  TunnelBackend backend = TunnelBackend::kernel;
  Mark fwmark;
  std::uint16_t listenPort = 0;
  std::vector<Peer> peers;  ///< by public key
  SocketPlace socket = SocketPlace::here;
  bool operator==(const Tunnel&) const = default;
};

struct PeerId {
  IfName tunnel;
  PublicKey key;
  auto operator<=>(const PeerId&) const = default;
};

/// A peer whose endpoint is a host name, with the addresses of that name.
struct NamedPeer {
  std::string host;
  std::uint16_t port = 0;
  std::vector<Address> current;  ///< those of the last answer; empty: not resolved yet
  std::vector<Address> leaving;  ///< no longer in the answer, but perhaps still in use by a session
  bool operator==(const NamedPeer&) const = default;
};

/// A peer that does not answer over its usual path.
struct Stalled {
  std::string wan;  ///< name of the WAN used instead, as long as it can be; empty: the usual one
  std::string why;  ///< for the user
  WallSeconds since{};
  bool operator==(const Stalled&) const = default;
};

/// Why an existing WAN must not be used, in the families in which it must not: unhealthy, or disabled by hand.
struct WanDown {
  FamilyMap<std::string> why;

  WanDown() = default;
  /// For one reason in both families.
  // NOLINTBEGIN(google-explicit-constructor): a map of these is written as a list of names and reasons.
  WanDown(const std::string& reason) : why{{Family::v4, reason}, {Family::v6, reason}} {}
  WanDown(const char* reason) : WanDown(std::string{reason}) {}
  // NOLINTEND(google-explicit-constructor)
  bool operator==(const WanDown&) const = default;
};
using WansDown = std::map<std::string, WanDown>;  ///< by name

/// Endpoints of a tunnel that has gone, with the mark that our table gave them (core/departed.hpp).
struct Departed {
  std::map<Endpoint, Slot> endpoints;
  std::optional<Instant> until;  ///< to be forgotten then; not known before the first poll after it
  /// No plan depends on the time.
  bool operator==(const Departed& other) const { return endpoints == other.endpoints; }
};

/// What earlier runs have left in the kernel and a plan must continue from: which WAN has which slot, what the
/// marks of connections mean, which sysctls we turned on, and which addresses we deprecated. Read from the nft table;
/// empty on a fresh machine.
struct Adopted {
  std::map<IfName, Slot> wanSlots;
  std::set<Sysctl> sysctls;
  std::map<std::string, Slot> trafficSlots;  ///< TrafficSteering::slots
  std::map<Address, Deprecation> deprecated;
  bool tunnelChains = false;  ///< NftLayout::tunnels
  bool operator==(const Adopted&) const = default;
};

/// What only we know: decided or learned while running. A fresh look at the kernel does not change it.
struct Knowledge {
  /// Default routes that the kernel removed silently when their link went down; they count again when it is back.
  std::set<Route> parked;
  SharedMap<PeerId, NamedPeer> named;  ///< not all of them need to exist
  std::map<PeerId, Stalled> stalled;
  WansDown wansDown;
  /// Default routes of WANs that the kernel refuses to install in our tables, by the WAN's slot, and why.
  std::map<std::pair<Slot, Family>, std::string> refusedRoutes;
  Adopted adopted;  ///< as the nft table says, while there is one
  /// Devices that were renamed while we ran, by the name under which our table still has them.
  std::map<IfName, IfName> renamed;
  /// Marks to which our rules or our table have ever given a meaning, as far as we know. A tunnel's fwmark within our
  /// bits that is not among them was set by its owner, who may use some of these bits as well.
  std::set<Mark> ownMarks;
  /// Marks to which our rules for a former mark_mask give a meaning: ours as well, until these rules are gone.
  std::set<Mark> formerMarks;
  /// The fwmark that a tunnel's owner gave it, and that a rule of the owner's still names. `wg setconf` and `wg
  /// syncconf` reset it and leave the rule: without it wg-quick(8) does not find its own rules when it takes the tunnel
  /// down.
  std::map<IfName, Mark> ownersMarks;
  std::map<IfName, Departed> departed;
  /// Addresses that we deprecated a moment ago: one that another program has made preferred since stays so for now.
  std::set<Address> justDeprecated;
  bool operator==(const Knowledge&) const = default;
};

struct World : Knowledge {
  std::map<IfIndex, Link> links;
  std::set<InterfaceAddress> addresses;
  /// Foreign routes. The daemon keeps what a plan depends on: default routes of all tables, and specific routes of the
  /// main table; `explain` reads all.
  std::set<Route> routes;
  RouteInterest interest;                                            ///< which of them are kept
  bool tooManyRoutes = false;                                        ///< so many specific ones that not all are kept
  RouteInterest::LeftOut leftOut = RouteInterest::LeftOut::nothing;  ///< which are not
  std::map<std::uint32_t, Nexthop> nexthops;                         ///< objects from which routes may take their hops
  std::set<Rule> rules;                                              ///< foreign rules
  SharedMap<IfName, Tunnel> tunnels;
  /// Those whose packets are sent in another network namespace, and perhaps steered there: not ours.
  std::map<IfName, Tunnel> tunnelsElsewhere;
  /// Tunnels that cannot be read or set now, and why: another user's socket, a process that hangs or refuses. What was
  /// last known of such a tunnel is still in `tunnels`; one that has never been read is not.
  std::map<IfName, std::string> tunnelTroubles;
  /// Another program has a `table inet wgsteer`: as long as it exists, we have none.
  bool foreignTable = false;
  std::uint8_t rpFilterAll = 0;
  /// net.ipv4.udp_l3mdev_accept, which is for both families: whether a UDP socket that is bound to nothing, as each of
  /// WireGuard's is, receives what arrives on a device in a VRF (Documentation/networking/vrf.rst; dropped on 6.1 if
  /// not).
  bool udpHearsVrfs = false;
  std::set<SysctlKind> sysctlsAll;  ///< those that are on for all devices

  const Link* link(IfIndex index) const {
    const auto found = links.find(index);
    return found == links.end() ? nullptr : &found->second;
  }
  const Link* linkNamed(std::string_view name) const {
    for (const auto& [index, link] : links)
      if (link.name == name) return &link;
    return nullptr;
  }
  /// Those of one device: addresses are ordered by device first.
  auto addressesOf(IfIndex device) const {
    InterfaceAddress lowest;
    lowest.device = device;
    const auto first = addresses.lower_bound(lowest);
    ++lowest.device.value;
    return std::ranges::subrange(first, addresses.lower_bound(lowest));
  }
  bool operator==(const World&) const = default;
};

/// Calls handle(route) for each default route of a family, without visiting the others: each table begins with them.
template <class F>
void forEachDefault(const std::set<Route>& routes, Family family, F&& handle) {
  constexpr std::uint32_t kLastTable = 0xffffffff;
  Route next;
  next.destination = next.source = Prefix::any(family);
  for (auto at = routes.lower_bound(next); at != routes.end();) {
    if (at->destination == next.destination) {
      handle(*at);
      ++at;
      continue;
    }
    const bool passed = next.destination < at->destination;
    if (passed && at->table.value == kLastTable) return;
    next.table.value = at->table.value + (passed ? 1 : 0);
    at = routes.lower_bound(next);
  }
}

/// The routes that a replacement takes the place of: adjacent, because routes are ordered by their key first.
inline auto routesWithKeyOf(const std::set<Route>& routes, const Route& route) {
  Route lowest;
  lowest.table = route.table;
  lowest.destination = route.destination;
  lowest.source = route.source;
  lowest.metric = route.metric;
  auto first = routes.lower_bound(lowest);
  auto last = first;
  while (last != routes.end() && last->key() == route.key()) ++last;
  return std::ranges::subrange(first, last);
}

/// Whether packets sent to this device end in a tunnel: a WireGuard interface by its kind, or by its UAPI socket, even
/// one that cannot be read.
inline bool isTunnel(const World& world, const Link& link) {
  return link.kind == "wireguard" || link.kind == "amneziawg" || world.tunnels.contains(link.name) ||
         world.tunnelTroubles.contains(link.name);
}

}  // namespace wgsteer
