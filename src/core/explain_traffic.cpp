// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/explain_traffic.hpp"

#include <algorithm>

#include "wgsteer/core/numbers.hpp"

#include "core/routing.hpp"
#include "core/rule_mismatch.hpp"
#include "core/source_routing.hpp"
#include "core/traffic.hpp"
#include "core/traffic_machine.hpp"

namespace wgsteer {

namespace {

class Explanation {
 public:
  Explanation(const TrafficView& view, const FirstPacket& first)
      : config_(view.config),
        world_(view.world),
        steering_(view.steering),
        state_(view.state),
        routing_(view.state, view.world),
        given_(first),
        first_(first) {
    const bool known = state_.nft && state_.nft->layout.intact && state_.nft->layout.traffic.program;
    if (known && steering_.traffic) machine_.emplace(*state_.nft, routing_);
  }

  TrafficWalk run() {
    if (first_.packet.inputDevice.empty())
      sentByThisHost();
    else
      forwarded();
    noteInside();
    if (result_.walk.outcome == Outcome::device) leave();
    result_.why = why();
    return std::move(result_);
  }

 private:
  void step(std::string text, bool matched = true) { result_.walk.steps.push_back({std::move(text), matched}); }

  void forwarded() {
    decide();
    route();
  }

  /// The route comes first, then the chains, and if they gave it another mark, a second route.
  void sentByThisHost() {
    Packet& packet = first_.packet;
    result_.walk.mark = packet.mark;
    route();
    const bool refused = result_.walk.outcome == Outcome::unreachable || result_.walk.outcome == Outcome::noRoute;
    if (refused && !byIpRules()) {
      result_.reason = machine_ ? TrafficReason::noRoute : TrafficReason::noRules;
      return;
    }
    const bool leaves = result_.walk.outcome == Outcome::device;
    if (!packet.source && leaves) packet.source = routing_.sourceFor(found_, packet.destination.address.family());
    const Mark before = packet.mark;
    decide();
    if (packet.mark != before) route();
  }

  /// Whether this packet meets rules for any traffic in the shape of ip rules (core/traffic_local.cpp).
  bool byIpRules() const {
    return machine_ && first_.packet.inputDevice.empty() &&
           !state_.nft->layout.traffic.program->asksForLocal.contains(first_.packet.destination.address.family());
  }

  /// Whether its sender has decided already: by a mark, or by the address of a WAN.
  bool isChosen() const {
    const Rule* rule = found_.rule;
    const std::uint32_t first =
        localBase({config_, world_, steering_}, first_.packet.destination.address.family()) + kLocalRulesOffset;
    const bool bySource = rule != nullptr && rule->protocol == kProtocol && rule->source && rule->priority < first;
    return bySource || given_.packet.mark.value != 0;
  }

  /// The first rule that matches what the kernel knew when it chose the route.
  const RuleConfig* ruleByIpRules() const {
    for (const TrafficRule& each : steering_.traffic->rules)
      if (mismatch(*each.rule, given_).empty()) return each.rule;
    return nullptr;
  }

  /// What ip rules have done before any chain saw the packet.
  TrafficDecision withIpRules(TrafficDecision decision) const {
    if (decision.reason != TrafficReason::noRule || !byIpRules()) return decision;
    if (isChosen()) {
      decision.reason = TrafficReason::ownChoice;
    } else if (const RuleConfig* rule = ruleByIpRules()) {
      decision.reason = TrafficReason::rule;
      decision.rule = rule->name;
    }
    return decision;
  }

  void decide() {
    if (!machine_) return;
    const TrafficDecision decision = withIpRules(machine_->decide(first_));
    result_.reason = decision.reason;
    result_.rule = decision.rule;
    result_.connection = decision.connection;
    const Mark before = first_.packet.mark;
    if (decision.reason == TrafficReason::rule || decision.reason == TrafficReason::noRule)
      tellRules(decision);
    else
      tellExit(decision);
    first_.packet.mark = decision.mark;
    if (decision.mark != before) result_.walk.steps.back().text += ", mark " + hex(decision.mark.value);
  }

  /// Those before the one that matched, and why each is not for this packet.
  void tellRules(const TrafficDecision& decision) {
    for (const TrafficRule& each : steering_.traffic->rules) {
      const RuleConfig& rule = *each.rule;
      if (rule.name == decision.rule) {
        if (each.policy) result_.policy = policyOf(each).name;
        return step("rule " + rule.name + " -> " + useOf(rule));
      }
      step("rule " + rule.name + " -> no match (" + mismatch(rule, byIpRules() ? given_ : first_) + "), next rule",
           false);
    }
    step("no rule matches -> left alone");
  }

