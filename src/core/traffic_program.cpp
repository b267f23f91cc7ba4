// SPDX-License-Identifier: GPL-2.0-or-later
// From rules to chains: what each tests, in sets with names that people recognise, and what follows.
#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "wgsteer/core/fnv.hpp"
#include "wgsteer/core/traffic.hpp"

#include "core/nft_sets.hpp"
#include "core/traffic.hpp"

namespace wgsteer {

namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes bytesOf(const Address& address) {
  const auto bytes = address.bytes();
  return {bytes.begin(), bytes.end()};
}

Bytes bytesOf(std::uint16_t port) {
  return {static_cast<std::uint8_t>(port >> 8U), static_cast<std::uint8_t>(port & 0xffU)};
}

TrafficRange rangeOf(const Prefix& prefix) {
  return {.first = bytesOf(prefix.address()), .last = bytesOf(prefix.last()), .chain = {}};
}
TrafficRange rangeOf(const PortRange& ports) {
  return {.first = bytesOf(ports.first), .last = bytesOf(ports.last), .chain = {}};
}
TrafficRange rangeOf(std::uint8_t number) { return {.first = {number}, .last = {number}, .chain = {}}; }
TrafficRange rangeOf(const IfName& device) {
  const Bytes bytes(device.begin(), device.end());
  return {.first = bytes, .last = bytes, .chain = {}};
}
TrafficRange rangeOf(const MacAddress& mac) {
  const Bytes bytes(mac.begin(), mac.end());
  return {.first = bytes, .last = bytes, .chain = {}};
}

/// The next value; empty: there is none, all bits were set.
Bytes after(Bytes value) {
  for (std::size_t i = value.size(); i-- > 0;)
    if (++value[i] != 0) return value;
  return {};
}

/// Of all others a set has single values: 6 and 7, or lan0 and lan1, are no range.
constexpr bool hasRanges(TrafficField field) {
  return field >= TrafficField::source4 && field <= TrafficField::destinationPort;
}

/// Disjoint, ascending, and ranges joined where they touch: what the kernel's interval sets take.
std::vector<TrafficRange> joined(std::vector<TrafficRange> ranges, TrafficField field) {
  std::ranges::sort(ranges);
  std::vector<TrafficRange> result;
  for (TrafficRange& range : ranges) {
    const bool touches = !result.empty() && (range.first <= result.back().last ||
                                             (hasRanges(field) && range.first == after(result.back().last)));
    if (touches)
      result.back().last = std::max(result.back().last, range.last);
    else
      result.push_back(std::move(range));
  }
  return result;
}

constexpr TrafficField source(Family family) {
  return family == Family::v4 ? TrafficField::source4 : TrafficField::source6;
}
constexpr TrafficField destination(Family family) {
  return family == Family::v4 ? TrafficField::destination4 : TrafficField::destination6;
}

std::string_view nameOf(TrafficField field) {
  switch (field) {
    case TrafficField::inputDevice:
      return "iif";
    case TrafficField::source4:
      return "src4";
    case TrafficField::source6:
      return "src6";
    case TrafficField::destination4:
      return "dest4";
    case TrafficField::destination6:
      return "dest6";
    case TrafficField::sourcePort:
      return "sport";
    case TrafficField::destinationPort:
      return "dport";
    case TrafficField::protocol:
      return "proto";
    case TrafficField::sourceMac:
      return "mac";
    case TrafficField::mark:
      break;
  }
  return "mark";
}

constexpr const char* nameOf(Balance balance) {
  switch (balance) {
    case Balance::connection:
      return "any";
    case Balance::pair:
      return "pair";
    case Balance::source:
      break;
  }
  return "source";
}

std::string ruleChainName(const RuleConfig& rule) { return std::string{kRulePrefix} + rule.name; }

/// The statements of one rule: one for all families, or one for each that its addresses are of.
class RuleCompiler {
 public:
  RuleCompiler(const RuleConfig& rule, TrafficProgram& program) : rule_(rule), program_(program) {}

  void compile() {
    TrafficMatch match;
    match.family = rule_.family;
    match.chain = ruleChainName(rule_);
    if (rule_.origin != Origin::any) match.fromHere = rule_.origin == Origin::local;
    add(match, TrafficField::inputDevice, rule_.inputDevice);
    add(match, TrafficField::sourceMac, rule_.sourceMac);
    add(match, TrafficField::protocol, rule_.protocol);
    add(match, TrafficField::sourcePort, rule_.sourcePort);
    add(match, TrafficField::destinationPort, rule_.destinationPort);
    const bool byFamily = !rule_.source.empty() || !rule_.destination.empty() || !rule_.dscp.empty();
    if (!byFamily) return program_.matches.push_back(std::move(match));
    for (const Family family : kFamilies)
      if (concerns(rule_, family)) forFamily(match, family);
  }

