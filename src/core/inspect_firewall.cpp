// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/inspect_firewall.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "wgsteer/core/explain.hpp"
#include "wgsteer/core/numbers.hpp"
#include "wgsteer/core/uapi_folders.hpp"

#include "core/firewall_trials.hpp"
#include "core/firewall_walk.hpp"
#include "core/inspect_marks.hpp"

namespace wgsteer {

namespace {

using namespace firewall;

enum class Trouble : std::uint8_t { rerouted, unmarked, strictFilter, byMark, byRoute, dropped };

/// One effect of one rule, whichever packets it affects.
struct Reason {
  Trouble trouble = Trouble::dropped;
  Place place;
  bool probe = false;
  bool operator==(const Reason&) const = default;
};

struct Told {
  Reason reason;
  Finding finding;
};

constexpr bool isIncoming(Purpose purpose) { return purpose == Purpose::answer || purpose == Purpose::arrival; }
constexpr bool isProbe(Purpose purpose) { return purpose == Purpose::probe || purpose == Purpose::mayProbe; }

std::string insertion(const Place& place, const std::string& what) {
  return "nft insert rule " + nameOf(*place.chain) + " " + place.chain->name + " " + what;
}

bool leadsTo(const Route& route, IfIndex device) {
  return std::ranges::find(route.hops, device, &NextHop::device) != route.hops.end();
}

/// Answers whether the reverse lookup of a filter finds the device on which the packet came in.
class Routes {
 public:
  Routes(const World& world, const State& state) : world_(world), state_(state) {}

  std::optional<bool> operator()(const RouteQuestion& question, const Sample& sample) const {
    const Walk walk = explain(
        state_, world_, Packet{.destination = {question.target, 0}, .mark = question.mark, .source = question.other});
    if (walk.outcome == Outcome::noRoute || walk.outcome == Outcome::unreachable) return false;
    if (walk.outcome == Outcome::local || !walk.route) return std::nullopt;
    if (!question.load.byInput) return true;
    if (leadsTo(*walk.route, sample.deviceIndex)) return true;
    return question.load.prefersInput && std::ranges::any_of(world_.routes, [&](const Route& other) {
             return other.table == walk.route->table && other.destination == walk.route->destination &&
                    leadsTo(other, sample.deviceIndex);
           });
  }

 private:
  const World& world_;
  const State& state_;
};

class FirewallInspector {
 public:
  FirewallInspector(const Firewall& firewall, const Config& config, const World& world, const State& state,
                    bool oursFirst)
      : numbers_(config.numbers),
        world_(world),
        routes_(world, state),
        walker_(
            firewall, [this](const auto& question, const Sample& sample) { return ask(question, sample); }, oursFirst) {
  }

  std::vector<Told> inspect(const std::vector<Trial>& trials) {
    for (const Trial& trial : trials)
      if (isIncoming(trial.purpose))
        tryIncoming(trial);
      else
        tryOutgoing(trial);
    return std::move(told_);
  }

 private:
  std::optional<bool> ask(const RouteQuestion& question, const Sample& sample) {
    if (allRoutesLeadBack_) return true;
    const auto answer = routes_(question, sample);
    if (answer == false) refused_ = question.load;
    return answer;
  }

  /// False: dropped.
  bool sendOut(const Trial& trial, std::span<const OwnStamp> ours) {
    if (!walker_.pass(HookPoint::output, ours)) return false;
    walker_.inspectMark();
    if (!walker_.pass(HookPoint::postrouting, {}, Walker::kFirst, kSentChainPriority)) return false;
    if (!isProbe(trial.purpose)) walker_.inspectMark();
    return walker_.pass(HookPoint::postrouting, {}, kSentChainPriority);
  }
  bool takeIn(std::span<const OwnStamp> ours) {
    if (!walker_.pass(HookPoint::prerouting, ours)) return false;
    walker_.inspectMark();
    return walker_.pass(HookPoint::input, {});
  }

  void tryOutgoing(const Trial& trial) {
    walker_.begin(trial.sample);
    (void)sendOut(trial, trial.ours);
    for (const Happening& one : std::vector<Happening>{walker_.happened()}) {
      if (one.kind == Happening::Kind::rerouted) tellRerouted(trial, one.place);
      if (one.kind == Happening::Kind::lost) tellUnmarked(trial, one.place);
      if (one.kind != Happening::Kind::dropped && one.kind != Happening::Kind::rejected) continue;
      // Would the same happen to a packet with another mark?
      walker_.begin(trial.sample, 0);
      tellDropped(trial, one, sendOut(trial, {}));
    }
  }

  void tryIncoming(const Trial& trial) {
    refused_.reset();
    walker_.begin(trial.sample);
    (void)takeIn(trial.ours);
    for (const Happening& one : std::vector<Happening>{walker_.happened()}) {
      if (one.kind == Happening::Kind::lost) tellStrictFilter(trial, one.place);
      if (one.kind != Happening::Kind::dropped && one.kind != Happening::Kind::rejected) continue;
      const auto refused = refused_;
      if (refused && passesIfRoutesLeadBack(trial)) {
        tellByRoute(trial, one.place, *refused);
        continue;
      }
      walker_.begin(trial.sample, ~trial.sample.expected.mask);
      tellDropped(trial, one, takeIn({}));
    }
  }

