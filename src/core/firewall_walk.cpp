// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/firewall_walk.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace wgsteer::firewall {

namespace {

/// The kernel refuses loops and deeper jumps; this limit is for a ruleset that changed while it was read.
constexpr unsigned kMaxDepth = 16;
/// For one packet and hook: jumps multiply.
constexpr std::size_t kMaxRules = 100'000;

bool sees(const Chain& chain, Family family) {
  switch (chain.family) {
    case TableFamily::ip:
      return family == Family::v4;
    case TableFamily::ip6:
      return family == Family::v6;
    case TableFamily::inet:
      break;
  }
  return true;
}

}  // namespace

std::string describe(const Place& place) {
  static constexpr std::array<std::string_view, 5> kHooks{"prerouting", "input", "forward", "output", "postrouting"};
  const Hook& hook = *place.base->hook;
  std::string text = "table " + nameOf(*place.chain) + ", chain " + place.chain->name + " (";
  if (place.chain != place.base) text += "from " + place.base->name + ", ";
  text += std::string{kHooks[std::to_underlying(hook.point)]} + ", priority " + std::to_string(hook.priority) + "): ";
  return text + (place.rule == nullptr ? "policy drop" : "\"" + gist(*place.rule) + "\"");
}

Walker::Walker(const Firewall& firewall, RouteOracle oracle, bool oursFirst)
    : machine_(std::move(oracle)), oursFirst_(oursFirst) {
  for (const Chain& chain : firewall.chains) {
    byName_.emplace(std::tuple{chain.family, std::string_view{chain.table}, std::string_view{chain.name}}, &chain);
    if (chain.hook) byHook_[std::to_underlying(chain.hook->point)].push_back(&chain);
  }
  for (auto& chains : byHook_)
    std::ranges::stable_sort(chains, {}, [](const Chain* chain) { return chain->hook->priority; });
}

void Walker::begin(const Sample& sample, std::uint32_t known) {
  machine_.load(sample);
  machine_.setMark({.value = sample.mark.value & known, .known = known});
  lastSetter_ = {};
  misrouted_.reset();
  happened_.clear();
  written_.clear();
}

bool Walker::pass(HookPoint point, std::span<const OwnStamp> ours, std::int32_t first, std::int32_t end) {
  rulesLeft_ = kMaxRules;
  for (const Chain* chain : byHook_[std::to_underlying(point)]) {
    const std::int32_t priority = chain->hook->priority;
    if (priority < first) continue;
    if (priority >= end) break;
    while (!ours.empty() && (ours.front().priority < priority || (oursFirst_ && ours.front().priority == priority))) {
      apply(ours.front());
      ours = ours.subspan(1);
    }
    if (!sees(*chain, machine_.sample().family)) continue;
    if (chain->hook->translates && machine_.sample().connectionState != kNew) continue;
    machine_.enter(point, priority);
    passBase(*chain);
    if (isGone()) return false;
  }
  for (const OwnStamp& own : ours)
    if (own.priority < end) apply(own);
  return true;
}

void Walker::passBase(const Chain& base) {
  const PartialMark before = machine_.mark();
  base_ = &base;
  const End end = walk(base, true, 0);
  if (!end.accepted && !end.mayAccept && !base.hook->accepts)
    happened_.push_back({Happening::Kind::dropped, {&base, &base, nullptr}});
  if (!base.hook->routes || machine_.mark() == before) return;
  misrouted_ = isWrong() ? std::optional{lastSetter_} : std::nullopt;
}

bool Walker::isGone() const {
  return std::ranges::any_of(happened_, [](const Happening& one) {
    return one.kind == Happening::Kind::dropped || one.kind == Happening::Kind::rejected;
  });
}

/// Whether the mark is certainly wrong, and a rule has set it.
bool Walker::isWrong() const {
  const auto& [expected, again] = std::tie(machine_.sample().expected, machine_.sample().again);
  const PartialMark mark = machine_.mark();
  const bool known = mark.isKnown(expected.mask | (again ? again->mask : 0));
  const bool right = expected.matches({mark.value}) || (again && again->matches({mark.value}));
  return known && !right && lastSetter_.rule != nullptr;
}