  static std::string useOf(const RuleConfig& rule) {
    switch (rule.use) {
      case RuleUse::policy:
        return "policy " + rule.policy;
      case RuleUse::main:
        return "main: left alone";
      case RuleUse::unreachable:
        return "unreachable";
      case RuleUse::blackhole:
        break;
    }
    return "blackhole";
  }

  void tellExit(const TrafficDecision& decision) {
    if (decision.reason == TrafficReason::arrived) {
      const auto slot = config_.numbers.slotIn(decision.mark.value);
      for (const auto& [wan, exit] : steering_.traffic->exits)
        if (exit == slot) result_.wan = steering_.wans[wan].name;
    }
    step("nft traffic: " + reason());
  }

  const PolicyView& policyOf(const TrafficRule& rule) const {
    return steering_.policies[steering_.traffic->policies[*rule.policy].policy];
  }

  void route() {
    found_ = routing_.lookup(first_.packet, result_.walk.steps);
    Walk& walk = result_.walk;
    // Broadcasts: each device may have some.
    if (found_.route && found_.route->type == RouteType::other) found_.outcome = Outcome::local;
    walk.outcome = found_.outcome;
    walk.route = found_.route;
    walk.mark = first_.packet.mark;
    walk.source = first_.packet.source;
    walk.device.clear();
    walk.gateway.reset();
    if (found_.outcome != Outcome::device) return;
    walk.device = routing_.names()(found_.hop->device);
    walk.gateway = found_.hop->gateway;
  }

  /// What a rule chose is looked up behind what main knows better.
  void noteInside() {
    result_.inside = result_.reason == TrafficReason::rule && found_.rule != nullptr &&
                     found_.rule->protocol == kProtocol && found_.rule->suppressPrefixLength >= 0 &&
                     found_.outcome != Outcome::local;
  }

  /// What postrouting does.
  void leave() {
    Walk& walk = result_.walk;
    if (const Wan* wan = wanOf(walk.device, walk.gateway)) result_.wan = wan->name;
    if (!machine_) return;
    const auto onSource = machine_->verdictOnSource(first_.packet, walk.device);
    if (onSource.refused) return refuseSource();
    if (const auto pin = machine_->pinFor(walk.mark, walk.device)) {
      result_.connection = stamp(result_.connection, config_.numbers.mark(*pin));
      step("nft traffic_sent: its connection stays on " + (result_.wan.empty() ? walk.device : "WAN " + result_.wan) +
           ", connection mark " + hex(result_.connection.value));
    }
    if (onSource.source != walk.source)
      step("nft traffic_source: " + walk.source->toString() + " is not of " + walk.device + ", leaves as " +
           onSource.source->toString());
    walk.source = onSource.source;
    const auto right = rightSource();
    if (!right) return;
    step("nft traffic_nat: " + walk.source->toString() + " is not an address of " + walk.device + ", masqueraded as " +
         right->toString());
    walk.source = right;
  }

  void refuseSource() {
    Walk& walk = result_.walk;
    refused_ = walk.source->toString() + " is not a source of " +
               (result_.wan.empty() ? walk.device : "WAN " + result_.wan) + ": refused";
    step("nft traffic_forward: " + refused_);
    walk.outcome = Outcome::unreachable;
    walk.route.reset();
    walk.device.clear();
    walk.gateway.reset();
    result_.wan.clear();
  }

  /// Of several WANs on one device, the one behind this router.
  const Wan* wanOf(const IfName& device, const std::optional<Address>& gateway) const {
    const Family family = first_.packet.destination.address.family();
    const Wan* found = nullptr;
    for (const Wan& wan : steering_.wans)
      if (wan.device == device && (found == nullptr || wan.isBehind(gateway, family))) found = &wan;
    return found;
  }

  /// For a source of this host's own that belongs to another device.
  std::optional<Address> rightSource() const {
    const Walk& walk = result_.walk;
    const NftTable& table = state_.nft->table;
    const auto right = table.sources.find({walk.device, first_.packet.destination.address.family()});
    const bool concerned = first_.packet.inputDevice.empty() && walk.source && right != table.sources.end() &&
                           config_.numbers.trafficMarks().matches(walk.mark) && table.wans.contains(walk.device);
    if (!concerned || table.addresses.contains({walk.device, *walk.source}) || !table.bound.contains(*walk.source))
      return std::nullopt;
    return right->second;
  }

