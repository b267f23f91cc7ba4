// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/traffic.hpp"

#include <algorithm>
#include <utility>

#include "wgsteer/core/describe.hpp"

#include "core/foreign_rules.hpp"
#include "core/source_routing.hpp"
#include "core/traffic_foreign.hpp"

namespace wgsteer {

namespace {

// Of the names of marks.
const std::string kPolicyWord = "policy ";
const std::string kByWord = " by ";

/// Assigns marks from the quarter of the slots that is for traffic. Whatever had a mark before keeps it, and a mark
/// that had another meaning is given out only when there is no other: connections may still carry it.
class TrafficMarks {
 public:
  TrafficMarks(const Config& config, const World& world, Steering& steering)
      : config_(config), steering_(steering), former_(world.adopted.trafficSlots) {
    const unsigned first = config.numbers.firstTrafficSlot().value;
    const unsigned end = first + config.numbers.trafficSlotCount() - kRefusals;
    std::set<Slot> used;
    for (const auto& [name, slot] : former_) used.insert(slot);
    const std::set<Slot> others = slotsOfOthers(world, config.numbers);
    std::vector<Slot> again;
    for (unsigned number = first; number < end; ++number) {
      const Slot slot{static_cast<std::uint8_t>(number)};
      if (!others.contains(slot)) (used.contains(slot) ? again : free_).push_back(slot);
    }
    free_.insert(free_.end(), again.begin(), again.end());
  }

  void run() {
    TrafficSteering& traffic = steering_.traffic.emplace();
    for (std::size_t i = 0; i < steering_.wans.size(); ++i)
      if (const auto slot = slotOf("exit " + steering_.wans[i].name)) traffic.exits.emplace(i, *slot);
    for (const RuleConfig& rule : config_.rules) {
      TrafficRule view{.rule = &rule, .policy = {}};
      if (giveMark(rule, view, traffic))
        traffic.rules.push_back(view);
      else
        steering_.problems.push_back("no mark left for rule " + rule.name +
                                     ": its traffic is left alone; widen mark_mask");
    }
    for (const auto& [name, slot] : former_) keep(name, slot, traffic);
    traffic.slots = std::move(given_);
    treatForeignSources(config_, steering_);
  }

 private:
  bool giveMark(const RuleConfig& rule, TrafficRule& view, TrafficSteering& traffic) {
    switch (rule.use) {
      case RuleUse::policy:
        view.policy = policyFor(rule, traffic);
        return view.policy.has_value();
      case RuleUse::unreachable:
        traffic.unreachable = fromEnd(1);
        break;
      case RuleUse::blackhole:
        traffic.blackhole = fromEnd(kRefusals);
        break;
      case RuleUse::main:
        break;
    }
    return true;
  }

  /// nullopt: there are not enough marks.
  std::optional<std::size_t> policyFor(const RuleConfig& rule, TrafficSteering& traffic) {
    const auto named = std::ranges::find_if(
        steering_.policies, [&](const PolicyView& view) { return view.name == rule.policy && !view.server; });
    if (named == steering_.policies.end()) return std::nullopt;
    const auto policy = static_cast<std::size_t>(named - steering_.policies.begin());
    for (std::size_t i = 0; !rule.sticky && i < traffic.policies.size(); ++i)
      if (traffic.policies[i].policy == policy && !traffic.policies[i].sticky) return i;
    const std::string name = kPolicyWord + rule.policy + (rule.sticky ? " of rule " + rule.name : "");
    TrafficPolicy view{.policy = policy, .chosen = {}, .pins = {}, .sticky = {}, .chooses = rule.sticky};
    if (rule.sticky) view.sticky = rule.timeout;
    view.chooses |= firstGroup(*named).size() > 1;
    const auto chosen = slotOf(name);
    if (!chosen) return std::nullopt;
    view.chosen = *chosen;
    for (const MemberView& member : named->members) {
      const auto pin = slotOf(name + kByWord + steering_.wans[member.wan].name);
      if (!pin) return std::nullopt;
      view.pins.emplace(member.wan, *pin);
    }
    traffic.policies.push_back(std::move(view));
    return traffic.policies.size() - 1;
  }

