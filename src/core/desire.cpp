// SPDX-License-Identifier: GPL-2.0-or-later
// Second half of the plan: the routes, rules, marks, sysctls and nft members that follow from the steering.
#include "wgsteer/core/desire.hpp"

#include <algorithm>
#include <utility>

#include "wgsteer/core/follow.hpp"

#include "core/foreign_rules.hpp"
#include "core/foreign_ways.hpp"
#include "core/host_routes.hpp"

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

Route onLinkRoute(TableId table, const Prefix& prefix, IfIndex device, std::uint32_t metric) {
  Route route;
  route.table = table;
  route.destination = prefix;
  route.source = Prefix::any(prefix.family());
  route.metric = metric;
  route.hops = {NextHop{.device = device, .gateway = {}}};
  route.linkScope = prefix.family() == Family::v4;
  route.protocol = kProtocol;
  return route;
}

/// A gateway is marked onlink: the kernel then takes our word for it instead of looking it up through all rules, and
/// the order in which address and route arrive is no matter. Not so in IPv6 (6.18, ip6_route_check_nh_onlink): there it
/// is looked up in main all the same, and refused where a tunnel's routes have it; without the flag it is looked up in
/// the route's own table, where onLinkRoute() has put it.
bool wantsOnlink(const NextHop& hop) {
  return hop.gateway && (hop.gateway->family() == Family::v4 || hop.gateway->isLinkLocal());
}

/// A foreign route as it is, in one of our tables. Its `src` is kept while that is an address of this host: the kernel
/// (6.18) refuses any other, although it leaves such routes in tables other than main.
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
  const auto isSource = [&](const InterfaceAddress& own) {
    return own.address == route.preferredSource && !own.tentative;
  };
  if (route.preferredSource && std::ranges::none_of(world.addresses, isSource)) route.preferredSource.reset();
  return route;
}

/// Endpoints and flows of all tunnels. An endpoint does not tell a tunnel from another one that goes to the same
/// server: where two have one in common, or a peer has a way of its own, packets are told apart by the port that they
/// come from.
class EndpointBook {
 public:
  std::map<Endpoint, std::optional<Slot>> endpoints;

  /// `special`: whatever mark the packet has. Without a verdict it is left alone.
  void add(const Endpoint& endpoint, const Tunnel& tunnel, std::optional<Slot> verdict, bool special) {
    const Flow flow{endpoint, tunnel.listenPort};
    if (!verdict) {
      leftAlone_.push_back(flow);
      return;
    }
    const auto [known, fresh] = endpoints.try_emplace(endpoint, verdict);
    if (!fresh && known->second != verdict) shared_.insert(endpoint);
    if (special)
      note(flow, verdict);
    else
      usual_.emplace_back(flow, verdict);
  }

  std::map<Flow, std::optional<Slot>> takeFlows() {
    for (const auto& [flow, verdict] : usual_)
      if (shared_.contains(flow.endpoint)) note(flow, verdict);
    for (const Flow& flow : leftAlone_)
      if (endpoints.contains(flow.endpoint)) note(flow, std::nullopt);
    // Two sockets on one port cannot be told apart either: their own marks have to do.
    for (const Flow& flow : ambiguous_) flows_.erase(flow);
    return std::move(flows_);
  }

 private:
  void note(const Flow& flow, std::optional<Slot> verdict) {
    if (flow.sourcePort == 0) return;  // its socket is not open yet
    const auto [known, fresh] = flows_.try_emplace(flow, verdict);
    if (!fresh && known->second != verdict) ambiguous_.insert(flow);
  }

  std::set<Endpoint> shared_;
  std::vector<std::pair<Flow, std::optional<Slot>>> usual_;
  std::vector<Flow> leftAlone_;
  std::map<Flow, std::optional<Slot>> flows_;
  std::set<Flow> ambiguous_;
};

class Desire {
 public:
  Desire(const Config& config, const World& world, const Steering& steering, const PeerFacts& peers)
      : config_(config),
        numbers_(config.numbers),
        world_(world),
        steering_(steering),
        peers_(peers),
        families_(steering.families) {
    noteInside();
  }

