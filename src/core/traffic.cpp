// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/traffic.hpp"

#include <algorithm>
#include <utility>

namespace wgsteer {

namespace {

/// Assigns marks from the quarter of the slots that is for traffic: exits first, by the number of their WAN, so that a
/// WAN that is found later moves none of those before it; then each policy with its pins.
class TrafficMarks {
 public:
  TrafficMarks(const Config& config, const World& world, Steering& steering)
      : config_(config),
        steering_(steering),
        others_(slotsOfOthers(world, config.numbers)),
        first_(config.numbers.firstTrafficSlot().value),
        end_(first_ + config.numbers.trafficSlotCount()),
        next_(first_) {}

  void run() {
    TrafficSteering& traffic = steering_.traffic.emplace();
    refusals(traffic);
    exits(traffic);
    for (const RuleConfig& rule : config_.rules) {
      TrafficRule view{.rule = &rule, .policy = {}};
      if (rule.use == RuleUse::policy) {
        view.policy = policyFor(rule, traffic);
        if (!view.policy) {
          steering_.problems.push_back("no mark left for rule " + rule.name +
                                       ": its traffic is left alone; widen mark_mask");
          continue;
        }
      }
      traffic.rules.push_back(view);
    }
  }

 private:
  /// From the end, so that they do not move when WANs or policies are added.
  void refusals(TrafficSteering& traffic) {
    const auto uses = [&](RuleUse use) {
      return std::ranges::find(config_.rules, use, &RuleConfig::use) != config_.rules.end();
    };
    if (uses(RuleUse::unreachable)) traffic.unreachable = fromEnd();
    if (uses(RuleUse::blackhole)) traffic.blackhole = fromEnd();
  }

  void exits(TrafficSteering& traffic) {
    for (std::size_t i = 0; i < steering_.wans.size(); ++i) {
      const unsigned slot = first_ + steering_.wans[i].slot.value - 1U;
      if (slot >= end_) continue;
      traffic.exits.emplace(i, Slot{static_cast<std::uint8_t>(slot)});
      next_ = std::max(next_, slot + 1);
    }
  }

  /// nullopt: there are not enough marks.
  std::optional<std::size_t> policyFor(const RuleConfig& rule, TrafficSteering& traffic) {
    const auto named = std::ranges::find_if(
        steering_.policies, [&](const PolicyView& view) { return view.name == rule.policy && !view.server; });
    if (named == steering_.policies.end()) return std::nullopt;
    const auto policy = static_cast<std::size_t>(named - steering_.policies.begin());
    for (std::size_t i = 0; !rule.sticky && i < traffic.policies.size(); ++i)
      if (traffic.policies[i].policy == policy && !traffic.policies[i].sticky) return i;
    if (end_ - next_ < 1 + named->members.size()) return std::nullopt;
    TrafficPolicy view{.policy = policy, .chosen = next(), .pins = {}, .sticky = {}};
    if (rule.sticky) view.sticky = rule.timeout;
    for (const MemberView& member : named->members) view.pins.emplace(member.wan, next());
    traffic.policies.push_back(std::move(view));
    return traffic.policies.size() - 1;
  }

  Slot next() {
    while (next_ + 1 < end_ && others_.contains(Slot{static_cast<std::uint8_t>(next_)})) ++next_;
    return Slot{static_cast<std::uint8_t>(next_++)};
  }
  Slot fromEnd() { return Slot{static_cast<std::uint8_t>(--end_)}; }

  const Config& config_;
  Steering& steering_;
  std::set<Slot> others_;
  unsigned first_;
  unsigned end_;
  unsigned next_;
};

/// One of ours that no table identifies, or that looks up a table of others: stamped.
Rule blank(Family family, std::uint32_t priority, RuleAction action = RuleAction::lookup) {
  Rule rule;
  rule.family = family;
  rule.priority = priority;
  rule.action = action;
  rule.suppressGroup = kStampGroup;
  rule.otherSelector = true;
  rule.protocol = kProtocol;
  return rule;
}

class TrafficRules {
 public:
  TrafficRules(const TrafficState& of, Family family, std::set<Rule>& rules)
      : config_(of.config),
        steering_(of.steering),
        base_(config_.numbers.rulePriority),
        family_(family),
        rules_(rules) {}

  void add(bool localBehind) {
    gate();
    if (localBehind) lookup(kTrafficLocalOffset, kLocalTable, -1);
    lookup(kTrafficMainOffset, kMainTable, 1);
    for (const TableId table : config_.insideTables) lookup(kTrafficInsideOffset, table, 1);
    past();
    marks();
    rules_.insert(blank(family_, base_ + kTrafficClosingOffset, RuleAction::unreachable));
    rules_.insert(blank(family_, base_ + kTrafficEndOffset, RuleAction::nop));
  }

 private:
  void gate() {
    Rule rule = toEnd(kTrafficOffset);
    rule.invert = true;
    rule.mark = config_.numbers.trafficMarks();
    rules_.insert(std::move(rule));
  }