 private:
  void forFamily(TrafficMatch match, Family family) {
    match.family = family;
    add(match, source(family), of(rule_.source, family));
    add(match, destination(family), of(rule_.destination, family));
    if (rule_.dscp.any.empty() && rule_.dscp.none.size() <= kExclusionsAtMost) {
      match.notDscp = rule_.dscp.none;
      return program_.matches.push_back(std::move(match));
    }
    // nftables has no sets of code points that every version of nft(8) can print: one statement for each of them.
    for (const std::uint8_t point : codePoints()) {
      match.dscp = point;
      program_.matches.push_back(match);
    }
  }

  std::vector<std::uint8_t> codePoints() const {
    std::vector<std::uint8_t> points = rule_.dscp.any;
    for (std::uint8_t point = 0; rule_.dscp.any.empty() && point < kCodePoints; ++point) points.push_back(point);
    std::erase_if(
        points, [&](std::uint8_t point) { return std::ranges::find(rule_.dscp.none, point) != rule_.dscp.none.end(); });
    return points;
  }

  static Selector<Prefix> of(const Selector<Prefix>& all, Family family) {
    Selector<Prefix> part;
    const auto isOther = [&](const Prefix& prefix) { return prefix.family() != family; };
    part = all;
    std::erase_if(part.any, isOther);
    std::erase_if(part.none, isOther);
    return part;
  }

  template <class T>
  void add(TrafficMatch& match, TrafficField field, const Selector<T>& selector) {
    add(match, field, selector.any, false);
    add(match, field, selector.none, true);
  }

  template <class T>
  void add(TrafficMatch& match, TrafficField field, const std::vector<T>& values, bool inverted) {
    if (values.empty()) return;
    std::string name = ruleChainName(rule_) + (inverted ? "_not_" : "_") + std::string{nameOf(field)};
    if (std::ranges::find(program_.sets, name, &TrafficSet::name) == program_.sets.end()) {
      std::vector<TrafficRange> ranges;
      for (const T& value : values) ranges.push_back(rangeOf(value));
      program_.sets.push_back(
          {.name = name, .field = field, .map = false, .ranges = joined(std::move(ranges), field), .remembers = {}});
    }
    match.conditions.push_back({.field = field, .set = std::move(name), .inverted = inverted});
  }

  static constexpr std::uint8_t kCodePoints = 64;
  /// A statement of the kernel has at most 128 expressions (NFT_RULE_MAXEXPRS): three for each exclusion, and about
  /// forty for all other conditions together.
  static constexpr std::size_t kExclusionsAtMost = 24;

  const RuleConfig& rule_;
  TrafficProgram& program_;
};

class Compiler {
 public:
  Compiler(const Config& config, const World& world, const Steering& steering)
      : config_(config), world_(world), steering_(steering), traffic_(*steering.traffic) {}

  TrafficProgram run() {
    program_.marks = config_.numbers.trafficMarks();
    program_.slots = traffic_.slots;
    for (const auto& [wan, exit] : traffic_.exits) program_.exits.push_back(exit);
    for (const auto& [slot, wan] : traffic_.former) program_.former.push_back(slot);
    for (const TrafficRule& rule : traffic_.rules) {
      RuleCompiler{*rule.rule, program_}.compile();
      program_.verdicts.push_back(verdictOf(rule));
    }
    for (const TrafficPolicy& policy : traffic_.policies) leaving(policy);
    addLeavingMap();
    addForeignSources();
    program_.resets = std::ranges::any_of(
        traffic_.policies, [&](const TrafficPolicy& used) { return steering_.policies[used.policy].reset; });
    joinMatches(program_);
    for (const Family family : kFamilies)
      if (!canRouteLocal(config_, world_, steering_, family)) program_.asksForLocal.insert(family);
    return std::move(program_);
  }

 private:
  TrafficVerdict verdictOf(const TrafficRule& rule) const {
    TrafficVerdict verdict;
    verdict.chain = verdict.counter = ruleChainName(*rule.rule);
    switch (rule.rule->use) {
      case RuleUse::policy:
        verdict.mark = traffic_.policies[*rule.policy].chosen;
        verdict.memories = memoriesOf(rule);
        choose(traffic_.policies[*rule.policy], verdict);
        break;
      case RuleUse::unreachable:
        verdict.mark = traffic_.unreachable;
        break;
      case RuleUse::blackhole:
        verdict.mark = traffic_.blackhole;
        break;
      case RuleUse::main:
        break;
    }
    return verdict;
  }

