// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/tables.hpp"

#include <algorithm>
#include <iterator>
#include <optional>

#include "core/host_routes.hpp"
#include "core/wan_sources.hpp"

namespace wgsteer {

namespace {

Route closingRoute(TableId table, Family family) {
  Route route;
  route.table = table;
  route.destination = Prefix::any(family);
  route.source = Prefix::any(family);
  route.metric = kClosingMetric;
  route.type = RouteType::unreachable;
  route.protocol = kProtocol;
  return route;
}

Route onLinkRoute(TableId table, const Prefix& prefix, IfIndex device, std::uint32_t metric,
                  const std::optional<Address>& source = {}) {
  Route route;
  route.table = table;
  route.destination = prefix;
  route.source = Prefix::any(prefix.family());
  route.metric = metric;
  route.hops = {NextHop{.device = device, .gateway = {}}};
  route.linkScope = prefix.family() == Family::v4;
  route.preferredSource = source;
  route.protocol = kProtocol;
  return route;
}

/// IPv4 has link-local peers as others (169.254.0.0/16 on a cable between two hosts); in IPv6 fe80::/64 is on every
/// device, and in table local's reach.
bool isLinkLocal6(const Address& address) { return address.family() == Family::v6 && address.isLinkLocal(); }

/// A gateway is marked onlink: the kernel then trusts us instead of looking it up through all rules, and the order in
/// which address and route arrive does not matter. IPv6 is different (6.18, ip6_route_check_nh_onlink): the gateway is
/// looked up in main nevertheless, and refused if a tunnel's routes cover it; without the flag it is looked up in the
/// route's own table, where onLinkRoute() has put it.
bool wantsOnlink(const NextHop& hop) {
  return hop.gateway && (hop.gateway->family() == Family::v4 || hop.gateway->isLinkLocal());
}

/// Whether this host can send from the address: the kernel refuses a route with any other.
bool isSource(const World& world, const Address& address) {
  return std::ranges::any_of(world.addresses,
                             [&](const InterfaceAddress& own) { return own.address == address && !own.tentative; });
}

/// A copy of a foreign route in one of our tables. Its `src` is kept only if it is an address of this host: the kernel
/// (6.18) refuses any other, although it keeps such routes in tables other than main.
Route mirrored(const World& world, const Route& original, TableId table, std::uint32_t metric) {
  Route route = original;
  route.table = table;
  route.metric = metric;
  route.order = 0;
  route.protocol = kProtocol;
  const bool direct = std::ranges::none_of(route.hops, [](const NextHop& hop) { return hop.gateway.has_value(); });
  route.linkScope = direct && route.type == RouteType::unicast && route.family() == Family::v4;
  for (NextHop& hop : route.hops) hop.onlink = wantsOnlink(hop);
  // A single next hop has no weight in the kernel.
  if (route.hops.size() == 1) route.hops.front().weight = 1;
  const auto isWrong = [&](const InterfaceAddress& own) {
    return own.address == route.preferredSource && isOfTunnel(world, own);
  };
  if (route.preferredSource &&
      (!isSource(world, *route.preferredSource) || std::ranges::any_of(world.addresses, isWrong)))
    route.preferredSource.reset();
  return route;
}

}  // namespace

Tables::Tables(const Config& config, const World& world, const Steering& steering)
    : config_(config), world_(world), steering_(steering) {
  for (const Wan& wan : steering_.wans)
    if (wan.link != nullptr) wansOn_[wan.link->index].push_back(&wan);
  for (auto& [device, wans] : wansOn_) std::ranges::stable_sort(wans, {}, &Wan::secondary);
  noteInside();
}

/// The first route to claim a key gets it: WANs come in order of preference, and nothing can tell a second device with
/// the same prefix from the first. Routes are ordered by their key, then by the rest.
void Tables::addRoute(Route route) {
  const auto next = routes_.upper_bound(route);
  if (next != routes_.end() && next->key() == route.key()) return;
  if (next != routes_.begin() && std::prev(next)->key() == route.key()) return;
  routes_.insert(next, std::move(route));
}

/// What is on the link itself: prefixes of addresses, and routes without a gateway, which stand for the prefix if the
/// address has `noprefixroute` (NetworkManager, dhcpcd, netifd with a metric).
void Tables::addOnLink(const Link& link, Family family, TableId table, std::uint32_t metric) {
  if (const auto known = onLink_.find({link.index, family}); known != onLink_.end())
    for (const Route* route : known->second) addOnLink(*route, table, metric);
  for (const InterfaceAddress& own : world_.addressesOf(link.index)) {
    if (own.address.family() != family || isLinkLocal6(own.address)) continue;
    const Prefix prefix{own.peer.value_or(own.address), own.prefixLength};
    const bool ownAddressAlone = !own.peer && prefix.length() == bitsOf(family);
    if (ownAddressAlone || own.noPrefixRoute || prefix.isDefault()) continue;
    addRoute(onLinkRoute(table, prefix, link.index, metric, sourceOn(link.index, own.address)));
  }
}

void Tables::addOnLink(const Route& route, TableId table, std::uint32_t metric) {
  const IfIndex device = route.hops.front().device;
  addRoute(onLinkRoute(table, route.destination, device, metric,
                       route.preferredSource ? sourceOn(device, *route.preferredSource) : std::nullopt));
}

/// The source that main's route or address says, if the kernel would not take it by itself: of several IPv4 addresses
/// on a device, it takes the first one of a prefix that the gateway or destination is in, or just the first.
std::optional<Address> Tables::sourceOn(IfIndex device, const Address& source) const {
  const Link* link = world_.link(device);
  // The kernel refuses sources of devices in a VRF, which are local only there (fib_valid_prefsrc).
  if (source.family() != Family::v4 || !isSource(world_, source) || link == nullptr || link->inVrf) return std::nullopt;
  const bool other = std::ranges::any_of(world_.addressesOf(device), [&](const InterfaceAddress& own) {
    return own.address.family() == Family::v4 && own.address != source;
  });
  return other || !has(device, source) ? std::optional{source} : std::nullopt;
}

/// Sorts main's specific routes: prefixes on links, routes via inside routers, and routes by WANs; also halves of a
/// default route via a router. What main refuses (a blocked host) stays refused if a peer is there, for there may be
/// thousands; other than halves of a default route, which block what leaves past a tunnel. Routes into tunnels are of
/// no use to WireGuard's packets, except to those of peers that are left alone anyway. netifd's host routes to
/// endpoints are left out: it adds one for each, by a WAN that it chooses only once.
void Tables::noteInside() {
  for (const auto& [index, link] : world_.links)
    // The prefixes of devices in a VRF are in its table, not in main.
    if (isInside(link) && !isWan(link) && !link.inVrf) lans_.push_back(&link);
  std::vector<const Route*> onLink;
  std::optional<KnownEndpoints> endpoints;
  const auto blocksAPeer = [&](const Route& route) {
    if (!endpoints) endpoints.emplace(world_);
    return route.destination.length() > 1 && endpoints->anyIn(route.destination);
  };
  for (const Route& route : world_.routes) {
    if (route.table != kMainTable || route.destination.isDefault() || isLinkLocal6(route.destination.address()) ||
        route.destination.address().isMulticast())
      continue;
    if (refuses(route) ? blocksAPeer(route)
                       : route.type == RouteType::throw_ && goesOnInside(world_, route.destination))
      endings_.push_back(&route);
    if (route.type != RouteType::unicast || route.hops.empty() || isNetifdsHostRoute(route)) continue;
    const auto isInsideHere = [&](const Link& link) { return isInside(link); };
    if (!allHops(world_, route, isInsideHere) || maybeTheInternet(world_, route)) continue;
    const bool direct = std::ranges::none_of(route.hops, [](const NextHop& hop) { return hop.gateway.has_value(); });
    if (direct && route.hops.size() == 1 && !isBehindPointToPointWan(route))
      onLink.push_back(&route);
    else if (allHops(world_, route, [&](const Link& link) { return isWan(link); }))
      byWans_.push_back(&route);
    else
      byRouters_.push_back(&route);
  }
  for (auto* routes : {&onLink, &byWans_, &byRouters_})
    std::ranges::stable_sort(*routes,
                             [](const Route* left, const Route* right) { return takesPrecedence(*left, *right); });
  std::set<IfIndex> lans;
  for (const Link* lan : lans_) lans.insert(lan->index);
  for (const Route* route : onLink) {
    const IfIndex device = route->hops.front().device;
    onLink_[{device, route->family()}].push_back(route);
    if (lans.contains(device)) lanRoutes_.push_back(route);
  }
}

/// A device behind which there may be hosts.
bool Tables::isInside(const Link& link) const { return link.up && !link.loopback && !isTunnel(world_, link); }

bool Tables::isWan(const Link& link) const { return wgsteer::isWan(steering_, link); }

/// PPP has no gateways: the destination of an added route is not on the link, but that of the kernel's own route is.
bool Tables::isBehindPointToPointWan(const Route& route) const {
  const Link* link = world_.link(route.hops.front().device);
  return link->pointToPoint && isWan(*link) && route.protocol != kByKernel;
}

/// Only by the WAN's own gateway: a route via another router there was set on purpose.
bool Tables::isNetifdsHostRoute(const Route& route) const {
  if (!config_.netifd || route.protocol != kByStatic || route.destination.length() != bitsOf(route.family()))
    return false;
  const auto isByOwnGateway = [&](const Wan& wan, const NextHop& hop) {
    if (wan.link == nullptr || wan.link->index != hop.device) return false;
    const auto defaults = wan.defaults.find(route.family());
    return defaults == wan.defaults.end() || std::ranges::any_of(defaults->second, [&](const Route& own) {
             return own.hops.front().gateway == hop.gateway;
           });
  };
  return std::ranges::all_of(route.hops, [&](const NextHop& hop) {
    return std::ranges::any_of(steering_.wans, [&](const Wan& wan) { return isByOwnGateway(wan, hop); });
  });
}

/// Peers may be in one of our LANs or behind a router there: without these routes, their packets would be sent to the
/// Internet. WANs have their own prefixes as well, usable or not.
void Tables::addInside(Family family, TableId table, const std::set<std::size_t>& members) {
  // Of two devices with one prefix, main says by which it is reached.
  for (const Route* route : lanRoutes_)
    if (route->family() == family) addOnLink(*route, table, kLanMetric);
  for (const Link* lan : lans_) addOnLink(*lan, family, table, kLanMetric);
  for (std::size_t i = 0; i < steering_.wans.size(); ++i) {
    const Wan& wan = steering_.wans[i];
    if (wan.link != nullptr && wan.link->up && !members.contains(i)) addOnLink(*wan.link, family, table, kLanMetric);
  }
  for (const Route* route : byRouters_)
    if (route->family() == family) addGatewayed(*route, table, metricAsInMain(*route));
  for (const Route* route : endings_)
    if (route->family() == family) addRoute(mirrored(world_, *route, table, metricAsInMain(*route)));
}

/// A route with gateways and, in IPv6, the on-link routes to these.
void Tables::addGatewayed(const Route& route, TableId table, std::uint32_t metric) {
  addWithGateways(mirrored(world_, route, table, metric));
}

void Tables::addWithGateways(Route route) {
  for (const NextHop& hop : route.hops) {
    if (!hop.gateway || hop.onlink || hop.gateway->family() != Family::v6 || route.family() != Family::v6) continue;
    const Prefix host = Prefix::host(*hop.gateway);
    const bool known = std::ranges::any_of(routes_, [&](const Route& there) {
      return there.table == route.table && there.destination.contains(*hop.gateway) && !there.destination.isDefault() &&
             there.hops.size() == 1 && there.hops.front() == NextHop{.device = hop.device, .gateway = {}};
    });
    if (!known) addRoute(onLinkRoute(route.table, host, hop.device, route.metric));
  }
  addRoute(std::move(route));
}

/// Main's metric plus one, so that 0 has a place: routes to one destination keep main's order.
std::uint32_t Tables::metricAsInMain(const Route& route) { return std::min(route.metric, kHighestCopiedMetric) + 1; }

/// Whether it has a default route or an address does not matter here.
bool Tables::works(const Wan& wan, Family family) {
  return wan.link != nullptr && wan.link->up && wan.link->carrier && !wan.down.contains(family);
}

/// By whom a hop of main's leads: of several WANs on one device the one whose gateway it is, else the first.
const Wan* Tables::wanOf(const NextHop& hop, Family family) const {
  const auto found = wansOn_.find(hop.device);
  if (found == wansOn_.end()) return nullptr;
  const auto wan =
      std::ranges::find_if(found->second, [&](const Wan* one) { return one->isBehind(hop.gateway, family); });
  return wan == found->second.end() ? found->second.front() : *wan;
}

/// Routes in main that select WANs for one destination, as far as they use the given WANs. They take precedence over
/// metrics.
void Tables::addRoutesBy(const std::set<const Wan*>& wans, Family family, TableId table) {
  for (const Route* route : byWans_) {
    if (route->family() != family) continue;
    Route part = *route;
    std::erase_if(part.hops, [&](const NextHop& hop) { return !wans.contains(wanOf(hop, family)); });
    if (!part.hops.empty()) addGatewayed(part, table, metricAsInMain(part));
  }
}

/// The default routes of one WAN, each of them. If all are restricted to particular sources (IPv6), the first also
/// serves lookups that have no source yet: the kernel would otherwise take any device's address
/// (net/ipv6/ip6_output.c).
void Tables::addSourceSpecific(const std::vector<Route>& defaults, TableId table, std::uint32_t metric) {
  for (const Route& route : defaults)
    if (!route.source.isDefault()) addGatewayed(route, table, metric);
}

/// With the WAN's source, where that is another device's address, or of another WAN on the device: the kernel would not
/// find it by itself.
Route Tables::plainDefault(const Wan& wan, Family family, TableId table, std::uint32_t metric) const {
  const auto& defaults = wan.defaults.at(family);
  const auto plain = std::ranges::find_if(defaults, [](const Route& route) { return route.source.isDefault(); });
  Route route = mirrored(world_, plain == defaults.end() ? defaults.front() : *plain, table, metric);
  route.source = Prefix::any(family);
  const auto source = wan.source.find(family);
  const bool alone = wansOn_.at(wan.link->index).size() == 1;
  if (!route.preferredSource && family == Family::v6 && source != wan.source.end() &&
      !(alone && has(wan.link->index, source->second)))
    route.preferredSource = source->second;
  return route;
}

bool Tables::has(IfIndex device, const Address& address) const {
  return std::ranges::any_of(world_.addressesOf(device),
                             [&](const InterfaceAddress& own) { return own.address == address; });
}

void Tables::addWanTable(const Wan& wan, Family family, TableId table) {
  addRoute(closingRoute(table, family));
  const bool there = wan.link != nullptr && wan.link->up;
  if (there) addOnLink(*wan.link, family, table, kMinMetric);
  addInside(family, table, {static_cast<std::size_t>(&wan - steering_.wans.data())});
  if (!there) return;
  addRoutesBy({&wan}, family, table);
  const auto known = wan.defaults.find(family);
  if (known == wan.defaults.end()) return;
  addWithGateways(plainDefault(wan, family, table, kMinMetric));
  addSourceSpecific(known->second, table, kMinMetric);
}

void Tables::addPolicyTable(const PolicyView& policy, Family family, TableId table) {
  if (policy.lastResort == LastResort::unreachable) addRoute(closingRoute(table, family));
  std::set<std::size_t> members;
  std::set<const Wan*> working;
  for (const MemberView& member : policy.members) {
    const Wan& wan = steering_.wans[member.wan];
    members.insert(member.wan);
    // Its own prefixes are there whether or not it can be used, so that a failover has less to write.
    if (wan.link != nullptr && wan.link->up) addOnLink(*wan.link, family, table, member.metric.at(family));
    if (works(wan, family)) working.insert(&wan);
  }
  addRoutesBy(working, family, table);
  addInside(family, table, members);
  std::map<std::uint32_t, std::vector<const MemberView*>> groups;
  for (const MemberView* member : candidates(steering_, policy, family))
    groups[member->metric.at(family)].push_back(member);
  for (const auto& [metric, group] : groups) addGroup(group, family, table, metric);
}

void Tables::addMemberTable(const Wan& wan, Family family, TableId table) {
  addOnLink(*wan.link, family, table, kMinMetric);
  addWithGateways(plainDefault(wan, family, table, kMinMetric));
  addSourceSpecific(wan.defaults.at(family), table, kMinMetric);
}

/// WANs of equal metric share one multipath route; the kernel distributes flows by weight and skips dead next hops.
void Tables::addGroup(const std::vector<const MemberView*>& group, Family family, TableId table, std::uint32_t metric) {
  std::optional<Route> joined;
  for (const MemberView* member : group) {
    const Wan& wan = steering_.wans[member->wan];
    Route route = plainDefault(wan, family, table, metric);
    if (group.size() > 1) {
      for (NextHop& hop : route.hops) hop.weight = static_cast<std::uint16_t>(member->weight);
      route.preferredSource.reset();  // it would be that of one WAN for the packets of all
    }
    if (joined)
      joined->hops.insert(joined->hops.end(), route.hops.begin(), route.hops.end());
    else
      joined = std::move(route);
    addSourceSpecific(wan.defaults.at(family), table, metric);
  }
  if (!joined) return;
  std::ranges::sort(joined->hops);
  const bool direct = std::ranges::none_of(joined->hops, [](const NextHop& hop) { return hop.gateway.has_value(); });
  joined->linkScope = direct && family == Family::v4;
  if (joined->hops.size() == 1) joined->hops.front().weight = 1;
  addWithGateways(std::move(*joined));
}

}  // namespace wgsteer
