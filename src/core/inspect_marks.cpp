// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/inspect_marks.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "core/firewall_walk.hpp"

namespace wgsteer {

namespace {

using namespace firewall;

/// What follows for packets or connections if a rule has overwritten our bits.
enum class Harm : std::uint8_t { forgotten, arrival, unheld, unanswered, misrouted, unnoted, claimed };

/// What our bits of a mark may be at some point for all to go right.
struct Right {
  std::vector<std::uint32_t> values;
  bool traffic = false;  ///< or any of the marks of traffic
  bool none = false;     ///< or none at all, in all of its bits
};

/// A packet of a connection, as our chains see and mark it. Values are those of our bits.
struct Passage {
  std::uint32_t state = kNew;
  bool arrived = false;          ///< its connection came in by a WAN; otherwise a rule has matched
  std::uint32_t connection = 0;  ///< the mark of its connection when it comes to us
  std::uint32_t packet = 0;      ///< the mark that we give it
  std::uint32_t noted = 0;       ///< the mark of its connection once it has passed our first chain
  std::uint32_t left = 0;        ///< and once it has passed the last
  bool isFirst() const { return state == kNew; }
  bool isNotedLate() const { return noted != left; }
  bool isRefused() const { return left == 0; }
};

/// What the hooks may do with both marks, and what follows otherwise. Without one of them, nothing depends on it.
struct Stage {
  HookPoint point = HookPoint::prerouting;
  std::int32_t first = Walker::kFirst;
  std::int32_t end = Walker::kLast;
  std::optional<Right> connection = {};
  std::optional<Right> packet = {};
  Harm harm = Harm::misrouted;  ///< by the packet's mark
};

struct Told {
  const firewall::Rule* rule = nullptr;
  bool ofConnection = false;
  Finding finding;
};

/// The marks of one policy and one exit, which stand for all.
struct Examples {
  std::optional<std::uint32_t> chosen;
  std::optional<std::uint32_t> pin;
  std::optional<std::uint32_t> exit;  ///< of the pin, if there is one
};

/// Whether connections with this mark are on the best exit of their policy, as most are.
bool isUsual(const NftTable& table, Mark pin) {
  return std::ranges::any_of(kFamilies, [&](Family family) {
    const auto way = table.pinned.find({family, pin});
    return way != table.pinned.end() && !way->second.exit;
  });
}

Examples examplesFrom(const TrafficSteering& traffic, const Numbers& numbers, const NftTable& table) {
  Examples examples;
  const auto valueOf = [&](Slot slot) { return numbers.mark(slot).value; };
  if (!traffic.exits.empty()) examples.exit = valueOf(traffic.exits.begin()->second);
  for (const TrafficPolicy& policy : traffic.policies)
    for (const auto& [wan, pin] : policy.pins) {
      const auto exit = traffic.exits.find(wan);
      const bool better = !examples.pin || (isUsual(table, numbers.markOf(pin)) && !isUsual(table, {*examples.pin}));
      if (better && exit != traffic.exits.end())
        examples = {.chosen = valueOf(policy.chosen), .pin = valueOf(pin), .exit = valueOf(exit->second)};
    }
  for (const auto& refusing : {traffic.unreachable, traffic.blackhole})
    if (!examples.chosen && refusing) examples.chosen = valueOf(*refusing);
  return examples;
}

/// How to write what the rule writes so that it keeps our bits.
class Remedy {
 public:
  Remedy(const MarkStore& store, std::uint32_t ours) : store_(store), ours_(ours) {}

  std::string text() const {
    if (store_.fromOther != 0) return copied();
    const std::uint32_t written = ~store_.kept;
    if (store_.after.isKnown(written)) return constant(written);
    return "make it keep the bits " + hex(ours_) + ": in nft, begin it with " + own() + " and " + hex(ours_) +
           " == 0; in iptables, give it a mask within " + hex(~ours_);
  }

 private:
  std::string own() const { return store_.ofConnection ? "ct mark" : "meta mark"; }