  State build(const PeerMaps& maps) {
    state_.nft =
        NftState{.layout = {.markMask = numbers_.markMask, .forward = config_.forward, .intact = true}, .table = {}};
    for (const Wan& wan : steering_.wans) addWan(wan);
    addBound();
    for (const PolicyView& policy : steering_.policies) addPolicy(policy);
    for (const TunnelView& tunnel : steering_.tunnels) addTunnel(tunnel);
    nft().endpoints = maps.endpoints;
    nft().flows = maps.flows;
    nft().flowPorts = maps.flowPorts;
    addTunnelNetworks();
    addOwnMarks();
    addForeignWays();
    makeWay();
    addJump();
    state_.nft->table.changedSysctls = state_.sysctls;
    if (world_.foreignTable) withoutTable();
    return std::move(state_);
  }

 private:
  NftTable& nft() { return state_.nft->table; }

  /// Sysctls are turned on only where it can be written down that we did it.
  void withoutTable() {
    state_.nft.reset();
    state_.sysctls.clear();
  }

  /// The first to claim a key has it: WANs come in order of preference, and a second device with the same prefix cannot
  /// be told from the first by anybody. Routes are ordered by their key, then by the rest.
  void addRoute(Route route) {
    const auto next = state_.routes.upper_bound(route);
    if (next != state_.routes.end() && next->key() == route.key()) return;
    if (next != state_.routes.begin() && std::prev(next)->key() == route.key()) return;
    state_.routes.insert(next, std::move(route));
  }

  void addRule(Family family, std::uint32_t priority, MarkMatch mark, TableId table, std::optional<Prefix> from = {}) {
    Rule rule;
    rule.family = family;
    rule.priority = priority;
    rule.mark = mark;
    rule.table = table;
    rule.source = from;
    rule.protocol = kProtocol;
    rule.inputInterface = "lo";
    state_.rules.insert(rule);
  }

  /// What a mark of ours means. With `forward`, also on packets of hosts behind this one.
  void addMeaning(Family family, Slot slot, TableId table) {
    addRule(family, numbers_.markPriority(), numbers_.mark(slot), table);
    if (!config_.forward) return;
    Rule rule;
    rule.family = family;
    rule.priority = numbers_.forwardedPriority();
    rule.mark = numbers_.mark(slot);
    rule.table = table;
    rule.protocol = kProtocol;
    state_.rules.insert(rule);
  }

  // Tables.

  /// What is on the link itself: prefixes of addresses, and routes without a gateway, which is how a prefix is written
  /// where the address has `noprefixroute` (NetworkManager, dhcpcd, netifd with a metric).
  void addOnLink(const Link& link, Family family, TableId table, std::uint32_t metric) {
    for (const InterfaceAddress& own : world_.addressesOf(link.index)) {
      if (own.address.family() != family || own.address.isLinkLocal()) continue;
      const Prefix prefix{own.peer.value_or(own.address), own.prefixLength};
      const bool ownAddressAlone = !own.peer && prefix.length() == bitsOf(family);
      if (ownAddressAlone || own.noPrefixRoute || prefix.isDefault()) continue;
      addRoute(onLinkRoute(table, prefix, link.index, metric));
    }
    const auto known = onLink_.find({link.index, family});
    if (known == onLink_.end()) return;
    for (const Prefix& prefix : known->second) addRoute(onLinkRoute(table, prefix, link.index, metric));
  }

  static bool isLinkLocalPrefix(const Prefix& prefix) { return prefix.address().isLinkLocal(); }

