// SPDX-License-Identifier: GPL-2.0-or-later
// What fib_rules_lookup(), fib_table_lookup() and the output hook do with a locally generated packet, as far as it
// matters for a WireGuard socket: no input interface, UDP, no flow hashing (the first next hop that is alive is used).
#include "wgsteer/core/explain.hpp"

#include <algorithm>

#include "wgsteer/core/numbers.hpp"

namespace wgsteer {

namespace {

constexpr std::uint8_t kUdp = 17;

struct Lookup {
  Outcome outcome = Outcome::noRoute;
  std::optional<Route> route;
  std::optional<NextHop> hop;
};

class Simulator {
 public:
  Simulator(const State& state, const World& world) : state_(state), world_(world), names_(deviceNames(world)) {
    for (const auto* set : {&world.rules, &state.rules})
      for (const Rule& rule : *set) rules_.push_back(&rule);
    // The sets are sorted, unlike the kernel's lists: among equal priorities, foreign rules were there first.
    std::ranges::stable_sort(rules_, {}, [](const Rule* rule) { return rule->priority; });
    for (const auto* set : {&world.routes, &state.routes})
      for (const Route& route : *set) routes_.push_back(&route);
  }

  Lookup lookup(const Packet& packet, std::vector<WalkStep>& steps) const {
    std::uint32_t from = 0;
    for (const Rule* rule : rules_) {
      if (rule->family != packet.destination.address.family() || rule->priority < from) continue;
      WalkStep step{describe(*rule), matches(*rule, packet)};
      if (!step.matched) {
        steps.push_back(std::move(step));
        continue;
      }
      if (rule->action == RuleAction::goto_ && leadsSomewhere(*rule)) from = rule->gotoPriority;
      const Lookup found = act(*rule, packet);
      if (rule->action == RuleAction::lookup) step.text += result(found);
      steps.push_back(std::move(step));
      if (found.outcome != Outcome::noRoute) return found;
    }
    return {};
  }

  const DeviceName& names() const { return names_; }

 private:
  bool matches(const Rule& rule, const Packet& packet) const {
    // To rules, packets from this host come in by "lo" (flowi_iif).
    const bool fromHere = rule.inputInterface.empty() || rule.inputInterface == "lo";
    const bool understood = !rule.otherSelector || isStamp(rule.suppressGroup);
    bool match = rule.mark.matches(packet.mark) && fromHere && rule.outputInterface.empty() && understood;
    // A lookup without a source matches no "from" except "from all".
    if (rule.source && !rule.source->isDefault()) match &= packet.source && rule.source->contains(*packet.source);
    if (rule.destination) match &= rule.destination->contains(packet.destination.address);
    if (rule.ipProtocol != 0) match &= rule.ipProtocol == kUdp;
    if (rule.sourcePort)
      match &= packet.sourcePort >= rule.sourcePort->first && packet.sourcePort <= rule.sourcePort->last;
    if (rule.destinationPort)
      match &= packet.destination.port >= rule.destinationPort->first &&
               packet.destination.port <= rule.destinationPort->last;
    return match != rule.invert;
  }

  /// A goto to a priority that no rule has is "unresolved": the kernel continues with the next rule.
  bool leadsSomewhere(const Rule& jump) const {
    return std::ranges::any_of(
        rules_, [&](const Rule* rule) { return rule->family == jump.family && rule->priority == jump.gotoPriority; });
  }

  Lookup act(const Rule& rule, const Packet& packet) const {
    switch (rule.action) {
      case RuleAction::lookup:
        return inTable(rule, packet);
      case RuleAction::blackhole:
      case RuleAction::unreachable:
      case RuleAction::prohibit:
        return {Outcome::unreachable, {}, {}};
      default:
        return {};
    }
  }