  std::string constant(std::uint32_t written) const {
    const std::uint32_t value = store_.after.value & written & ~ours_;
    return keep() + own() + " set " + own() + " and " + hex(~written | ours_) +
           (value == 0 ? "" : " or " + hex(value)) + " (iptables: " + (store_.ofConnection ? "CONNMARK" : "MARK") +
           " --set-xmark " + hex(value) + "/" + hex(written & ~ours_) + ")";
  }
  /// nft(8) combines two marks in one statement only from Linux 6.13 on, so a rule that keeps anything is iptables'.
  std::string copied() const {
    const std::string from = hex(store_.fromOther & ~ours_);
    const std::string to = hex(~store_.kept & ~ours_);
    const std::string xtables = store_.ofConnection ? "CONNMARK --save-mark --nfmask " + from + " --ctmask " + to
                                                    : "CONNMARK --restore-mark --nfmask " + to + " --ctmask " + from;
    if (store_.kept != 0) return keep() + xtables;
    return keep() + own() + " and " + hex(ours_) + " == 0 " + own() + " set " +
           (store_.ofConnection ? "meta mark" : "ct mark") + " and " + from + " (iptables: " + xtables + ")";
  }
  std::string keep() const { return "make it keep the bits " + hex(ours_) + ": "; }

  const MarkStore& store_;
  std::uint32_t ours_;
};

std::string consequenceOf(Harm harm) {
  switch (harm) {
    case Harm::forgotten:
      return "connections of rules leave by the main table from then on, and may break off";
    case Harm::arrival:
      return "connections of rules are mistaken for ones that arrived on their WAN, and stay on it when it fails";
    case Harm::unheld:
      return "connections of rules go wherever their policy leads, whatever its failback, and may break off";
    case Harm::unanswered:
      return "connections that arrived on a WAN may be answered over another";
    case Harm::misrouted:
      return "packets do not go where rules and their connections say";
    case Harm::unnoted:
      return "the WAN of a connection is not recorded, so from its second packet on it follows the main table, and may "
             "break off";
    case Harm::claimed:
      break;
  }
  return "rules leave such packets alone";
}

class MarkInspector {
 public:
  MarkInspector(const Firewall& firewall, const Config& config, const Steering& steering, const State& state)
      : config_(config),
        traffic_(config.numbers.trafficMarks()),
        ours_(config.numbers.markMask),
        steering_(steering),
        examples_(examplesFrom(*steering.traffic, config.numbers, state.nft->table)),
        state_(state),
        walker_(firewall, [](const auto&, const Sample&) { return std::optional<bool>{}; }, true) {}

  std::vector<Finding> inspect() {
    const auto forwards = [](const RuleConfig& rule) { return rule.origin != Origin::local; };
    for (const Family family : steering_.families) {
      family_ = family;
      if (std::ranges::any_of(config_.rules, forwards)) tryForwarded();
      tryArrived();
      if (state_.nft && state_.nft->layout.traffic.program->asksForLocal.contains(family)) tryOwn();
    }
    std::vector<Finding> findings;
    for (Told& one : told_) findings.push_back(std::move(one.finding));
    return findings;
  }

 private:
  Passage firstOfRule() const {
    return {.state = kNew, .packet = *examples_.chosen, .left = examples_.pin.value_or(0)};
  }
  Passage laterOfRule() const {
    const std::uint32_t pin = *examples_.pin;
    return {.state = kEstablished, .connection = pin, .packet = markOfPinned(pin), .noted = pin, .left = pin};
  }
  /// Of its packets.
  std::uint32_t markOfPinned(std::uint32_t pin) const {
    const auto& pinned = state_.nft->table.pinned;
    const auto way = pinned.find({family_, Mark{pin}});
    return way == pinned.end() ? *examples_.exit : config_.numbers.mark(way->second.mark).value;
  }
  Passage arrival(std::uint32_t state) const {
    const std::uint32_t exit = *examples_.exit;
    return {.state = state,
            .arrived = true,
            .connection = state == kNew ? 0 : exit,
            .packet = exit,
            .noted = exit,
            .left = exit};
  }

  void tryForwarded() {
    if (examples_.chosen) passThrough(firstOfRule());
    if (examples_.pin) passThrough(laterOfRule());
  }
  void tryArrived() {
    if (!examples_.exit) return;
    for (const std::uint32_t state : {kNew, kEstablished}) {
      passThrough(arrival(state));
      if (!answersBySource(arrival(state))) comeIn(arrival(state));
    }
    goOut(arrival(kEstablished));
  }
  void tryOwn() {
    if (examples_.chosen) goOut(firstOfRule());
    if (!examples_.pin) return;
    goOut(laterOfRule());
    comeIn(laterOfRule());
  }

