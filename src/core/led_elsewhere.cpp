// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/led_elsewhere.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "wgsteer/core/describe.hpp"
#include "wgsteer/core/explain.hpp"

#include "core/foreign_rules.hpp"
#include "core/honoured_rules.hpp"
#include "core/routing.hpp"

namespace wgsteer {

namespace {

struct Concerned {
  const TunnelView* view = nullptr;
  std::size_t peer = 0;
  Packet packet;  ///< without us
};

/// Tables of other programs, as far as they lead elsewhere than to WANs.
class OtherTables {
 public:
  OtherTables(const World& world, const Steering& steering) : world_(world), steering_(steering) {}

  /// Whether the rule may lead the packet elsewhere.
  bool mayLead(const Rule& rule, const Packet& packet) {
    if (!mayBeForOwnUdp(rule) || !mayBeFor(rule, packet) || (!rule.invert && !rule.mark.matches(packet.mark)))
      return false;
    return std::ranges::any_of(routesIn(rule.table, rule.family), [&](const Elsewhere& each) {
      // An inverted rule into a tunnel is a full tunnel: everything but its own packets (wg-quick's rule).
      return each.destination.contains(packet.destination.address) && !(each.tunnel && rule.invert);
    });
  }

 private:
  struct Elsewhere {
    Prefix destination;
    bool tunnel = false;
  };

  const std::vector<Elsewhere>& routesIn(TableId table, Family family) {
    const auto [known, fresh] = tables_.try_emplace({table, family});
    if (!fresh) return known->second;
    for (const Route& route : routesFrom(world_.routes, table, Prefix::any(family))) {
      if (route.table != table) break;
      if (route.family() != family || route.type != RouteType::unicast) continue;
      for (const NextHop& hop : route.hops) {
        const Link* link = world_.link(hop.device);
        if (link != nullptr && !link->loopback && !isWan(steering_, *link))
          known->second.push_back({.destination = route.destination, .tunnel = isTunnel(world_, *link)});
      }
    }
    return known->second;
  }

  const World& world_;
  const Steering& steering_;
  std::map<std::pair<TableId, Family>, std::vector<Elsewhere>> tables_;
};

std::vector<const Rule*> lookupsOfOthers(const World& world) {
  std::vector<const Rule*> found;
  for (const Rule& rule : world.rules)
    if (rule.action == RuleAction::lookup && rule.table != kLocalTable && rule.table != kMainTable &&
        rule.table != kDefaultTable)
      found.push_back(&rule);
  return found;
}

/// The peers that rules of others may lead elsewhere.
std::vector<Concerned> concernedIn(const Config& config, const World& world, const Steering& steering,
                                   const PeerFacts& peers) {
  std::vector<Concerned> concerned;
  const std::vector<const Rule*> others = lookupsOfOthers(world);
  if (others.empty()) return concerned;
  OtherTables tables{world, steering};
  for (const TunnelView& view : steering.tunnels) {
    const Tunnel& tunnel = *view.tunnel;
    if (config.tunnel(tunnel.name).policy != kDefaultPolicy) continue;
    const auto pinned = peers.pinned.find(tunnel.name);
    for (std::size_t i = 0; i < tunnel.peers.size(); ++i) {
      const auto& endpoint = tunnel.peers[i].endpoint;
      if (!endpoint || view.leftAlone.contains(i)) continue;
      if (pinned != peers.pinned.end() && pinned->second.contains(i)) continue;
      const Packet packet{
          .destination = *endpoint, .mark = view.ownersMark, .source = {}, .sourcePort = tunnel.listenPort};
      if (std::ranges::any_of(others, [&](const Rule* rule) { return tables.mayLead(*rule, packet); }))
        concerned.push_back({.view = &view, .peer = i, .packet = packet});
    }
  }
  return concerned;
}

class Comparison {
 public:
  /// `steering` is that of this world.
  Comparison(const Config& config, const World& best, const Steering& steering, const PeerFacts& peers)
      : config_(config), best_(best), steering_(steering), peers_(peers) {}