  std::string reason() const {
    const Packet& packet = first_.packet;
    switch (result_.reason) {
      case TrafficReason::noRules:
        if (isBySource()) return "by WAN " + result_.wan + ", which its source belongs to";
        return "there are no rules for any traffic: left alone";
      case TrafficReason::noRoute:
        return "this host has no other route for it, so its rules are not consulted";
      case TrafficReason::namedMark:
        return "mark " + hex(packet.mark.value) + " belongs to another program's rule: left alone";
      case TrafficReason::wireGuard:
        return "WireGuard's own packet: rules do not apply";
      case TrafficReason::arrived:
        return "arrived on WAN " + result_.wan + ": answered over it";
      case TrafficReason::byWan:
        return "arrived on " + packet.inputDevice + ", a WAN that cannot be used now: left alone";
      case TrafficReason::forUsOrMany:
        return routing_.isLocal(packet) ? "to this host: left alone" : "broadcast or multicast: left alone";
      case TrafficReason::housekeeping:
        return "DHCP: left alone";
      case TrafficReason::ownChoice:
        return "its mark or source address already decides: rules are not consulted";
      case TrafficReason::noRule:
        if (isBySource()) return "no rule matches: by WAN " + result_.wan + ", which its source belongs to";
        return "no rule matches: left alone";
      case TrafficReason::rule:
        break;
    }
    return {};
  }

  std::string why() const {
    if (result_.reason != TrafficReason::rule) return reason();
    const auto rule = std::ranges::find(config_.rules, result_.rule, &RuleConfig::name);
    if (rule == config_.rules.end()) return "rule " + result_.rule;
    const std::string name = "rule " + result_.rule;
    if (rule->use == RuleUse::main) return name + " says main: left alone";
    if (found_.outcome == Outcome::local) return name + " matches, but it is for this host";
    if (result_.inside)
      return name + " matches, but " + found_.route->destination.toString() + " in " + tableOf(*found_.rule) +
             " is more specific: inside";
    if (found_.rule != nullptr && found_.rule->protocol != kProtocol && result_.policy.empty())
      return name + " matches, but " + describe(*found_.rule) + " comes first";
    if (rule->use == RuleUse::unreachable) return name + " refuses it: unreachable";
    if (rule->use == RuleUse::blackhole) return name + " drops it without an answer";
    return name + byPolicy();
  }

  static std::string tableOf(const Rule& rule) {
    return rule.table == kMainTable ? "main" : "table " + std::to_string(rule.table.value);
  }

  /// ", with a source of WAN b, which its provider may drop": if its source is another WAN's, and nothing treats it.
  std::string strangeSource() const {
    const auto& source = result_.walk.source;
    if (!source || source->family() == Family::v4) return {};
    const auto exit = std::ranges::find(steering_.wans, result_.wan, &Wan::name);
    const Wan* owner = wanDelegating(steering_, *source);
    if (exit == steering_.wans.end() || owner == nullptr || delegates(*exit, *source)) return {};
    return ", with a source of WAN " + owner->name + ", which its provider may drop";
  }

  /// By a rule that the source alone has chosen (`source_routing`).
  bool isBySource() const {
    return found_.rule != nullptr && found_.rule->protocol == kProtocol && found_.rule->source &&
           found_.outcome == Outcome::device && found_.rule->suppressPrefixLength < 0 &&
           std::ranges::any_of(
               routedSources(steering_), [&](const SourcePrefix& each) { return each.prefix == found_.rule->source; });
  }

  std::string byPolicy() const {
    const bool ours = found_.rule != nullptr && found_.rule->protocol == kProtocol;
    if (ours && found_.outcome == Outcome::unreachable) return " can use no WAN now: unreachable";
    const std::string named = ", policy " + result_.policy;
    if (!refused_.empty()) return named + ": " + refused_;
    if (isBySource()) return named + ": by WAN " + result_.wan + ", which its source belongs to";
    if (ours) return named + (result_.wan.empty() ? "" : ": by WAN " + result_.wan + strangeSource());
    const auto policy = std::ranges::find(steering_.policies, result_.policy, &PolicyView::name);
    const bool main = policy != steering_.policies.end() && policy->lastResort == LastResort::main;
    if (main && (found_.rule == nullptr || found_.rule->priority > config_.numbers.rulePriority))
      return " can use no WAN now: left alone, as policy " + result_.policy + " says";
    return " matches, but " + (found_.rule == nullptr ? "no ip rule does" : describe(*found_.rule) + " comes first");
  }

  const Config& config_;
  const World& world_;
  const Steering& steering_;
  const State& state_;
  Routing routing_;
  const FirstPacket given_;
  FirstPacket first_;
  std::optional<TrafficMachine> machine_;
  Lookup found_;
  std::string refused_;  ///< why, if its source was
  TrafficWalk result_;
};

}  // namespace

TrafficWalk explain(const TrafficView& view, const FirstPacket& first) { return Explanation{view, first}.run(); }

}  // namespace wgsteer
