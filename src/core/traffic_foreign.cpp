// SPDX-License-Identifier: GPL-2.0-or-later
// Rules of other programs that stand behind ours and before main: a VPN's networks (strongSwan's table 220, Tailscale's
// 52), an uplink that answers for one address of this host, a transparent proxy. What they decide is repeated for
// packets of rules, which would otherwise never reach them.
#include <algorithm>
#include <ranges>

#include "core/foreign_rules.hpp"
#include "core/host_routes.hpp"
#include "core/traffic.hpp"

namespace wgsteer {

namespace {

/// More of them would cost every packet too much.
constexpr std::size_t kAtMost = 128;

bool isMain(const Rule& rule) { return rule.action == RuleAction::lookup && rule.table == kMainTable; }

bool hasSelector(const Rule& rule) {
  return rule.source || rule.destination || rule.mark.mask != 0 || rule.sourcePort || rule.destinationPort ||
         rule.ipProtocol != 0 || !rule.inputInterface.empty() || !rule.outputInterface.empty();
}

class Finder {
 public:
  Finder(const World& world, const Numbers& numbers, const std::vector<Wan>& wans)
      : world_(world), numbers_(numbers), wans_(wans) {}

  std::vector<Rule> find() const {
    std::vector<Rule> found;
    for (const Family family : kFamilies)
      for (const Rule& rule : world_.rules) {
        if (rule.family != family) continue;
        if (isMain(rule) && !hasSelector(rule) && rule.suppressPrefixLength < 0) break;
        if (auto copy = copyOf(rule); copy && found.size() < kAtMost) found.push_back(std::move(*copy));
      }
    return found;
  }

 private:
  /// Without our bits of the mark, which its packets have.
  std::optional<Rule> copyOf(const Rule& rule) const {
    if (rule.action != RuleAction::lookup || rule.table == kLocalTable || isMain(rule)) return std::nullopt;
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

  /// A default route counts if it is for certain packets and not by a WAN: about WANs the rules for any traffic decide.
  Leads leadsTo(const Rule& rule) const {
    Leads leads = Leads::nowhere;
    Route lowest;
    lowest.table = rule.table;
    lowest.destination = Prefix::any(rule.family);
    lowest.source = lowest.destination;
    for (const Route& route : std::ranges::subrange(world_.routes.lower_bound(lowest), world_.routes.end())) {
      if (route.table != rule.table) break;
      const auto length = static_cast<std::int32_t>(route.destination.length());
      if (route.family() != rule.family || length <= rule.suppressPrefixLength || isByWan(route, length)) continue;
      if (length > 1)
        leads = Leads::toSome;
      else if (hasSelector(rule))
        return Leads::toAll;
    }
    return leads;
  }

  /// Of specific routes, those that main has as well: tables for a WAN repeat them.
  bool isByWan(const Route& route, std::int32_t length) const {
    if (route.destination.address().isLinkLocal() || route.destination.address().isMulticast()) return true;
    if (length > 1) return mainHas(route);
    if (route.type != RouteType::unicast) return route.type != RouteType::local;
    return !route.hops.empty() && allHops(world_, route, [&](const Link& link) {
      return std::ranges::any_of(wans_, [&](const Wan& wan) { return wan.link == &link; });
    });
  }

  bool mainHas(const Route& route) const {
    Route lowest;
    lowest.table = kMainTable;
    lowest.destination = route.destination;
    lowest.source = Prefix::any(route.family());
    for (const Route& other : std::ranges::subrange(world_.routes.lower_bound(lowest), world_.routes.end())) {
      if (other.table != kMainTable || other.destination != route.destination) break;
      if (other.hops == route.hops) return true;
    }
    return false;
  }

  const World& world_;
  const Numbers& numbers_;
  const std::vector<Wan>& wans_;
};

}  // namespace

std::vector<Rule> foreignRulesForTraffic(const World& world, const Numbers& numbers, const std::vector<Wan>& wans) {
  return Finder{world, numbers, wans}.find();
}

void stampBySelectors(Rule& rule) {
  constexpr std::uint64_t kLowerHalf = 0xffff;
  std::string text;
  if (rule.source) text += "from " + rule.source->toString();
  if (rule.destination) text += "to " + rule.destination->toString();
  rule.suppressGroup = kStampGroup;
  if (!text.empty()) rule.suppressGroup += static_cast<std::int64_t>(fingerprintOf(text) & kLowerHalf);
  rule.otherSelector = true;
  rule.protocol = kProtocol;
}

}  // namespace wgsteer
