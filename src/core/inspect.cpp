// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/inspect.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>

#include "wgsteer/core/describe.hpp"
#include "wgsteer/core/explain.hpp"

#include "core/foreign_rules.hpp"
#include "core/inspect_rules.hpp"
#include "core/inspect_sources.hpp"

namespace wgsteer {

namespace {

/// One of the two rules of a full tunnel, which have no priority of their own: ours stand behind them, or jump over
/// them, wherever the kernel puts them, so there is nothing to be done.
bool looksLikeWgQuicks(const Rule& rule) {
  if (rule.action != RuleAction::lookup || rule.source || rule.destination || rule.sourcePort || rule.destinationPort ||
      rule.ipProtocol != 0 || rule.otherSelector || !rule.inputInterface.empty() || !rule.outputInterface.empty())
    return false;
  const bool toTunnel = rule.invert && rule.mark.mask == 0xffffffff && rule.table != kMainTable;
  const bool toMain = !rule.invert && rule.mark.mask == 0 && looksUpMain(rule) && rule.suppressPrefixLength == 0;
  return toTunnel || toMain;
}

class Inspector {
 public:
  Inspector(const Config& config, const Picture& picture, const Steering& steering, bool writable = true)
      : config_(config),
        numbers_(config.numbers),
        world_(picture.world),
        standing_(picture.observed),
        steering_(steering),
        writable_(writable) {}

  std::vector<Finding> conflicts() {
    for (const Rule& rule : world_.rules) inspectMarks(rule);
    inspectTables();
    for (const Wan& wan : steering_.wans) inspectKind(wan);
    std::erase_if(findings_, [](const Finding& finding) { return finding.severity != Severity::conflict; });
    return std::move(findings_);
  }

  std::vector<Finding> inspect(const State& planned) {
    for (const Rule& rule : world_.rules) inspectMarks(rule);
    inspectOrder(planned);
    inspectTables();
    for (const Wan& wan : steering_.wans) {
      inspectKind(wan);
      inspectWan(wan);
    }
    inspectSharedDevices();
    for (const std::string& note : steering_.notes) add(Severity::advice, note, "");
    if (world_.foreignTable)
      add(Severity::problem,
          "nft table inet wgsteer belongs to another program: peers with their own WANs are not steered "
          "separately, and sources are not corrected",
          "rename or delete that table");
    if (steering_.wans.empty())
      add(Severity::problem, "no WAN: only tunnels have a default route",
          "bring an uplink up, or name one in a [[wan]] section");
    // Their texts end with what helps, because status and the log have nothing else.
    for (const std::string& problem : steering_.problems) add(Severity::problem, problem, "");
    for (const TunnelConfig& tunnel : config_.tunnels)
      if (tunnel.enabled && !world_.tunnels.contains(tunnel.interface) &&
          !world_.tunnelsElsewhere.contains(tunnel.interface) && !world_.tunnelTroubles.contains(tunnel.interface))
        add(Severity::advice, "tunnel " + tunnel.interface + " is configured but does not exist",
            "it is steered as soon as it appears");
    std::ranges::move(inspectTunnels(world_), std::back_inserter(findings_));
    std::ranges::move(inspectSources(world_, steering_), std::back_inserter(findings_));
    std::ranges::move(inspectRules(config_, world_, steering_), std::back_inserter(findings_));
    for (const auto& [name, tunnel] : world_.tunnels) {
      const auto view = std::ranges::find(steering_.tunnels, &tunnel, &TunnelView::tunnel);
      for (std::size_t i = 0; i < tunnel.peers.size(); ++i) {
        // Those that are left alone are reported as notes.
        const bool alone = view != steering_.tunnels.end() && view->leftAlone.contains(i);
        if (tunnel.peers[i].endpoint && !alone) inspectPeer(planned, tunnel, *tunnel.peers[i].endpoint);
      }
    }
    return std::move(findings_);
  }

 private:
  void add(Severity severity, std::string what, std::string fix) {
    findings_.push_back({severity, std::move(what), std::move(fix)});
  }

