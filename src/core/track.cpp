// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/track.hpp"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "wgsteer/core/departed.hpp"
#include "wgsteer/core/nexthops.hpp"
#include "wgsteer/core/numbers.hpp"
#include "wgsteer/core/ours.hpp"
#include "wgsteer/core/steering.hpp"

namespace wgsteer {

namespace {

bool leavesBy(const Route& route, IfIndex device) {
  return std::ranges::find(route.hops, device, &NextHop::device) != route.hops.end();
}

/// Whether all hops of the route leave by this device.
bool onlyBy(const Route& route, IfIndex device) {
  return !route.hops.empty() &&
         std::ranges::all_of(route.hops, [&](const NextHop& hop) { return hop.device == device; });
}

class Tracker {
 public:
  explicit Tracker(Picture& picture) : picture_(picture), world_(picture.world), observed_(picture.observed) {}

  Tracked operator()(const LinkChanged& event) {
    const Link& link = event.link;
    const auto known = world_.links.find(link.index);
    if (known != world_.links.end() && known->second == link) return {};
    const bool isNew = known == world_.links.end();
    const bool wentDown = !isNew && known->second.up && !link.up;
    const bool mayBeNewTunnel = !isNew && link.kind == "tun" && (known->second.kind != "tun" || !known->second.up);
    const bool renamed = !isNew && known->second.name != link.name;
    const bool carrier = isNew || known->second.carrier != link.carrier;
    if (renamed) rename(known->second.name, link.name);
    world_.links.insert_or_assign(link.index, link);
    if (!isNew && (!link.up || (carrier && !link.carrier))) removeNexthopsOf(world_, link.index, true);
    if (wentDown) loseIpv4(link.index);
    Tracked tracked{.relevant = true, .carrier = carrier};
    // A device that is new, renamed or newly up may be a tunnel that is not known yet: in user space, a device with a
    // socket is one. Not on every change: such a device may be a named WAN, whose failover would wait for that.
    tracked.stale.tunnels = isNew || renamed || ((mayBeNewTunnel || isTunnel(world_, link)) && link.up);
    // What the kernel has really removed with the link is read from our own tables, a handful of routes.
    tracked.stale.ownRoutes = wentDown;
    return tracked;
  }

  Tracked operator()(const LinkGone& event) {
    const auto known = world_.links.find(event.index);
    if (known == world_.links.end()) return {};
    const IfName name = known->second.name;
    removeNexthopsOf(world_, event.index, false);
    loseAll(event.index);
    std::erase_if(world_.addresses, [&](const InterfaceAddress& own) { return own.device == event.index; });
    std::erase_if(observed_.sysctls, [&](const Sysctl& sysctl) { return sysctl.device == name; });
    observed_.deprecated = deprecatedByUs(world_);
    world_.links.erase(known);
    if (const auto tunnel = world_.tunnels.find(name); tunnel != world_.tunnels.end())
      noteDeparture(picture_, tunnel->second);
    world_.tunnels.edit().erase(name);
    world_.tunnelsElsewhere.erase(name);
    world_.tunnelTroubles.erase(name);
    world_.ownersMarks.erase(name);
    observed_.tunnelMarks.erase(name);
    return {.relevant = true, .stale = {.ownRoutes = true}};
  }

  Tracked operator()(const AddressAdded& event) {
    // An address is announced again whenever its flags or lifetimes change; with router advertisements, endlessly.
    if (const auto known = world_.addresses.find(event.address); known != world_.addresses.end())
      return takeLifetimes(known, event.address);
    std::erase_if(world_.addresses, [&](const InterfaceAddress& own) { return sameIdentity(own, event.address); });
    world_.addresses.insert(event.address);
    observed_.deprecated = deprecatedByUs(world_);
    // A tunnel in the kernel gets its peers between its device and its addresses, and nothing announces that; its first
    // packet may leave as soon as it is up.
    const Link* link = world_.link(event.address.device);
    const auto tunnel = link == nullptr ? world_.tunnels.end() : world_.tunnels.find(link->name);
    const bool bare = tunnel != world_.tunnels.end() && tunnel->second.peers.empty();
    return {.relevant = true, .stale = {.tunnels = bare && tunnel->second.backend == TunnelBackend::kernel}};
  }

