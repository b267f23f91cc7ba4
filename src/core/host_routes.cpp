// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/host_routes.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "wgsteer/core/follow.hpp"

namespace wgsteer {

namespace {

/// The share of the family's address space that a prefix covers, in units of 2^-32; for IPv6, of 2000::/3.
std::uint32_t share(const Prefix& prefix) {
  const unsigned whole = prefix.family() == Family::v4 ? 0 : 3;
  const unsigned below = prefix.length() > whole ? prefix.length() - whole : 0;
  return below >= 32 ? 0 : below == 0 ? 0xffffffff : 1U << (32 - below);
}

constexpr std::uint32_t kHalf = 1U << 31;

std::uint32_t saturatingAdd(std::uint32_t left, std::uint32_t right) {
  return left > 0xffffffff - right ? 0xffffffff : left + right;
}

bool entersTunnel(const World& world, const Route& route) {
  return route.type == RouteType::unicast && !route.hops.empty() &&
         allHops(world, route, [&](const Link& link) { return isTunnel(world, link); });
}

/// Tables in which every packet is looked up before main, which are strongSwan's and few others.
class Before {
 public:
  explicit Before(const World& world) {
    std::map<Family, bool> atMain;
    for (const Rule& rule : world.rules) {
      if (rule.action != RuleAction::lookup || !isForAll(rule) || atMain[rule.family]) continue;
      if (rule.table == kMainTable && rule.suppressPrefixLength < 0)
        atMain[rule.family] = true;
      else if (rule.table != kMainTable && rule.table != kLocalTable && !isOurTable(rule.table))
        places_.try_emplace({rule.table, rule.family}, places_.size());
    }
  }

  /// A route to a specific destination. Halves of a default route (/1) count as a default route.
  bool isDeliberate(const Route& route) const {
    return (route.table == kMainTable || (!places_.empty() && places_.contains({route.table, route.family()}))) &&
           route.destination.length() > 1 && route.type == RouteType::unicast && !route.hops.empty();
  }

  /// The order in which tables are looked up; main's is the last.
  std::size_t place(const Route& route) const {
    const auto found = places_.find({route.table, route.family()});
    return found == places_.end() ? places_.size() : found->second;
  }

 private:
  static bool isForAll(const Rule& rule) {
    return rule.mark.mask == 0 && !rule.source && !rule.destination && !rule.sourcePort && !rule.destinationPort &&
           rule.outputInterface.empty() && (rule.inputInterface.empty() || rule.inputInterface == "lo") &&
           rule.ipProtocol == 0 && !rule.otherSelector && !rule.invert && rule.suppressPrefixLength <= 1;
  }

  std::map<std::pair<TableId, Family>, std::size_t> places_;
};

bool isBetter(const Route& route, const Route* than) { return than == nullptr || takesPrecedence(route, *than); }

/// Finds the route that a packet takes. With a hundred tunnels and ten thousand peers, a walk through all routes for
/// each peer was the largest part of a plan.
class LongestMatch {
 public:
  /// The routes have to live as long.
  LongestMatch(const std::vector<Route>& routes, const Before& before) {
    for (const Route& route : routes) {
      Table& table = tables_[before.place(route)];
      const auto [known, fresh] = table.byPrefix.try_emplace(route.destination, &route);
      if (!fresh && takesPrecedence(route, *known->second)) known->second = &route;
      table.lengths[std::to_underlying(route.family())].insert(route.destination.length());
    }
  }

  /// The best route of the first table that has one.
  const Route* find(const Address& address) const {
    for (const auto& [place, table] : tables_)
      for (const std::uint8_t length : table.lengths[std::to_underlying(address.family())])
        if (const auto found = table.byPrefix.find({address, length}); found != table.byPrefix.end())
          return found->second;
    return nullptr;
  }

  bool overlaps(const Prefix& prefix) const {
    if (find(prefix.address()) != nullptr) return true;
    return std::ranges::any_of(tables_, [&](const auto& entry) {
      const auto next = entry.second.byPrefix.lower_bound(prefix);
      return next != entry.second.byPrefix.end() && prefix.contains(next->first.address());
    });
  }

