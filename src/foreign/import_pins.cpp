// SPDX-License-Identifier: GPL-2.0-or-later
#include "foreign/import_pins.hpp"

#include <algorithm>
#include <ranges>
#include <set>
#include <string>

#include "foreign/mwan3_rules.hpp"

namespace wgsteer::foreign {

namespace {

bool hasHalves(const NetifdInterface& tunnel) {
  return std::ranges::any_of(tunnel.peers, [](const NetifdPeer& peer) {
    return peer.routeAllowedIps && std::ranges::any_of(peer.allowedIps, [](const std::string& prefix) {
             return prefix == "0.0.0.0/1" || prefix == "128.0.0.0/1" || prefix == "::/1" || prefix == "8000::/1";
           });
  });
}

std::vector<Pin> flowsOf(const Network& network) {
  std::vector<Pin> flows;
  for (const NetifdInterface& tunnel : network.interfaces) {
    if (!tunnel.isTunnel() || tunnel.disabled) continue;
    for (const NetifdPeer& peer : tunnel.peers)
      if (!peer.disabled) flows.push_back({.flow = {&tunnel, &peer}});
    flows.push_back({.flow = {&tunnel, nullptr}});
  }
  return flows;
}

/// "on line 3", "on lines 3 and 7"
std::string onLines(const std::set<unsigned>& lines) {
  std::string text = lines.size() == 1 ? "on line " : "on lines ";
  std::size_t left = lines.size();
  for (const unsigned line : lines) {
    text += std::to_string(line);
    if (--left > 0) text += left == 1 ? " and " : ", ";
  }
  return text;
}

class Pinner {
 public:
  Pinner(const std::vector<JudgedRule>& rules, const Mwan3& mwan3, const Network& network, config::Problems& notes)
      : rules_(rules), mwan3_(mwan3), network_(network), notes_(notes) {}

  Pins run() {
    pins_.pins = flowsOf(network_);
    for (Pin& pin : pins_.pins) pin.rule = decidingFor(pin.flow);
    for (const JudgedRule& rule : rules_) tell(rule);
    return std::move(pins_);
  }

 private:
  void note(const Mwan3Rule& rule, const std::string& what) { notes_.add(rule.line, {}, called(rule) + ": " + what); }

  Concern concern(const Mwan3Rule& rule, const Flow& flow) const { return concernOf(rule, network_, flow); }

  /// With a policy that is not defined it matches and does nothing, so that the next one decides.
  bool decides(const Mwan3Rule& rule) const { return mwan3_.knowsPolicy(rule.policy) && !namesSource(rule); }

  const Mwan3Rule* decidingFor(const Flow& flow) const;
  /// The first rule that mwan3 comes to before this one.
  const Mwan3Rule* forEverythingBefore(const Mwan3Rule& rule, const Flow& flow) const;
  void tell(const JudgedRule& judged);
  void tellOf(const JudgedRule& judged, const NetifdInterface& tunnel, const std::vector<const Pin*>& about);
  void tellWhyNot(const Mwan3Rule& rule);

  const std::vector<JudgedRule>& rules_;
  const Mwan3& mwan3_;
  const Network& network_;
  config::Problems& notes_;
  Pins pins_;
};

const Mwan3Rule* Pinner::decidingFor(const Flow& flow) const {
  const Mwan3Rule* leftOut = nullptr;
  for (const auto& [rule, installed] : rules_) {
    if (!decides(*rule) || !isAbout(concern(*rule, flow))) continue;
    if (installed) return rule;
    if (leftOut == nullptr) leftOut = rule;
  }
  return leftOut;
}

const Mwan3Rule* Pinner::forEverythingBefore(const Mwan3Rule& rule, const Flow& flow) const {
  for (const JudgedRule& each : rules_) {
    if (each.rule == &rule) break;
    if (each.installed && decides(*each.rule) && concern(*each.rule, flow) == Concern::everything) return each.rule;
  }
  return nullptr;
}

void Pinner::tell(const JudgedRule& judged) {
  const Mwan3Rule& rule = *judged.rule;
  bool isAboutAny = false;
  for (const NetifdInterface& tunnel : network_.interfaces) {
    std::vector<const Pin*> about;
    for (const Pin& pin : pins_.pins)
      if (pin.flow.tunnel == &tunnel && isAbout(concern(rule, pin.flow))) about.push_back(&pin);
    if (about.empty()) continue;
    isAboutAny = true;
    if (!namesSource(rule)) tellOf(judged, tunnel, about);
  }
  if (!isAboutAny) return tellWhyNot(rule);
  if (namesSource(rule))
    return note(rule, "has a source, so it does not concern the tunnel's own packets; not converted");
  ++pins_.rules;
}

/// `about`: what of the tunnel the rule is about.
void Pinner::tellOf(const JudgedRule& judged, const NetifdInterface& tunnel, const std::vector<const Pin*>& about) {
  const Mwan3Rule& rule = *judged.rule;
  if (hasHalves(tunnel))
    note(rule, "mwan3 never reaches this rule: " + tunnel.name +
                   "'s routes 0.0.0.0/1 and 128.0.0.0/1 count as connected networks, which take precedence");
  if (!mwan3_.knowsPolicy(rule.policy)) return;  // which judge() has said

  std::vector<const Pin*> decided;
  std::set<unsigned> others;
  for (const Pin* pin : about) {
    if (pin->rule == &rule)
      decided.push_back(pin);
    else if (pin->rule != nullptr)
      others.insert(pin->rule->line);
  }
  if (decided.empty() && judged.installed)
    return note(rule, (others.size() == 1 ? "an earlier rule, " + onLines(others) + ", already applies"
                                          : "earlier rules, " + onLines(others) + ", already apply") +
                          " to these packets of " + tunnel.name);
  if (decided.empty())
    return note(rule, "not converted: these packets of " + tunnel.name + " match " +
                          (others.size() == 1 ? "the rule " : "the rules ") + onLines(others));

  const auto earlier = [&](const Pin* pin) { return forEverythingBefore(rule, pin->flow); };
  if (judged.installed && std::ranges::all_of(decided, earlier))
    note(rule, "mwan3 never reaches this rule for " + tunnel.name + ": these packets match the one on line " +
                   std::to_string(earlier(decided.front())->line) + " before");
  std::set<std::string> hosts;
  for (const Pin* pin : decided)
    if (concern(rule, pin->flow) == Concern::guessed && hosts.insert(pin->flow.peer->endpointHost).second)
      note(rule, "is taken to be for " + pin->flow.peer->endpointHost + " of " + tunnel.name +
                     ", whose address is not known here");
}

void Pinner::tellWhyNot(const Mwan3Rule& rule) {
  if (namesSource(rule) || rule.policy.empty()) return;
  for (const NetifdInterface& tunnel : network_.interfaces) {
    if (!tunnel.isTunnel() || tunnel.disabled) continue;
    const std::string why = whyNotAbout(rule, network_, tunnel);
    if (!why.empty()) return note(rule, why + "; not converted");
  }
}

}  // namespace

const Mwan3Rule* Pins::of(const NetifdInterface& tunnel, const NetifdPeer* peer) const {
  const auto pin = std::ranges::find_if(
      pins, [&](const Pin& each) { return each.flow.tunnel == &tunnel && each.flow.peer == peer; });
  return pin == pins.end() ? nullptr : pin->rule;
}

Pins pinsOf(const std::vector<JudgedRule>& rules, const Mwan3& mwan3, const Network& network, config::Problems& notes) {
  return Pinner{rules, mwan3, network, notes}.run();
}

}  // namespace wgsteer::foreign
