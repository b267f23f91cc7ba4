// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/steering.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <map>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

#include "wgsteer/core/describe.hpp"
#include "wgsteer/core/explain.hpp"
#include "wgsteer/core/follow.hpp"
#include "wgsteer/core/rendezvous.hpp"

#include "core/foreign_rules.hpp"
#include "core/honoured_rules.hpp"
#include "core/host_routes.hpp"
#include "core/led_elsewhere.hpp"
#include "core/source_routing.hpp"
#include "core/traffic.hpp"
#include "core/wans.hpp"

namespace wgsteer {

namespace {

std::vector<MemberView> members(const PolicyConfig& policy, const std::vector<Wan>& wans) {
  std::vector<MemberView> views;
  if (policy.members.empty()) {
    for (std::size_t i = 0; i < wans.size(); ++i) views.push_back({i, wans[i].metric, wans[i].weight});
    return views;
  }
  for (const PolicyMember& member : policy.members) {
    const auto wan = std::ranges::find(wans, member.wan, &Wan::name);
    if (wan == wans.end()) continue;  // the validator refuses that
    views.push_back({static_cast<std::size_t>(wan - wans.begin()),
                     {{Family::v4, member.metric}, {Family::v6, member.metric}},
                     member.weight});
  }
  return views;
}

/// Assigns the slots of policies, counting down from the last one so that WANs can be added without moving them.
class PolicyBook {
 public:
  PolicyBook(const Config& config, const World& world, Steering& steering)
      : config_(config),
        steering_(steering),
        others_(slotsOfOthers(world, config.numbers)),
        next_(static_cast<std::uint8_t>(config.numbers.slotCount())),
        floor_(static_cast<std::uint8_t>(
            steering.wans.empty() ? 0 : std::ranges::max(steering.wans, {}, &Wan::slot).slot.value)) {
    add(defaultPolicy(), false);
    // The default policy is the first, to which all others fall back.
    if (steering_.policies.empty()) return;
    for (const PolicyConfig& policy : config.policies) add(policy, false);
  }

  /// Index of the policy; the server variant of a policy is created when it is first needed.
  std::size_t find(std::string_view name, bool server) {
    const auto& known = steering_.policies;
    const auto is = [&](const PolicyView& view, bool role) { return view.name == name && view.server == role; };
    for (std::size_t i = 0; i < known.size(); ++i)
      if (is(known[i], server)) return i;
    if (server) {
      for (const PolicyConfig& policy : config_.policies)
        if (policy.name == name) return add(policy, true);
      return add(defaultPolicy(), true);
    }
    return 0;
  }

 private:
  static PolicyConfig defaultPolicy() {
    return {.name = std::string{kDefaultPolicy}, .members = {}, .lastResort = LastResort::unreachable};
  }

  std::size_t add(const PolicyConfig& policy, bool server) {
    PolicyView view{.name = policy.name,
                    .members = members(policy, steering_.wans),
                    .lastResort = policy.lastResort,
                    .failback = policy.failback,
                    .drainAfter = policy.drainAfter,
                    .reset = policy.reset,
                    .balance = policy.balance,
                    .foreignSource = policy.foreignSource,
                    .server = server,
                    .target = {}};
    // Found WANs come and go: a policy over them never counts as one of a single WAN, or its mark would change with
    // their number.
    const bool single =
        view.members.size() == 1 && policy.lastResort == LastResort::unreachable && !server && !config_.wans.empty();
    if (single) {
      const Slot slot = steering_.wans[view.members.front().wan].slot;
      view.target = {slot, config_.numbers.wanTable(slot), false};
    } else if (const auto slot = nextSlot()) {
      view.target = {*slot, config_.numbers.policyTable(*slot), true};
    } else {
      steering_.problems.push_back("no mark left for policy " + policy.name + (server ? " of server tunnels" : "") +
                                   ": policy " + std::string{kDefaultPolicy} + " is used instead; widen mark_mask");
      return 0;
    }
    steering_.policies.push_back(std::move(view));
    return steering_.policies.size() - 1;
  }