  Tracked operator()(const AddressGone& event) {
    const InterfaceAddress& gone = event.address;
    const auto erased =
        std::erase_if(world_.addresses, [&](const InterfaceAddress& own) { return sameIdentity(own, gone); });
    if (erased == 0) return {};
    observed_.deprecated = deprecatedByUs(world_);
    const Family family = gone.address.family();
    const bool last = std::ranges::none_of(world_.addresses, [&](const InterfaceAddress& own) {
      return own.device == gone.device && own.address.family() == family;
    });
    if (last && family == Family::v4) loseIpv4(gone.device);
    loseSource(gone.address);
    return {.relevant = true, .stale = {.ownRoutes = true}};
  }

  Tracked operator()(const RouteAdded& event) {
    Route route = event.route;
    resolve(world_.nexthops, route);
    std::set<Route>& routes = isOurs(route) ? observed_.routes : world_.routes;
    makeRoom(routes, route, event);
    if (isSpecific(route) && isOneTooMany(route)) return haveTooMany(route);
    const auto [known, isNew] = routes.insert(route);
    // The same hops, but from another object.
    if (known->nexthop.value != route.nexthop.value) routes.insert(routes.erase(known), route);
    if (isOurs(route)) return {.relevant = isNew};
    unpark(route);
    // `ip route replace` on a route of ours: nothing announces that ours is gone.
    const bool replaces = isOurTable(route.table) && !routesWithKeyOf(observed_.routes, route).empty();
    return {.relevant = isNew, .stale = {.ownRoutes = replaces}};
  }

  Tracked operator()(const RouteGone& event) {
    const bool ours = isOurs(event.route);
    const auto erased =
        ours ? observed_.routes.erase(event.route)
             : world_.routes.erase(event.route) + world_.parked.erase(event.route) + eraseByObject(event.route);
    const bool damage = ours && event.port != 0;
    if (erased > 0) return {.relevant = true, .damage = damage};
    // Not known in this form: the kernel may announce parts of an IPv6 multipath route. Read the actual state.
    const bool concerns = !routesWithKeyOf(ours ? observed_.routes : world_.routes, event.route).empty();
    return {.relevant = concerns,
            .damage = concerns && damage,
            .stale = {.rtnetlink = concerns && !ours, .ownRoutes = concerns && ours}};
  }

  Tracked operator()(const RuleAdded& event) {
    const bool ours = isOurs(event.rule);
    const bool isNew = (ours ? observed_.rules : world_.rules).insert(event.rule).second;
    return {.relevant = isNew, .stale = {.tunnels = isNew && !ours && claimsMark(event.rule)}};
  }

  Tracked operator()(const RuleGone& event) {
    const bool ours = isOurs(event.rule);
    const bool known = (ours ? observed_.rules : world_.rules).erase(event.rule) > 0;
    return {.relevant = known, .damage = known && ours, .stale = {.tunnels = known && !ours && claimsMark(event.rule)}};
  }

  Tracked operator()(const NftChanged&) { return {.relevant = true, .damage = true, .stale = {.nft = true}}; }
  /// Those of a new device are announced before the device is (register_netdevice), whose own announcement has them.
  Tracked operator()(const SysctlsChanged& event) {
    const bool concerns = event.device.value == 0 || world_.links.contains(event.device);
    return {.relevant = concerns, .stale = {.links = concerns}};
  }
  Tracked operator()(const TunnelsChanged&) { return {.relevant = true, .stale = {.tunnels = true}}; }
  Tracked operator()(const NexthopChanged& event) {
    return {.relevant = changeNexthop(world_, event.id, event.nexthop)};
  }
  Tracked operator()(const NexthopGone& event) { return {.relevant = removeNexthop(world_, event.id)}; }
  Tracked operator()(const Overrun&) {
    return {.relevant = true, .stale = {.rtnetlink = true, .links = true, .nft = true, .tunnels = true}};
  }

