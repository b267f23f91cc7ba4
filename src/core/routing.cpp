// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/routing.hpp"

#include <algorithm>

#include "wgsteer/core/numbers.hpp"

namespace wgsteer {

namespace {

/// How rules see a packet that this host sends (flowi_iif).
constexpr std::string_view kFromHere = "lo";

bool isIn(const std::optional<PortRange>& range, std::uint16_t port) {
  return !range || (port >= range->first && port <= range->last);
}

/// Addresses whose type the kernel knows without a route.
bool isGroup(const Address& address) {
  const bool zeroNet = address.family() == Family::v4 && address.bytes().front() == 0;
  return address.isMulticast() || zeroNet;
}

}  // namespace

Routing::Routing(const State& state, const World& world) : state_(state), world_(world), names_(deviceNames(world)) {
  for (const auto* set : {&world.rules, &state.rules})
    for (const Rule& rule : *set) rules_.push_back(&rule);
  // The sets are sorted, unlike the kernel's lists: among equal priorities, foreign rules were there first.
  std::ranges::stable_sort(rules_, {}, [](const Rule* rule) { return rule->priority; });
  for (const auto* set : {&world.routes, &state.routes})
    for (const Route& route : *set) routes_.push_back(&route);
}

Lookup Routing::lookup(const Packet& packet, std::vector<WalkStep>& steps) const {
  std::uint32_t from = 0;
  for (const Rule* rule : rules_) {
    if (rule->family != packet.destination.address.family() || rule->priority < from) continue;
    WalkStep step{describe(*rule), matches(*rule, packet)};
    if (!step.matched) {
      steps.push_back(std::move(step));
      continue;
    }
    if (rule->action == RuleAction::goto_ && leadsSomewhere(*rule)) from = rule->gotoPriority;
    Lookup found = act(*rule, packet);
    if (rule->action == RuleAction::lookup) step.text += result(found);
    steps.push_back(std::move(step));
    if (found.outcome == Outcome::noRoute) continue;
    found.rule = rule;
    return found;
  }
  return {};
}

bool Routing::matches(const Rule& rule, const Packet& packet) const {
  const std::string_view input = packet.inputDevice.empty() ? kFromHere : std::string_view{packet.inputDevice};
  const bool understood = !rule.otherSelector || isStamp(rule.suppressGroup);
  bool match = rule.mark.matches(packet.mark) && rule.outputInterface.empty() && understood;
  if (!rule.inputInterface.empty()) match &= rule.inputInterface == input;
  // A lookup without a source matches no "from" except "from all".
  if (rule.source && !rule.source->isDefault()) match &= packet.source && rule.source->contains(*packet.source);
  if (rule.destination) match &= rule.destination->contains(packet.destination.address);
  if (rule.ipProtocol != 0) match &= rule.ipProtocol == packet.protocol;
  match &= isIn(rule.sourcePort, packet.sourcePort) && isIn(rule.destinationPort, packet.destination.port);
  return match != rule.invert;
}

/// A goto to a priority that no rule has is "unresolved": the kernel continues with the next rule.
bool Routing::leadsSomewhere(const Rule& jump) const {
  return std::ranges::any_of(
      rules_, [&](const Rule* rule) { return rule->family == jump.family && rule->priority == jump.gotoPriority; });
}

Lookup Routing::act(const Rule& rule, const Packet& packet) const {
  switch (rule.action) {
    case RuleAction::lookup:
      return inTable(rule, packet);
    case RuleAction::blackhole:
    case RuleAction::unreachable:
    case RuleAction::prohibit:
      return {.outcome = Outcome::unreachable, .route = {}, .hop = {}};
    default:
      return {};
  }
}

/// A next hop that the kernel would use: its link is up, and has a carrier if routes without one are ignored.
std::optional<NextHop> Routing::livingHop(const Route& route) const {
  for (const NextHop& hop : route.hops) {
    const Link* link = world_.link(hop.device);
    if (link == nullptr || !link->up) continue;
    const auto ignores = route.family() == Family::v4 ? SysctlKind::ignoreLinkdown4 : SysctlKind::ignoreLinkdown6;
    if (!link->carrier && (link->sysctls.contains(ignores) || state_.sysctls.contains({ignores, link->name}))) continue;
    return hop;
  }
  return std::nullopt;
}

const Route* Routing::bestIn(TableId table, const Packet& packet) const {
  const Route* best = nullptr;
  for (const Route* route : routes_) {
    if (route->table != table || !route->destination.contains(packet.destination.address)) continue;
    if (!route->source.isDefault() && !(packet.source && route->source.contains(*packet.source))) continue;
    if (route->type == RouteType::unicast && !livingHop(*route)) continue;
    if (best == nullptr || takesPrecedence(*route, *best)) best = route;
  }
  return best;
}

Lookup Routing::inTable(const Rule& rule, const Packet& packet) const {
  const Route* best = bestIn(rule.table, packet);
  if (best == nullptr || best->type == RouteType::throw_) return {};
  // A refusal is an error, which ends the walk before the kernel checks whether the route is suppressed.
  if (best->type != RouteType::unicast && best->type != RouteType::local)
    return {.outcome = Outcome::unreachable, .route = *best, .hop = {}};
  if (rule.suppressPrefixLength >= 0 && best->destination.length() <= rule.suppressPrefixLength) return {};
  if (best->type == RouteType::local) return {.outcome = Outcome::local, .route = *best, .hop = {}};
  return {.outcome = Outcome::device, .route = *best, .hop = livingHop(*best)};
}

std::string Routing::result(const Lookup& found) const {
  if (found.route) return " -> " + describe(*found.route, names_);
  return found.outcome == Outcome::noRoute ? " -> no route, next rule" : "";
}

std::optional<Address> Routing::sourceFor(const Lookup& found, Family family) const {
  if (found.route->preferredSource) return found.route->preferredSource;
  const Link* link = world_.link(found.hop->device);
  if (link != nullptr && state_.nft) {
    const auto known = state_.nft->table.sources.find({link->name, family});
    if (known != state_.nft->table.sources.end()) return known->second;
  }
  for (const InterfaceAddress& own : world_.addresses)
    if (own.device == found.hop->device && own.address.family() == family && !own.tentative && !own.linkScope)
      return own.address;
  return std::nullopt;
}

/// In IPv4, that of table local alone decides (inet_addr_type()). In IPv6, that of a whole lookup as if this host sent
/// the packet, without its mark (nft_fib6_eval_type()).
std::optional<Route> Routing::routeOfType(const Packet& packet) const {
  if (packet.destination.address.family() == Family::v6) {
    std::vector<WalkStep> ignored;
    return lookup({.destination = packet.destination, .mark = {}, .source = packet.source}, ignored).route;
  }
  const Route* best = bestIn(kLocalTable, packet);
  return best == nullptr ? std::nullopt : std::optional{*best};
}

bool Routing::isLocal(const Packet& packet) const {
  const auto route = routeOfType(packet);
  return route && route->type == RouteType::local;
}

bool Routing::isForUsOrMany(const Packet& packet) const {
  if (isGroup(packet.destination.address)) return true;
  const auto route = routeOfType(packet);
  return route && (route->type == RouteType::local || route->type == RouteType::other);
}

}  // namespace wgsteer