  /// Other bits may come from a socket, a bridge or tc(8).
  void begin(const Passage& passage) {
    walker_.begin({.family = family_, .device = {}, .connectionState = passage.state, .anyTraffic = true}, ours_);
    walker_.stampConnection({passage.connection, ours_});
  }

  /// Up to where a route is chosen.
  bool arrive(const Passage& passage) {
    begin(passage);
    // Whatever mark a pinned connection's packets bring along, they get that of its exit.
    const bool asks = passage.isFirst() && !passage.arrived;
    Stage before{
        .point = HookPoint::prerouting, .end = kTrafficChainPriority, .connection = Right{{passage.connection}}};
    if (asks) before.packet = Right{.values = {0}, .traffic = true};
    before.harm = Harm::claimed;
    if (!pass(passage, before)) return false;
    mark(passage);
    return pass(passage, {.point = HookPoint::prerouting,
                          .first = kTrafficChainPriority,
                          .connection = notedRight(passage),
                          .packet = Right{{passage.packet}}});
  }
  void passThrough(const Passage& passage) {
    if (!arrive(passage) || passage.isRefused()) return;
    if (pass(passage, untilNoted(passage, HookPoint::forward))) leave(passage);
  }
  void comeIn(const Passage& passage) {
    if (arrive(passage)) (void)pass(passage, {.point = HookPoint::input, .connection = notedRight(passage)});
  }
  void goOut(const Passage& passage) {
    begin(passage);
    Stage before{.point = HookPoint::output, .end = kTrafficChainPriority, .connection = notedBefore(passage)};
    // Packets that have one of ours already are taken for WireGuard's.
    before.packet = passage.isFirst() ? Right{{0}} : Right{{0, passage.packet}};
    before.harm = passage.isFirst() ? Harm::claimed : Harm::misrouted;
    if (!pass(passage, before)) return;
    mark(passage);
    Stage after = untilNoted(passage, HookPoint::output);
    after.first = kTrafficChainPriority;
    if (passage.isRefused()) after.connection.reset();
    if (answersBySource(passage)) after.connection.reset();
    if (pass(passage, after) && !answersBySource(passage) && !passage.isRefused()) leave(passage);
  }
  void leave(const Passage& passage) {
    Stage before = untilNoted(passage, HookPoint::postrouting);
    before.end = kLeavingChainPriority + 1;
    if (!pass(passage, before)) return;
    if (passage.isNotedLate()) walker_.stampConnection({passage.left, ours_});
    (void)pass(passage, {.point = HookPoint::postrouting, .first = before.end, .connection = Right{{passage.left}}});
  }

  void mark(const Passage& passage) {
    walker_.stampMark({passage.packet, ours_});
    if (passage.arrived) walker_.stampConnection({passage.noted, ours_});
  }
  /// Without a mark, this host's answers go by the address that they are from, where ip rules say so.
  bool answersBySource(const Passage& passage) const {
    const std::uint32_t priority = config_.numbers.rulePriority + kLocalSourceOffset;
    return passage.arrived && std::ranges::any_of(state_.rules, [&](const wgsteer::Rule& rule) {
             return rule.family == family_ && rule.priority == priority;
           });
  }
  std::optional<Right> notedBefore(const Passage& passage) const {
    if (answersBySource(passage)) return std::nullopt;
    return Right{{passage.connection}};
  }
  /// Our last chain takes the packet's mark for none (pin_N): others save it.
  Right notedRight(const Passage& passage) const {
    if (passage.isNotedLate()) return {{passage.noted, passage.packet}};
    return {{passage.noted}};
  }
  Stage untilNoted(const Passage& passage, HookPoint point) const {
    Stage stage{.point = point, .connection = notedRight(passage)};
    stage.harm = Harm::unnoted;
    if (passage.isNotedLate()) stage.packet = Right{{passage.packet}};
    return stage;
  }

  /// False: the packet was dropped.
  bool pass(const Passage& passage, const Stage& stage) {
    const bool passes = walker_.pass(stage.point, {}, stage.first, stage.end);
    for (const Written& written : walker_.takeWritten()) judge(passage, stage, written);
    return passes;
  }

