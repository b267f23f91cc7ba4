// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/route_interest.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "wgsteer/core/numbers.hpp"

namespace wgsteer {

namespace {

/// Whether it leaves via a router on a WAN. A multipath route always does: its hops were set by a protocol or a person.
bool leavesBy(const Route& route, const std::set<IfIndex>& uplinks) {
  return std::ranges::any_of(route.hops, [&](const NextHop& hop) {
    return (hop.gateway || route.hops.size() > 1) && uplinks.contains(hop.device);
  });
}

}  // namespace

bool isLearned(std::uint8_t protocol) {
  return protocol != kByKernel && protocol != kByBoot && protocol != kByStatic && protocol != kByRouterAdvertisement &&
         protocol != kByDhcp;
}

bool isSpecific(const Route& route) {
  if (route.table == kLocalTable || isOurTable(route.table)) return false;
  if (route.destination.isDefault() || route.protocol == kByRedirect) return false;
  switch (route.type) {
    case RouteType::unicast:
    case RouteType::blackhole:
    case RouteType::unreachable:
    case RouteType::prohibit:
    case RouteType::throw_:
      return true;
    default:
      return false;
  }
}

std::set<TableId> tablesOf(const std::set<Rule>& rules) {
  std::set<TableId> tables;
  for (const Rule& rule : rules)
    if (rule.action == RuleAction::lookup && rule.table != kMainTable && rule.table != kLocalTable &&
        !isOurTable(rule.table))
      tables.insert(rule.table);
  return tables;
}

bool RouteInterest::wants(const Route& route) const {
  if (route.destination.isDefault() || isOurTable(route.table)) return true;
  if (!isSpecific(route) || (route.table != kMainTable && !tables.contains(route.table))) return false;
  if (isLearned(route.protocol)) return leftOut == LeftOut::nothing || (leftOut == LeftOut::fed && !isFed(route));
  const bool byHand = route.protocol == kByBoot || route.protocol == kByStatic;
  return !byHand || leftOut != LeftOut::byUplinks || !leavesBy(route, uplinks);
}

bool RouteInterest::isFed(const Route& route) const {
  return isSpecific(route) && isLearned(route.protocol) && leavesBy(route, uplinks);
}

RouteSieve::Rank RouteSieve::rankOf(const Route& route) const {
  if (!isSpecific(route)) return Rank::always;
  if (interest_ && interest_->isFed(route)) return Rank::fed;
  if (isLearned(route.protocol)) return Rank::learned;
  const auto onLink = [](const NextHop& hop) { return !hop.gateway; };
  if (!route.hops.empty() && std::ranges::all_of(route.hops, onLink)) return Rank::onLink;
  return interest_ && leavesBy(route, interest_->uplinks) ? Rank::byUplink : Rank::made;
}

void RouteSieve::take(Route&& route) {
  if (!interest_.value_or(RouteInterest{.uplinks = {}, .tables = tables_}).wants(route)) return;
  const Rank rank = rankOf(route);
  Alike& alike = families_[std::to_underlying(route.family())][std::to_underlying(rank)];
  if (rank == Rank::always || alike.routes.size() < kMaxSpecificRoutes)
    alike.routes.push_back(std::move(route));
  else
    alike.whole = false;
}

std::set<IfIndex> RouteSieve::devicesOfDefaults() const {
  std::set<IfIndex> devices;
  for (const OfFamily& family : families_)
    for (const Route& route : family[std::to_underlying(Rank::always)].routes)
      if (route.destination.isDefault())
        for (const NextHop& hop : route.hops) devices.insert(hop.device);
  return devices;
}

bool RouteSieve::narrow(const RouteInterest& interest) {
  interest_ = interest;
  for (const OfFamily& family : families_)
    if (!std::ranges::all_of(family, &Alike::whole)) return false;
  // Sorts the routes by their new ranks.
  for (OfFamily& family : std::exchange(families_, {}))
    for (Alike& alike : family)
      for (Route& route : alike.routes) take(std::move(route));
  return true;
}

RouteSieve::Kept RouteSieve::finish() {
  Kept kept;
  for (OfFamily& family : families_) finish(family, kept);
  // What one family has too many of, the kernel's filter drops for both.
  RouteInterest told = interest_.value_or(RouteInterest{.uplinks = {}, .tables = tables_});
  told.leftOut = kept.leftOut;
  std::erase_if(kept.routes, [&](const Route& route) { return !told.wants(route); });
  return kept;
}

void RouteSieve::finish(OfFamily& family, Kept& kept) {
  using LeftOut = RouteInterest::LeftOut;
  std::size_t room = kMaxSpecificRoutes;
  const auto of = [&](Rank rank) -> Alike& { return family[std::to_underlying(rank)]; };
  const auto keep = [&](Rank rank) {
    std::vector<Route>& routes = of(rank).routes;
    const std::size_t count = rank == Rank::always ? routes.size() : std::min(routes.size(), room);
    kept.tooMany |= count < routes.size() || !of(rank).whole;
    std::move(routes.begin(), routes.begin() + static_cast<std::ptrdiff_t>(count),
              std::inserter(kept.routes, kept.routes.end()));
    if (rank != Rank::always) room -= count;
  };
  /// All or none, so that the kernel's filter can tell them apart.
  const auto keepOrLeaveOut = [&](Rank rank, std::size_t most, LeftOut as) {
    if (of(rank).whole && of(rank).routes.size() <= std::min(most, room)) return keep(rank);
    kept.tooMany = true;
    kept.leftOut = std::max(kept.leftOut, as);
  };
  keep(Rank::always);
  keep(Rank::onLink);
  keep(Rank::made);
  keepOrLeaveOut(Rank::byUplink, room, LeftOut::byUplinks);
  keepOrLeaveOut(Rank::learned, room, LeftOut::learned);
  keepOrLeaveOut(Rank::fed, kMaxFedRoutes, LeftOut::fed);
}

}  // namespace wgsteer
