// SPDX-License-Identifier: GPL-2.0-or-later
// Second half of the plan: the routes, rules, marks, switches and nft members that the steering comes to.
#include "wgsteer/core/desire.hpp"

#include <algorithm>

#include "wgsteer/core/follow.hpp"

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

/// A foreign default route as it is, in one of our tables. Gateways are marked onlink: the kernel then takes our word
/// for it instead of looking the gateway up through all rules, and the order in which address and route arrive is no
/// matter.
Route mirrored(const Route& original, TableId table, std::uint32_t metric) {
  Route route = original;
  route.table = table;
  route.metric = metric;
  route.protocol = kProtocol;
  const bool direct = std::ranges::none_of(route.hops, [](const NextHop& hop) { return hop.gateway.has_value(); });
  route.linkScope = direct && route.family() == Family::v4;
  for (NextHop& hop : route.hops) hop.onlink = hop.gateway.has_value();
  // A single next hop has no weight in the kernel.
  if (route.hops.size() == 1) route.hops.front().weight = 1;
  return route;
}

class Desire {
 public:
  Desire(const Config& config, const World& world, const Steering& steering, PlanMemory& memory)
      : config_(config), numbers_(config.numbers), world_(world), steering_(steering), memory_(memory) {
    for (const auto& [index, link] : world.links)
      if (isLan(link)) lans_.push_back(&link);
    // A kernel that was started without IPv6 refuses its rules.
    if (std::ranges::any_of(world.links, [](const auto& entry) { return entry.second.hasIpv6; }))
      families_.push_back(Family::v6);
  }

  State build() {
    state_.nft =
        NftState{.layout = {.markMask = numbers_.markMask, .forward = config_.forward, .intact = true}, .table = {}};
    for (const Wan& wan : steering_.wans) addWan(wan);
    for (const PolicyView& policy : steering_.policies) addPolicy(policy);
    std::map<IfName, Verdicts> verdicts;
    for (const TunnelView& tunnel : steering_.tunnels) verdicts.emplace(tunnel.tunnel->name, addTunnel(tunnel));
    addEndpoints(std::move(verdicts));
    state_.nft->table.changedSysctls = state_.sysctls;
    return std::move(state_);
  }

