// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/inspect.hpp"

#include <algorithm>

#include "wgsteer/core/describe.hpp"
#include "wgsteer/core/explain.hpp"

namespace wgsteer {

namespace {

class Inspector {
 public:
  Inspector(const Config& config, const World& world, const Steering& steering, const State& state)
      : config_(config), numbers_(config.numbers), world_(world), steering_(steering), state_(state) {}

  std::vector<Finding> inspect() {
    for (const Rule& rule : world_.rules) inspectRule(rule);
    inspectTables();
    for (const Wan& wan : steering_.wans) inspectWan(wan);
    if (steering_.wans.empty())
      add(Severity::problem, "no WAN: no device other than tunnels has a default route",
          "bring an uplink up, or name one in a [[wan]] section");
    for (const std::string& problem : steering_.problems) add(Severity::problem, problem, "see wgsteer.toml(5)");
    for (const TunnelConfig& tunnel : config_.tunnels)
      if (tunnel.enabled && !world_.tunnels.contains(tunnel.interface))
        add(Severity::advice, "tunnel " + tunnel.interface + " of the configuration is not there",
            "it is steered as soon as it is");
    for (const auto& [name, tunnel] : world_.tunnels)
      for (const Peer& peer : tunnel.peers)
        if (peer.endpoint) inspectPeer(tunnel, peer);
    return std::move(findings_);
  }

 private:
  void add(Severity severity, std::string what, std::string fix) {
    findings_.push_back({severity, std::move(what), std::move(fix)});
  }

  /// Marks that we give out: others' rules must not test these bits.
  bool inUse(std::uint32_t markBits) const {
    const auto same = [&](Slot slot) { return numbers_.mark(slot).value == markBits; };
    return std::ranges::any_of(steering_.wans, same, &Wan::slot) ||
           std::ranges::any_of(steering_.policies, [&](const PolicyView& policy) { return same(policy.target.slot); });
  }

  void inspectRule(const Rule& rule) {
    const std::uint32_t shared = rule.mark.mask & numbers_.markMask;
    const bool wholeWord = rule.mark.mask == 0xffffffff;
    // Who compares the whole word means one value; ours meets it only in those bits.
    const bool overlaps =
        shared != 0 && (wholeWord ? (rule.mark.value & shared) != 0 && inUse(rule.mark.value & shared) : true);
    const std::string text = std::string{ipCommand(rule.family)} + " rule: " + describe(rule);
    if (overlaps)
      add(Severity::conflict, "mark bits " + hex(shared) + " are used by " + text,
          "set mark_mask in [globals] to bits that nobody uses, or force = true");
    const std::uint32_t base = numbers_.rulePriority;
    if (rule.priority >= base && rule.priority < base + kRuleBlockSize)
      add(Severity::advice, "a foreign rule is inside our block of priorities: " + text,
          "set rule_priority in [globals] if it gets in the way");
    const bool catchesAll = rule.priority > 0 && rule.priority < base && rule.action == RuleAction::lookup &&
                            rule.mark.mask == 0 && !rule.source && !rule.destination && rule.inputInterface.empty() &&
                            rule.outputInterface.empty() && rule.ipProtocol == 0 && !rule.sourcePort &&
                            !rule.destinationPort && !rule.otherSelector && rule.suppressPrefixLength < 0;
    if (catchesAll)
      add(Severity::problem, "a rule for everything comes before ours: " + text,
          "set rule_priority in [globals] below " + std::to_string(rule.priority));
  }

  void inspectTables() {
    for (const Route& route : world_.routes)
      if (isOurTable(route.table))
        add(Severity::conflict, "a foreign route is in a table of ours: " + describe(route, deviceNames(world_)),
            "remove it: tables " + std::to_string(kWanTableBase) + ".. belong to wgsteer");
  }

  void inspectWan(const Wan& wan) {
    const std::string name = wan.name == wan.device ? wan.name : wan.name + " (" + wan.device + ")";
    if (wan.link == nullptr) {
      if (wan.device.empty())
        add(Severity::problem, "WAN " + wan.name + ": its interface has no device of its own now",
            "it is used as soon as netifd has one; if it never has, look at ifstatus, and for another WAN on its "
            "device");
      else if (world_.linkNamed(wan.device) != nullptr)
        add(Severity::conflict, "WAN " + name + " is a tunnel", "a WAN is a physical uplink: name its device");
      else
        add(Severity::problem, "WAN " + name + ": no such device", "it is used as soon as it is there");
      return;
    }
    if (!wan.eligible(Family::v4) && !wan.eligible(Family::v6))
      add(Severity::advice, "WAN " + name + " cannot be used now: " + wan.whyNot(Family::v4), "");
    const bool strict = std::max(wan.link->rpFilter, world_.rpFilterAll) == 1;
    const bool lenient = world_.sysctlsAll.contains(SysctlKind::srcValidMark) ||
                         wan.link->sysctls.contains(SysctlKind::srcValidMark) || config_.sysctl;
    if (strict && !lenient)
      add(Severity::problem, "strict rp_filter on " + wan.device + " drops what the tunnel's peers answer",
          "sysctl -w " + Sysctl{SysctlKind::srcValidMark, wan.device}.name() + "=1, or sysctl = true in [globals]");
    if (!config_.sysctl && !wan.link->sysctls.contains(SysctlKind::ignoreLinkdown4))
      add(Severity::advice, "without carrier, " + wan.device + " goes on being used",
          "sysctl -w " + Sysctl{SysctlKind::ignoreLinkdown4, wan.device}.name() + "=1, or sysctl = true in [globals]");
  }

  void inspectPeer(const Tunnel& tunnel, const Peer& peer) {
    const Walk walk = explain(state_, world_, outerPacket(state_, tunnel, *peer.endpoint));
    const std::string who = tunnel.name + ": " + peer.endpoint->toString();
    if (walk.outcome == Outcome::loop)
      add(Severity::problem, who + " is reached through tunnel " + walk.device + ": a loop",
          "wgsteer run; then wgsteer explain " + peer.endpoint->toString());
    if (walk.outcome == Outcome::unreachable || walk.outcome == Outcome::noRoute)
      add(Severity::problem, who + " cannot be reached: no WAN of its policy can be used now",
          "wgsteer status shows why");
  }

  const Config& config_;
  const Numbers& numbers_;
  const World& world_;
  const Steering& steering_;
  const State& state_;
  std::vector<Finding> findings_;
};

}  // namespace

std::vector<Finding> inspect(const Config& config, const World& world, const Steering& steering, const State& state) {
  return Inspector{config, world, steering, state}.inspect();
}

}  // namespace wgsteer
