// SPDX-License-Identifier: GPL-2.0-or-later
// Rules of other programs that stand behind ours and before main: a VPN's networks (strongSwan's table 220, Tailscale's
// 52), an uplink that answers for one address of this host, a transparent proxy. What they decide is repeated for
// packets of rules, which would otherwise never reach them.
#include <algorithm>
#include <map>
#include <tuple>

#include "core/foreign_rules.hpp"
#include "core/host_routes.hpp"
#include "core/traffic.hpp"

namespace wgsteer {

namespace {

bool hasSelector(const Rule& rule) {
  return rule.source || rule.destination || rule.mark.mask != 0 || rule.sourcePort || rule.destinationPort ||
         rule.ipProtocol != 0 || !rule.inputInterface.empty() || !rule.outputInterface.empty();
}

class Finder {
 public:
  Finder(const World& world, const Numbers& numbers, const std::vector<Wan>& wans)
      : world_(world), numbers_(numbers), wans_(wans) {}

  ForeignCopies find() {
    ForeignCopies found;
    for (const Family family : kFamilies)
      for (const Rule& rule : world_.rules) {
        if (rule.family != family) continue;
        if (looksUpMainForAll(rule)) break;
        auto copy = copyOf(rule);
        if (!copy) continue;
        if (found.rules.size() == kMaxHonouredRules) {
          found.leftOut = rule;
          return found;
        }
        found.rules.push_back(std::move(*copy));
      }
    return found;
  }

 private:
  /// Without our bits of the mark, which its packets have.
  std::optional<Rule> copyOf(const Rule& rule) {
    if (rule.action != RuleAction::lookup || rule.table == kLocalTable || looksUpMain(rule)) return std::nullopt;
    if (rule.invert || rule.otherSelector || rule.priority < numbers_.rulePriority) return std::nullopt;
    // Packets whose whole mark is named are not marked by us (NftTable::namedMarks).
    if ((rule.mark.value & numbers_.markMask) != 0 || rule.mark.mask == 0xffffffff) return std::nullopt;
    Rule copy = rule;
    copy.mark.mask &= ~numbers_.markMask;
    if (rule.mark.mask != 0 && copy.mark.mask == 0) return std::nullopt;
    switch (leadsTo(rule)) {
      case Leads::nowhere:
        return std::nullopt;
      case Leads::toSome:
        copy.suppressPrefixLength = std::max(rule.suppressPrefixLength, 1);
        break;
      case Leads::toAll:
        break;
    }
    return copy;
  }

  enum class Leads : std::uint8_t { nowhere, toSome, toAll };

  /// A table may be looked up by hundreds of rules, one per address.
  Leads leadsTo(const Rule& rule) {
    const auto [known, fresh] =
        leads_.try_emplace({rule.table, rule.family, rule.suppressPrefixLength, hasSelector(rule)});
    if (fresh) known->second = look(rule);
    return known->second;
  }

  /// A default route counts if it is for certain packets.
  Leads look(const Rule& rule) const {
    Leads leads = Leads::nowhere;
    for (const Route& route : routesFrom(world_.routes, rule.table, Prefix::any(rule.family))) {
      if (route.table != rule.table) break;
      const auto length = static_cast<std::int32_t>(route.destination.length());
      if (route.family() != rule.family || length <= rule.suppressPrefixLength) continue;
      const bool forAll = length <= 1;
      if (forAll ? !hasSelector(rule) || !leadsElsewhere(route) : !saysMoreThanMain(route)) continue;
      if (forAll) return Leads::toAll;
      leads = Leads::toSome;
    }
    return leads;
  }

  /// About WANs the rules for any traffic decide.
  bool leadsElsewhere(const Route& route) const {
    if (route.type != RouteType::unicast) return route.type == RouteType::local;
    return route.hops.empty() || !allHops(world_, route, [&](const Link& link) {
             return std::ranges::any_of(wans_, [&](const Wan& wan) { return wan.link == &link; });
           });
  }

  /// Tables for a WAN repeat main's specific routes.
  bool saysMoreThanMain(const Route& route) const {
    const Address& destination = route.destination.address();
    return !destination.isLinkLocal() && !destination.isMulticast() && !isInMainAsWell(world_.routes, route);
  }

  const World& world_;
  const Numbers& numbers_;
  const std::vector<Wan>& wans_;
  std::map<std::tuple<TableId, Family, std::int32_t, bool>, Leads> leads_;
};

}  // namespace

ForeignCopies foreignRulesForTraffic(const World& world, const Numbers& numbers, const std::vector<Wan>& wans) {
  return Finder{world, numbers, wans}.find();
}

}  // namespace wgsteer