  /// Of a sticky rule: one set of sources for each exit and family. A map from source to exit could not be changed by
  /// packets: `update` keeps the value of an element that is there.
  std::vector<TrafficMemory> memoriesOf(const TrafficRule& rule) const {
    std::vector<TrafficMemory> memories;
    const TrafficPolicy& policy = traffic_.policies[*rule.policy];
    for (const auto& [wan, pin] : policy.pins) {
      if (!policy.sticky) break;
      const std::string name = ruleChainName(*rule.rule) + "_by_" + std::to_string(pin.value) + "_";
      memories.push_back({.mark = pin, .set4 = name + "src4", .set6 = name + "src6"});
    }
    return memories;
  }

  void addMemories(const std::vector<TrafficMemory>& memories, std::chrono::seconds timeout) {
    for (const TrafficMemory& memory : memories)
      for (const auto& [name, field] :
           {std::pair{memory.set4, TrafficField::source4}, std::pair{memory.set6, TrafficField::source6}})
        program_.sets.push_back({.name = name, .field = field, .map = false, .ranges = {}, .remembers = timeout});
  }

  /// Shares of the best WANs as configured; where one of them cannot be used, the policy's table decides.
  void choose(const TrafficPolicy& policy, TrafficVerdict& verdict) const {
    const PolicyView& view = steering_.policies[policy.policy];
    const auto group = firstGroup(view);
    if (group.size() < 2) return;
    verdict.balance = view.balance;
    std::uint32_t sum = 0;
    for (const MemberView* member : group)
      verdict.choices.push_back({.mark = policy.pins.at(member->wan), .below = sum += member->weight});
  }

  void leaving(const TrafficPolicy& policy) {
    TrafficLeaving leaving{.chosen = policy.chosen,
                           .pins = {},
                           .memories = {},
                           .timeout = policy.sticky.value_or(std::chrono::seconds{0})};
    for (const auto& [wan, pin] : policy.pins) {
      const Wan& view = steering_.wans[wan];
      if (view.device.empty() || !traffic_.exits.contains(wan)) continue;
      leaving.pins.push_back({.device = view.device, .routers = routersOf(view), .pin = pin});
    }
    std::ranges::stable_partition(leaving.pins, [](const TrafficPin& pin) { return !pin.routers.empty(); });
    for (const TrafficVerdict& verdict : program_.verdicts)
      if (verdict.mark == policy.chosen) leaving.memories = verdict.memories;
    if (policy.sticky) addMemories(leaving.memories, *policy.sticky);
    for (const Slot mark : routedMarks(policy)) {
      program_.choices.push_back(mark);
      noteOnLeaving(mark, policy.chosen);
    }
    lead(savedMap_, policy.chosen, leaveChainName(policy.chosen));
    program_.leavings.push_back(std::move(leaving));
  }

  /// As configured, if the device alone does not tell the WAN from another one.
  std::vector<Address> routersOf(const Wan& wan) const {
    const auto sharing = std::ranges::count(steering_.wans, wan.device, &Wan::device);
    const auto configured = std::ranges::find(config_.wans, wan.name, &WanConfig::name);
    return sharing < 2 || configured == config_.wans.end() ? std::vector<Address>{} : configured->gateway;
  }

  void noteOnLeaving(Slot mark, Slot policy) { lead(leavingMap_, mark, leaveChainName(policy)); }

  void lead(TrafficSet& map, Slot mark, std::string chain) const {
    const std::uint32_t value = config_.numbers.mark(mark).value;
    Bytes bytes(sizeof value);
    std::memcpy(bytes.data(), &value, sizeof value);
    map.ranges.push_back({.first = bytes, .last = bytes, .chain = std::move(chain)});
  }

  /// By the mark that a rule gave, a connection is noted on its way out.
  void addLeavingMap() {
    addMap(std::move(leavingMap_));
    addMap(std::move(savedMap_));
  }

  void addMap(TrafficSet map) {
    std::ranges::sort(map.ranges);
    program_.sets.push_back(std::move(map));
  }

  static TrafficSet mapOfMarks(const char* name) {
    return {.name = name, .field = TrafficField::mark, .map = true, .ranges = {}, .remembers = {}};
  }

  void addForeignSources() {
    TrafficSet refusing = mapOfMarks(kRefusingMap);
    TrafficSet translating = mapOfMarks(kTranslatingMap);
    for (const TrafficForeignSource& of : traffic_.foreignSources) {
      const bool translates = of.treatment == ForeignSource::translate;
      for (const Slot mark : of.marks) {
        if (of.treatment != ForeignSource::masquerade)
          lead(refusing, mark, translates ? refuseChainName(of.marks.front()) : kRefuseChain);
        if (of.treatment != ForeignSource::reject)
          lead(translating, mark, translates ? translateChainName(of.marks.front()) : kMasqueradeChain);
      }
      program_.foreignSources.push_back(of);
    }
    for (TrafficSet* map : {&refusing, &translating})
      if (!map->ranges.empty()) addMap(std::move(*map));
  }

