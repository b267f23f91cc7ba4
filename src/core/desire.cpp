// SPDX-License-Identifier: GPL-2.0-or-later
// Second half of the plan: the rules, marks, sysctls and nft members that follow from the steering, and the routes of
// tables.hpp.
#include "wgsteer/core/desire.hpp"

#include <algorithm>
#include <utility>

#include "wgsteer/core/follow.hpp"

#include "core/deprecation.hpp"
#include "core/foreign_rules.hpp"
#include "core/honoured_rules.hpp"
#include "core/host_routes.hpp"
#include "core/source_routing.hpp"
#include "core/tables.hpp"
#include "core/traffic.hpp"
#include "core/wan_sources.hpp"
#include "core/wans.hpp"

namespace wgsteer {

namespace {

class Desire {
 public:
  Desire(const Config& config, const World& world, const Steering& steering, const PeerFacts& peers)
      : config_(config),
        numbers_(config.numbers),
        world_(world),
        steering_(steering),
        peers_(peers),
        families_(steering.families),
        tables_(config, world, steering) {}

  State build(const PeerMaps& maps) {
    state_.nft = NftState{.layout = {.markMask = numbers_.markMask,
                                     .forward = config_.forward,
                                     .tunnels = needsTunnelChains(),
                                     .intact = true},
                          .table = {}};
    addBound();
    for (const Wan& wan : steering_.wans) addWan(wan);
    for (const PolicyView& policy : steering_.policies) addPolicy(policy);
    for (const TunnelView& tunnel : steering_.tunnels) addTunnel(tunnel);
    nft().endpoints = maps.endpoints;
    nft().flows = maps.flows;
    nft().flowPorts = maps.flowPorts;
    addTraffic();
    state_.routes = tables_.take();
    addTunnelNetworks();
    addOwnMarks();
    addHonouredRules();
    moveBehindForeignRules();
    addJump();
    addSourceRouting(config_, world_, steering_, state_.rules);
    state_.nft->table.changedSysctls = state_.sysctls;
    addDeprecated();
    if (world_.foreignTable) withoutTable();
    return std::move(state_);
  }

 private:
  NftTable& nft() { return state_.nft->table; }

  /// From the first tunnel on they stay: to make them, or take them away, is to make the whole table anew.
  bool needsTunnelChains() const {
    return world_.adopted.tunnelChains || !world_.tunnels.empty() || !world_.tunnelTroubles.empty() ||
           !config_.tunnels.empty() || config_.forward;
  }

  void addTraffic() {
    if (!steering_.traffic || world_.foreignTable) return;
    const TrafficState traffic{config_, world_, steering_};
    state_.nft->layout.traffic = layoutOf(trafficProgram(config_, world_, steering_));
    const std::set<Family>& inChains = state_.nft->layout.traffic.program->asksForLocal;
    for (const Family family : families_) {
      addTrafficRules(traffic, family, isLocalBehindOurs(family), state_.rules);
      addMemberTables(traffic, family, tables_);
      if (!inChains.contains(family)) addLocalRules(traffic, family, state_.rules);
    }
    addTrafficMembers(traffic, nft());
  }

  void addDeprecated() {
    for (const auto& [own, record] : addressesToDeprecate(world_, steering_)) {
      state_.deprecated.emplace(own, record.preferred);
      nft().deprecated.emplace(own.address, record);
    }
  }

  /// Sysctls are turned on and addresses deprecated only if the table can record that we did it.
  void withoutTable() {
    state_.nft.reset();
    state_.sysctls.clear();
    state_.deprecated.clear();
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
    if (table == kLocalTable) rule = stamped(rule);
    state_.rules.insert(std::move(rule));
  }

  /// Gives a mark of ours its meaning. With `forward`, also on packets of hosts behind this one.
  void addMeaning(Family family, Slot slot, TableId table) {
    addRule(family, numbers_.markPriority(), numbers_.mark(slot), table);
    if (isLocalBehindOurs(family)) addRule(family, numbers_.localPriority(), numbers_.mark(slot), kLocalTable);
    if (!config_.forward) return;
    Rule rule;
    rule.family = family;
    rule.priority = numbers_.forwardedPriority();
    rule.mark = numbers_.mark(slot);
    rule.table = table;
    rule.protocol = kProtocol;
    state_.rules.insert(rule);
    if (!isLocalBehindOurs(family)) return;
    Rule local = stamped(rule);
    local.inputInterface.clear();
    local.priority = rule.priority - 1;
    local.table = kLocalTable;
    state_.rules.insert(std::move(local));
  }