 private:
  NftTable& nft() { return state_.nft->table; }

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
    state_.rules.insert(rule);
  }

  // Tables.

  void addOnLink(const Link& link, Family family, TableId table, std::uint32_t metric) {
    for (const InterfaceAddress& own : world_.addressesOf(link.index)) {
      if (own.address.family() != family || own.address.isLinkLocal()) continue;
      const Prefix prefix{own.peer.value_or(own.address), own.prefixLength};
      const bool ownAddressAlone = !own.peer && prefix.length() == bitsOf(family);
      if (ownAddressAlone || own.noPrefixRoute || prefix.isDefault()) continue;
      addRoute(onLinkRoute(table, prefix, link.index, metric));
    }
  }

  bool isLan(const Link& link) const {
    return link.up && link.carrier && !link.loopback && link.kind != "tun" && !isTunnel(world_, link) &&
           std::ranges::none_of(steering_.wans, [&](const Wan& wan) { return wan.link == &link; });
  }

  /// Peers can sit in a LAN of ours: without its prefixes, their packets would be sent out to the Internet.
  void addLans(Family family, TableId table) {
    for (const Link* lan : lans_) addOnLink(*lan, family, table, kLanMetric);
  }

  /// Defaults of one WAN, each in its own right. When all of them are for particular sources only (IPv6), the first
  /// serves the lookup that has no source yet: the kernel would otherwise take any device's address
  /// (net/ipv6/ip6_output.c).
  void addSourceSpecific(const std::vector<Route>& defaults, TableId table, std::uint32_t metric) {
    for (const Route& route : defaults)
      if (!route.source.isDefault()) addRoute(mirrored(route, table, metric));
  }

  static Route plainDefault(const std::vector<Route>& defaults) {
    const auto plain = std::ranges::find_if(defaults, [](const Route& route) { return route.source.isDefault(); });
    Route route = plain == defaults.end() ? defaults.front() : *plain;
    route.source = Prefix::any(route.family());
    return route;
  }

  void addWanTable(const Wan& wan, Family family, TableId table) {
    addRoute(closingRoute(table, family));
    addLans(family, table);
    if (wan.link == nullptr || !wan.link->up) return;
    addOnLink(*wan.link, family, table, kMinMetric);
    const auto known = wan.defaults.find(family);
    if (known == wan.defaults.end()) return;
    addRoute(mirrored(plainDefault(known->second), table, kMinMetric));
    addSourceSpecific(known->second, table, kMinMetric);
  }

  void addPolicyTable(const PolicyView& policy, Family family, TableId table) {
    if (policy.lastResort == LastResort::unreachable) addRoute(closingRoute(table, family));
    addLans(family, table);
    std::map<std::uint32_t, std::vector<const MemberView*>> groups;
    for (const MemberView& member : policy.members)
      if (steering_.wans[member.wan].eligible(family)) groups[member.metric.at(family)].push_back(&member);
    for (const auto& [metric, group] : groups) addGroup(group, family, table, metric);
  }

  /// WANs of equal metric are one multipath route, whose next hops the kernel weighs and skips when dead.
  void addGroup(const std::vector<const MemberView*>& group, Family family, TableId table, std::uint32_t metric) {
    std::optional<Route> joined;
    for (const MemberView* member : group) {
      const Wan& wan = steering_.wans[member->wan];
      const auto& defaults = wan.defaults.at(family);
      Route route = mirrored(plainDefault(defaults), table, metric);
      if (group.size() > 1) {
        for (NextHop& hop : route.hops) hop.weight = static_cast<std::uint16_t>(member->weight);
        route.preferredSource.reset();  // it would be one WAN's for the packets of all
      }
      if (joined)
        joined->hops.insert(joined->hops.end(), route.hops.begin(), route.hops.end());
      else
        joined = std::move(route);
      addOnLink(*wan.link, family, table, metric);
      addSourceSpecific(defaults, table, metric);
    }
    if (!joined) return;
    std::ranges::sort(joined->hops);
    const bool direct = std::ranges::none_of(joined->hops, [](const NextHop& hop) { return hop.gateway.has_value(); });
    joined->linkScope = direct && family == Family::v4;
    if (joined->hops.size() == 1) joined->hops.front().weight = 1;
    addRoute(std::move(*joined));
  }

  // WANs.

  void addWan(const Wan& wan) {
    const TableId table = numbers_.wanTable(wan.slot);
    for (const Family family : families_) {
      addRule(family, numbers_.markPriority(), numbers_.mark(wan.slot), table);
      addWanTable(wan, family, table);
    }
    nft().wans.emplace(wan.device, wan.slot);
    if (wan.link == nullptr) return;
    for (const InterfaceAddress& own : world_.addressesOf(wan.link->index))
      if (!own.tentative) nft().addresses.emplace(wan.device, own.address);
    for (const auto& [family, address] : wan.source) {
      nft().addresses.emplace(wan.device, address);  // not always one of its own
      nft().sources.emplace(std::pair{wan.device, family}, address);
    }
    if (config_.sysctl) addSysctls(*wan.link);
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
        addRule(family, numbers_.markPriority(), numbers_.mark(policy.target.slot), policy.target.table);
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
    const MemberView* best = nullptr;
    for (const MemberView& member : policy.members) {
      const Wan& wan = steering_.wans[member.wan];
      // A WAN's own table keeps its route also when the WAN is not to be used.
      if (!wan.source.contains(family) || (policy.target.ownTable && !wan.eligible(family))) continue;
      if (best == nullptr || member.metric.at(family) < best->metric.at(family)) best = &member;
    }
    if (best == nullptr) return std::nullopt;
    return steering_.wans[best->wan].source.at(family);
  }

  /// A packet of a server tunnel that carries a WAN's address as its source is a reply to what came in there.
  void addServerReplies(MarkMatch mark) {
    for (const Wan& wan : steering_.wans) {
      if (wan.link == nullptr) continue;
      for (const InterfaceAddress& own : world_.addressesOf(wan.link->index)) {
        if (own.tentative || own.address.isLinkLocal() || own.linkScope) continue;
        addRule(own.address.family(), numbers_.serverReplyPriority(), mark, numbers_.wanTable(wan.slot),
                Prefix::host(own.address));
      }
    }
  }

  // Tunnels.

  Verdicts addTunnel(const TunnelView& view) {
    const Tunnel& tunnel = *view.tunnel;
    // Which policy the socket's own mark leads to, before any nft rule.
    std::size_t bySocket = view.policy;
    if (view.ownsFwmark) {
      state_.tunnelMarks.emplace(tunnel.name, Mark{numbers_.mark(steering_.policies[view.policy].target.slot).value});
    } else {
      bySocket = foreignMarks_.emplace(tunnel.fwmark, view.policy).first->second;
      addForeignMark(tunnel.fwmark, steering_.policies[bySocket]);
    }
    nft().tunnels.insert(tunnel.name);
    if (tunnel.listenPort != 0) nft().listenPorts.insert(tunnel.listenPort);
    const auto verdict = [&](std::size_t policy) -> std::optional<Slot> {
      if (!view.ownsFwmark && policy == bySocket) return std::nullopt;
      return steering_.policies[policy].target.slot;
    };
    Verdicts verdicts{.usual = verdict(view.policy), .others = {}};
    for (const auto& [peer, wan] : view.peerWan) verdicts.others.emplace(peer, markOfWan(steering_.wans[wan]));
    for (const auto& [peer, policy] : view.peerPolicy) verdicts.others.emplace(peer, verdict(policy));
    return verdicts;
  }

  void addEndpoints(std::map<IfName, Verdicts> verdicts) {
    if (memory_.verdicts != verdicts) {
      std::map<Endpoint, std::optional<Slot>> endpoints;
      for (const auto& [tunnel, ofPeers] : verdicts) addEndpoints(world_.tunnels.at(tunnel), ofPeers, endpoints);
      memory_.endpoints = std::move(endpoints);
      memory_.verdicts = std::move(verdicts);
    }
    nft().endpoints = memory_.endpoints;
  }

  void addEndpoints(const Tunnel& tunnel, const Verdicts& verdicts,
                    std::map<Endpoint, std::optional<Slot>>& endpoints) const {
    const auto add = [&](const Endpoint& endpoint, std::optional<Slot> verdict) {
      if (canBeSteered(endpoint)) endpoints.emplace(endpoint, verdict);
    };
    for (std::size_t i = 0; i < tunnel.peers.size(); ++i) {
      const Peer& peer = tunnel.peers[i];
      const auto other = verdicts.others.find(i);
      const auto verdict = other == verdicts.others.end() ? verdicts.usual : other->second;
      if (peer.endpoint) add(*peer.endpoint, verdict);
      if (const auto named = world_.named.find({tunnel.name, peer.publicKey}); named != world_.named.end())
        for (const Endpoint& endpoint : endpointsOf(named->second)) add(endpoint, verdict);
    }
  }

  Slot markOfWan(const Wan& wan) {
    nft().policies.insert(wan.slot);
    const Mark mark{numbers_.mark(wan.slot).value};
    for (const auto& [family, address] : wan.source) nft().policySources.emplace(std::pair{mark, family}, address);
    return wan.slot;
  }

  void addForeignMark(Mark mark, const PolicyView& policy) {
    const MarkMatch whole{mark.value, 0xffffffff};
    nft().foreignMarks.insert(mark);
    for (const Family family : families_) addRule(family, numbers_.foreignMarkPriority(), whole, policy.target.table);
    if (policy.server) addServerReplies(whole);
  }

  static bool canBeSteered(const Endpoint& endpoint) {
    const Address& address = endpoint.address;
    return endpoint.port != 0 && !address.isUnspecified() && !address.isLoopback() && !address.isLinkLocal() &&
           !address.isMulticast();
  }

  const Config& config_;
  const Numbers& numbers_;
  const World& world_;
  const Steering& steering_;
  PlanMemory& memory_;
  State state_;
  std::vector<Family> families_{Family::v4};
  std::vector<const Link*> lans_;
  std::map<Mark, std::size_t> foreignMarks_;
};

}  // namespace

State desire(const Config& config, const World& world, const Steering& steering, PlanMemory& memory) {
  if (steering.wans.empty()) return {};
  memory.recall(config, world);
  return Desire{config, world, steering, memory}.build();
}

State desire(const Config& config, const World& world, const Steering& steering) {
  PlanMemory none;
  return desire(config, world, steering, none);
}

State desire(const Config& config, const World& world) { return desire(config, world, steer(config, world)); }

}  // namespace wgsteer