  /// Sorts main's specific routes: prefixes on links, routes by routers inside, and routes by WANs; also the halves
  /// that somebody writes for a default by a router. Routes into tunnels are for no packet of a tunnel, but for those
  /// of peers that are left alone anyway. netifd's host routes to endpoints are left out: it makes one for each, by a
  /// WAN that is chosen only once.
  void noteInside() {
    for (const auto& [index, link] : world_.links)
      if (isInside(link) && !isWan(link)) lans_.push_back(&link);
    for (const Route& route : world_.routes) {
      if (route.table != kMainTable || route.destination.isDefault() || isLinkLocalPrefix(route.destination) ||
          route.destination.address().isMulticast())
        continue;
      if (route.type == RouteType::throw_ && goesOnInside(world_, route.destination)) thrown_.push_back(&route);
      if (route.type != RouteType::unicast || route.hops.empty() || isNetifdsHostRoute(route)) continue;
      const auto isInsideHere = [&](const Link& link) { return isInside(link); };
      if (!allHops(world_, route, isInsideHere) || maybeTheInternet(world_, route)) continue;
      const bool direct = std::ranges::none_of(route.hops, [](const NextHop& hop) { return hop.gateway.has_value(); });
      if (direct && route.hops.size() == 1 && !isBehindPointToPointWan(route))
        onLink_[{route.hops.front().device, route.family()}].insert(route.destination);
      else if (allHops(world_, route, [&](const Link& link) { return isWan(link); }))
        byWans_.push_back(&route);
      else
        byRouters_.push_back(&route);
    }
    const auto better = [](const Route* left, const Route* right) { return left->metric < right->metric; };
    std::ranges::stable_sort(byWans_, better);
    std::ranges::stable_sort(byRouters_, better);
  }

  /// A device that something may be on.
  bool isInside(const Link& link) const { return link.up && !link.loopback && !isTunnel(world_, link); }
  bool isWan(const Link& link) const {
    return std::ranges::any_of(steering_.wans, [&](const Wan& wan) { return wan.link == &link; });
  }

  /// PPP has no gateways: what somebody leads there is not on the link, but the kernel's own route is.
  bool isBehindPointToPointWan(const Route& route) const {
    constexpr std::uint8_t kByKernel = 2;
    const Link* link = world_.link(route.hops.front().device);
    return link->pointToPoint && isWan(*link) && route.protocol != kByKernel;
  }