  const Config& config_;
  const World& world_;
  const Steering& steering_;
  const TrafficSteering& traffic_;
  TrafficProgram program_;
  TrafficSet leavingMap_ = mapOfMarks(kLeavingMap);
  TrafficSet savedMap_ = mapOfMarks(kSavedMap);
};

void write(std::string& text, const Bytes& bytes) { text += hexBytes(bytes); }

void write(std::string& text, const TrafficSet& set) {
  text += "set " + set.name + " " + std::string{nameOf(set.field)} + (set.map ? " map" : "");
  if (set.remembers) text += " for " + std::to_string(set.remembers->count());
  for (const TrafficRange& range : set.ranges) {
    text += " ";
    write(text, range.first);
    text += "-";
    write(text, range.last);
    text += range.chain.empty() ? "" : ":" + range.chain;
  }
  text += "\n";
}

void write(std::string& text, const TrafficMatch& match) {
  text += "match";
  if (match.family) text += std::string{" "} + keyOf(*match.family);
  if (match.fromHere) text += *match.fromHere ? " local" : " forwarded";
  if (match.dscp) text += " dscp " + std::to_string(*match.dscp);
  for (const std::uint8_t point : match.notDscp) text += " dscp !" + std::to_string(point);
  for (const TrafficCondition& condition : match.conditions) text += (condition.inverted ? " !" : " ") + condition.set;
  text += match.chain.empty() ? " map " + match.map : " goto " + match.chain;
  text += "\n";
}

void write(std::string& text, const std::vector<TrafficMemory>& memories) {
  for (const TrafficMemory& memory : memories)
    text += " " + std::to_string(memory.mark.value) + "=" + memory.set4 + "," + memory.set6;
}

void write(std::string& text, const TrafficVerdict& verdict) {
  text += verdict.chain + " " + (verdict.mark ? std::to_string(verdict.mark->value) : "main");
  write(text, verdict.memories);
  for (const TrafficChoice& choice : verdict.choices)
    text += std::string{" "} + nameOf(verdict.balance) + "<" + std::to_string(choice.below) + ":" +
            std::to_string(choice.mark.value);
  text += "\n";
}

void write(std::string& text, const TrafficForeignSource& of) {
  text += "foreign sources";
  for (const Slot mark : of.marks) text += " " + std::to_string(mark.value);
  text += of.treatment == ForeignSource::reject       ? " reject"
          : of.treatment == ForeignSource::masquerade ? " masquerade"
                                                      : " translate";
  for (const TrafficTranslation& each : of.translations)
    text += " " + each.device + ":" + each.inside.toString() + ">" + each.outside.toString();
  text += "\n";
}

}  // namespace

bool concerns(const RuleConfig& rule, Family family) {
  if (rule.family && *rule.family != family) return false;
  const auto allows = [&](const Selector<Prefix>& selector) {
    return selector.any.empty() || std::ranges::find(selector.any, family, &Prefix::family) != selector.any.end();
  };
  return allows(rule.source) && allows(rule.destination);
}

TrafficProgram trafficProgram(const Config& config, const World& world, const Steering& steering) {
  return Compiler{config, world, steering}.run();
}

std::string TrafficProgram::toString() const {
  std::string text = "marks " + marks.toString() + "\n";
  for (const auto& [name, slot] : slots) text += std::to_string(slot.value) + " " + name + "\n";
  for (const Slot exit : exits) text += "exit " + std::to_string(exit.value) + "\n";
  for (const Slot slot : former) text += "former " + std::to_string(slot.value) + "\n";
  for (const TrafficSet& set : sets) write(text, set);
  for (const TrafficMatch& match : matches) write(text, match);
  for (const TrafficVerdict& verdict : verdicts) write(text, verdict);
  for (const TrafficLeaving& leaving : leavings) {
    text += "leaving " + std::to_string(leaving.chosen.value);
    for (const TrafficPin& pin : leaving.pins) {
      text += " " + pin.device + ":" + std::to_string(pin.pin.value);
      for (const Address& router : pin.routers) text += "/" + router.toString();
    }
    write(text, leaving.memories);
    text += "\n";
  }
  for (const TrafficForeignSource& of : foreignSources) write(text, of);
  text += resets ? "resets\n" : "";
  for (const Family family : asksForLocal) text += std::string{"asks for local "} + keyOf(family) + "\n";
  return text;
}

std::uint64_t fingerprintOf(std::string_view text) {
  Fnv hash;
  hash.add(text);
  return hash.value() == 0 ? 1 : hash.value();
}

TrafficLayout layoutOf(TrafficProgram program) {
  const std::uint64_t fingerprint = fingerprintOf(program.toString());
  auto slots = program.slots;
  return {.fingerprint = fingerprint,
          .program = std::make_shared<const TrafficProgram>(std::move(program)),
          .slots = std::move(slots)};
}

}  // namespace wgsteer