 private:
  /// Our records are by device name: under another name, a sysctl that we turned on would be taken for the
  /// administrator's and stay on forever.
  void rename(const IfName& before, const IfName& now) {
    for (auto& [recorded, present] : world_.renamed)
      if (present == before) present = now;
    world_.renamed.try_emplace(before, now);
    if (observed_.nft) adopt(world_, *observed_.nft);
    std::set<Sysctl> sysctls;
    for (const Sysctl& sysctl : observed_.sysctls)
      sysctls.insert({sysctl.kind, sysctl.device == before ? now : sysctl.device});
    observed_.sysctls = std::move(sysctls);
  }

  /// Whose a tunnel's fwmark is depends on the rules that name it.
  static bool claimsMark(const Rule& rule) { return rule.mark.mask == 0xffffffff; }

  /// Of an address that we deprecated it matters who has written last: then our record says when we did, or it is not
  /// our doing any more.
  Tracked takeLifetimes(std::set<InterfaceAddress>::iterator known, const InterfaceAddress& now) {
    const bool written = known->lifetimes.written != now.lifetimes.written;
    if (!written && known->lifetimes.preferred == now.lifetimes.preferred) return {};
    world_.addresses.insert(world_.addresses.erase(known), now);
    if (!written || !now.deprecated || !world_.adopted.deprecated.contains(now.address)) return {};
    observed_.deprecated = deprecatedByUs(world_);
    return {.relevant = true};
  }

  static bool sameIdentity(const InterfaceAddress& left, const InterfaceAddress& right) {
    return left.device == right.device && left.address == right.address && left.prefixLength == right.prefixLength;
  }

  bool isOneTooMany(const Route& route) const {
    using LeftOut = RouteInterest::LeftOut;
    const bool fed = world_.interest.isFed(route);
    if (isLearned(route.protocol) && world_.leftOut >= (fed ? LeftOut::fed : LeftOut::learned)) return true;
    const std::size_t most = fed ? kMaxFedRoutes : kMaxSpecificRoutes;
    if (world_.routes.size() < most || world_.routes.contains(route)) return false;
    const auto known = std::ranges::count_if(world_.routes, [&](const Route& other) {
      return other.family() == route.family() && (fed ? world_.interest.isFed(other) : isSpecific(other));
    });
    return static_cast<std::size_t>(known) >= most;
  }

  /// Removes what the new route replaces, and gives it its position among others with the same key.
  static void makeRoom(std::set<Route>& routes, Route& route, const RouteAdded& event) {
    const auto alike = routesWithKeyOf(routes, route);
    if (alike.empty()) return;
    if (event.replaced && route.family() == Family::v6) {
      routes.erase(alike.begin(), alike.end());
      return;
    }
    const auto byPosition = [](const Route& left, const Route& right) {
      return left.position.value < right.position.value;
    };
    const auto [first, last] = std::minmax_element(alike.begin(), alike.end(), byPosition);
    route.position.value = event.replaced   ? first->position.value
                           : event.appended ? last->position.value + 1
                                            : first->position.value - 1;
    if (event.replaced) routes.erase(first);
  }

  /// Which ones to keep can be decided only by reading all of them: once, and again if leaving out the learned ones was
  /// not enough. Those learned from a WAN's router are recognised individually, and may be a million: they need no
  /// reading.
  Tracked haveTooMany(const Route& route) {
    using LeftOut = RouteInterest::LeftOut;
    world_.tooManyRoutes = true;
    LeftOut least = LeftOut::learned;
    if (world_.interest.isFed(route))
      least = LeftOut::fed;
    else if (!isLearned(route.protocol) && world_.leftOut >= LeftOut::learned)
      least = LeftOut::byUplinks;
    if (world_.leftOut >= least) return {};
    world_.leftOut = least;
    return {.relevant = true, .stale = {.rtnetlink = least != LeftOut::fed}};
  }

  /// Erases a route by its nexthop object, although its hops have changed since it was last announced.
  std::size_t eraseByObject(const Route& route) {
    if (route.nexthop.value == 0) return 0;
    const auto [first, last] = routesWithKeyOf(world_.routes, route);
    const auto same =
        std::find_if(first, last, [&](const Route& known) { return known.nexthop.value == route.nexthop.value; });
    if (same == last) return 0;
    world_.routes.erase(same);
    return 1;
  }