  /// The last ones always refuse.
  Slot fromEnd(unsigned place) const {
    const Numbers& numbers = config_.numbers;
    return Slot{static_cast<std::uint8_t>(numbers.firstTrafficSlot().value + numbers.trafficSlotCount() - place)};
  }

  std::optional<Slot> slotOf(const std::string& name) {
    if (const auto known = given_.find(name); known != given_.end()) return known->second;
    auto slot = free_.begin();
    if (const auto before = former_.find(name); before != former_.end())
      slot = std::ranges::find(free_, before->second);
    if (slot == free_.end()) slot = free_.begin();
    if (slot == free_.end()) return std::nullopt;
    const Slot given = *slot;
    free_.erase(slot);
    given_.emplace(name, given);
    return given;
  }

  /// What is not configured any more keeps its mark as long as there are others to give out: connections carry it, and
  /// those that left by a WAN that still exists go on by it.
  void keep(const std::string& name, Slot slot, TrafficSteering& traffic) {
    const auto place = std::ranges::find(free_, slot);
    if (given_.contains(name) || place == free_.end()) return;
    free_.erase(place);
    given_.emplace(name, slot);
    std::optional<std::size_t> wan;
    for (std::size_t i = 0; i < steering_.wans.size(); ++i)
      if (name.starts_with(kPolicyWord) && name.ends_with(kByWord + steering_.wans[i].name)) wan = i;
    traffic.former.emplace(slot, wan);
  }

  static constexpr unsigned kRefusals = 2;

  const Config& config_;
  Steering& steering_;
  const std::map<std::string, Slot>& former_;
  std::vector<Slot> free_;  ///< in the order in which they are given out
  std::map<std::string, Slot> given_;
};

/// Nothing tells by which router of two on one device a packet came in.
bool isAloneOnItsDevice(const Steering& steering, const Wan& wan) {
  return std::ranges::count(steering.wans, wan.device, &Wan::device) == 1;
}

}  // namespace

std::set<IfName> uplinks(const World& world, const Steering& steering, Family family) {
  std::set<IfName> found;
  for (const Wan& wan : steering.wans)
    if (!wan.device.empty()) found.insert(wan.device);
  for (const Route& route : world.routes) {
    if (route.family() != family || route.destination.length() > 1 || isOurTable(route.table)) continue;
    for (const NextHop& hop : route.hops)
      if (const Link* link = world.link(hop.device); link != nullptr && !link->loopback) found.insert(link->name);
  }
  return found;
}

namespace {

class TrafficRules {
 public:
  TrafficRules(const TrafficState& of, Family family, std::set<Rule>& rules)
      : config_(of.config),
        world_(of.world),
        steering_(of.steering),
        base_(config_.numbers.rulePriority),
        family_(family),
        rules_(rules) {}

  void add(bool localBehind) {
    gate();
    if (localBehind) lookup(kTrafficLocalOffset, kLocalTable, -1);
    foreign();
    lookup(kTrafficMainOffset, kMainTable, 1);
    for (const TableId table : config_.insideTables) lookup(kTrafficInsideOffset, table, 1);
    offloaded();
    past();
    sources();
    marks();
    rules_.insert(stampedRule(family_, base_ + kTrafficClosingOffset, RuleAction::unreachable));
    rules_.insert(stampedRule(family_, base_ + kTrafficEndOffset, RuleAction::nop));
  }

 private:
  void gate() {
    Rule rule = toEnd(kTrafficOffset);
    rule.invert = true;
    rule.mark = config_.numbers.trafficMarks();
    rules_.insert(std::move(rule));
  }

  Rule toEnd(std::uint32_t offset) const {
    Rule rule = stampedRule(family_, base_ + offset, RuleAction::goto_);
    rule.gotoPriority = base_ + kTrafficEndOffset;
    return rule;
  }

  void lookup(std::uint32_t offset, TableId table, std::int32_t suppressed) {
    Rule rule = stampedRule(family_, base_ + offset);
    rule.table = table;
    rule.suppressPrefixLength = suppressed;
    rules_.insert(std::move(rule));
  }