  Rule toEnd(std::uint32_t offset) const {
    Rule rule = blank(family_, base_ + offset, RuleAction::goto_);
    rule.gotoPriority = base_ + kTrafficEndOffset;
    return rule;
  }

  void lookup(std::uint32_t offset, TableId table, std::int32_t suppressed) {
    Rule rule = blank(family_, base_ + offset);
    rule.table = table;
    rule.suppressPrefixLength = suppressed;
    rules_.insert(std::move(rule));
  }

  /// A packet that came in by a WAN and goes neither to this host nor inside is in transit, and one of a socket that is
  /// bound to a WAN is to leave by it: neither is our concern. `oif` matches only what is bound.
  void past() {
    for (const Wan& wan : steering_.wans) {
      if (wan.device.empty() || wan.secondary) continue;
      Rule in = toEnd(kTrafficPastOffset);
      in.inputInterface = wan.device;
      rules_.insert(std::move(in));
      Rule out = toEnd(kTrafficPastOffset);
      out.outputInterface = wan.device;
      rules_.insert(std::move(out));
    }
  }

  void mark(Slot slot, TableId table) {
    Rule rule = blank(family_, base_ + kTrafficMarkOffset);
    rule.suppressGroup = -1;
    rule.otherSelector = false;
    rule.mark = config_.numbers.mark(slot);
    rule.table = table;
    rules_.insert(std::move(rule));
  }

  void refuse(std::optional<Slot> slot, RuleAction action) {
    if (!slot) return;
    Rule rule = blank(family_, base_ + kTrafficMarkOffset, action);
    rule.mark = config_.numbers.mark(*slot);
    rules_.insert(std::move(rule));
  }

  void marks() {
    const TrafficSteering& traffic = *steering_.traffic;
    for (const auto& [wan, slot] : traffic.exits) mark(slot, config_.numbers.wanTable(steering_.wans[wan].slot));
    for (const TrafficPolicy& used : traffic.policies) {
      const PolicyView& policy = steering_.policies[used.policy];
      mark(used.chosen, policy.target.table);
      if (policy.lastResort != LastResort::main) continue;
      Rule rule = toEnd(kTrafficLastResortOffset);
      rule.mark = config_.numbers.mark(used.chosen);
      rules_.insert(std::move(rule));
    }
    refuse(traffic.unreachable, RuleAction::unreachable);
    refuse(traffic.blackhole, RuleAction::blackhole);
  }

  const Config& config_;
  const Steering& steering_;
  std::uint32_t base_;
  Family family_;
  std::set<Rule>& rules_;
};

/// Whether connections of the policy that left by this WAN still go there. Where no exit can be used they stay: probes
/// may be wrong, and there is nothing better.
bool stays(const Steering& steering, const PolicyView& policy, std::size_t wan, Family family, bool moves) {
  const auto has = [&](const std::vector<const MemberView*>& members) {
    return std::ranges::find(members, wan, [](const MemberView* member) { return member->wan; }) != members.end();
  };
  const auto able = candidates(steering, policy, family);
  if (able.empty()) return true;
  return moves ? has(preferredCandidates(steering, policy, family)) : has(able);
}

bool namesOurBits(const Rule& rule, std::uint32_t mask) {
  return rule.mark.mask == 0xffffffff && (rule.mark.value & ~mask) != 0;
}

}  // namespace

void steerTraffic(const Config& config, const World& world, Steering& steering) {
  if (config.rules.empty() || steering.policies.empty()) return;
  TrafficMarks{config, world, steering}.run();
}

void addTrafficRules(const TrafficState& of, Family family, bool localBehind, std::set<Rule>& rules) {
  TrafficRules{of, family, rules}.add(localBehind);
}

void addTrafficMembers(const TrafficState& of, NftTable& table) {
  const Steering& steering = of.steering;
  const Numbers& numbers = of.config.numbers;
  const TrafficSteering& traffic = *steering.traffic;
  for (const Family family : steering.families) {
    for (const auto& [wan, exit] : traffic.exits) {
      const Wan& view = steering.wans[wan];
      // What came in is answered the same way as long as it exists: there is no other.
      table.pinned.emplace(std::pair{family, numbers.markOf(exit)}, exit);
      if (!view.device.empty() && !view.secondary && view.eligible(family))
        table.arrivals.emplace(std::pair{family, view.device}, exit);
    }
    for (const TrafficPolicy& used : traffic.policies)
      for (const auto& [wan, pin] : used.pins) {
        const PolicyView& policy = steering.policies[used.policy];
        const auto exit = traffic.exits.find(wan);
        const bool moves = policy.failback == Failback::move || steering.wans[wan].metered;
        if (exit != traffic.exits.end() && stays(steering, policy, wan, family, moves))
          table.pinned.emplace(std::pair{family, numbers.markOf(pin)}, exit->second);
      }
  }
  for (const Rule& rule : of.world.rules)
    if (namesOurBits(rule, numbers.markMask)) table.namedMarks.insert(Mark{rule.mark.value});
  table.namedMarks.insert(table.foreignMarks.begin(), table.foreignMarks.end());
}

}  // namespace wgsteer
