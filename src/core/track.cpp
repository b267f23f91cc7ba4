// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/track.hpp"

#include <algorithm>
#include <utility>

#include "wgsteer/core/numbers.hpp"
#include "wgsteer/core/ours.hpp"

namespace wgsteer {

namespace {

/// A route that leaves by nothing but this device.
bool onlyBy(const Route& route, IfIndex device) {
  return !route.hops.empty() &&
         std::ranges::all_of(route.hops, [&](const NextHop& hop) { return hop.device == device; });
}

class Tracker {
 public:
  explicit Tracker(Picture& picture) : world_(picture.world), observed_(picture.observed) {}

  Tracked operator()(const LinkChanged& event) {
    const Link& link = event.link;
    const auto known = world_.links.find(link.index);
    if (known != world_.links.end() && known->second == link) return {};
    const bool isNew = known == world_.links.end();
    const bool wentDown = !isNew && known->second.up && !link.up;
    const bool renamed = !isNew && known->second.name != link.name;
    const bool carrier = isNew || known->second.carrier != link.carrier;
    world_.links.insert_or_assign(link.index, link);
    if (wentDown) loseRoutes(link.index, Family::v4, true);
    Tracked tracked{.relevant = true, .carrier = carrier};
    // A device that is new, renamed or newly up may be a tunnel of which nothing is known yet: in user space it is one
    // when it has a socket.
    const bool mayBeTunnel = isTunnel(world_, link) || link.kind == "tun";
    tracked.stale.tunnels = isNew || renamed || (mayBeTunnel && link.up);
    // What the kernel has really taken away with the link is read from our own tables, a handful of routes.
    tracked.stale.ownRoutes = wentDown;
    return tracked;
  }

  Tracked operator()(const LinkGone& event) {
    const auto known = world_.links.find(event.index);
    if (known == world_.links.end()) return {};
    const IfName name = known->second.name;
    for (const Family family : kFamilies) loseRoutes(event.index, family, false);
    std::erase_if(world_.addresses, [&](const InterfaceAddress& own) { return own.device == event.index; });
    std::erase_if(observed_.sysctls, [&](const Sysctl& sysctl) { return sysctl.device == name; });
    world_.links.erase(known);
    world_.tunnels.edit().erase(name);
    world_.tunnelTroubles.erase(name);
    observed_.tunnelMarks.erase(name);
    return {.relevant = true, .stale = {.ownRoutes = true}};
  }

  Tracked operator()(const AddressAdded& event) {
    // One address is announced again whenever its flags or lifetimes change; with router advertisements, for ever.
    if (world_.addresses.contains(event.address)) return {};
    std::erase_if(world_.addresses, [&](const InterfaceAddress& own) { return sameIdentity(own, event.address); });
    world_.addresses.insert(event.address);
    return {.relevant = true};
  }

  Tracked operator()(const AddressGone& event) {
    const InterfaceAddress& gone = event.address;
    const auto erased =
        std::erase_if(world_.addresses, [&](const InterfaceAddress& own) { return sameIdentity(own, gone); });
    if (erased == 0) return {};
    const Family family = gone.address.family();
    const bool last = std::ranges::none_of(world_.addresses, [&](const InterfaceAddress& own) {
      return own.device == gone.device && own.address.family() == family;
    });
    if (last && family == Family::v4) loseRoutes(gone.device, family, true);
    // Routes with this preferred source go as well, silently in IPv4 (fib_sync_down_addr).
    std::erase_if(world_.routes, [&](const Route& route) { return route.preferredSource == gone.address; });
    std::erase_if(world_.parked, [&](const Route& route) { return route.preferredSource == gone.address; });
    return {.relevant = true, .stale = {.ownRoutes = true}};
  }

  Tracked operator()(const RouteAdded& event) {
    const Route& route = event.route;
    std::set<Route>& routes = isOurs(route) ? observed_.routes : world_.routes;
    if (event.replaced) {
      const auto before = routesWithKeyOf(routes, route);
      routes.erase(before.begin(), before.end());
    }
    if (isSpecific(route) && isOneTooMany(route)) return haveTooMany(route);
    const bool isNew = routes.insert(route).second;
    if (!isOurs(route)) unpark(route);
    return {.relevant = isNew};
  }