  void foreign() {
    std::vector<Rule> copies;
    for (const Rule& copy : steering_.traffic->foreign)
      if (copy.family == family_ && copy.outputInterface.empty()) copies.push_back(copy);
    const ForeignPlace place{
        .first = base_ + kTrafficForeignOffset, .steps = kTrafficForeignSteps, .end = base_ + kTrafficMainOffset};
    for (Rule& rule : placed(copies, place)) rules_.insert(std::move(rule));
  }

  /// To put a connection into a flowtable, the kernel (6.1 and later) looks up its way out with the WAN's device and
  /// the mark of an answer that came in by it. By main, IPv6 would take the best WAN of all instead.
  void offloaded() {
    for (const auto& [wan, exit] : steering_.traffic->exits) {
      const Wan& view = steering_.wans[wan];
      if (view.device.empty()) continue;
      Rule rule = marked(exit, config_.numbers.wanTable(view.slot), kTrafficInsideOffset);
      rule.outputInterface = view.device;
      if (isAloneOnItsDevice(steering_, view)) rule.mark = config_.numbers.trafficMarks();
      rules_.insert(std::move(rule));
    }
  }

  /// A packet that came in by a WAN and goes neither to this host nor inside is in transit, and one of a socket that is
  /// bound to an uplink is to leave by it: neither is our concern. `oif` matches only what is bound.
  void past() {
    for (const Wan& wan : steering_.wans) {
      if (wan.device.empty() || wan.secondary) continue;
      Rule in = toEnd(kTrafficPastOffset);
      in.inputInterface = wan.device;
      rules_.insert(std::move(in));
    }
    for (const IfName& device : uplinks(world_, steering_, family_)) {
      Rule out = toEnd(kTrafficPastOffset);
      out.outputInterface = device;
      rules_.insert(std::move(out));
    }
    for (const Prefix& network : steering_.traffic->thrown) {
      if (network.family() != family_) continue;
      Rule rule = toEnd(kTrafficPastOffset);
      rule.destination = network;
      stampBySelectors(rule);
      rules_.insert(std::move(rule));
    }
  }

  /// A source that only one WAN lets out chooses that WAN, of those that its policy has. Where the policy refuses or
  /// has not got it, that comes first.
  void sources() {
    for (const SourcePrefix& each : routedSources(steering_))
      for (const TrafficPolicy& used : steering_.traffic->policies) {
        if (family_ != Family::v6 || !used.pins.contains(each.wan)) continue;
        for (const Slot mark : routedMarks(used)) source(each, mark);
      }
  }

  void source(const SourcePrefix& from, Slot mark) {
    Rule rule = stampedRule(family_, base_ + kTrafficSourceOffset);
    rule.mark = config_.numbers.mark(mark);
    rule.source = from.prefix;
    rule.table = config_.numbers.wanTable(steering_.wans[from.wan].slot);
    stampBySelectors(rule);
    rules_.insert(std::move(rule));
  }

  void lastResort(Slot slot, const PolicyView& policy) {
    if (policy.lastResort != LastResort::main) return;
    Rule rule = toEnd(kTrafficLastResortOffset);
    rule.mark = config_.numbers.mark(slot);
    rules_.insert(std::move(rule));
  }

  Rule marked(Slot slot, TableId table, std::uint32_t offset) const {
    Rule rule = stampedRule(family_, base_ + offset);
    rule.suppressGroup = -1;
    rule.otherSelector = false;
    rule.mark = config_.numbers.mark(slot);
    rule.table = table;
    return rule;
  }

  void mark(Slot slot, TableId table, std::uint32_t offset = kTrafficMarkOffset) {
    rules_.insert(marked(slot, table, offset));
  }

  void refuse(std::optional<Slot> slot, RuleAction action) {
    if (!slot) return;
    Rule rule = stampedRule(family_, base_ + kTrafficMarkOffset, action);
    rule.mark = config_.numbers.mark(*slot);
    rules_.insert(std::move(rule));
  }