 private:
  struct Table {
    std::map<Prefix, const Route*> byPrefix;
    std::array<std::set<std::uint8_t, std::greater<>>, kFamilies.size()> lengths;
  };
  std::map<std::size_t, Table> tables_;  ///< by place
};

/// The peer that the tunnel would send a packet to: by the longest match among the allowed IPs (cryptokey routing).
const Peer* carrierOf(const Tunnel& tunnel, const Address& destination, int longerThan) {
  const Peer* best = nullptr;
  int length = longerThan;
  for (const Peer& peer : tunnel.peers)
    for (const Prefix& allowed : peer.allowedIps)
      if (allowed.contains(destination) && static_cast<int>(allowed.length()) > length) {
        best = &peer;
        length = allowed.length();
      }
  return best;
}

}  // namespace

KnownEndpoints::KnownEndpoints(const World& world) {
  for (const auto& [name, tunnel] : world.tunnels)
    for (const Peer& peer : tunnel.peers)
      if (peer.endpoint) addresses_.push_back(peer.endpoint->address);
  for (const auto& [peer, named] : world.named)
    for (const Endpoint& endpoint : endpointsOf(named)) addresses_.push_back(endpoint.address);
  std::ranges::sort(addresses_);
}

bool KnownEndpoints::anyIn(const Prefix& prefix) const {
  const auto first = std::ranges::lower_bound(addresses_, prefix.address());
  return first != addresses_.end() && prefix.contains(*first);
}

bool maybeTheInternet(const World& world, const Route& route) {
  constexpr std::uint8_t kShortest4 = 8;
  constexpr std::uint8_t kShortest6 = 16;
  if (route.destination.length() >= (route.family() == Family::v4 ? kShortest4 : kShortest6)) return false;
  return !allHops(world, route, [](const Link& link) { return link.kind != "tun" && link.kind != "tap"; });
}

bool tunnelHasTheWorld(const World& world, Family family, std::uint8_t longerThan) {
  std::uint32_t total = 0;
  for (const Route& route : world.routes)
    if (route.table == kMainTable && route.family() == family && route.destination.length() > longerThan &&
        entersTunnel(world, route))
      total = saturatingAdd(total, share(route.destination));
  return total >= kHalf;
}

bool goesOnInside(const World& world, const Prefix& destination) {
  const auto isForAll = [&](const Rule& rule) {
    return rule.family == destination.family() && rule.action == RuleAction::lookup && rule.mark.mask == 0 &&
           !rule.source && !rule.destination && rule.inputInterface.empty() && rule.outputInterface.empty() &&
           !rule.otherSelector && !rule.invert && rule.ipProtocol == 0;
  };
  bool behindMain = false;
  for (const Rule& rule : world.rules) {
    if (!isForAll(rule)) continue;
    if (std::exchange(behindMain, behindMain || rule.table == kMainTable) == false) continue;
    const Route* best = nullptr;
    for (const Route& route : world.routes)
      if (route.table == rule.table && route.destination.contains(destination.address()) &&
          route.destination.length() <= destination.length() && route.source.isDefault() && isBetter(route, best))
        best = &route;
    if (best == nullptr || best->type == RouteType::throw_) continue;
    return best->type == RouteType::unicast && !best->hops.empty() &&
           allHops(world, *best, [&](const Link& link) { return link.up && !link.loopback && !isTunnel(world, link); });
  }
  return false;
}

namespace {

std::vector<Route> routesIntoTunnels(const World& world, const Before& before) {
  std::map<std::pair<IfIndex, Family>, std::uint32_t> shares;
  std::vector<Route> found;
  for (const Route& route : world.routes) {
    if (!before.isDeliberate(route) || !entersTunnel(world, route)) continue;
    auto& total = shares[{route.hops.front().device, route.family()}];
    total = saturatingAdd(total, share(route.destination));
    found.push_back(route);
  }
  std::erase_if(found,
                [&](const Route& route) { return shares.at({route.hops.front().device, route.family()}) >= kHalf; });
  return found;
}

std::vector<Route> rivalsOf(const World& world, const Before& before, const std::vector<Route>& intoTunnels) {
  std::vector<Route> rivals;
  const LongestMatch into{intoTunnels, before};
  for (const Route& route : world.routes)
    // In the same order as the world's routes.
    if (before.isDeliberate(route) && into.overlaps(route.destination) &&
        !std::ranges::binary_search(intoTunnels, route))
      rivals.push_back(route);
  return rivals;
}

}  // namespace

TunnelRoutes tunnelRoutes(const World& world) {
  const Before before{world};
  TunnelRoutes routes{.into = routesIntoTunnels(world, before), .rivals = {}};
  if (!routes.into.empty()) routes.rivals = rivalsOf(world, before, routes.into);
  return routes;
}

namespace {

/// A peer whose packets are led into a tunnel on purpose.
struct Nesting {
  std::string by;                 ///< the table and route, and the peer if it is of the same tunnel
  const Peer* carrier = nullptr;  ///< the peer whose allowed IPs contain the endpoint; null: none
};

/// nullopt if nothing leads them into one. Another peer of the same tunnel counts if its allowed IPs contain the
/// endpoint and those of the peer itself do not.
std::optional<Nesting> reachedThroughTunnel(const World& world, const Before& before, const LongestMatch& intoTunnels,
                                            const LongestMatch& rivals, const Tunnel& tunnel, const Peer& peer,
                                            const Address& endpoint) {
  const Route* best = intoTunnels.find(endpoint);
  if (best == nullptr) return std::nullopt;
  if (const Route* rival = rivals.find(endpoint)) {
    const auto first = before.place(*rival), second = before.place(*best);
    if (first < second || (first == second && takesPrecedence(*rival, *best))) return std::nullopt;
  }
  const Link* link = world.link(best->hops.front().device);
  const std::string table = best->table == kMainTable ? "main" : "table " + std::to_string(best->table.value);
  const std::string by = table + " reaches it through a tunnel (" + best->destination.toString() + " dev " + link->name;
  if (link->name != tunnel.name) {
    const auto other = world.tunnels.find(link->name);
    return Nesting{by + ")", other == world.tunnels.end() ? nullptr : carrierOf(other->second, endpoint, -1)};
  }
  // A default route, or half of one, is not a decision about this destination.
  const Peer* carrier = carrierOf(tunnel, endpoint, 1);
  if (carrier == nullptr || carrier->publicKey == peer.publicKey) return std::nullopt;
  return Nesting{by + ", peer " + carrier->publicKey.toString() + ")", carrier};
}

/// Whether it ends up carrying itself: two tunnels through each other. That never worked, so nobody intended it.
bool goesRound(const std::map<const Peer*, Nesting>& nested, const Peer* peer) {
  std::set<const Peer*> seen;
  const Peer* carrier = peer;
  while (carrier != nullptr && seen.insert(carrier).second) {
    const auto next = nested.find(carrier);
    carrier = next == nested.end() ? nullptr : next->second.carrier;
  }
  return carrier == peer;
}

}  // namespace

std::map<IfName, std::map<std::size_t, std::string>> nestedPeers(const World& world, const TunnelRoutes& routes) {
  const Before before{world};
  const LongestMatch into{routes.into, before};
  const LongestMatch others{routes.rivals, before};
  std::map<const Peer*, Nesting> all;
  for (const auto& [name, tunnel] : world.tunnels)
    for (const Peer& peer : tunnel.peers) {
      const auto consider = [&](const Address& address) {
        if (auto found = reachedThroughTunnel(world, before, into, others, tunnel, peer, address))
          all.emplace(&peer, std::move(*found));
      };
      if (peer.endpoint) consider(peer.endpoint->address);
      if (const auto named = world.named.find({name, peer.publicKey}); named != world.named.end())
        for (const Address& address : named->second.current) consider(address);
    }
  std::map<IfName, std::map<std::size_t, std::string>> nested;
  for (const auto& [name, tunnel] : world.tunnels)
    for (std::size_t i = 0; i < tunnel.peers.size(); ++i) {
      const auto found = all.find(&tunnel.peers[i]);
      if (found != all.end() && !goesRound(all, found->first)) nested[name].emplace(i, found->second.by);
    }
  return nested;
}

}  // namespace wgsteer
