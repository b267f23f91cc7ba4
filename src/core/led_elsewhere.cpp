// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/led_elsewhere.hpp"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "wgsteer/core/describe.hpp"
#include "wgsteer/core/explain.hpp"

#include "core/foreign_rules.hpp"
#include "core/routing.hpp"

namespace wgsteer {

namespace {

constexpr std::uint8_t kUdp = 17;

struct Concerned {
  const TunnelView* view = nullptr;
  std::size_t peer = 0;
  Packet packet;  ///< without us
};

/// Tables of other programs that lead anywhere but to WANs.
class OtherTables {
 public:
  OtherTables(const World& world, const Steering& steering) : world_(world), steering_(steering) {}

  /// Whether the rule may lead a packet of WireGuard with this mark elsewhere.
  bool mayLead(const Rule& rule, Mark mark) {
    if (rule.action != RuleAction::lookup || rule.table == kLocalTable || rule.table == kMainTable ||
        rule.table == kDefaultTable)
      return false;
    if (!rule.outputInterface.empty() || !(rule.inputInterface.empty() || rule.inputInterface == "lo")) return false;
    if (rule.ipProtocol != 0 && rule.ipProtocol != kUdp) return false;
    if (!rule.invert && !rule.mark.matches(mark)) return false;
    const What what = whatIsIn(rule.table, rule.family);
    // A full tunnel: everything but its own packets (wg-quick's rule).
    return what.others || (what.tunnels && !rule.invert);
  }

 private:
  struct What {
    bool tunnels = false;
    bool others = false;  ///< that are neither tunnels nor WANs
  };

  What whatIsIn(TableId table, Family family) {
    const auto [known, fresh] = tables_.try_emplace({table, family});
    if (!fresh) return known->second;
    for (const Route& route : routesFrom(world_.routes, table, Prefix::any(family))) {
      if (route.table != table) break;
      if (route.family() != family || route.type != RouteType::unicast) continue;
      for (const NextHop& hop : route.hops) {
        const Link* link = world_.link(hop.device);
        if (link == nullptr || link->loopback || isWan(steering_, *link)) continue;
        (isTunnel(world_, *link) ? known->second.tunnels : known->second.others) = true;
      }
    }
    return known->second;
  }

  const World& world_;
  const Steering& steering_;
  std::map<std::pair<TableId, Family>, What> tables_;
};

class Comparison {
 public:
  Comparison(const Config& config, const World& world, const Steering& steering, const PeerFacts& peers)
      : config_(config), world_(world), steering_(steering), peers_(peers) {}

  LeftAlone make() {
    note();
    if (concerned_.empty()) return {};
    const Routing without{kNothing, world_};
    std::vector<std::pair<const Concerned*, Lookup>> reached;
    for (const Concerned& one : concerned_) {
      std::vector<WalkStep> ignored;
      Lookup found = without.lookup(one.packet, ignored);
      if (found.outcome != Outcome::device) continue;
      const Link* link = world_.link(found.hop->device);
      if (link == nullptr) continue;
      // A rule for everything that leads into a tunnel is a full tunnel, which ours exist to avoid.
      const bool maybeTunnel = isTunnel(world_, *link) || link->kind == "tun";
      if (maybeTunnel && !isForThese(*found.rule)) continue;
      if (isTunnel(world_, *link))
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

  void note() {
    OtherTables tables{world_, steering_};
    for (const TunnelView& view : steering_.tunnels) {
      const Tunnel& tunnel = *view.tunnel;
      if (config_.tunnel(tunnel.name).policy != kDefaultPolicy) continue;
      std::set<Family> families;
      for (const Rule& rule : world_.rules)
        if (!families.contains(rule.family) && tables.mayLead(rule, view.ownersMark)) families.insert(rule.family);
      if (families.empty()) continue;
      const auto pinned = peers_.pinned.find(tunnel.name);
      for (std::size_t i = 0; i < tunnel.peers.size(); ++i) {
        const auto& endpoint = tunnel.peers[i].endpoint;
        if (!endpoint || !families.contains(endpoint->address.family()) || view.leftAlone.contains(i)) continue;
        if (pinned != peers_.pinned.end() && pinned->second.contains(i)) continue;
        concerned_.push_back(
            {.view = &view,
             .peer = i,
             .packet = {
                 .destination = *endpoint, .mark = view.ownersMark, .source = {}, .sourcePort = tunnel.listenPort}});
      }
    }
  }

  static bool isForThese(const Rule& rule) {
    return !rule.invert && ((rule.destination && rule.destination->length() > 1) || rule.destinationPort ||
                            rule.sourcePort || rule.mark.value != 0);
  }

  void noteTunnel(const Concerned& one, const Rule& rule, const Link& link) {
    if (link.name == one.view->tunnel->name) return;
    found_[one.view->tunnel->name].emplace(one.peer, ipRule(rule) + " leads it into tunnel " + link.name);
    into_[one.view->tunnel->name].insert(link.name);
  }

  /// Two tunnels through each other never worked, so nobody intended it.
  void dropRounds() {
    for (const auto& [tunnel, others] : into_)
      for (const IfName& other : others)
        if (const auto back = into_.find(other); back != into_.end() && back->second.contains(tunnel))
          found_.erase(tunnel);
  }

  void compare(const std::vector<std::pair<const Concerned*, Lookup>>& reached) {
    if (reached.empty()) return;
    const State planned = desire(config_, world_, steering_);
    std::vector<Packet> packets;
    for (const auto& [one, before] : reached)
      packets.push_back(outerPacket(planned, *one->view->tunnel, one->packet.destination));
    const auto walks = explain(planned, world_, packets);
    for (std::size_t i = 0; i < reached.size(); ++i) {
      const auto& [one, before] = reached[i];
      if (isAsGood(before, walks[i])) continue;
      found_[one->view->tunnel->name].emplace(one->peer, ipRule(*before.rule) + " leads it to " +
                                                             world_.link(before.hop->device)->name +
                                                             ", and cannot be repeated for packets with our marks");
    }
  }

  /// Which WAN is taken, and that none is, is the policy's to decide; and what main leads elsewhere is copied or a full
  /// tunnel. A rule that leads elsewhere must lead there afterwards, and nothing that did not.
  bool isAsGood(const Lookup& before, const Walk& after) const {
    const Link* was = world_.link(before.hop->device);
    const Link* is = after.outcome == Outcome::device ? world_.linkNamed(after.device) : nullptr;
    if (is == was && after.gateway == before.hop->gateway) return true;
    const bool byMain = looksUpMain(*before.rule) || before.rule->table == kDefaultTable;
    const bool strays = is != nullptr && !isWan(steering_, *is);
    return !strays && (byMain || isWan(steering_, *was));
  }

  const Config& config_;
  const World& world_;
  const Steering& steering_;
  const PeerFacts& peers_;
  std::vector<Concerned> concerned_;
  std::map<IfName, std::set<IfName>> into_;
  LeftAlone found_;
};

}  // namespace

LeftAlone ledElsewhere(const Config& config, const World& world, const Steering& steering, const PeerFacts& peers) {
  if (steering.wans.empty() || steering.policies.empty()) return {};
  return Comparison{config, world, steering, peers}.make();
}

}  // namespace wgsteer
