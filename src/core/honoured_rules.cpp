// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/honoured_rules.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>

#include "core/foreign_rules.hpp"
#include "core/host_routes.hpp"
#include "core/wan_sources.hpp"

namespace wgsteer {

namespace {

class Finder {
 public:
  Finder(const World& world, const Numbers& numbers, const std::vector<Wan>& wans)
      : world_(world), numbers_(numbers), wans_(wans) {}

  ForeignRules find() {
    findHonoured();
    return {std::move(found_), notUnderstood()};
  }

 private:
  void findHonoured() {
    for (const Family family : kFamilies) {
      const std::size_t first = found_.rules.size();
      for (const Rule& rule : world_.rules) {
        if (rule.family != family) continue;
        if (looksUpMainForAll(rule)) break;
        take(rule);
      }
      dropTrailingMain(first);
    }
  }

  std::vector<Rule> notUnderstood() {
    std::vector<Rule> found;
    for (const Family family : kFamilies)
      for (const Rule& rule : world_.rules) {
        if (rule.family != family) continue;
        if (looksUpMainForAll(rule)) break;
        // One before ours keeps its effect by itself.
        if (rule.priority < numbers_.rulePriority || rule.l3mdev || rule.notForRoot || looksUpMain(rule)) continue;
        if (!rule.otherSelector && !rule.invert) continue;
        if (mayBeForOurs(asFarAsUnderstood(rule)) && whatItLeadsTo(rule) != Leads::nowhere) found.push_back(rule);
      }
    return found;
  }

  /// What is inverted may be for anything else.
  static Rule asFarAsUnderstood(const Rule& rule) {
    if (!rule.invert) {
      Rule understood = rule;
      understood.otherSelector = false;
      return understood;
    }
    Rule any;
    any.family = rule.family;
    any.table = rule.table;
    return any;
  }

  /// Whether it may apply to packets of a WireGuard socket that carry one of our marks.
  bool mayBeForOurs(const Rule& rule) const {
    const bool leads = rule.action == RuleAction::lookup && rule.table != kLocalTable;
    if (!(leads || refuses(rule)) || rule.invert || rule.otherSelector) return false;
    if (!mayBeForOwnUdp(rule) || (rule.source && hasAddressIn(world_, wans_, *rule.source))) return false;
    if (rule.mark.mask == 0) return true;
    // Where it names our bits, they are 0 in every packet that it is meant for.
    return (rule.mark.value & numbers_.markMask) == 0 && (rule.mark.value & ~numbers_.markMask) != 0;
  }

  void take(const Rule& rule) {
    if (!mayBeForOurs(rule)) return;
    Rule own = rule;
    own.mark.mask &= ~numbers_.markMask;
    own.inputInterface = "lo";
    if (refuses(rule)) {
      // What refuses everything, or everything with a mark, is for other traffic: mwan3's marks for a policy without a
      // usable interface, or what would leave past a tunnel.
      // Hosts that ban others have hundreds, which are no concern of ours unless a peer is there.
      if (!namesDestinations(rule) || (rule.destination && !endpoints().anyIn(*rule.destination))) return;
    } else if (looksUpMain(rule)) {
      // Halves of a default route count as a default route.
      if (rule.suppressPrefixLength < 0 || mainIsNoHelp(rule.family)) return;
      own.suppressPrefixLength = std::max(rule.suppressPrefixLength, 1);
    } else {
      const auto leads = whatItLeadsTo(rule);
      if (leads == Leads::nowhere || (leads == Leads::toAll && mainIsNoHelp(rule.family))) return;
      if (leads == Leads::toSome) own.suppressPrefixLength = std::max(rule.suppressPrefixLength, 1);
    }
    if (found_.rules.size() == kMaxHonouredRules) {
      found_.tooMany = true;
      return;
    }
    found_.rules.push_back(std::move(own));
    found_.originals.push_back(rule);
  }

  const KnownEndpoints& endpoints() {
    if (!endpoints_) endpoints_.emplace(world_);
    return *endpoints_;
  }

  /// A tunnel covers the whole Internet with many routes, from which main's specific routes cannot be told.
  bool mainIsNoHelp(Family family) {
    const auto [known, fresh] = inPieces_.try_emplace(family);
    if (fresh) known->second = tunnelHasTheWorld(world_, family, 1);
    return known->second;
  }