  /// A hop that IPv4 has marked dead (fib_sync_down_dev); it is alive again when its link or address is.
  bool isDead(const NextHop& hop) const {
    const Link* link = world_.link(hop.device);
    if (link == nullptr || !link->up) return true;
    return hop.gateway && !hop.onlink && std::ranges::none_of(world_.addressesOf(hop.device), [](const auto& own) {
             return own.address.family() == Family::v4;
           });
  }

  /// Forgets IPv4 routes that the kernel drops with a device's link or last address: those that have no other live hop.
  /// Foreign defaults are parked, because nothing may announce when they could be used again (`ip link set up` restores
  /// none of them).
  void loseIpv4(IfIndex device) {
    const auto lost = [&](const Route& route) {
      return route.family() == Family::v4 && leavesBy(route, device) &&
             std::ranges::all_of(route.hops, [&](const NextHop& hop) { return hop.device == device || isDead(hop); });
    };
    for (const Route& route : world_.routes)
      if (route.destination.isDefault() && lost(route)) world_.parked.insert(route);
    std::erase_if(world_.routes, lost);
    std::erase_if(observed_.routes, lost);
  }

  /// Forgets routes by a device that is gone. IPv4 drops a whole route because of one hop; the rest of a default route
  /// is parked. IPv6 keeps the other hops and announces that.
  void loseAll(IfIndex device) {
    takeApart(observed_.routes, device);
    takeApart(world_.parked, device, &world_.parked);
    takeApart(world_.routes, device, &world_.parked);
  }

  /// Removes the hops by a device that is gone; the rest of IPv4 default routes goes to `parked` unless null.
  static void takeApart(std::set<Route>& routes, IfIndex device, std::set<Route>* parked = nullptr) {
    std::vector<Route> apart;
    for (auto at = routes.begin(); at != routes.end();) {
      const auto next = std::next(at);
      if (leavesBy(*at, device)) apart.push_back(std::move(routes.extract(at).value()));
      at = next;
    }
    for (Route& route : apart) {
      std::erase_if(route.hops, [&](const NextHop& hop) { return hop.device == device; });
      if (route.hops.empty()) continue;
      if (route.hops.size() == 1) route.hops.front().weight = 1;
      if (route.family() == Family::v6)
        routes.insert(std::move(route));
      else if (parked != nullptr && route.destination.isDefault())
        parked->insert(std::move(route));
    }
  }

  /// Routes whose preferred source this host no longer has. The kernel acts silently: IPv4 drops those of the main
  /// table (fib_sync_down_addr) and leaves others as they are; in IPv6 they all stay, without the source
  /// (rt6_remove_prefsrc).
  void loseSource(const Address& address) {
    const auto& own = world_.addresses;
    if (std::ranges::find(own, address, &InterfaceAddress::address) != own.end()) return;
    const auto prefers = [&](const Route& route) { return route.preferredSource == address; };
    const bool v4 = address.family() == Family::v4;
    std::erase_if(world_.parked, prefers);
    std::vector<Route> freed;
    std::erase_if(world_.routes, [&](const Route& route) {
      if (!prefers(route) || (v4 && route.table != kMainTable)) return false;
      if (!v4) freed.push_back(route);
      return true;
    });
    for (Route& route : freed) {
      route.preferredSource.reset();
      world_.routes.insert(std::move(route));
    }
  }

  /// A default route that really exists on the device makes its parked ones obsolete.
  void unpark(const Route& route) {
    if (!route.destination.isDefault()) return;
    for (const NextHop& hop : route.hops)
      std::erase_if(world_.parked, [&](const Route& parked) {
        return parked.family() == route.family() && onlyBy(parked, hop.device);
      });
  }

  Picture& picture_;
  World& world_;
  State& observed_;
};

}  // namespace

Tracked track(Picture& picture, const Event& event) { return std::visit(Tracker{picture}, event); }

}  // namespace wgsteer
