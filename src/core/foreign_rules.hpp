// SPDX-License-Identifier: GPL-2.0-or-later
// What other programs' rules mean for packets that carry marks of ours.
#pragma once

#include <algorithm>
#include <cstddef>
#include <ranges>
#include <set>

#include "wgsteer/core/numbers.hpp"
#include "wgsteer/core/route.hpp"
#include "wgsteer/core/world.hpp"

namespace wgsteer {

/// More copies of them would cost every packet of ours too much.
inline constexpr std::size_t kMaxHonouredRules = 128;

inline bool looksUpMain(const Rule& rule) { return rule.action == RuleAction::lookup && rule.table == kMainTable; }

/// Whether it looks up main for every packet: the rules after it are consulted only if main has no route.
inline bool looksUpMainForAll(const Rule& rule) {
  return looksUpMain(rule) && !rule.source && !rule.destination && rule.mark.mask == 0 && !rule.sourcePort &&
         !rule.destinationPort && rule.ipProtocol == 0 && !rule.invert && rule.inputInterface.empty() &&
         rule.outputInterface.empty() && !rule.otherSelector && rule.suppressPrefixLength < 0;
}

/// From this destination on: routes are ordered by table, then by destination. Others follow.
inline auto routesFrom(const std::set<Route>& routes, TableId table, const Prefix& destination) {
  Route lowest;
  lowest.table = table;
  lowest.destination = destination;
  lowest.source = Prefix::any(destination.family());
  return std::ranges::subrange(routes.lower_bound(lowest), routes.end());
}

/// Whether main leads to the route's destination by the same hops.
inline bool isInMainAsWell(const std::set<Route>& routes, const Route& route) {
  for (const Route& other : routesFrom(routes, kMainTable, route.destination)) {
    if (other.table != kMainTable || other.destination != route.destination) return false;
    if (other.hops == route.hops) return true;
  }
  return false;
}

/// Whether devices and protocol let it apply to UDP that this host sends, as WireGuard's packets are.
inline bool mayBeForOwnUdp(const Rule& rule) {
  constexpr std::uint8_t kUdp = 17;
  return rule.outputInterface.empty() && (rule.inputInterface.empty() || rule.inputInterface == "lo") &&
         (rule.ipProtocol == 0 || rule.ipProtocol == kUdp);
}

/// Whether it is about certain destinations or their ports. Halves of the address space are no certain ones.
inline bool namesDestinations(const Rule& rule) {
  return (rule.destination && rule.destination->length() > 1) || rule.destinationPort;
}

/// Whether the rule catches every locally generated packet with this mark, whatever its addresses and ports. A rule
/// that names any of those concerns something specific and keeps its effect.
inline bool takesEverythingWith(const Rule& rule, Mark mark) {
  const bool forAll = !rule.source && !rule.destination && !rule.sourcePort && !rule.destinationPort &&
                      !rule.otherSelector && mayBeForOwnUdp(rule);
  if (!forAll || rule.action == RuleAction::nop || rule.action == RuleAction::other) return false;
  if (rule.action == RuleAction::lookup && rule.table == kLocalTable) return false;
  return rule.mark.matches(mark) != rule.invert;
}

/// Whether nothing but mark and destination decides to which packets the rule applies.
inline bool selectsByMarkAndDestinationAlone(const Rule& rule) {
  return !rule.source && rule.inputInterface.empty() && rule.outputInterface.empty() && !rule.sourcePort &&
         !rule.destinationPort && rule.ipProtocol == 0 && !rule.otherSelector;
}

/// `from PREFIX lookup TABLE`
inline bool selectsBySourceAlone(const Rule& rule) {
  return rule.source && rule.action == RuleAction::lookup && !rule.invert && rule.mark.mask == 0 && !rule.destination &&
         rule.inputInterface.empty() && rule.outputInterface.empty() && !rule.sourcePort && !rule.destinationPort &&
         rule.ipProtocol == 0 && !rule.otherSelector;
}

/// Whether the rule looks up table local for every packet, as the kernel's own does.
inline bool looksUpLocalForAll(const Rule& rule) {
  return rule.action == RuleAction::lookup && rule.table == kLocalTable && !rule.invert && rule.mark.mask == 0 &&
         !rule.destination && rule.suppressPrefixLength < 0 && selectsByMarkAndDestinationAlone(rule);
}

/// Whether table local is looked up for every packet only after this priority.
inline bool isLocalBehind(const std::set<Rule>& rules, Family family, std::uint32_t priority) {
  const auto first =
      std::ranges::find_if(rules, [&](const Rule& rule) { return rule.family == family && looksUpLocalForAll(rule); });
  return first != rules.end() && first->priority > priority;
}

/// A rule of another program that delivers packets with a mark of its own to this host, as for a transparent proxy
/// (`fwmark 1 lookup 100`, `local default dev lo table 100`); null if there is none. With src_valid_mark, strict
/// reverse path filters look up the way back by that mark as well, and drop them (__fib_validate_source(), 6.18).
inline const Rule* delivering(const World& world, const Numbers& numbers) {
  const auto isLocalDefault = [](const Route& route) {
    return route.type == RouteType::local && route.destination.length() <= 1;
  };
  for (const Rule& rule : world.rules) {
    if (rule.family != Family::v4 || rule.action != RuleAction::lookup || rule.invert) continue;
    if ((rule.mark.value & ~numbers.markMask) == 0 || rule.table == kMainTable) continue;
    for (const Route& route : routesFrom(world.routes, rule.table, Prefix::any(rule.family))) {
      if (route.table != rule.table) break;
      if (route.family() == rule.family && isLocalDefault(route)) return &rule;
    }
  }
  return nullptr;
}

}  // namespace wgsteer