void Walker::apply(const OwnStamp& own) {
  const auto& [expected, again] = std::tie(machine_.sample().expected, machine_.sample().again);
  const PartialMark mark = machine_.mark();
  const bool has = again && ((mark.value & mark.known & again->mask) != 0 ||
                             (mark.isKnown(expected.mask) && expected.matches({mark.value})));
  if (!again || (own.onlyWhenCleared && has)) return;
  put(*again);
  // A changed mark causes the packet to be routed again.
  if (machine_.mark() != mark) misrouted_.reset();
}

void Walker::put(MarkMatch right) {
  PartialMark mark = machine_.mark();
  mark.value = stamp({mark.value}, right).value;
  mark.known |= right.mask;
  machine_.setMark(mark);
}

void Walker::stampConnection(MarkMatch mark) {
  PartialMark connection = machine_.connectionMark();
  connection.value = stamp({connection.value}, mark).value;
  connection.known |= mark.mask;
  machine_.setConnectionMark(connection);
}

void Walker::inspectMark() {
  if (misrouted_)
    happened_.push_back({Happening::Kind::rerouted, *misrouted_});
  else if (isWrong())
    happened_.push_back({Happening::Kind::lost, lastSetter_});
  misrouted_.reset();
  put(machine_.sample().expected);
}

Walker::End Walker::walk(const Chain& chain, bool certain, unsigned depth) {
  Progress progress{.chain = chain, .depth = depth, .certain = certain, .mayAccept = false};
  for (const Rule& rule : chain.rules) {
    if (rulesLeft_ == 0 || depth > kMaxDepth) {
      loseTrack(progress);
      break;
    }
    --rulesLeft_;
    const RuleResult result = machine_.run(rule, progress.certain);
    for (const MarkStore& store : result.stores)
      written_.push_back({.place = {base_, &chain, &rule}, .store = store, .reached = progress.certain});
    if (result.setsExpectedBits) lastSetter_ = {base_, &chain, &rule};
    if (result.match == Match::no || !result.verdict) continue;
    const bool sure = progress.certain && result.match == Match::yes;
    if (const auto end = act(*result.verdict, sure, rule, progress)) return *end;
  }
  return {.accepted = {}, .mayAccept = progress.mayAccept};
}

/// The end of the chain; nullopt: continue with the next rule.
std::optional<Walker::End> Walker::act(const Verdict& verdict, bool sure, const Rule& rule, Progress& progress) {
  using enum Verdict::Kind;
  switch (verdict.kind) {
    case accept:
      if (sure) return End{.accepted = true, .mayAccept = progress.mayAccept};
      progress.mayAccept = true;
      progress.certain = false;
      break;
    case drop:
    case reject:
      // If the packet may be dropped here, the rest still holds for it in case it is not.
      if (!sure) break;
      happened_.push_back({verdict.kind == drop ? Happening::Kind::dropped : Happening::Kind::rejected,
                           {base_, &progress.chain, &rule}});
      return End{.accepted = false, .mayAccept = progress.mayAccept};
    case return_:
      if (sure) return End{.accepted = {}, .mayAccept = progress.mayAccept};
      progress.certain = false;
      break;
    case jump:
    case goto_:
      return follow(verdict, sure, progress);
    case mayEnd:
      loseTrack(progress);
      break;
    case next:
      break;
  }
  return std::nullopt;
}

std::optional<Walker::End> Walker::follow(const Verdict& verdict, bool sure, Progress& progress) {
  const auto found = byName_.find({progress.chain.family, progress.chain.table, verdict.chain});
  if (found == byName_.end()) {
    loseTrack(progress);
    return std::nullopt;
  }
  const End end = walk(*found->second, sure, progress.depth + 1);
  if (end.accepted) return end;
  progress.mayAccept |= end.mayAccept;
  progress.certain &= !end.mayAccept;
  if (verdict.kind == Verdict::Kind::jump) return std::nullopt;
  if (sure) return End{.accepted = {}, .mayAccept = progress.mayAccept};
  progress.certain = false;
  return std::nullopt;
}

/// From here on anything may have happened.
void Walker::loseTrack(Progress& progress) {
  machine_.forgetMark();
  progress.mayAccept = true;
  progress.certain = false;
}

}  // namespace wgsteer::firewall