  /// `lookup local` may have been moved (VRF hosts, Cilium). Then it has to be repeated for our packets, or those to
  /// this host itself (a proxy of WireGuard on 127.0.0.1, a server on one of its addresses) would leave by a WAN.
  bool isLocalBehindOurs(Family family) const { return isLocalBehind(world_.rules, family, numbers_.localPriority()); }

  void addOwnMarks() {
    for (const Wan& wan : steering_.wans) nft().ownMarks.emplace(numbers_.markOf(wan.slot), true);
    for (const PolicyView& policy : steering_.policies)
      nft().ownMarks.emplace(numbers_.markOf(policy.target.slot), policy.lastResort != LastResort::main);
  }

  /// Between the rules for replies and those for marks. Other packets jump past them, so nothing changes for those,
  /// whatever precedes these rules in their original place.
  void addHonouredRules() {
    for (const Family family : families_) {
      std::uint32_t priority = numbers_.honouredPriority();
      std::optional<std::uint32_t> original;
      for (std::size_t i = 0; i < steering_.honoured.rules.size(); ++i) {
        Rule rule = steering_.honoured.rules[i];
        if (rule.family != family) continue;
        if (!original) priority = addSelection(family, priority);
        // Rules of equal priority are in the order of their insertion, which is not reliable: once the priorities are
        // used up, no order is.
        if (original != steering_.honoured.originals[i].priority && priority + 1 < numbers_.markPriority()) ++priority;
        original = steering_.honoured.originals[i].priority;
        rule.priority = priority;
        state_.rules.insert(stamped(std::move(rule)));
      }
    }
  }

  /// Ours are packets with our bits, and those of tunnels with a fwmark of their own.
  std::uint32_t addSelection(Family family, std::uint32_t first) {
    const std::uint32_t passBy = first + 1;
    for (const auto& [mark, policy] : foreignMarks_) addGoto(family, first, {mark.value, 0xffffffff}, passBy + 1);
    addGoto(family, passBy, {0, numbers_.markMask}, numbers_.markPriority());
    return passBy;
  }

  void addGoto(Family family, std::uint32_t priority, MarkMatch mark, std::uint32_t target) {
    state_.rules.insert(gotoRule(family, priority, mark, target));
  }

  static Rule gotoRule(Family family, std::uint32_t priority, MarkMatch mark, std::uint32_t target) {
    Rule rule;
    rule.family = family;
    rule.priority = priority;
    rule.mark = mark;
    rule.action = RuleAction::goto_;
    rule.protocol = kProtocol;
    lead(rule, target);
    return rule;
  }