  /// A rule that compares the whole mark means one value, and we do not assign that slot; one that compares some of our
  /// bits means many values.
  void inspectMarks(const Rule& rule) {
    const std::uint32_t shared = rule.mark.mask & numbers_.markMask;
    if (shared == 0 || rule.mark.mask == 0xffffffff) return;
    // A daemon that ran here before had them first: that it does not start again would help nobody.
    const bool known = std::ranges::any_of(
        standing_.rules, [&](const Rule& ours) { return ours.mark.mask == numbers_.markMask && !ours.invert; });
    add(known ? Severity::problem : Severity::conflict, "mark bits " + hex(shared) + " are used by " + ipRule(rule),
        "set mark_mask in [globals] to unused bits, or force = true");
  }

  void inspectOrder(const State& planned) {
    const std::uint32_t base = numbers_.rulePriority;
    for (const Rule& rule : world_.rules) {
      if (rule.priority < base || rule.priority >= base + kRuleBlockSize || looksLikeWgQuicks(rule)) continue;
      const bool catches = takesEverythingWith(rule, numbers_.markOf(Slot{1}));
      // Another rule_priority would only take along a rule that has none of its own.
      const bool follows = standsRightBeforeOurs(rule, planned);
      add(Severity::advice, "another program's rule is inside our block of priorities: " + ipRule(rule),
          catches ? std::string{"ours stand behind it, because it would catch our packets"} +
                        (follows ? "" : "; or set rule_priority in [globals]")
          : follows ? "it does not catch our packets; give it a priority of its own if it is to stay where it is"
                    : "set rule_priority in [globals] if it interferes");
    }
  }

  /// Where the kernel puts a rule without a priority: right before the first one (fib_default_rule_pref), wherever that
  /// is; several such rules stand one before the other.
  bool standsRightBeforeOurs(const Rule& rule, const State& planned) const {
    std::optional<std::uint32_t> ours;
    for (const Rule& own : planned.rules) {
      // Over such a rule: for all with our marks, or for those with a tunnel's own.
      const bool jumps = own.action == RuleAction::goto_ && (own.invert || own.mark.mask == 0xffffffff);
      if (own.family == rule.family && !jumps) ours = std::min(ours.value_or(own.priority), own.priority);
    }
    if (!ours || rule.priority >= *ours) return false;
    for (std::uint32_t priority = rule.priority + 1; priority < *ours; ++priority)
      if (std::ranges::none_of(world_.rules, [&](const Rule& other) {
            return other.family == rule.family && other.priority == priority;
          }))
        return false;
    return true;
  }

  /// A daemon that ran here before filled it: what came later must not keep the next one from starting.
  bool isInUse(TableId table) const {
    return std::ranges::any_of(standing_.rules, [&](const Rule& rule) { return rule.table == table; });
  }

  void inspectTables() {
    for (const Route& route : world_.routes)
      if (isOurTable(route.table))
        add(isInUse(route.table) ? Severity::problem : Severity::conflict,
            "another program's route is in one of our tables: " + describe(route, deviceNames(world_)),
            "delete it: tables from " + std::to_string(kWanTableBase) + " on belong to wgsteer");
  }

  static std::string nameOf(const Wan& wan) {
    return wan.name == wan.device ? wan.name : wan.name + " (" + wan.device + ")";
  }

  void inspectKind(const Wan& wan) {
    if (wan.link == nullptr && !wan.device.empty() && world_.linkNamed(wan.device) != nullptr)
      add(Severity::conflict, "WAN " + nameOf(wan) + " is a tunnel", "a WAN is a physical uplink: name its device");
  }

  void inspectSharedDevices() {
    std::map<IfName, std::string> first;
    for (const Wan& wan : steering_.wans) {
      if (wan.device.empty() || wan.secondary) continue;
      const auto [known, fresh] = first.emplace(wan.device, wan.name);
      if (!fresh)
        add(Severity::problem,
            "WANs " + known->second + " and " + wan.name + " are both on " + wan.device +
                ": they cannot be distinguished",
            "name the gateway of each");
    }
  }