  /// A next hop that the kernel would use: its link is up, and has a carrier if routes without one are ignored.
  std::optional<NextHop> livingHop(const Route& route) const {
    for (const NextHop& hop : route.hops) {
      const Link* link = world_.link(hop.device);
      if (link == nullptr || !link->up) continue;
      const auto ignores = route.family() == Family::v4 ? SysctlKind::ignoreLinkdown4 : SysctlKind::ignoreLinkdown6;
      if (!link->carrier && (link->sysctls.contains(ignores) || state_.sysctls.contains({ignores, link->name})))
        continue;
      return hop;
    }
    return std::nullopt;
  }

  Lookup inTable(const Rule& rule, const Packet& packet) const {
    const Route* best = nullptr;
    for (const Route* route : routes_) {
      if (route->table != rule.table || !route->destination.contains(packet.destination.address)) continue;
      if (!route->source.isDefault() && !(packet.source && route->source.contains(*packet.source))) continue;
      if (route->type == RouteType::unicast && !livingHop(*route)) continue;
      if (best == nullptr || takesPrecedence(*route, *best)) best = route;
    }
    if (best == nullptr || best->type == RouteType::throw_) return {};
    // A refusal is an error, which ends the walk before the kernel checks whether the route is suppressed.
    if (best->type != RouteType::unicast && best->type != RouteType::local) return {Outcome::unreachable, *best, {}};
    if (rule.suppressPrefixLength >= 0 && best->destination.length() <= rule.suppressPrefixLength) return {};
    if (best->type == RouteType::local) return {Outcome::local, *best, {}};
    return {Outcome::device, *best, livingHop(*best)};
  }

  std::string result(const Lookup& found) const {
    if (found.route) return " -> " + describe(*found.route, names_);
    return found.outcome == Outcome::noRoute ? " -> no route, next rule" : "";
  }