  /// The kernel does not compare targets (rule_exists in net/core/fib_rules.c, 6.18): a rule with another one is
  /// refused as already there, and the old one could not be replaced before it is deleted. So the target is repeated in
  /// a field that is compared and that means nothing to a goto.
  static void lead(Rule& rule, std::uint32_t target) {
    rule.gotoPriority = target;
    rule.suppressPrefixLength = static_cast<std::int32_t>(target);
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

  /// Of those that test marks of ours and so must be contiguous.
  std::uint32_t lastPriority() const {
    if (state_.nft->layout.traffic) return numbers_.rulePriority + kTrafficEndOffset;
    return config_.forward ? numbers_.forwardedPriority() : numbers_.markPriority();
  }

  /// Whether a goto of ours, moved that far, would lead packets of others past this rule of theirs.
  bool isJumpedOver(const Rule& rule, std::uint32_t by) const {
    return std::ranges::any_of(state_.rules, [&](const Rule& ours) {
      return ours.family == rule.family && ours.action == RuleAction::goto_ && ours.priority <= lastPriority() &&
             ours.mark.matches(Mark{}) != ours.invert && rule.priority >= ours.priority + by &&
             rule.priority < ours.gotoPriority + by;
    });
  }

  /// By how much our rules move so that in this family none that would catch our packets, or that ours would lead
  /// others past, is among them.
  std::uint32_t shiftIn(Family family, std::uint32_t by) {
    const auto first = firstPriority(family);
    for (const Rule& rule : world_.rules) {
      if (!first || rule.family != family) continue;
      const bool among = rule.priority >= *first + by && rule.priority <= lastPriority() + by;
      if (among && (takesOurs(rule) || isJumpedOver(rule, by))) by = rule.priority + 1 - *first;
    }
    return by;
  }

  /// Our rules must be contiguous, or a foreign rule that catches packets with our marks could not be jumped over: they
  /// start after the last such rule among them. One of equal priority may have been there first. Rules for this host's
  /// own connections stay where they are, if there is room: their packets have no mark.
  void moveBehindForeignRules() {
    std::uint32_t by = 0;
    for (std::uint32_t before = by;; before = by) {
      for (const Family family : kFamilies) by = shiftIn(family, by);
      if (by == before) break;
    }
    if (by == 0) return;
    const std::uint32_t own = numbers_.rulePriority + kLocalTrafficOffset;
    const bool ownMove = lastPriority() + by >= own;
    for (Rule rule : std::exchange(state_.rules, {})) {
      if (rule.priority < own || ownMove) {
        rule.priority += by;
        if (rule.action == RuleAction::goto_) lead(rule, rule.gotoPriority + by);
      }
      state_.rules.insert(std::move(rule));
    }
  }

  /// The kernel places a rule without a priority before ours (fib_default_rule_pref), whatever mark it tests; wg-quick
  /// adds such rules. If one would catch packets with our marks, or those of a tunnel with a mark of its own, these
  /// jump over it; no other packet does.
  void addJump() {
    for (const Family family : families_) {
      const auto first = firstPriority(family);
      if (!first) continue;
      const auto earliest = [&](const auto& takes) {
        std::optional<std::uint32_t> before;
        for (const Rule& rule : world_.rules)
          if (rule.family == family && rule.priority > kJumpFloor && rule.priority < *first && takes(rule))
            before = std::min(before.value_or(rule.priority), rule.priority);
        return before;
      };
      if (const auto before = earliest([&](const Rule& rule) { return takesOurs(rule); })) {
        Rule jump = gotoRule(family, *before - 1, {0, numbers_.markMask}, *first);
        jump.invert = true;
        state_.rules.insert(std::move(jump));
      }
      for (const auto& [mark, policy] : foreignMarks_)
        if (const auto before = earliest([&](const Rule& rule) { return takesEverythingWith(rule, mark); }))
          state_.rules.insert(stamped(gotoRule(family, *before - 1, {mark.value, 0xffffffff}, *first)));
    }
  }

  // WANs.

  void addWan(const Wan& wan) {
    const TableId table = numbers_.wanTable(wan.slot);
    for (const Family family : families_) {
      addMeaning(family, wan.slot, table);
      tables_.addWanTable(wan, family, table);
    }
    // There are no devices without a name: a WAN whose interface has none at the moment is in no set.
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

  /// A service address on lo, a bridge or a LAN is right on every WAN: a client that contacted it gets the answer from
  /// it. An address of another WAN or of a tunnel is not.
  bool isNeutral(const InterfaceAddress& own) {
    const Link* link = world_.link(own.device);
    return link != nullptr && !own.linkScope && !own.address.isLinkLocal() && !own.address.isLoopback() &&
           !nft().bound.contains(own.address);
  }

  /// Addresses that are wrong as a source on any WAN but their own, if they have one; a WAN's source may be on another
  /// device.
  void addBound() {
    for (const Wan& wan : steering_.wans)
      for (const auto& [family, address] : wan.source) nft().bound.insert(address);
    for (const InterfaceAddress& own : world_.addresses) {
      const Link* link = world_.link(own.device);
      const bool belongs =
          link != nullptr && (isWan(steering_, *link) || isTunnel(world_, *link) || isVirtualUplink(*link));
      const bool linkLocal6 = own.address.family() == Family::v6 && own.address.isLinkLocal();
      if (belongs && !linkLocal6) nft().bound.insert(own.address);
    }
  }

  void addSysctls(const Link& link) {
    const auto want = [&](SysctlKind kind) {
      Sysctl sysctl{kind, link.name};
      // Already on, and not by us: the administrator's setting, which is never touched.
      if (!link.sysctls.contains(kind) || world_.adopted.sysctls.contains(sysctl))
        state_.sysctls.insert(std::move(sysctl));
    };
    want(SysctlKind::ignoreLinkdown4);
    if (link.hasIpv6) want(SysctlKind::ignoreLinkdown6);
    // The kernel takes the larger of the device's and all's rp_filter, and either's src_valid_mark (inetdevice.h).
    const bool strict = std::max(link.rpFilter, world_.rpFilterAll) == 1;
    if (strict && !world_.sysctlsAll.contains(SysctlKind::srcValidMark) && delivering(world_, numbers_) == nullptr)
      want(SysctlKind::srcValidMark);
  }

  // Policies.

  void addPolicy(const PolicyView& policy) {
    nft().policies.insert(policy.target.slot);
    if (policy.target.ownTable) {
      for (const Family family : families_) {
        addMeaning(family, policy.target.slot, policy.target.table);
        tables_.addPolicyTable(policy, family, policy.target.table);
      }
    }
    if (policy.server)
      addServerReplies(numbers_.mark(policy.target.slot));
    else
      addPolicySources(policy);
  }

  /// The source of packets that get this policy's mark on their way out. Not for servers: the source address of a reply
  /// determines the WAN.
  void addPolicySources(const PolicyView& policy) {
    const Mark mark{numbers_.mark(policy.target.slot).value};
    for (const Family family : kFamilies)
      if (const auto source = sourceOf(policy, family)) nft().policySources.emplace(std::pair{mark, family}, *source);
  }

  /// The source of the WAN that the policy's table leads to. Among WANs of equal metric the kernel chooses per flow,
  /// and the first is as good a guess as any.
  std::optional<Address> sourceOf(const PolicyView& policy, Family family) const {
    const auto sourceOfMember = [&](const MemberView& member) {
      const auto source = steering_.wans[member.wan].source.find(family);
      return source == steering_.wans[member.wan].source.end() ? std::nullopt : std::optional{source->second};
    };
    // A WAN's own table keeps its route even if the WAN must not be used.
    if (!policy.target.ownTable) return sourceOfMember(policy.members.front());
    const auto able = candidates(steering_, policy, family, Need::source);
    return able.empty() ? std::nullopt : sourceOfMember(*able.front());
  }

  /// A packet of a server tunnel with a WAN's address as its source is a reply to a packet that arrived there.
  void addServerReplies(MarkMatch mark) {
    if (!replies_) replies_ = findReplies();
    for (const auto& [from, table] : *replies_)
      addRule(from.family(), numbers_.serverReplyPriority(), mark, table, from);
  }

  using Replies = std::vector<std::pair<Prefix, TableId>>;  ///< from where, and by which table

  Replies findReplies() const {
    Replies replies;
    for (const Wan& wan : steering_.wans) {
      if (wan.link == nullptr) continue;
      for (const InterfaceAddress& own : world_.addressesOf(wan.link->index)) {
        if (own.tentative || own.address.isLinkLocal() || own.linkScope || !isSteered(own.address.family())) continue;
        if (wanOf(steering_.wans, own) != &wan || isOfSeveralWans(own)) continue;
        replies.emplace_back(Prefix::host(own.address), numbers_.wanTable(wan.slot));
      }
    }
    findRepliesBySource(replies);
    return replies;
  }

  /// Two identical modems: the address does not tell by which of them a packet came.
  bool isOfSeveralWans(const InterfaceAddress& own) const {
    return std::ranges::any_of(world_.addresses, [&](const InterfaceAddress& other) {
      const Link* link = world_.link(other.device);
      return other.address == own.address && other.device != own.device && link != nullptr && isWan(steering_, *link);
    });
  }

  /// From addresses that no WAN has itself (on lo, a bridge, a VRRP device), as rules of others lead packets from there
  /// to a WAN: `from 198.51.100.8/29 lookup 201`. Those for our marks come before them.
  void findRepliesBySource(Replies& replies) const {
    std::vector<Prefix> known;
    for (const Rule& rule : world_.rules) {
      if (!isSteered(rule.family) || !selectsBySourceAlone(rule) || rule.source->length() == 0) continue;
      const Route* route = defaultIn(world_, rule.table, rule.family);
      const Wan* wan = route == nullptr ? nullptr : wanLeadingBy(*route);
      const auto overlaps = [&](const Prefix& other) { return other.overlaps(*rule.source); };
      if (wan == nullptr || hasAddressIn(world_, steering_.wans, *rule.source) || std::ranges::any_of(known, overlaps))
        continue;
      if (known.size() == kMaxHonouredRules) return;
      known.push_back(*rule.source);
      replies.emplace_back(*rule.source, numbers_.wanTable(wan->slot));
    }
  }

  const Wan* wanLeadingBy(const Route& route) const {
    const auto found = std::ranges::find_if(steering_.wans, [&](const Wan& wan) {
      return wan.link != nullptr && !route.hops.empty() && std::ranges::all_of(route.hops, [&](const NextHop& hop) {
               return hop.device == wan.link->index && wan.isBehind(hop.gateway, route.family());
             });
    });
    return found == steering_.wans.end() ? nullptr : &*found;
  }

  // Tunnels.

  void addTunnel(const TunnelView& view) {
    const Tunnel& tunnel = *view.tunnel;
    const Slot usual = steering_.policies[view.policy].target.slot;
    if (view.fwmark == FwmarkUse::ours && mayBeMarked(tunnel))
      state_.tunnelMarks.emplace(tunnel.name, numbers_.markOf(usual));
    if (view.fwmark == FwmarkUse::foreign) {
      if (tunnel.fwmark != view.ownersMark) state_.tunnelMarks.emplace(tunnel.name, view.ownersMark);
      const std::size_t policy = foreignMarks_.emplace(view.ownersMark, view.policy).first->second;
      addForeignMark(view.ownersMark, steering_.policies[policy]);
    }
    nft().tunnels.insert(tunnel.name);
    if (tunnel.listenPort != 0) nft().listenPorts.insert(tunnel.listenPort);
    for (const auto& [peer, wan] : view.peerWan) addSingleWan(steering_.wans[wan]);
  }

  /// A device that is down is still being configured: `wg setconf` may be about to give it a mark of its owner's, which
  /// ours would take the place of. What it sends while it comes up is in the endpoint map, if we have a table.
  bool mayBeMarked(const Tunnel& tunnel) const {
    const Link* link = world_.linkNamed(tunnel.name);
    return link == nullptr || link->up || tunnel.fwmark.value != 0 || world_.foreignTable;
  }

  /// Packets that the tunnel's user sends past it carry the tunnel's own mark as well (split tunnels, SO_MARK). They
  /// must still reach the networks behind other tunnels, and must not leave unencrypted. If an endpoint is in such a
  /// network, no table of ours leads there: a peer reached that way is left alone, and no other peer may be.
  void addTunnelNetworks() {
    if (foreignMarks_.empty() || peers_.routes.into.empty()) return;
    const KnownEndpoints endpoints{world_};
    std::size_t count = 0;
    for (const auto& [mark, policy] : foreignMarks_)
      for (const Route& route : peers_.routes.into) {
        if (!isSteered(route.family()) || endpoints.anyIn(route.destination) || ++count > kMaxHonouredRules) continue;
        Rule rule;
        rule.family = route.family();
        rule.priority = numbers_.tunnelNetworksPriority();
        rule.destination = route.destination;
        rule.mark = {mark.value, 0xffffffff};
        rule.table = route.table;
        rule.suppressPrefixLength = 1;
        state_.rules.insert(stamped(std::move(rule)));
      }
  }

  /// Marks a rule that looks up a foreign table as ours.
  static Rule stamped(Rule rule) {
    rule.inputInterface = "lo";
    rule.suppressGroup = kStampGroup;
    rule.otherSelector = true;
    rule.protocol = kProtocol;
    return rule;
  }

  /// For peers that are assigned to one WAN.
  void addSingleWan(const Wan& wan) {
    nft().policies.insert(wan.slot);
    const Mark mark{numbers_.mark(wan.slot).value};
    for (const auto& [family, address] : wan.source) nft().policySources.emplace(std::pair{mark, family}, address);
  }

  void addForeignMark(Mark mark, const PolicyView& policy) {
    const MarkMatch whole{mark.value, 0xffffffff};
    nft().foreignMarks.insert(mark);
    for (const Family family : families_) {
      if (isLocalBehindOurs(family)) addRule(family, numbers_.localPriority(), whole, kLocalTable);
      addRule(family, numbers_.foreignMarkPriority(), whole, policy.target.table);
    }
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
  Tables tables_;
  std::map<Mark, std::size_t> foreignMarks_;
  std::optional<Replies> replies_;
};

}  // namespace

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