  void inspectWan(const Wan& wan) {
    const std::string name = nameOf(wan);
    if (wan.link == nullptr) {
      if (wan.device.empty())
        add(Severity::problem, "WAN " + wan.name + ": its interface has no device of its own at present",
            "it is used as soon as netifd has one; if that never happens, see ifstatus, and look for another WAN on "
            "the same device");
      else if (world_.linkNamed(wan.device) == nullptr)
        add(Severity::problem, "WAN " + name + ": no such device", "it is used as soon as it appears");
      return;
    }
    inspectGateways(wan);
    for (const auto& [family, why] : wan.refused)
      add(Severity::problem,
          "WAN " + name + " is not used for " + wgsteer::nameOf(family) +
              ": the kernel rejects its default route: " + why,
          "ip route show default dev " + wan.device + " shows the route; wgsteer retries periodically");
    if (wan.deaf)
      add(Severity::problem, "WAN " + name + " is in a VRF: replies that arrive on it do not reach the tunnels",
          "sysctl -w net.ipv4.udp_l3mdev_accept=1 (for both families)");
    else if (!wan.eligible(Family::v4) && !wan.eligible(Family::v6))
      add(Severity::advice, "WAN " + name + " cannot be used at present: " + wan.whyNot(Family::v4), "");
    const bool strict = std::max(wan.link->rpFilter, world_.rpFilterAll) == 1;
    const bool set = config_.sysctl && writable_;
    const bool lenient = world_.sysctlsAll.contains(SysctlKind::srcValidMark) ||
                         wan.link->sysctls.contains(SysctlKind::srcValidMark) || set;
    const bool couldSet = strict && set && !world_.sysctlsAll.contains(SysctlKind::srcValidMark);
    if (const Rule* rule = couldSet ? delivering(world_, numbers_) : nullptr)
      add(Severity::problem,
          "strict rp_filter on " + wan.device + " drops replies from the tunnel's peers unless main's best WAN is " +
              wan.device + ", and src_valid_mark, which would let them in, would drop the packets of " + ipRule(*rule),
          "sysctl -w net.ipv4.conf." + wan.device + ".rp_filter=2");
    else if (strict && !lenient)
      add(Severity::problem,
          "strict rp_filter on " + wan.device + " drops replies from the tunnel's peers" +
              (steering_.traffic ? ", and those to what rules send by it" : ""),
          turnOn({SysctlKind::srcValidMark, wan.device}));
    if (!set && !wan.link->sysctls.contains(SysctlKind::ignoreLinkdown4))
      add(Severity::advice,
          "the kernel goes on using " + wan.device + " without a carrier: only a running daemon moves its tunnels",
          turnOn({SysctlKind::ignoreLinkdown4, wan.device}));
  }

  /// A router that was named is used without any route by it. But main's, if there are others, knows better.
  void inspectGateways(const Wan& wan) {
    const auto known = std::ranges::find(config_.wans, wan.name, &WanConfig::name);
    for (const Family family : kFamilies) {
      const auto named = known == config_.wans.end() ? std::nullopt : gatewayOf(*known, family);
      if (!named) continue;
      bool there = false;
      std::string others;
      forEachDefault(world_.routes, family, [&](const Route& route) {
        for (const NextHop& hop : route.hops) {
          if (hop.device != wan.link->index || !hop.gateway || isOurTable(route.table)) continue;
          there |= hop.gateway == named;
          if (!isNamed(*hop.gateway)) others = hop.gateway->toString();
        }
      });
      if (!there && !others.empty())
        add(Severity::advice,
            "WAN " + nameOf(wan) + ": no default route is by its gateway " + named->toString() + ", but one is by " +
                others,
            "correct gateway if the router has another address now");
    }
  }
  bool isNamed(const Address& gateway) const {
    return std::ranges::any_of(config_.wans, [&](const WanConfig& wan) {
      return std::ranges::find(wan.gateway, gateway) != wan.gateway.end();
    });
  }