  void judge(const Passage& passage, const Stage& stage, const Written& written) {
    const MarkStore& store = written.store;
    if (store.ofConnection) {
      if (stage.connection && !isRight(store, *stage.connection)) tell(harmTo(passage, store), written);
      return;
    }
    // By a changed mark, a chain of type route makes the kernel route the packet again.
    const bool routes = stage.point == HookPoint::output && written.place.base->hook->routes;
    const Right rerouted{.values = {passage.packet}, .none = answersBySource(passage)};
    const Right* right = stage.packet ? &*stage.packet : routes ? &rerouted : nullptr;
    if (right == nullptr || isRight(store, *right)) return;
    const Harm harm = routes && stage.harm == Harm::unnoted ? Harm::misrouted : stage.harm;
    // It is meant to go where another program's ip rule says.
    if (harm == Harm::misrouted && isNamed(store.after)) return;
    tell(harm, written);
  }

  Harm harmTo(const Passage& passage, const MarkStore& store) const {
    if (passage.arrived) return Harm::unanswered;
    const std::uint32_t bits = store.after.value & ours_;
    if (!store.after.isKnown(ours_) || bits != passage.packet) return Harm::forgotten;
    return bits == examples_.exit ? Harm::arrival : Harm::unheld;
  }

  bool isRight(const MarkStore& store, const Right& right) const {
    if ((store.kept & ours_) == ours_) return true;
    if (!store.after.isKnown(ours_ & store.fromOther)) return false;
    if (right.none && store.after == PartialMark{}) return true;
    // An unknown number that is no mark (of a generator, a hash, a field of the packet) is taken for a small one.
    const std::uint32_t bits = store.after.value & store.after.known & ours_;
    return std::ranges::find(right.values, bits) != right.values.end() || (right.traffic && traffic_.matches({bits}));
  }
  bool isNamed(PartialMark mark) const {
    return mark.isKnown(0xffffffff) && state_.nft && state_.nft->table.namedMarks.contains({mark.value});
  }

  /// Certainly for such a packet: not if other rules may have changed what it saves or restores.
  bool isCertain(const Written& written) const {
    const MarkStore& store = written.store;
    const bool unknown = !store.after.isKnown(ours_) && (store.fromOther & ours_) != 0;
    return written.reached && store.match == Match::yes && !unknown;
  }

  static bool sharesOurPriority(const Place& place, Harm harm) {
    const auto [point, priority] = std::pair{place.base->hook->point, place.base->hook->priority};
    if (harm == Harm::unnoted && point == HookPoint::postrouting) return priority == kLeavingChainPriority;
    const bool ours = point == HookPoint::prerouting || point == HookPoint::output;
    return ours && (harm == Harm::misrouted || harm == Harm::unnoted) && priority == kTrafficChainPriority;
  }

  void tell(Harm harm, const Written& written) {
    const bool either = sharesOurPriority(written.place, harm);
    const Severity severity = isCertain(written) && !either ? Severity::problem : Severity::advice;
    const bool ofConnection = written.store.ofConnection;
    std::string what = describe(written.place) + " overwrites wgsteer's bits " + hex(ours_) +
                       (ofConnection ? " of the connection's mark: " : " of the packet's mark: ") + consequenceOf(harm);
    if (either)
      what += std::string{"; only if it runs "} + (harm == Harm::misrouted ? "after" : "before") +
              " wgsteer's chain of the same priority, which depends on what was loaded last";
    Finding finding{severity, std::move(what), Remedy{written.store, ours_}.text()};
    const auto known = std::ranges::find_if(
        told_, [&](const Told& one) { return one.rule == written.place.rule && one.ofConnection == ofConnection; });
    if (known == told_.end())
      told_.push_back({written.place.rule, ofConnection, std::move(finding)});
    else if (severity < known->finding.severity)
      known->finding = std::move(finding);
  }

  const Config& config_;
  MarkMatch traffic_;
  std::uint32_t ours_;
  const Steering& steering_;
  Examples examples_;
  const State& state_;
  Walker walker_;
  Family family_ = Family::v4;
  std::vector<Told> told_;
};

}  // namespace

std::vector<Finding> inspectMarks(const Firewall& firewall, const Config& config, const Steering& steering,
                                  const State& state) {
  if (!steering.traffic || !state.nft || !state.nft->layout.traffic.program) return {};
  return MarkInspector{firewall, config, steering, state}.inspect();
}

}  // namespace wgsteer