  bool passesIfRoutesLeadBack(const Trial& trial) {
    allRoutesLeadBack_ = true;
    walker_.begin(trial.sample);
    const bool passes = takeIn(trial.ours);
    allRoutesLeadBack_ = false;
    return passes;
  }

  void tellRerouted(const Trial& trial, const Place& place) {
    tell({Trouble::rerouted, place}, Severity::problem,
         describe(place) + " changes the mark of " + trial.what + ": they are rerouted by the new mark",
         leaveAlone(trial.sample.expected, place));
  }

  void tellUnmarked(const Trial& trial, const Place& place) {
    tell({Trouble::unmarked, place}, Severity::advice,
         describe(place) + " changes the mark of " + trial.what +
             ": they are routed correctly, but not dropped if they would enter a tunnel, and their handshakes are not "
             "counted",
         leaveAlone(trial.sample.expected, place));
  }

  void tellStrictFilter(const Trial& trial, const Place& place) {
    const Sample& sample = trial.sample;
    const Link* link = world_.link(sample.deviceIndex);
    const bool strict = link != nullptr && std::max(link->rpFilter, world_.rpFilterAll) == 1;
    if (!strict || sample.family != Family::v4 || !sample.source) return;
    const RouteQuestion unmarked{
        .load = {.ofSource = true, .byInput = true}, .target = *sample.source, .other = sample.destination, .mark = {}};
    if (routes_(unmarked, sample) != false) return;
    tell({Trouble::strictFilter, place}, Severity::problem,
         describe(place) + " changes the mark of " + trial.what + ": the strict rp_filter of " + sample.device +
             " drops them",
         leaveAlone(sample.expected, place));
  }

  void tellByRoute(const Trial& trial, const Place& place, const LoadRoute& load) {
    const bool early = load.withMark && place.base->hook->priority <= kEarlyChainPriority;
    const std::string fix =
        load.withMark
            ? (early ? "give its chain a priority above " + std::to_string(kEarlyChainPriority) +
                           ", where wgsteer sets the mark, or make the filter loose"
                     : "the routes for wgsteer's marks are missing, see wgsteer plan; or make the filter loose")
            : "include the mark in the lookup (nft: fib saddr . mark . iif; iptables: --validmark), or make the filter "
              "loose (nft: without iif; iptables: --loose)";
    tell({Trouble::byRoute, place}, Severity::problem,
         describe(place) + " drops " + trial.what + ": this reverse path filter looks up the return path " +
             (load.withMark ? (early ? "before wgsteer sets the mark" : "with the mark") : "without the mark") +
             " and finds another device",
         fix);
  }

  void tellDropped(const Trial& trial, const Happening& one, bool passesWithOtherMark) {
    const std::string does = one.kind == Happening::Kind::rejected ? " rejects " : " drops ";
    const std::uint32_t mark = isIncoming(trial.purpose) ? trial.sample.expected.value : trial.sample.mark.value;
    if (passesWithOtherMark && mark != 0) {
      const std::string bits = hex(numbers_.markMask);
      tell({Trouble::byMark, one.place, isProbe(trial.purpose)},
           trial.purpose == Purpose::mayProbe ? Severity::advice : Severity::problem,
           describe(one.place) + does + trial.what + ", because of the mark " + hex(mark),
           "accept wgsteer's marks: " + insertion(one.place, "meta mark and " + bits + " != 0 accept") +
               " (iptables: -m mark ! --mark 0/" + bits +
               " -j ACCEPT); or set mark_mask in [globals] to unused bits if that rule is meant for these");
    } else if (trial.purpose != Purpose::mayProbe) {
      tell({Trouble::dropped, one.place, isProbe(trial.purpose)}, Severity::advice,
           describe(one.place) + does + trial.what, "accept these packets earlier");
    }
  }

  static std::string leaveAlone(MarkMatch expected, const Place& place) {
    const std::string others = hex(~expected.mask);
    std::string fix = "make it keep the mark " + expected.toString() + ": ";
    if (expected.mask == 0xffffffff) return fix + "return or accept packets with that mark earlier";
    fix += "meta mark set meta mark and " + hex(expected.mask) + " or VALUE (iptables: --set-xmark VALUE/" + others +
           ", --restore-mark --nfmask " + others + " --ctmask " + others + ")";
    if (place.base->hook->point == HookPoint::output && place.base->hook->priority > kMangleChainPriority)
      fix += "; or give its chain a priority below " + std::to_string(kMangleChainPriority);
    return fix;
  }

  void tell(const Reason& reason, Severity severity, std::string what, std::string fix) {
    const auto known = std::ranges::find(told_, reason, &Told::reason);
    if (known == told_.end())
      told_.push_back({reason, {severity, std::move(what), std::move(fix)}});
    else if (severity < known->finding.severity)
      known->finding = {severity, std::move(what), std::move(fix)};
  }