  std::string turnOn(const Sysctl& sysctl) const {
    return "sysctl -w " + sysctl.name() + "=1" +
           (writable_ ? ", or sysctl = true in [globals]" : ", outside of this container: /proc/sys is read-only here");
  }

  /// Where a peer's packets go without us, and where they will go.
  void inspectPeer(const State& planned, const Tunnel& tunnel, const Endpoint& endpoint) {
    const Packet bare{.destination = endpoint,
                      .mark = isOurMark(world_, numbers_, tunnel) ? Mark{} : tunnel.fwmark,
                      .source = {},
                      .sourcePort = tunnel.listenPort};
    const Walk before = explain({}, world_, bare);
    const Walk after = explain(planned, world_, outerPacket(planned, tunnel, endpoint));
    const std::string who = tunnel.name + ": " + endpoint.toString();
    const std::string look = "wgsteer explain " + endpoint.toString() + " shows the path";
    const bool wasReached = before.outcome == Outcome::device;
    if (after.outcome == Outcome::loop || after.outcome == Outcome::dropped)
      add(Severity::problem, who + " is reached through tunnel " + after.device + ": a loop", look);
    else if (const std::string by = refusedBy(before); !by.empty() && after.outcome == Outcome::unreachable)
      add(Severity::problem, who + " cannot be reached: " + by + " refuses it, without wgsteer as well", look);
    else if (after.outcome != Outcome::device && after.outcome != Outcome::local && wasReached)
      add(Severity::problem,
          who + " is reached by " + before.device +
              " without wgsteer but not at all with it: no WAN of its policy can be used",
          "wgsteer status shows why; set last_resort = \"main\" for its policy, or name " + before.device +
              " as a [[wan]]");
    else if (after.outcome == Outcome::unreachable || after.outcome == Outcome::noRoute)
      add(Severity::problem, who + " cannot be reached: no WAN of its policy can be used at present",
          "wgsteer status shows why");
    else if (wasReached && !isWan(before.device) && !isSameHop(before, after))
      add(Severity::problem,
          who + " is reached by " + hopText(before) + " without wgsteer but by " + hopText(after) + " with it", look);
    else if (wasReached && after.device != before.device && isChosenByRule(before))
      add(Severity::advice,
          who + " is sent by " + before.device + " without wgsteer, as a rule says, but by " + after.device +
              " with it",
          "set use_wan for its [[tunnel]] or [[peer]] if it is to stay on " + before.device);
  }

  /// What another program or a person refuses; empty if nothing does.
  std::string refusedBy(const Walk& walk) const {
    if (walk.outcome != Outcome::unreachable) return {};
    return walk.route ? "route " + describe(*walk.route, deviceNames(world_)) : "rule " + walk.steps.back().text;
  }

  static bool isSameHop(const Walk& before, const Walk& after) {
    return after.outcome == Outcome::device && after.device == before.device && after.gateway == before.gateway;
  }
  static std::string hopText(const Walk& walk) {
    return walk.gateway ? walk.device + " via " + walk.gateway->toString() : walk.device;
  }
  /// By a table that only some packets are looked up in; main's order of default routes is the policy's own.
  static bool isChosenByRule(const Walk& before) {
    return before.route && before.route->table != kMainTable && before.route->table != kDefaultTable;
  }

  bool isWan(const IfName& device) const {
    return std::ranges::any_of(steering_.wans, [&](const Wan& wan) { return wan.device == device; });
  }

  const Config& config_;
  const Numbers& numbers_;
  const World& world_;
  const State& standing_;  ///< of ours, before any plan
  const Steering& steering_;
  bool writable_;  ///< sysctls
  std::vector<Finding> findings_;
};

}  // namespace

std::vector<Finding> conflicts(const Config& config, const Picture& picture, const Steering& steering) {
  return Inspector{config, picture, steering}.conflicts();
}

std::vector<Finding> inspect(const Config& config, const Picture& picture, const Steering& steering,
                             const State& planned, bool writable) {
  return Inspector{config, picture, steering, writable}.inspect(planned);
}

}  // namespace wgsteer