  Tracked operator()(const RouteGone& event) {
    const bool ours = isOurs(event.route);
    const auto erased = ours ? observed_.routes.erase(event.route)
                             : world_.routes.erase(event.route) + world_.parked.erase(event.route);
    const bool damage = ours && event.port != 0;
    if (erased > 0) return {.relevant = true, .damage = damage};
    // Not known in this form: the kernel may announce parts of an IPv6 multipath route. Read the truth.
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
  Tracked operator()(const SysctlsChanged&) { return {.relevant = true, .stale = {.links = true}}; }
  Tracked operator()(const TunnelsChanged&) { return {.relevant = true, .stale = {.tunnels = true}}; }
  Tracked operator()(const Overrun&) {
    return {.relevant = true, .stale = {.rtnetlink = true, .links = true, .nft = true, .tunnels = true}};
  }

 private:
  /// Whose a tunnel's fwmark is depends on the rules that name it.
  static bool claimsMark(const Rule& rule) { return rule.mark.mask == 0xffffffff; }

  static bool sameIdentity(const InterfaceAddress& left, const InterfaceAddress& right) {
    return left.device == right.device && left.address == right.address && left.prefixLength == right.prefixLength;
  }

  bool isOneTooMany(const Route& route) const {
    if (world_.leftOut != RouteInterest::LeftOut::nothing && isLearned(route.protocol)) return true;
    if (world_.routes.size() < kMaxSpecificRoutes || world_.routes.contains(route)) return false;
    const auto known = std::ranges::count_if(
        world_.routes, [&](const Route& other) { return isSpecific(other) && other.family() == route.family(); });
    return static_cast<std::size_t>(known) >= kMaxSpecificRoutes;
  }

  /// Which ones are to be kept is seen when all are looked at: once, and once more when it was not enough to leave out
  /// the learned ones.
  Tracked haveTooMany(const Route& route) {
    using LeftOut = RouteInterest::LeftOut;
    const bool known = std::exchange(world_.tooManyRoutes, true);
    if (known && (world_.leftOut == LeftOut::byUplinks || isLearned(route.protocol))) return {};
    world_.leftOut = world_.leftOut == LeftOut::nothing ? LeftOut::learned : LeftOut::byUplinks;
    return {.relevant = true, .stale = {.rtnetlink = true}};
  }

  /// Forgets routes that the kernel drops with a device's link or last address. Foreign defaults are parked when the
  /// device remains, for nobody may tell us when it is back (`ip link set up` restores none of them).
  void loseRoutes(IfIndex device, Family family, bool park) {
    const auto lost = [&](const Route& route) { return route.family() == family && onlyBy(route, device); };
    if (park) {
      for (const Route& route : world_.routes)
        if (lost(route) && route.destination.isDefault()) world_.parked.insert(route);
    } else {
      std::erase_if(world_.parked, lost);
    }
    std::erase_if(world_.routes, lost);
    std::erase_if(observed_.routes, lost);
  }

  /// A default route of the device that is really there makes the parked ones history.
  void unpark(const Route& route) {
    if (!route.destination.isDefault()) return;
    for (const NextHop& hop : route.hops)
      std::erase_if(world_.parked, [&](const Route& parked) {
        return parked.family() == route.family() && onlyBy(parked, hop.device);
      });
  }

  World& world_;
  State& observed_;
};

void settleMark(World& world, const SetTunnelMark& set) {
  if (world.tunnels.contains(set.tunnel)) world.tunnels.edit().at(set.tunnel).fwmark = set.mark;
}

/// Not every switch that is written is announced (src_valid_mark is not); and one that we took back, but still thought
/// to be on, would be taken for the administrator's.
void settleSysctl(World& world, const SetSysctl& set) {
  for (auto& [index, link] : world.links) {
    if (link.name != set.sysctl.device) continue;
    if (set.on)
      link.sysctls.insert(set.sysctl.kind);
    else
      link.sysctls.erase(set.sysctl.kind);
  }
}

}  // namespace

Tracked track(Picture& picture, const Event& event) { return std::visit(Tracker{picture}, event); }

namespace {

/// What follows from changes for the world, once they are in the observed state.
void settleWorld(Picture& picture, const std::vector<Change>& made) {
  for (const Change& change : made) {
    if (const auto* set = std::get_if<SetTunnelMark>(&change)) settleMark(picture.world, *set);
    if (const auto* set = std::get_if<SetSysctl>(&change)) settleSysctl(picture.world, *set);
  }
  // Without a table of ours (somebody flushed the ruleset), what we know of our past is kept in mind until it is back.
  if (!picture.observed.nft) return;
  picture.world.adopted.wanSlots = picture.observed.nft->table.wans;
  picture.world.adopted.sysctls = picture.observed.nft->table.changedSysctls;
}

}  // namespace

void settle(Picture& picture, const Plan& plan, State reached) {
  picture.observed = std::move(reached);
  settleWorld(picture, plan.changes);
}

void settle(Picture& picture, const std::vector<Change>& made) {
  for (const Change& change : made) apply(picture.observed, change);
  settleWorld(picture, made);
}

}  // namespace wgsteer