  /// Main's specific routes matter only before another table's default; after it, our own tables contain them.
  void dropTrailingMain(std::size_t first) {
    while (found_.rules.size() > first && looksUpMain(found_.rules.back())) {
      found_.rules.pop_back();
      found_.originals.pop_back();
    }
  }

  enum class Leads : std::uint8_t { nowhere, toSome, toAll };

  /// A table may be looked up by hundreds of rules, one per address.
  Leads whatItLeadsTo(const Rule& rule) {
    const auto [known, fresh] =
        leads_.try_emplace({rule.table, rule.family, rule.suppressPrefixLength, isSpecific(rule)});
    if (fresh) known->second = look(rule);
    return known->second;
  }

  /// For some destinations, ports or marks of its own: what it leads into is meant for these, not for everything.
  bool isSpecific(const Rule& rule) const {
    return namesDestinations(rule) || rule.sourcePort || (rule.mark.value & ~numbers_.markMask) != 0;
  }

  Leads look(const Rule& rule) const {
    Leads leads = Leads::nowhere;
    for (const Route& route : routesFrom(world_.routes, rule.table, Prefix::any(rule.family))) {
      if (route.table != rule.table) break;
      if (route.family() != rule.family || route.type != RouteType::unicast) continue;
      if (static_cast<std::int32_t>(route.destination.length()) <= rule.suppressPrefixLength) continue;
      if (route.destination.length() <= 1) {
        if (isUplinkOfItsOwn(route, isSpecific(rule))) return Leads::toAll;
      } else if (isSomewhereElse(route)) {
        leads = Leads::toSome;
      }
    }
    return leads;
  }

  bool isWan(const Link& link) const {
    return std::ranges::any_of(wans_, [&](const Wan& wan) { return wan.link == &link; });
  }

  /// A tun device may be a tunnel, and its default route then means a full tunnel, unless the rule is about something
  /// specific. Never a WireGuard device: its own peers may be among that.
  bool isUplinkOfItsOwn(const Route& route, bool specific) const {
    return !route.hops.empty() && allHops(world_, route, [&](const Link& link) {
      return link.up && !link.loopback && (specific || link.kind != "tun") && !isTunnel(world_, link) && !isWan(link);
    });
  }

  /// Routes that main has as well do not count: our tables contain them.
  bool isSomewhereElse(const Route& route) const {
    if (route.hops.empty() || route.destination.address().isLinkLocal() || route.destination.address().isMulticast())
      return false;
    if (!allHops(world_, route,
                 [&](const Link& link) { return link.up && !link.loopback && !isTunnel(world_, link); }) ||
        maybeTheInternet(world_, route))
      return false;
    return !isInMainAsWell(world_.routes, route);
  }

  const World& world_;
  const Numbers& numbers_;
  const std::vector<Wan>& wans_;
  HonouredRules found_;
  std::optional<KnownEndpoints> endpoints_;
  std::map<Family, bool> inPieces_;
  std::map<std::tuple<TableId, Family, std::int32_t, bool>, Leads> leads_;
};

}  // namespace

ForeignRules foreignRules(const World& world, const Numbers& numbers, const std::vector<Wan>& wans) {
  return Finder{world, numbers, wans}.find();
}

bool mayBeFor(const Rule& rule, const Packet& packet) {
  const Endpoint& to = packet.destination;
  if (rule.family != to.address.family()) return false;
  const bool there = !rule.destination || rule.destination->contains(to.address);
  if (rule.invert) {
    // One selector that does not hold is enough: only of a single one it is known that it does.
    const bool byMark = rule.mark.mask != 0;
    if (byMark == rule.destination.has_value() || !selectsByMarkAndDestinationAlone(rule)) return true;
    return byMark ? !rule.mark.matches(packet.mark) : !there;
  }
  const auto in = [](const std::optional<PortRange>& range, std::uint16_t port) {
    return !range || (port >= range->first && port <= range->last);
  };
  return there && in(rule.sourcePort, packet.sourcePort) && in(rule.destinationPort, to.port);
}

const Rule* honouredRuleFor(const HonouredRules& honoured, Mark mark) {
  for (const Rule& original : honoured.originals)
    if (original.mark.mask != 0 && original.mark.matches(mark) && !original.source && !original.destination)
      return &original;
  return nullptr;
}

}  // namespace wgsteer