  /// By the WAN's own gateway: by another router there, it is a decision of somebody's.
  bool isNetifdsHostRoute(const Route& route) const {
    constexpr std::uint8_t kStatic = 4;
    if (!config_.netifd || route.protocol != kStatic || route.destination.length() != bitsOf(route.family()))
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

  /// Peers can sit in a LAN of ours, or behind a router there: without these routes, their packets would be sent out to
  /// the Internet. WANs have their own prefixes as well, whether they can be used or not.
  void addInside(Family family, TableId table, const std::set<std::size_t>& members) {
    for (const Link* lan : lans_) addOnLink(*lan, family, table, kLanMetric);
    for (std::size_t i = 0; i < steering_.wans.size(); ++i) {
      const Wan& wan = steering_.wans[i];
      if (wan.link != nullptr && wan.link->up && !members.contains(i)) addOnLink(*wan.link, family, table, kLanMetric);
    }
    for (const Route* route : byRouters_)
      if (route->family() == family) addGatewayed(*route, table, metricAsInMain(*route));
    for (const Route* route : thrown_)
      if (route->family() == family) addRoute(mirrored(world_, *route, table, metricAsInMain(*route)));
  }

  /// A route with gateways, and in IPv6 where these are.
  void addGatewayed(const Route& route, TableId table, std::uint32_t metric) {
    addWithGateways(mirrored(world_, route, table, metric));
  }

  void addWithGateways(Route route) {
    for (const NextHop& hop : route.hops) {
      if (!hop.gateway || hop.onlink || hop.gateway->family() != Family::v6 || route.family() != Family::v6) continue;
      const Prefix host = Prefix::host(*hop.gateway);
      const bool known = std::ranges::any_of(state_.routes, [&](const Route& there) {
        return there.table == route.table && there.destination.contains(*hop.gateway) &&
               !there.destination.isDefault() && there.hops.size() == 1 &&
               there.hops.front() == NextHop{.device = hop.device, .gateway = {}};
      });
      if (!known) addRoute(onLinkRoute(route.table, host, hop.device, route.metric));
    }
    addRoute(std::move(route));
  }

  /// One more, so that 0 has a place: the order among routes to one destination is main's.
  static std::uint32_t metricAsInMain(const Route& route) { return std::min(route.metric, kLanMetric - 0x1000) + 1; }

  /// Not asked: whether it has a default route or an address as well.
  static bool works(const Wan& wan, Family family) {
    return wan.link != nullptr && wan.link->up && wan.link->carrier && !wan.down.contains(family);
  }

  /// Routes in main that select WANs for one destination, as far as they lead by these. They take precedence over
  /// metrics.
  void addRoutesBy(const std::set<IfIndex>& wans, Family family, TableId table) {
    for (const Route* route : byWans_) {
      if (route->family() != family) continue;
      Route part = *route;
      std::erase_if(part.hops, [&](const NextHop& hop) { return !wans.contains(hop.device); });
      if (!part.hops.empty()) addGatewayed(part, table, metricAsInMain(part));
    }
  }

  /// Defaults of one WAN, each in its own right. When all of them are for particular sources only (IPv6), the first
  /// serves the lookup that has no source yet: the kernel would otherwise take any device's address
  /// (net/ipv6/ip6_output.c).
  void addSourceSpecific(const std::vector<Route>& defaults, TableId table, std::uint32_t metric) {
    for (const Route& route : defaults)
      if (!route.source.isDefault()) addGatewayed(route, table, metric);
  }

  /// With the WAN's source, where that is another device's address: the kernel would not find it by itself.
  Route plainDefault(const Wan& wan, Family family, TableId table, std::uint32_t metric) const {
    const auto& defaults = wan.defaults.at(family);
    const auto plain = std::ranges::find_if(defaults, [](const Route& route) { return route.source.isDefault(); });
    Route route = mirrored(world_, plain == defaults.end() ? defaults.front() : *plain, table, metric);
    route.source = Prefix::any(family);
    const auto source = wan.source.find(family);
    if (!route.preferredSource && family == Family::v6 && source != wan.source.end() && !has(*wan.link, source->second))
      route.preferredSource = source->second;
    return route;
  }

  bool has(const Link& link, const Address& address) const {
    return std::ranges::any_of(world_.addressesOf(link.index),
                               [&](const InterfaceAddress& own) { return own.address == address; });
  }

  void addWanTable(const Wan& wan, Family family, TableId table) {
    addRoute(closingRoute(table, family));
    const bool there = wan.link != nullptr && wan.link->up;
    if (there) addOnLink(*wan.link, family, table, kMinMetric);
    addInside(family, table, {static_cast<std::size_t>(&wan - steering_.wans.data())});
    if (!there) return;
    if (!wan.secondary) addRoutesBy({wan.link->index}, family, table);
    const auto known = wan.defaults.find(family);
    if (known == wan.defaults.end()) return;
    addWithGateways(plainDefault(wan, family, table, kMinMetric));
    addSourceSpecific(known->second, table, kMinMetric);
  }

  void addPolicyTable(const PolicyView& policy, Family family, TableId table) {
    if (policy.lastResort == LastResort::unreachable) addRoute(closingRoute(table, family));
    std::set<std::size_t> members;
    std::set<IfIndex> working;
    for (const MemberView& member : policy.members) {
      const Wan& wan = steering_.wans[member.wan];
      members.insert(member.wan);
      // Its own prefixes do not depend on whether it can be used: so a failover has less to write.
      if (wan.link != nullptr && wan.link->up) addOnLink(*wan.link, family, table, member.metric.at(family));
      if (!wan.secondary && works(wan, family)) working.insert(wan.link->index);
    }
    addRoutesBy(working, family, table);
    addInside(family, table, members);
    std::map<std::uint32_t, std::vector<const MemberView*>> groups;
    for (const MemberView* member : candidates(steering_, policy, family))
      groups[member->metric.at(family)].push_back(member);
    for (const auto& [metric, group] : groups) addGroup(group, family, table, metric);
  }

  /// WANs of equal metric are one multipath route, whose next hops the kernel weighs and skips when dead.
  void addGroup(const std::vector<const MemberView*>& group, Family family, TableId table, std::uint32_t metric) {
    std::optional<Route> joined;
    for (const MemberView* member : group) {
      const Wan& wan = steering_.wans[member->wan];
      Route route = plainDefault(wan, family, table, metric);
      if (group.size() > 1) {
        for (NextHop& hop : route.hops) hop.weight = static_cast<std::uint16_t>(member->weight);
        route.preferredSource.reset();  // it would be one WAN's for the packets of all
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

  void addOwnMarks() {
    for (const Wan& wan : steering_.wans) nft().ownMarks.emplace(Mark{numbers_.mark(wan.slot).value}, true);
    for (const PolicyView& policy : steering_.policies)
      nft().ownMarks.emplace(Mark{numbers_.mark(policy.target.slot).value}, policy.lastResort != LastResort::main);
  }

  /// Between the rules for replies and those for marks. Packets of others pass by: for them nothing changes, whatever
  /// comes before these ways where they were made.
  void addForeignWays() {
    for (const Family family : families_) {
      std::uint32_t priority = numbers_.foreignWaysPriority();
      std::optional<std::uint32_t> original;
      for (std::size_t i = 0; i < steering_.ways.rules.size(); ++i) {
        Rule rule = steering_.ways.rules[i];
        if (rule.family != family) continue;
        if (!original) priority = addWhoseWaysTheyAre(family, priority);
        // Of one priority the kernel's order is that of insertion, so beyond the last one there is none to rely on.
        if (original != steering_.ways.originals[i].priority && priority + 1 < numbers_.markPriority()) ++priority;
        original = steering_.ways.originals[i].priority;
        rule.priority = priority;
        state_.rules.insert(stamped(std::move(rule)));
      }
    }
  }

  /// Our packets are those with our bits, and those of tunnels with a mark of their own.
  std::uint32_t addWhoseWaysTheyAre(Family family, std::uint32_t first) {
    const std::uint32_t passBy = first + 1;
    for (const auto& [mark, policy] : foreignMarks_) addGoto(family, first, {mark.value, 0xffffffff}, passBy + 1);
    addGoto(family, passBy, {0, numbers_.markMask}, numbers_.markPriority());
    return passBy;
  }

  void addGoto(Family family, std::uint32_t priority, MarkMatch mark, std::uint32_t target) {
    Rule rule;
    rule.family = family;
    rule.priority = priority;
    rule.mark = mark;
    rule.action = RuleAction::goto_;
    rule.gotoPriority = target;
    rule.protocol = kProtocol;
    state_.rules.insert(std::move(rule));
  }

  bool takesOurs(const Rule& rule) {
    return std::ranges::any_of(nft().ownMarks, [&](const auto& own) { return takesEverythingWith(rule, own.first); });
  }

  std::optional<std::uint32_t> firstPriority(Family family) const {
    std::optional<std::uint32_t> first;
    for (const Rule& rule : state_.rules)
      if (rule.family == family) first = std::min(first.value_or(rule.priority), rule.priority);
    return first;
  }

  /// Ours stand together, or there is no jumping over a foreign rule that takes what carries our marks: they begin
  /// behind the last one that is among them. One of equal priority may have been there first.
  void makeWay() {
    std::uint32_t by = 0;
    for (const Rule& rule : world_.rules) {
      const auto first = firstPriority(rule.family);
      if (!first || rule.priority < *first + by || rule.priority > numbers_.markPriority() + by) continue;
      if (takesOurs(rule)) by = rule.priority + 1 - *first;
    }
    if (by == 0) return;
    for (Rule rule : std::exchange(state_.rules, {})) {
      rule.priority += by;
      if (rule.action == RuleAction::goto_) rule.gotoPriority += by;
      state_.rules.insert(std::move(rule));
    }
  }

  /// A rule without a priority is put before ours by the kernel (fib_default_rule_pref), whatever mark it asks for:
  /// wg-quick's among them. Where one takes what carries our marks, that goes past it, and nothing else does.
  void addJump() {
    for (const Family family : families_) {
      const auto first = firstPriority(family);
      if (!first) continue;
      std::uint32_t before = *first;
      for (const Rule& rule : world_.rules)
        if (rule.family == family && rule.priority != 0 && rule.priority < before && takesOurs(rule))
          before = rule.priority;
      if (before == *first || before <= kJumpFloor) continue;
      Rule jump;
      jump.family = family;
      jump.priority = before - 1;
      jump.invert = true;
      jump.mark = {0, numbers_.markMask};
      jump.action = RuleAction::goto_;
      jump.gotoPriority = *first;
      jump.protocol = kProtocol;
      state_.rules.insert(jump);
    }
  }

  // WANs.

  void addWan(const Wan& wan) {
    const TableId table = numbers_.wanTable(wan.slot);
    for (const Family family : families_) {
      addMeaning(family, wan.slot, table);
      addWanTable(wan, family, table);
    }
    // The kernel knows no device without a name: a WAN whose interface has none at the moment is in no set.
    if (wan.device.empty() || wan.secondary) return;
    nft().wans.emplace(wan.device, wan.slot);
    if (wan.link == nullptr) return;
    for (const InterfaceAddress& own : world_.addresses)
      if (!own.tentative && (own.device == wan.link->index || isNeutral(own)))
        nft().addresses.emplace(wan.device, own.address);
    for (const auto& [family, address] : wan.source) {
      nft().addresses.emplace(wan.device, address);  // not always one of its own
      nft().sources.emplace(std::pair{wan.device, family}, address);
    }
    if (config_.sysctl) addSysctls(*wan.link);
  }

  /// A service address on lo, a bridge or a LAN is right on every WAN: who asked for it gets its answer from it. What
  /// belongs to another WAN, or to a tunnel, is not.
  bool isNeutral(const InterfaceAddress& own) const {
    const Link* link = world_.link(own.device);
    return link != nullptr && !own.linkScope && !own.address.isLinkLocal() && !own.address.isLoopback() &&
           !isTunnel(world_, *link) && !isWan(*link);
  }

  /// Addresses that are wrong sources on other WANs than their own, if they have one.
  void addBound() {
    for (const InterfaceAddress& own : world_.addresses) {
      const Link* link = world_.link(own.device);
      if (link != nullptr && (isWan(*link) || isTunnel(world_, *link)) && !own.address.isLinkLocal())
        nft().bound.insert(own.address);
    }
  }

  void addSysctls(const Link& link) {
    const auto want = [&](SysctlKind kind) {
      Sysctl sysctl{kind, link.name};
      // On already, and not by us: the administrator's own, to be left alone for ever.
      if (!link.sysctls.contains(kind) || world_.adopted.sysctls.contains(sysctl))
        state_.sysctls.insert(std::move(sysctl));
    };
    want(SysctlKind::ignoreLinkdown4);
    if (link.hasIpv6) want(SysctlKind::ignoreLinkdown6);
    // The kernel takes the larger of the device's and all's rp_filter, and either's src_valid_mark (inetdevice.h).
    const bool strict = std::max(link.rpFilter, world_.rpFilterAll) == 1;
    if (strict && !world_.sysctlsAll.contains(SysctlKind::srcValidMark)) want(SysctlKind::srcValidMark);
  }

  // Policies.

  void addPolicy(const PolicyView& policy) {
    nft().policies.insert(policy.target.slot);
    if (policy.target.ownTable) {
      for (const Family family : families_) {
        addMeaning(family, policy.target.slot, policy.target.table);
        addPolicyTable(policy, family, policy.target.table);
      }
    }
    if (policy.server)
      addServerReplies(numbers_.mark(policy.target.slot));
    else
      addPolicySources(policy);
  }

  /// The source of packets that get this policy's mark on their way out. Not for servers: the address that a reply
  /// carries says by which WAN it is to leave.
  void addPolicySources(const PolicyView& policy) {
    const Mark mark{numbers_.mark(policy.target.slot).value};
    for (const Family family : kFamilies)
      if (const auto source = sourceOf(policy, family)) nft().policySources.emplace(std::pair{mark, family}, *source);
  }

  /// Of the WAN that the policy's table leads to. Among WANs of equal metric the kernel chooses by flow, and the first
  /// is as good a guess as any.
  std::optional<Address> sourceOf(const PolicyView& policy, Family family) const {
    const auto sourceOfMember = [&](const MemberView& member) {
      const auto source = steering_.wans[member.wan].source.find(family);
      return source == steering_.wans[member.wan].source.end() ? std::nullopt : std::optional{source->second};
    };
    // A WAN's own table keeps its route also when the WAN is not to be used.
    if (!policy.target.ownTable) return sourceOfMember(policy.members.front());
    const auto able = candidates(steering_, policy, family, Need::source);
    return able.empty() ? std::nullopt : sourceOfMember(*able.front());
  }

  /// A packet of a server tunnel that carries a WAN's address as its source is a reply to what came in there.
  void addServerReplies(MarkMatch mark) {
    for (const Wan& wan : steering_.wans) {
      if (wan.link == nullptr) continue;
      for (const InterfaceAddress& own : world_.addressesOf(wan.link->index)) {
        if (own.tentative || own.address.isLinkLocal() || own.linkScope || !isSteered(own.address.family())) continue;
        addRule(own.address.family(), numbers_.serverReplyPriority(), mark, numbers_.wanTable(wan.slot),
                Prefix::host(own.address));
      }
    }
  }

  // Tunnels.

  void addTunnel(const TunnelView& view) {
    const Tunnel& tunnel = *view.tunnel;
    const Slot usual = steering_.policies[view.policy].target.slot;
    if (view.fwmark == FwmarkUse::ours) state_.tunnelMarks.emplace(tunnel.name, Mark{numbers_.mark(usual).value});
    if (view.fwmark == FwmarkUse::foreign) {
      if (tunnel.fwmark != view.ownersMark) state_.tunnelMarks.emplace(tunnel.name, view.ownersMark);
      const std::size_t policy = foreignMarks_.emplace(view.ownersMark, view.policy).first->second;
      addForeignMark(view.ownersMark, steering_.policies[policy]);
    }
    nft().tunnels.insert(tunnel.name);
    if (tunnel.listenPort != 0) nft().listenPorts.insert(tunnel.listenPort);
    for (const auto& [peer, wan] : view.peerWan) addSingleWan(steering_.wans[wan]);
  }

  /// A tunnel's own mark is also on what its user sends past it (split tunnels, SO_MARK): that reaches the networks
  /// behind other tunnels as before, and does not go out in clear. Where an endpoint is in such a network, no table of
  /// ours leads there: a peer that is reached so is left alone, and any other must not be.
  void addTunnelNetworks() {
    std::size_t count = 0;
    for (const auto& [mark, policy] : foreignMarks_)
      for (const Route& route : peers_.intoTunnels) {
        if (!isSteered(route.family()) || hasEndpoint(route.destination) || ++count > kMaxForeignWays) continue;
        Rule rule;
        rule.family = route.family();
        rule.priority = numbers_.tunnelNetworksPriority();
        rule.destination = route.destination;
        rule.mark = {mark.value, 0xffffffff};
        rule.table = kMainTable;
        rule.suppressPrefixLength = 1;
        state_.rules.insert(stamped(std::move(rule)));
      }
  }

  /// A rule that looks up a table of somebody else's.
  static Rule stamped(Rule rule) {
    rule.inputInterface = "lo";
    rule.suppressGroup = kWayGroup;
    rule.otherSelector = true;
    rule.protocol = kProtocol;
    return rule;
  }

  bool hasEndpoint(const Prefix& prefix) const {
    const auto has = [&](const Endpoint& endpoint) { return prefix.contains(endpoint.address); };
    for (const auto& [name, tunnel] : world_.tunnels)
      for (const Peer& peer : tunnel.peers)
        if (peer.endpoint && has(*peer.endpoint)) return true;
    return std::ranges::any_of(world_.named,
                               [&](const auto& named) { return std::ranges::any_of(endpointsOf(named.second), has); });
  }

  /// For peers that are given to one WAN.
  void addSingleWan(const Wan& wan) {
    nft().policies.insert(wan.slot);
    const Mark mark{numbers_.mark(wan.slot).value};
    for (const auto& [family, address] : wan.source) nft().policySources.emplace(std::pair{mark, family}, address);
  }

  void addForeignMark(Mark mark, const PolicyView& policy) {
    const MarkMatch whole{mark.value, 0xffffffff};
    nft().foreignMarks.insert(mark);
    for (const Family family : families_) addRule(family, numbers_.foreignMarkPriority(), whole, policy.target.table);
    if (policy.server) addServerReplies(whole);
  }

  bool isSteered(Family family) const { return std::ranges::find(families_, family) != families_.end(); }

  const Config& config_;
  const Numbers& numbers_;
  const World& world_;
  const Steering& steering_;
  const PeerFacts& peers_;
  State state_;
  const std::vector<Family>& families_;
  std::vector<const Link*> lans_;
  std::map<std::pair<IfIndex, Family>, std::set<Prefix>> onLink_;
  std::vector<const Route*> byRouters_;
  std::vector<const Route*> byWans_;
  std::vector<const Route*> thrown_;
  std::map<Mark, std::size_t> foreignMarks_;
};

}  // namespace

std::map<IfName, Verdicts> verdictsOf(const Steering& steering) {
  std::map<IfName, Verdicts> verdicts;
  // Which policy a foreign mark leads to, before any nft rule: the first tunnel's that has it.
  std::map<Mark, std::size_t> foreignMarks;
  for (const TunnelView& view : steering.tunnels) {
    const Slot usual = steering.policies[view.policy].target.slot;
    Verdicts own{.usual = usual, .others = {}};
    for (const auto& [peer, wan] : view.peerWan) own.others.emplace(peer, steering.wans[wan].slot);
    for (const auto& [peer, policy] : view.peerPolicy) own.others.emplace(peer, steering.policies[policy].target.slot);
    for (const auto& [peer, by] : view.leftAlone) own.others.insert_or_assign(peer, std::nullopt);
    // Nothing gives its mark a meaning; or another tunnel has given the mark another one.
    const bool everybody = view.fwmark == FwmarkUse::none ||
                           (view.fwmark == FwmarkUse::foreign &&
                            foreignMarks.emplace(view.ownersMark, view.policy).first->second != view.policy);
    for (std::size_t i = 0; everybody && i < view.tunnel->peers.size(); ++i) own.others.emplace(i, usual);
    verdicts.emplace(view.tunnel->name, std::move(own));
  }
  return verdicts;
}

namespace {

bool canBeSteered(const Steering& steering, const Endpoint& endpoint) {
  const Address& address = endpoint.address;
  return std::ranges::find(steering.families, address.family()) != steering.families.end() && endpoint.port != 0 &&
         !address.isUnspecified() && !address.isLoopback() && !address.isLinkLocal() && !address.isMulticast();
}

void addPeers(const World& world, const Steering& steering, const Tunnel& tunnel, const Verdicts& verdicts,
              EndpointBook& book) {
  for (std::size_t i = 0; i < tunnel.peers.size(); ++i) {
    const Peer& peer = tunnel.peers[i];
    const auto other = verdicts.others.find(i);
    const bool special = other != verdicts.others.end();
    const auto verdict = special ? other->second : verdicts.usual;
    const auto add = [&](const Endpoint& endpoint) {
      if (canBeSteered(steering, endpoint)) book.add(endpoint, tunnel, verdict, special);
    };
    if (peer.endpoint) add(*peer.endpoint);
    if (const auto named = world.named.find({tunnel.name, peer.publicKey}); named != world.named.end())
      for (const Endpoint& endpoint : endpointsOf(named->second)) add(endpoint);
  }
}

}  // namespace

PeerMaps peerMaps(const World& world, const Steering& steering, const std::map<IfName, Verdicts>& verdicts) {
  EndpointBook book;
  for (const auto& [name, tunnel] : world.tunnels)
    if (const auto own = verdicts.find(name); own != verdicts.end())
      addPeers(world, steering, tunnel, own->second, book);
  for (const auto& [name, tunnel] : world.tunnels)
    if (!verdicts.contains(name)) addPeers(world, steering, tunnel, {}, book);
  // Which of them are flows depends on the endpoints.
  PeerMaps maps;
  maps.flows = book.takeFlows();
  for (const auto& [flow, verdict] : maps.flows) maps.flowPorts.insert(flow.sourcePort);
  maps.endpoints = std::move(book.endpoints);
  return maps;
}

State desire(const Config& config, const World& world, const Steering& steering, const PeerFacts& peers,
             const PeerMaps& maps) {
  if (steering.wans.empty() || steering.policies.empty()) return {};
  return Desire{config, world, steering, peers}.build(maps);
}

State desire(const Config& config, const World& world, const Steering& steering) {
  return desire(config, world, steering, peerFacts(config, world), peerMaps(world, steering, verdictsOf(steering)));
}

State desire(const Config& config, const World& world) { return desire(config, world, steer(config, world)); }

}  // namespace wgsteer