  std::optional<Slot> nextSlot() {
    while (next_ > floor_)
      if (const Slot slot{next_--}; !others_.contains(slot)) return slot;
    return std::nullopt;
  }

  const Config& config_;
  Steering& steering_;
  std::set<Slot> others_;
  std::uint8_t next_;
  std::uint8_t floor_;
};

/// Whether a peer has a host name: then we contact it, even if its endpoint is not known yet.
bool callsByName(const World& world, const Tunnel& tunnel) {
  for (auto named = world.named.lower_bound({tunnel.name, {}});
       named != world.named.end() && named->first.tunnel == tunnel.name; ++named)
    if (std::ranges::binary_search(tunnel.peers, named->first.key, {}, &Peer::publicKey)) return true;
  return false;
}

/// Peers that are marked in nft, one by one, among WANs of equal metric: the kernel chooses per flow, and after the
/// source has been set, so it would take the other WAN as often as not. Other peers are assigned as well if the user
/// wants it (`balance`).
void shareOut(const Config& config, const Steering& steering, TunnelView& view) {
  if (view.server) return;  // replies leave by the WAN on which the request came in
  const bool all = config.tunnel(view.tunnel->name).balance;
  std::map<std::pair<std::size_t, Family>, std::vector<const MemberView*>> choices;
  const auto assign = [&](std::size_t i) {
    const Peer& peer = view.tunnel->peers[i];
    const std::size_t policy = view.policyOf(i);
    if (!peer.endpoint) return;
    const auto [choice, fresh] = choices.try_emplace({policy, peer.endpoint->address.family()});
    // The chain sets the source of the chosen WAN, so it must have one.
    if (fresh)
      choice->second = preferredCandidates(steering, steering.policies[policy], choice->first.second, Need::source);
    if (choice->second.size() < 2) return;
    std::vector<Candidate> wans;
    for (const MemberView* member : choice->second) wans.push_back({steering.wans[member->wan].name, member->weight});
    view.peerWan[i] = choice->second[rendezvous(peer.publicKey, wans)]->wan;
  };
  if (all)
    for (std::size_t i = 0; i < view.tunnel->peers.size(); ++i) assign(i);
  else
    for (const auto& [i, policy] : view.peerPolicy) assign(i);
}

bool isServer(Role role, const World& world, const Tunnel& tunnel, const PeerFacts& peers) {
  if (role != Role::automatic) return role == Role::server;
  return peers.likeServer.at(tunnel.name) && !callsByName(world, tunnel);
}

/// A peer that does not answer over its usual WAN is given another one, as long as that can be used.
void divert(const World& world, const Steering& steering, TunnelView& view) {
  const Tunnel& tunnel = *view.tunnel;
  for (auto entry = world.stalled.lower_bound({tunnel.name, {}});
       entry != world.stalled.end() && entry->first.tunnel == tunnel.name; ++entry) {
    const auto peer = std::ranges::lower_bound(tunnel.peers, entry->first.key, {}, &Peer::publicKey);
    const auto wan = std::ranges::find(steering.wans, entry->second.wan, &Wan::name);
    const auto index = static_cast<std::size_t>(peer - tunnel.peers.begin());
    if (peer == tunnel.peers.end() || peer->publicKey != entry->first.key || !peer->endpoint) continue;
    if (view.leftAlone.contains(index)) continue;
    const Family family = peer->endpoint->address.family();
    if (wan == steering.wans.end() || !serves(*wan, family, Need::source)) continue;
    view.peerWan[index] = static_cast<std::size_t>(wan - steering.wans.begin());
  }
}

/// Peers to which a rule may apply that is not understood: nobody knows how they are reached, except that they are, and
/// not through a tunnel.
void leaveAloneWhatIsNotUnderstood(const World& world, const std::vector<Rule>& rules, TunnelView& view) {
  if (rules.empty()) return;
  const Tunnel& tunnel = *view.tunnel;
  std::vector<std::pair<std::size_t, const Rule*>> affected;
  std::vector<Packet> packets;
  for (std::size_t i = 0; i < tunnel.peers.size(); ++i) {
    const auto& endpoint = tunnel.peers[i].endpoint;
    if (!endpoint || view.leftAlone.contains(i)) continue;
    const Packet packet{
        .destination = *endpoint, .mark = view.ownersMark, .source = {}, .sourcePort = tunnel.listenPort};
    const auto rule = std::ranges::find_if(rules, [&](const Rule& each) { return mayBeFor(each, packet); });
    if (rule == rules.end()) continue;
    affected.emplace_back(i, &*rule);
    packets.push_back(packet);
  }
  const auto walks = explain({}, world, packets);
  for (std::size_t i = 0; i < affected.size(); ++i)
    if (walks[i].outcome == Outcome::device)
      view.leftAlone.emplace(affected[i].first, ipRule(*affected[i].second) + " may be for it, and is not understood");
}

/// Peers that are led through a tunnel on purpose; all peers, if a rule of the owner routes the tunnel's own mark by
/// something other than a WAN.
std::map<std::size_t, std::string> leftAloneOf(const TunnelView& view, const HonouredRules& honoured,
                                               const PeerFacts& peers) {
  std::map<std::size_t, std::string> alone;
  if (const auto nested = peers.nested.find(view.tunnel->name); nested != peers.nested.end())
    for (const auto& [peer, by] : nested->second) alone.emplace(peer, by);
  const Rule* own = view.ownersMark.value == 0 ? nullptr : honouredRuleFor(honoured, view.ownersMark);
  for (std::size_t i = 0; own != nullptr && i < view.tunnel->peers.size(); ++i)
    alone.insert_or_assign(i, ipRule(*own) + " routes its own fwmark");
  return alone;
}

TunnelView viewOf(const Config& config, const World& world, const Tunnel& tunnel, const HonouredRules& honoured,
                  const std::vector<Rule>& notUnderstood, const LeftAlone& alone, PolicyBook& book,
                  const PeerFacts& peers) {
  const TunnelConfig& asked = config.tunnel(tunnel.name);
  TunnelView view;
  view.tunnel = &tunnel;
  view.server = isServer(asked.role, world, tunnel, peers);
  view.policy = book.find(asked.policy, view.server);
  const bool ours = tunnel.fwmark.value == 0 || isOurMark(world, config.numbers, tunnel);
  const auto lost = world.ownersMarks.find(tunnel.name);
  view.ownersMark = !ours ? tunnel.fwmark : lost != world.ownersMarks.end() ? lost->second : Mark{};
  // A user who names WANs for a tunnel or peer means these.
  if (asked.policy == kDefaultPolicy) {
    view.leftAlone = leftAloneOf(view, honoured, peers);
    leaveAloneWhatIsNotUnderstood(world, notUnderstood, view);
    if (const auto known = alone.find(tunnel.name); known != alone.end())
      view.leftAlone.insert(known->second.begin(), known->second.end());
  }
  if (const auto pinned = peers.pinned.find(tunnel.name); pinned != peers.pinned.end())
    for (const auto& [peer, name] : pinned->second) {
      const std::size_t policy = book.find(name, view.server);
      if (policy != view.policy) view.peerPolicy.emplace(peer, policy);
      view.leftAlone.erase(peer);
    }
  view.fwmark = !view.leftAlone.empty()      ? FwmarkUse::none
                : view.ownersMark.value != 0 ? FwmarkUse::foreign
                                             : FwmarkUse::ours;
  view.refusesMark =
      view.fwmark == FwmarkUse::ours && tunnel.fwmark.value == 0 && world.tunnelTroubles.contains(tunnel.name);
  return view;
}

/// The peers that are reached through another tunnel, as their only uplink in this family, and how; none if one is
/// reached through its own, which would loop.
LeftAlone carriedByTunnels(const World& world, Family family) {
  std::vector<std::pair<const Tunnel*, std::size_t>> concerned;
  std::vector<Packet> packets;
  for (const auto& [name, tunnel] : world.tunnels)
    for (std::size_t i = 0; i < tunnel.peers.size(); ++i) {
      const auto& endpoint = tunnel.peers[i].endpoint;
      if (!endpoint || endpoint->address.family() != family) continue;
      concerned.emplace_back(&tunnel, i);
      packets.push_back({.destination = *endpoint, .mark = {}, .source = {}, .sourcePort = tunnel.listenPort});
    }
  const auto walks = explain({}, world, packets);
  LeftAlone carried;
  for (std::size_t i = 0; i < walks.size(); ++i) {
    // A more specific route into another tunnel is a matter of that peer alone.
    const bool byDefault = walks[i].route && walks[i].route->destination.length() <= 1;
    if (walks[i].outcome != Outcome::loop || !byDefault) continue;
    const auto& [tunnel, peer] = concerned[i];
    if (walks[i].device == tunnel->name) return {};
    carried[tunnel->name].emplace(peer, walks[i].device + " is the only uplink for " + nameOf(family));
  }
  return carried;
}

/// A family without a WAN is left alone if main reaches the Internet by another device that is not a tunnel (a
/// translator of IPv4 over IPv6, 464XLAT; a router in the LAN), or one tunnel's peers through another tunnel. Closing
/// its tables would cut off what was reachable before.
bool isSteeredWithoutWan(const World& world, Family family) {
  if (tunnelHasTheWorld(world, family)) return true;
  const Route* best = nullptr;
  for (const Route& route : world.routes)
    if (route.family() == family && route.table == kMainTable && route.destination.isDefault() &&
        route.source.isDefault() && (best == nullptr || takesPrecedence(route, *best)))
      best = &route;
  return best == nullptr || best->type != RouteType::unicast ||
         !allHops(world, *best, [&](const Link& link) { return link.up && !isTunnel(world, link); });
}

/// Returns the peers that are left alone with their family.
LeftAlone noteFamilies(const World& world, Steering& steering) {
  LeftAlone alone;
  for (const Family family : kFamilies) {
    // A kernel booted without IPv6 refuses IPv6 rules.
    const bool exists = family == Family::v4 ||
                        std::ranges::any_of(world.links, [](const auto& entry) { return entry.second.hasIpv6; });
    if (!exists) continue;
    const bool hasWan = isOffered(steering, family);
    LeftAlone carried = hasWan ? LeftAlone{} : carriedByTunnels(world, family);
    if (hasWan || (carried.empty() && isSteeredWithoutWan(world, family)))
      steering.families.push_back(family);
    else if (!steering.wans.empty())
      steering.notes.push_back(
          std::string{nameOf(family)} +
          " is left alone: no WAN has a default route for it, but another device does; to use that device, name it "
          "in a [[wan]] section");
    for (auto& [tunnel, peers] : carried) alone[tunnel].merge(peers);
  }
  return alone;
}

void noteRoutes(const World& world, Steering& steering) {
  using LeftOut = RouteInterest::LeftOut;
  if (!world.tooManyRoutes) return;
  const auto tell = [](const std::string& which) { return "too many specific routes to track: " + which; };
  const std::string otherwise =
      "; peers reached through them leave by the WANs of their policy: set use_wan for these peers";
  if (world.leftOut == LeftOut::fed)
    steering.notes.push_back(tell("those learned from routers on WANs are left out (more than " +
                                  std::to_string(kMaxFedRoutes) + ")" + otherwise));
  else if (world.leftOut == LeftOut::nothing)
    steering.problems.push_back(
        tell("some are left out (more than " + std::to_string(kMaxSpecificRoutes) + ")" + otherwise));
  else
    steering.problems.push_back(tell(std::string{"those of routing protocols"} +
                                     (world.leftOut == LeftOut::byUplinks ? " and those via routers on WANs" : "") +
                                     " are left out (more than " + std::to_string(kMaxSpecificRoutes) + ")" +
                                     otherwise));
}

void noteHonouredRules(const std::vector<Rule>& notUnderstood, Steering& steering) {
  for (const Rule& rule : steering.honoured.originals)
    if (rule.table != kMainTable)
      steering.notes.push_back(ipRule(rule) + " is honoured: it " +
                               (refuses(rule) ? "refuses" : "does not lead to a WAN"));
  for (const Rule& rule : notUnderstood)
    steering.notes.push_back(ipRule(rule) +
                             " leads to something that is not a WAN, but what else it depends on is not understood: "
                             "peers for which it may be are left alone; to steer them, set use_wan for their tunnel");
  if (steering.honoured.tooMany)
    steering.problems.push_back("more than " + std::to_string(kMaxHonouredRules) +
                                " rules of other programs lead to destinations other than WANs: the rest are ignored; "
                                "delete those that nothing needs");
}

/// Foreign rules before ours that catch our packets are jumped over, if there is room before them.
void noteRulesBeforeOurs(const Config& config, const World& world, Steering& steering) {
  const Mark highest = config.numbers.markOf(Slot{static_cast<std::uint8_t>(config.numbers.slotCount())});
  for (const Rule& rule : world.rules)
    if (std::ranges::find(steering.families, rule.family) != steering.families.end() && rule.priority > 0 &&
        rule.priority <= kJumpFloor && takesEverythingWith(rule, highest))
      steering.problems.push_back("a rule before ours catches our packets: " + ipRule(rule) +
                                  "; move it to a priority above " + std::to_string(kJumpFloor));
}

void noteElsewhere(const Config& config, const World& world, Steering& steering) {
  for (const auto& [name, tunnel] : world.tunnelsElsewhere) {
    const auto configured = std::ranges::find(config.tunnels, name, &TunnelConfig::interface);
    if (configured != config.tunnels.end() && !configured->enabled) continue;
    steering.notes.push_back(
        tunnel.socket == SocketPlace::elsewhere
            ? name +
                  " is left alone: its socket is in another network namespace, the one in which it was made; its "
                  "packets are sent, and can be steered, only there"
            : name + " is left alone until it is up: its fwmark " + hex(tunnel.fwmark.value) +
                  " was not set here, so its socket may be in another network namespace");
  }
}

void noteLeftAlone(const TunnelView& view, Steering& steering) {
  for (const auto& [peer, by] : view.leftAlone)
    steering.notes.push_back(view.tunnel->name + ": peer " + view.tunnel->peers[peer].publicKey.toString() +
                             " is left alone: " + by);
}

}  // namespace

Steering steer(const Config& config, const World& world) { return steer(config, world, peerFacts(config, world)); }

namespace {

/// `alone` are peers that are left alone besides those that this finds.
Steering steerBut(const Config& config, const World& world, const PeerFacts& peers, LeftAlone alone) {
  Steering steering;
  steering.wans = wansOf(config, world, steering.problems);
  for (auto& [tunnel, carried] : noteFamilies(world, steering)) alone[tunnel].insert(carried.begin(), carried.end());
  ForeignRules foreign = foreignRules(world, config.numbers, steering.wans);
  steering.honoured = std::move(foreign.honoured);
  noteHonouredRules(foreign.notUnderstood, steering);
  noteRulesBeforeOurs(config, world, steering);
  noteRoutes(world, steering);
  noteElsewhere(config, world, steering);
  PolicyBook book{config, world, steering};
  if (steering.policies.empty()) {
    steering.problems.push_back("nothing is steered: other programs use every mark in mark_mask " +
                                hex(config.numbers.markMask) + "; set it to unused bits in [globals]");
    return steering;
  }
  for (const auto& [name, tunnel] : world.tunnels) {
    if (!config.tunnel(name).enabled) continue;
    steering.tunnels.push_back(
        viewOf(config, world, tunnel, steering.honoured, foreign.notUnderstood, alone, book, peers));
    shareOut(config, steering, steering.tunnels.back());
    divert(world, steering, steering.tunnels.back());
    noteLeftAlone(steering.tunnels.back(), steering);
  }
  steerTraffic(config, world, steering);
  noteSourceRouting(world, steering);
  return steering;
}

}  // namespace

Steering steer(const Config& config, const World& world, const PeerFacts& peers) {
  Steering steering = steerBut(config, world, peers, {});
  if (!mayBeLedElsewhere(config, world, steering, peers)) return steering;
  const World best = atItsBest(world);
  LeftAlone elsewhere = ledElsewhere(config, best, steerBut(config, best, peers, {}), peers);
  return elsewhere.empty() ? steering : steerBut(config, world, peers, std::move(elsewhere));
}

}  // namespace wgsteer