  LeftAlone make() {
    concerned_ = concernedIn(config_, best_, steering_, peers_);
    if (concerned_.empty()) return {};
    const Routing without{kNothing, best_};
    std::vector<std::pair<const Concerned*, Lookup>> reached;
    for (const Concerned& one : concerned_) {
      std::vector<WalkStep> ignored;
      Lookup found = without.lookup(one.packet, ignored);
      if (found.outcome != Outcome::device) continue;
      const Link* link = best_.link(found.hop->device);
      if (link == nullptr) continue;
      // A rule for everything that leads into a tunnel is a full tunnel, which ours exist to avoid.
      const bool maybeTunnel = isTunnel(best_, *link) || link->kind == "tun";
      if (maybeTunnel && !isForThese(*found.rule)) continue;
      if (isTunnel(best_, *link))
        noteTunnel(one, *found.rule, *link);
      else
        reached.emplace_back(&one, std::move(found));
    }
    dropRounds();
    compare(reached);
    return std::move(found_);
  }

 private:
  static inline const State kNothing{};

  static bool isForThese(const Rule& rule) {
    return !rule.invert && (namesDestinations(rule) || rule.sourcePort || rule.mark.value != 0);
  }

  void noteTunnel(const Concerned& one, const Rule& rule, const Link& link) {
    if (link.name == one.view->tunnel->name) return;
    found_[one.view->tunnel->name].emplace(one.peer, ipRule(rule) + " leads it into tunnel " + link.name);
    into_[one.view->tunnel->name].emplace(one.peer, link.name);
  }

  /// Two tunnels through each other never worked, so nobody intended it.
  void dropRounds() {
    const auto leads = [&](const IfName& from, const IfName& to) {
      const auto known = into_.find(from);
      return known != into_.end() &&
             std::ranges::any_of(known->second, [&](const auto& peer) { return peer.second == to; });
    };
    for (const auto& [tunnel, peers] : into_)
      for (const auto& [peer, other] : peers)
        if (leads(other, tunnel)) found_[tunnel].erase(peer);
    std::erase_if(found_, [](const auto& entry) { return entry.second.empty(); });
  }

  void compare(const std::vector<std::pair<const Concerned*, Lookup>>& reached) {
    if (reached.empty()) return;
    const State planned = desire(config_, best_, steering_, peers_, peerMaps(best_, steering_, verdictsOf(steering_)));
    std::vector<Packet> packets;
    for (const auto& [one, before] : reached)
      packets.push_back(outerPacket(planned, *one->view->tunnel, one->packet.destination));
    const auto walks = explain(planned, best_, packets);
    for (std::size_t i = 0; i < reached.size(); ++i) {
      const auto& [one, before] = reached[i];
      if (isAsGood(before, walks[i])) continue;
      found_[one->view->tunnel->name].emplace(one->peer, ipRule(*before.rule) + " leads it to " +
                                                             best_.link(before.hop->device)->name +
                                                             ", and cannot be repeated for packets with our marks");
    }
  }

  /// Which WAN is taken, and that none is, is the policy's to decide; and what main leads elsewhere is copied or a full
  /// tunnel. A rule that leads elsewhere must lead there afterwards, and nothing that did not.
  bool isAsGood(const Lookup& before, const Walk& after) const {
    const Link* was = best_.link(before.hop->device);
    const Link* is = after.outcome == Outcome::device ? best_.linkNamed(after.device) : nullptr;
    if (is == was && after.gateway == before.hop->gateway) return true;
    const bool byMain = looksUpMain(*before.rule) || before.rule->table == kDefaultTable;
    const bool strays = is != nullptr && !isWan(steering_, *is);
    return !strays && (byMain || isWan(steering_, *was));
  }

  const Config& config_;
  const World& best_;
  const Steering& steering_;
  const PeerFacts& peers_;
  std::vector<Concerned> concerned_;
  std::map<IfName, std::map<std::size_t, IfName>> into_;  ///< the tunnels into which peers are led
  LeftAlone found_;
};

}  // namespace

World atItsBest(const World& world) {
  World best = world;
  for (auto& [index, link] : best.links) link.up = link.carrier = true;
  best.routes.insert(world.parked.begin(), world.parked.end());
  best.wansDown.clear();
  best.refusedRoutes.clear();
  best.stalled.clear();
  return best;
}

bool mayBeLedElsewhere(const Config& config, const World& world, const Steering& steering, const PeerFacts& peers) {
  if (steering.wans.empty() || steering.policies.empty()) return false;
  return !concernedIn(config, world, steering, peers).empty();
}

LeftAlone ledElsewhere(const Config& config, const World& best, const Steering& steering, const PeerFacts& peers) {
  return Comparison{config, best, steering, peers}.make();
}

}  // namespace wgsteer