  void marks() {
    const TrafficSteering& traffic = *steering_.traffic;
    for (const auto& [wan, slot] : traffic.exits) mark(slot, config_.numbers.wanTable(steering_.wans[wan].slot));
    for (const TrafficPolicy& used : traffic.policies) {
      const PolicyView& policy = steering_.policies[used.policy];
      mark(used.chosen, policy.target.table);
      lastResort(used.chosen, policy);
      for (const auto& [wan, pin] : used.pins) {
        if (!used.chooses) break;
        mark(pin, config_.numbers.memberTable(pin));
        mark(pin, policy.target.table, kTrafficOtherwiseOffset);
        lastResort(pin, policy);
      }
    }
    refuse(traffic.unreachable, RuleAction::unreachable);
    refuse(traffic.blackhole, RuleAction::blackhole);
  }

  const Config& config_;
  const World& world_;
  const Steering& steering_;
  std::uint32_t base_;
  Family family_;
  std::set<Rule>& rules_;
};

bool has(const std::vector<const MemberView*>& members, std::size_t wan) {
  return std::ranges::find(members, wan, [](const MemberView* member) { return member->wan; }) != members.end();
}

/// Whether a mark that names the WAN leads there now: only if it is one of the policy's best.
bool isPreferred(const Steering& steering, const PolicyView& policy, std::size_t wan, Family family) {
  return has(preferredCandidates(steering, policy, family), wan);
}

/// Whether connections leave the WAN for a better one at once.
bool moves(const Steering& steering, const PolicyView& policy, std::size_t wan) {
  return policy.failback == Failback::move || steering.wans[wan].metered;
}

/// Whether connections of the policy that left by this WAN still go there. Where no exit can be used they stay: probes
/// may be wrong, and there is nothing better.
bool stays(const Steering& steering, const PolicyView& policy, std::size_t wan, Family family) {
  const auto able = candidates(steering, policy, family);
  if (able.empty()) return true;
  return moves(steering, policy, wan) ? isPreferred(steering, policy, wan, family) : has(able, wan);
}

void noteForeignRules(const Config& config, const World& world, Steering& steering) {
  ForeignCopies copies = foreignRulesForTraffic(world, config.numbers, steering.wans);
  if (copies.leftOut)
    steering.problems.push_back(
        "too many rules of other programs lead elsewhere than to a WAN: for packets of rules, " +
        ipRule(*copies.leftOut) + " and those after it have no effect; delete those that nothing needs");
  for (const Rule& rule : copies.unrepeated)
    steering.notes.push_back(
        ipRule(rule) +
        " has no effect on packets of rules for any traffic: it depends on more than can be repeated "
        "for them (an inversion, a user, TOS or the like)");
  for (const Rule& copy : copies.rules)
    if (copy.action != RuleAction::goto_ && copy.table != kMainTable)
      steering.notes.push_back(ipRule(copy) + " comes before rules for any traffic: it does not lead to a WAN");
  steering.traffic->foreign = std::move(copies.rules);
}

/// What main leaves to the rules behind it is inside as well.
void noteThrown(const World& world, Steering& steering) {
  constexpr std::size_t kAtMost = 64;
  for (const Family family : kFamilies)
    for (const Route& route : routesFrom(world.routes, kMainTable, Prefix::any(family))) {
      if (route.table != kMainTable) break;
      if (route.family() != family || route.type != RouteType::throw_ || route.destination.length() <= 1) continue;
      if (steering.traffic->thrown.size() == kAtMost) {
        steering.problems.push_back("main has more than " + std::to_string(kAtMost) +
                                    " routes of type throw: rules decide about " + route.destination.toString() +
                                    " and those after it; delete those that nothing needs");
        return;
      }
      steering.traffic->thrown.push_back(route.destination);
    }
}

bool namesOurBits(const Rule& rule, std::uint32_t mask) {
  return rule.mark.mask == 0xffffffff && (rule.mark.value & ~mask) != 0;
}

}  // namespace

void steerTraffic(const Config& config, const World& world, Steering& steering) {
  if (config.rules.empty() || steering.policies.empty()) {
    if (config.rules.empty() && !world.adopted.trafficSlots.empty())
      steering.notes.push_back("there are no rules for any traffic any more: their connections follow the main table");
    return;
  }
  TrafficMarks{config, world, steering}.run();
  noteForeignRules(config, world, steering);
  noteThrown(world, steering);
}

void stampBySelectors(Rule& rule) {
  constexpr std::uint64_t kLowerHalf = 0xffff;
  std::string text;
  if (rule.source) text += "from " + rule.source->toString();
  if (rule.destination) text += "to " + rule.destination->toString();
  rule.suppressGroup = kStampGroup;
  if (!text.empty()) rule.suppressGroup += static_cast<std::int64_t>(fingerprintOf(text) & kLowerHalf);
  rule.otherSelector = true;
  rule.protocol = kProtocol;
}

Rule stampedRule(Family family, std::uint32_t priority, RuleAction action) {
  Rule rule;
  rule.family = family;
  rule.priority = priority;
  rule.action = action;
  stampBySelectors(rule);
  return rule;
}

void addTrafficRules(const TrafficState& of, Family family, bool localBehind, std::set<Rule>& rules) {
  TrafficRules{of, family, rules}.add(localBehind);
}

void addMemberTables(const TrafficState& of, Family family, Tables& tables) {
  for (const TrafficPolicy& used : of.steering.traffic->policies)
    for (const auto& [wan, pin] : used.pins)
      if (used.chooses && isPreferred(of.steering, of.steering.policies[used.policy], wan, family))
        tables.addMemberTable(of.steering.wans[wan], family, of.config.numbers.memberTable(pin));
}

std::vector<const MemberView*> firstGroup(const PolicyView& policy) {
  std::vector<const MemberView*> group;
  for (const MemberView& member : policy.members) {
    const auto metric = [](const MemberView& of) { return of.metric.at(Family::v4); };
    if (!group.empty() && metric(member) < metric(*group.front())) group.clear();
    if (group.empty() || metric(member) == metric(*group.front())) group.push_back(&member);
  }
  return group;
}

std::vector<Slot> routedMarks(const TrafficPolicy& used) {
  std::vector<Slot> marks{used.chosen};
  if (used.chooses)
    for (const auto& [wan, pin] : used.pins) marks.push_back(pin);
  return marks;
}

namespace {

/// Whether every packet of a connection may be judged by the policy's mark, as only its first one was until now. What
/// is decided by the source might have been decided otherwise when the connection began.
bool judgesAlike(const Steering& steering, const TrafficPolicy& used, Family family) {
  if (family == Family::v4) return true;
  return steering.policies[used.policy].foreignSource == ForeignSource::none &&
         std::ranges::none_of(routedSources(steering),
                              [&](const SourcePrefix& source) { return used.pins.contains(source.wan); });
}

/// By the policy's mark where that leads to this exit alone, and could lead to another.
PinnedWay wayOf(const Steering& steering, const TrafficPolicy& used, std::size_t wan, Family family) {
  const PolicyView& policy = steering.policies[used.policy];
  const auto best = preferredCandidates(steering, policy, family);
  const bool leadsThere = has(best, wan) && (used.chooses || best.size() == 1);
  if (leadsThere && used.pins.size() > 1 && isAloneOnItsDevice(steering, steering.wans[wan]) &&
      judgesAlike(steering, used, family))
    return {.mark = used.chooses ? used.pins.at(wan) : used.chosen, .exit = false};
  return {.mark = steering.traffic->exits.at(wan)};
}

/// Not one that never has this family, as far as can be seen.
bool isDead(const Wan& wan, Family family) { return !wan.eligible(family) && wan.lack(family) != Lack::route; }

void addResets(const TrafficState& of, Family family, NftTable& table) {
  const Steering& steering = of.steering;
  for (const TrafficPolicy& used : steering.traffic->policies) {
    const PolicyView& policy = steering.policies[used.policy];
    const auto dead = [&](const MemberView& member) { return isDead(steering.wans[member.wan], family); };
    // Without another exit connections are kept: the probes may be wrong.
    if (!policy.reset || candidates(steering, policy, family).empty() || std::ranges::none_of(policy.members, dead))
      continue;
    for (const Slot mark : routedMarks(used)) table.resetting.emplace(family, of.config.numbers.markOf(mark));
  }
}

}  // namespace

void addTrafficMembers(const TrafficState& of, NftTable& table) {
  const Steering& steering = of.steering;
  const Numbers& numbers = of.config.numbers;
  const TrafficSteering& traffic = *steering.traffic;
  for (const Family family : steering.families) {
    for (const auto& [wan, exit] : traffic.exits) {
      const Wan& view = steering.wans[wan];
      // What came in is answered the same way as long as it exists: there is no other.
      table.pinned.emplace(std::pair{family, numbers.markOf(exit)}, PinnedWay{exit});
      if (!view.device.empty() && isAloneOnItsDevice(steering, view) && view.eligible(family))
        table.arrivals.emplace(std::pair{family, view.device}, exit);
    }
    for (const TrafficPolicy& used : traffic.policies)
      for (const auto& [wan, pin] : used.pins) {
        const PolicyView& policy = steering.policies[used.policy];
        const auto exit = traffic.exits.find(wan);
        if (exit != traffic.exits.end() && stays(steering, policy, wan, family))
          table.pinned.emplace(std::pair{family, numbers.markOf(pin)}, wayOf(steering, used, wan, family));
      }
    for (const auto& [slot, wan] : traffic.former) {
      const auto exit = wan ? traffic.exits.find(*wan) : traffic.exits.end();
      if (exit != traffic.exits.end() && steering.wans[*wan].eligible(family))
        table.pinned.emplace(std::pair{family, numbers.markOf(slot)}, PinnedWay{exit->second});
    }
    addResets(of, family, table);
  }
  addExitPrefixes(of.world, steering, table);
  for (const Rule& rule : of.world.rules)
    if (namesOurBits(rule, numbers.markMask)) table.namedMarks.insert(Mark{rule.mark.value});
  table.namedMarks.insert(table.foreignMarks.begin(), table.foreignMarks.end());
}

std::vector<PinnedExit> pinnedExits(const Steering& steering) {
  std::vector<PinnedExit> all;
  if (!steering.traffic) return all;
  for (const TrafficPolicy& used : steering.traffic->policies)
    for (const auto& [wan, pin] : used.pins) all.push_back({.pin = pin, .wan = wan, .policy = used.policy});
  for (const auto& [slot, wan] : steering.traffic->former)
    if (wan) all.push_back({.pin = slot, .wan = *wan, .policy = {}});
  return all;
}

std::map<Mark, Translations> translationsOf(const Steering& steering, const World& world, const Numbers& numbers,
                                            const std::map<ExitName, std::optional<Address>>& exits) {
  std::map<Mark, Translations> known;
  for (const PinnedExit& pinned : pinnedExits(steering))
    for (const Family family : kFamilies) {
      const Wan& exit = steering.wans[pinned.wan];
      const auto former = exits.find({exit.name, family});
      if (former == exits.end() || exit.link == nullptr) continue;
      Translations& translations = known[numbers.markOf(pinned.pin)];
      if (former->second) translations.wrong.insert(*former->second);
      if (const auto source = exit.source.find(family); source != exit.source.end())
        translations.right.insert(source->second);
      for (const Wan& wan : steering.wans) {
        if (wan.link == nullptr) continue;
        std::set<Address>& addresses = wan.link->index == exit.link->index ? translations.right : translations.wrong;
        for (const InterfaceAddress& own : world.addressesOf(wan.link->index))
          if (own.address.family() == family && !own.address.isLinkLocal()) addresses.insert(own.address);
      }
    }
  return known;
}

std::vector<SpareExit> spareExits(const Config& config, const Steering& steering) {
  std::vector<SpareExit> spares;
  if (!steering.traffic) return spares;
  for (const Family family : steering.families)
    for (const TrafficPolicy& used : steering.traffic->policies)
      for (const auto& [wan, pin] : used.pins) {
        const PolicyView& policy = steering.policies[used.policy];
        if (moves(steering, policy, wan) || isPreferred(steering, policy, wan, family)) continue;
        if (!has(candidates(steering, policy, family), wan)) continue;
        SpareExit spare{.family = family, .mark = config.numbers.mark(pin), .drainAfter = {}};
        if (policy.failback == Failback::drain) spare.drainAfter = policy.drainAfter;
        spares.push_back(spare);
      }
  return spares;
}

}  // namespace wgsteer