  const Numbers& numbers_;
  const World& world_;
  Routes routes_;
  Walker walker_;
  bool allRoutesLeadBack_ = false;
  std::optional<LoadRoute> refused_;
  std::vector<Told> told_;
};

bool sharesOurPriority(const Chain& chain) {
  if (!chain.hook) return false;
  const std::int32_t priority = chain.hook->priority;
  return priority == kEarlyChainPriority || priority == kOutputChainPriority || priority == kMangleChainPriority;
}

void inspectLegacy(const Firewall& firewall, std::vector<Finding>& findings) {
  if (firewall.legacyTables.empty()) return;
  std::string tables;
  bool v4 = false;
  bool v6 = false;
  for (const auto& [family, table] : firewall.legacyTables) {
    tables += (tables.empty() ? "" : ", ") + nameOf(family, table);
    (family == TableFamily::ip6 ? v6 : v4) = true;
  }
  const std::string commands =
      std::string{v4 ? "iptables-legacy-save" : ""} + (v4 && v6 ? " and " : "") + (v6 ? "ip6tables-legacy-save" : "");
  findings.push_back(
      {Severity::advice, "cannot read tables of legacy iptables: " + tables,
       "look in the output of " + commands + " for rules that set, restore or test marks, and for -m rpfilter"});
}

/// A connection that has been deleted because its exit died is taken out of a flowtable by its next packet, and out of
/// a network card by the kernel's collector (nf_flow_offload_gc_step), which runs once a second.
void inspectHardware(const Firewall& firewall, const Config& config, std::vector<Finding>& findings) {
  if (config.rules.empty()) return;
  for (const std::string& flowtable : firewall.hardwareFlowtables)
    findings.push_back(
        {Severity::advice,
         "table " + flowtable +
             ": network cards forward its connections, which may use a WAN that is up but dead for about "
             "two seconds longer than others",
         "nothing, or turn off offloading to hardware, not to software (OpenWrt: flow_offloading_hw in "
         "/etc/config/firewall)"});
}

}  // namespace

std::vector<Finding> inspectFirewall(const Firewall& firewall, const Config& config, const World& world,
                                     const Steering& steering, const State& state) {
  const auto all = trials(config, world, steering, state);
  const auto found = [&](bool oursFirst) {
    return FirewallInspector{firewall, config, world, state, oursFirst}.inspect(all);
  };
  std::vector<Told> told = found(true);
  if (std::ranges::any_of(firewall.chains, sharesOurPriority)) {
    std::vector<Told> theirsFirst = found(false);
    const auto inBoth = [](const Told& one, const std::vector<Told>& others) {
      return std::ranges::find(others, one.reason, &Told::reason) != others.end();
    };
    const auto weaken = [](Told& one, const std::string& side) {
      one.finding.severity = Severity::advice;
      one.finding.what +=
          "; only if it runs " + side + " wgsteer's chain of the same priority, which depends on what was loaded last";
    };
    for (Told& one : told)
      if (!inBoth(one, theirsFirst)) weaken(one, "after");
    for (Told& one : theirsFirst) {
      if (inBoth(one, told)) continue;
      weaken(one, "before");
      told.push_back(std::move(one));
    }
  }
  std::vector<Finding> findings;
  for (Told& one : told) findings.push_back(std::move(one.finding));
  std::ranges::move(inspectMarks(firewall, config, steering, state), std::back_inserter(findings));
  inspectLegacy(firewall, findings);
  inspectHardware(firewall, config, findings);
  return findings;
}

bool asksRoutes(const Firewall& firewall, const World& world) {
  const auto asks = [](const firewall::Rule& rule) {
    return std::ranges::any_of(rule.steps, [](const Step& step) { return std::holds_alternative<LoadRoute>(step); });
  };
  const bool strict = world.rpFilterAll == 1 ||
                      std::ranges::any_of(world.links, [](const auto& entry) { return entry.second.rpFilter == 1; });
  return std::ranges::any_of(firewall.chains,
                             [&](const Chain& chain) { return strict || std::ranges::any_of(chain.rules, asks); });
}

namespace {

std::string folders() {
  std::string text;
  for (const char* folder : kUapiFolders) text += (text.empty() ? "" : " or ") + std::string{folder};
  return text;
}

}  // namespace

std::vector<Finding> inspectUnknownTunnels(const World& world, const Steering& steering) {
  std::vector<Finding> findings;
  for (const auto& [index, link] : world.links) {
    const bool hasDefault = std::ranges::any_of(world.routes, [&, own = index](const Route& route) {
      const bool wide = route.destination.length() <= 1 && route.type == RouteType::unicast;
      return wide && leadsTo(route, own);
    });
    const bool known = world.tunnels.contains(link.name) || world.tunnelTroubles.contains(link.name) ||
                       std::ranges::find(steering.wans, link.name, &Wan::device) != steering.wans.end();
    if (link.kind != "tun" || !link.pointToPoint || !hasDefault || known) continue;
    findings.push_back({Severity::advice, link.name + " is a TUN device with a default route but no WireGuard socket",
                        "if it is userspace WireGuard, make sure that its socket is in " + folders() +
                            " and that wgsteer may open it; tunnels of other kinds are left alone"});
  }
  return findings;
}

}  // namespace wgsteer