  const State& state_;
  const World& world_;
  DeviceName names_;
  std::vector<const Rule*> rules_;
  std::vector<const Route*> routes_;
};

/// The route's preferred source, else our table's source for the device, else the device's first usable address.
std::optional<Address> sourceFor(const State& state, const World& world, const Lookup& found, Family family) {
  if (found.route->preferredSource) return found.route->preferredSource;
  const Link* link = world.link(found.hop->device);
  if (link != nullptr && state.nft) {
    const auto known = state.nft->table.sources.find({link->name, family});
    if (known != state.nft->table.sources.end()) return known->second;
  }
  for (const InterfaceAddress& own : world.addresses)
    if (own.device == found.hop->device && own.address.family() == family && !own.tentative && !own.linkScope)
      return own.address;
  return std::nullopt;
}

/// The member of the table that the output chain uses, and its text; none: the packet is left as it is.
struct Member {
  std::optional<Slot> policy;
  const char* map;
};
std::optional<Member> memberFor(const NftState& nft, const Packet& packet) {
  const NftTable& table = nft.table;
  if (const auto flow = table.flows.find({packet.destination, packet.sourcePort}); flow != table.flows.end())
    return Member{flow->second, "flow"};
  const bool marked = (packet.mark.value & nft.layout.markMask) != 0 || table.foreignMarks.contains(packet.mark);
  const auto known = table.endpoints.find(packet.destination);
  if (marked || known == table.endpoints.end()) return std::nullopt;
  return Member{known->second, "endpoint"};
}

/// What the output chain does to the packet.
Packet markedByNft(const State& state, const Packet& packet, const IfName& device, std::vector<WalkStep>& steps) {
  if (!state.nft || !state.nft->layout.intact) return packet;
  const auto member = memberFor(*state.nft, packet);
  if (!member) return packet;
  const std::string by = "nft output: " + std::string{member->map} + " matches";
  if (!member->policy) {
    steps.push_back({by + ", left alone", true});
    return packet;
  }
  const MarkMatch policy = Numbers{.markMask = state.nft->layout.markMask}.mark(*member->policy);
  Packet marked = packet;
  marked.mark = stamp(packet.mark, policy);
  if (marked.mark == packet.mark) {
    steps.push_back({by + ", mark already right", true});
    return packet;
  }
  std::string text = by + ", goto policy_" + std::to_string(member->policy->value) + ", mark " + hex(marked.mark.value);
  const auto& sources = state.nft->table.policySources;
  const auto source = sources.find({Mark{policy.value}, packet.destination.address.family()});
  const NftTable& table = state.nft->table;
  const bool wrong = table.tunnels.contains(device) || (packet.source && table.bound.contains(*packet.source));
  if (source != sources.end() && wrong) {
    marked.source = source->second;
    text += ", source " + source->second.toString();
  }
  steps.push_back({std::move(text), true});
  return marked;
}

/// What the source chain does to a packet with a mark of ours that leaves by a WAN.
std::optional<Address> sourceCorrected(const State& state, const Packet& packet, const IfName& device,
                                       std::vector<WalkStep>& steps) {
  if (!state.nft || !state.nft->layout.intact || !packet.source) return packet.source;
  const NftTable& table = state.nft->table;
  if (!table.ownMarks.contains(packet.mark) && !table.foreignMarks.contains(packet.mark)) return packet.source;
  const auto right = table.sources.find({device, packet.destination.address.family()});
  if (right == table.sources.end() || !table.bound.contains(*packet.source) ||
      table.addresses.contains({device, *packet.source}))
    return packet.source;
  steps.push_back({"nft source: " + packet.source->toString() + " is not an address of " + device + ", source set to " +
                       right->second.toString(),
                   true});
  return right->second;
}

bool isDropped(const State& state, Mark mark, const IfName& tunnel) {
  if (!state.nft || !state.nft->layout.intact) return false;
  const NftTable& table = state.nft->table;
  const auto own = table.ownMarks.find(Mark{mark.value & state.nft->layout.markMask});
  return own != table.ownMarks.end() && own->second && table.tunnels.contains(tunnel);
}

Walk walkOf(const Simulator& simulator, const State& state, const World& world, const Packet& packet) {
  Walk walk;
  Lookup found = simulator.lookup(packet, walk.steps);
  walk.mark = packet.mark;
  walk.source = packet.source;
  // A packet without a route never reaches the output hook.
  if (found.outcome == Outcome::device) {
    Packet sent = packet;
    if (!sent.source) sent.source = sourceFor(state, world, found, packet.destination.address.family());
    const Link* link = world.link(found.hop->device);
    const IfName device = link == nullptr ? IfName{} : link->name;
    if (link != nullptr) sent.source = sourceCorrected(state, sent, device, walk.steps);
    const Packet marked = markedByNft(state, sent, device, walk.steps);
    walk.mark = marked.mark;
    walk.source = marked.source;
    if (walk.mark != packet.mark) found = simulator.lookup(marked, walk.steps);
  }
  walk.outcome = found.outcome;
  walk.route = found.route;
  if (found.outcome != Outcome::device) return walk;

  const Link* link = world.link(found.hop->device);
  walk.device = simulator.names()(found.hop->device);
  walk.gateway = found.hop->gateway;
  if (link == nullptr || !isTunnel(world, *link)) return walk;
  if (!isDropped(state, walk.mark, link->name)) {
    walk.outcome = packet.outer ? Outcome::loop : Outcome::device;
    return walk;
  }
  walk.outcome = Outcome::dropped;
  walk.steps.push_back({"nft sent: marked packet would enter a tunnel, dropped", true});
  return walk;
}

}  // namespace

Walk explain(const State& state, const World& world, const Packet& packet) {
  return walkOf(Simulator{state, world}, state, world, packet);
}

std::vector<Walk> explain(const State& state, const World& world, std::span<const Packet> packets) {
  const Simulator simulator{state, world};
  std::vector<Walk> walks;
  for (const Packet& packet : packets) walks.push_back(walkOf(simulator, state, world, packet));
  return walks;
}

Packet outerPacket(const State& state, const Tunnel& tunnel, const Endpoint& endpoint) {
  const auto ours = state.tunnelMarks.find(tunnel.name);
  return {.destination = endpoint,
          .mark = ours == state.tunnelMarks.end() ? tunnel.fwmark : ours->second,
          .source = {},
          .sourcePort = tunnel.listenPort};
}

}  // namespace wgsteer
