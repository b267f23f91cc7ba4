// SPDX-License-Identifier: GPL-2.0-or-later
// Rules of other programs that overwrite the marks of any traffic, as values. tests/nft has the part with the kernel
// and the real nft and iptables.
#include <algorithm>
#include <array>
#include <cstring>
#include <gtest/gtest.h>

#include "wgsteer/core/desire.hpp"
#include "wgsteer/core/inspect_firewall.hpp"

#include "support/catch_all.hpp"
#include "support/steps.hpp"
#include "support/worlds.hpp"

namespace wgsteer::firewall {
namespace {

using namespace wgsteer::test;

using Lines = std::vector<std::string>;

constexpr std::uint32_t kAll = 0xffffffff;
constexpr Register kXt = kScratch;

enum class Of : std::uint8_t { packet, connection };
constexpr Field fieldOf(Of of) { return of == Of::connection ? Field::connectionMark : Field::mark; }

/// new = (old & kept) ^ toggled: of nft, MARK and CONNMARK.
Steps change(Of of, std::uint32_t kept, std::uint32_t toggled) {
  return {LoadField{fieldOf(of), 0}, MaskXor{0, 0, word(kept), word(toggled)}, StoreMark{0, of == Of::connection}};
}
Steps set(Of of, std::uint32_t value) { return {LoadValue{word(value), 0}, StoreMark{0, of == Of::connection}}; }
/// CONNMARK --save-mark or --restore-mark.
Steps copy(Of to, std::uint32_t fromMask, std::uint32_t toMask) {
  const Field from = fieldOf(to == Of::connection ? Of::packet : Of::connection);
  return {LoadField{fieldOf(to), kXt}, LoadField{from, kXt + 1}, Combine{kXt, kXt, ~toMask, kXt + 1, fromMask},
          StoreMark{kXt, to == Of::connection}};
}
Steps is(Of of, std::uint32_t value, std::uint32_t mask, Relation relation = Relation::equal) {
  return {LoadField{fieldOf(of), 0}, MaskXor{0, 0, word(mask), word(0)}, Compare{0, relation, word(value)}};
}
Steps inState(std::uint32_t states) {
  return {LoadField{Field::connectionState, 0}, MaskXor{0, 0, word(states), word(0)},
          Compare{0, Relation::notEqual, word(0)}};
}
Steps byDevice(Field field, std::string_view name) {
  Bytes bytes(16);
  std::ranges::copy(name, bytes.begin());
  return {LoadField{field, 0}, Compare{0, Relation::equal, bytes}};
}
Steps end(Verdict::Kind kind) { return {Verdict{kind, {}}}; }
Steps maybe() { return {MayMatch{"-m owner"}}; }

constexpr Hook hook(HookPoint point, std::int32_t priority) { return {.point = point, .priority = priority}; }
constexpr Hook kMangleIn = hook(HookPoint::prerouting, -150);
constexpr Hook kLateIn = hook(HookPoint::prerouting, -100);
constexpr Hook kInput = hook(HookPoint::input, 0);
constexpr Hook kForward = hook(HookPoint::forward, 0);
constexpr Hook kMangleOut = hook(HookPoint::postrouting, -150);
constexpr Hook kLast = hook(HookPoint::postrouting, 400);
constexpr Hook kOutput = hook(HookPoint::output, 0);
constexpr Hook kRoute{.point = HookPoint::output, .priority = 0, .routes = true};
constexpr Hook kNat{.point = HookPoint::postrouting, .priority = 100, .translates = true};

/// A catch-all of packets with a code point: no ip rule can say that, so chains ask it for this host's own connections
/// as well.
Config catchAllWith(std::uint8_t dscp) {
  Config config = catchAll();
  config.rules.front().dscp.any = {dscp};
  return config;
}

Chain chain(const Hook& where, const std::vector<Steps>& rules) {
  Chain made{.family = TableFamily::inet, .table = "t", .name = "c", .hook = where, .rules = {}};
  for (const Steps& steps : rules) made.rules.push_back({steps});
  return made;
}

std::vector<Finding> found(const std::vector<Chain>& chains, const Config& config = catchAll()) {
  World world = twoWans();
  world.tunnels.edit().clear();
  const Steering steering = steer(config, world);
  return inspectFirewall({.chains = chains, .legacyTables = {}, .hardwareFlowtables = {}}, config, world, steering,
                         desire(config, world, steering));
}

/// "problem: forgotten" for each finding, by what it says that follows.
Lines told(const Hook& where, const std::vector<Steps>& rules, const Config& config = catchAll()) {
  constexpr std::array kSeverities{"conflict: ", "problem: ", "advice: "};
  constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kHarms{{
      {"from then on", "forgotten"},
      {"mistaken for ones that arrived", "arrival"},
      {"go wherever their policy leads", "unheld"},
      {"answered over another", "unanswered"},
      {"where rules and their connections say", "misrouted"},
      {"is not recorded", "unnoted"},
      {"leave such packets alone", "claimed"},
  }};
  Lines all;
  for (const Finding& one : found({chain(where, rules)}, config))
    for (const auto& [words, harm] : kHarms)
      if (one.what.contains(words)) all.push_back(kSeverities.at(std::to_underlying(one.severity)) + std::string{harm});
  return all;
}

const Lines kNothing;
const Lines kForgotten{"problem: forgotten"};
const Lines kMisrouted{"problem: misrouted"};
const Lines kUnnoted{"problem: unnoted"};
const Lines kUnanswered{"problem: unanswered"};

/// What is refused goes nowhere, but it has to keep its mark until then.
TEST(InspectMarks, OfRefusedConnectionsAreNeededInPreroutingAlone) {
  Config config = catchAll();
  config.rules.front().use = RuleUse::unreachable;
  config.rules.front().policy = {};
  EXPECT_EQ(told(kLateIn, {set(Of::packet, 1)}, config), kMisrouted);
  EXPECT_EQ(told(kForward, {set(Of::packet, 1)}, config), kNothing);
  EXPECT_EQ(told(kForward, {set(Of::connection, 1)}, config), kUnanswered) << "but how others came in";
}

TEST(InspectMarks, SaysTheRuleAndHowToWriteIt) {
  const auto findings = found({chain(kForward, {set(Of::connection, 1)})});
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].what,
            "table inet t, chain c (forward, priority 0): \"ct mark set 0x1\" overwrites wgsteer's bits 0xff000000 of "
            "the connection's mark: connections of rules leave by the main table from then on, and may break off");
  EXPECT_EQ(findings[0].fix,
            "make it keep the bits 0xff000000: ct mark set ct mark and 0xff000000 or 0x1 (iptables: CONNMARK "
            "--set-xmark 0x1/0xffffff)");
}

TEST(InspectMarks, HasNothingToSayWithoutRulesForAnyTraffic) {
  Config config = catchAll();
  config.rules.clear();
  EXPECT_EQ(told(kForward, {set(Of::connection, 1)}, config), kNothing);
}

TEST(InspectMarks, OfConnectionsAreNeededEverywhere) {
  for (const Hook& where : {kMangleIn, kLateIn, kForward, kMangleOut, kLast}) {
    EXPECT_EQ(told(where, {set(Of::connection, 1)}), kForgotten) << where.priority;
    EXPECT_EQ(told(where, {change(Of::connection, 0x00ffff00, 0x1)}), kForgotten) << where.priority;
    EXPECT_EQ(told(where, {change(Of::connection, kTrafficMarkMask, 0x1)}), kNothing) << where.priority;
    EXPECT_EQ(told(where, {copy(Of::connection, 0x3f00, 0x3f00)}), kNothing) << "as mwan3";
  }
  EXPECT_EQ(told(hook(HookPoint::prerouting, -300), {set(Of::connection, 1)}), kNothing) << "before there is one";
  EXPECT_EQ(told(hook(HookPoint::forward, -300), {set(Of::connection, 1)}), kForgotten)
      << "it is there since prerouting";
  EXPECT_EQ(told(kNat, {set(Of::connection, 1)}), kUnanswered) << "the first packet's is not noted yet";
}

TEST(InspectMarks, OfPacketsAreNeededUntilTheConnectionIsNoted) {
  EXPECT_EQ(told(kMangleIn, {set(Of::packet, 1)}), kNothing) << "we come later";
  EXPECT_EQ(told(kMangleIn, {copy(Of::packet, kAll, kAll)}), kNothing) << "as wg-quick";
  EXPECT_EQ(told(kLateIn, {set(Of::packet, 1)}), kMisrouted);
  EXPECT_EQ(told(kLateIn, {copy(Of::packet, kAll, kAll)}), kMisrouted);
  EXPECT_EQ(told(kInput, {set(Of::packet, 1)}), kNothing);
  EXPECT_EQ(told(kForward, {set(Of::packet, 1)}), kUnnoted);
  EXPECT_EQ(told(kMangleOut, {set(Of::packet, 1)}), kUnnoted);
  EXPECT_EQ(told(kLast, {set(Of::packet, 1)}), kNothing);
  for (const Hook& where : {kLateIn, kForward, kMangleOut})
    EXPECT_EQ(told(where, {change(Of::packet, kTrafficMarkMask, 1)}), kNothing);
}

TEST(InspectMarks, ThatAreOursBeforeUsAreTakenForWireGuards) {
  EXPECT_EQ(told(kMangleIn, {set(Of::packet, 0x80000000)}), Lines{"problem: claimed"});
  EXPECT_EQ(told(kMangleIn, {set(Of::packet, 0x41000000)}), kNothing) << "of traffic: a rule gives another";
  EXPECT_EQ(told(kMangleIn, {inState(kNew) + set(Of::connection, 0x80000000)}).size(), 1U);
}

TEST(InspectMarks, AtOurOwnPriorityAreAdvice) {
  EXPECT_EQ(told(hook(HookPoint::prerouting, kTrafficChainPriority), {set(Of::packet, 1)}), Lines{"advice: misrouted"});
  EXPECT_EQ(told(hook(HookPoint::postrouting, kLeavingChainPriority), {set(Of::packet, 1)}), Lines{"advice: unnoted"});
}

TEST(InspectMarks, OfRestrictedRulesAreAdvice) {
  EXPECT_EQ(told(kForward, {maybe() + set(Of::connection, 1)}), Lines{"advice: forgotten"});
  EXPECT_EQ(told(kForward, {byDevice(Field::inputName, "br-lan") + set(Of::connection, 1)}),
            Lines{"advice: forgotten"});
  EXPECT_EQ(told(kForward,
                 {Steps{LoadField{Field::l4Protocol, 0}, Compare{0, Relation::equal, {6}}} + set(Of::connection, 1)}),
            Lines{"advice: forgotten"});
  EXPECT_EQ(told(kForward, {maybe() + end(Verdict::Kind::accept), set(Of::connection, 1)}), Lines{"advice: forgotten"});
  EXPECT_EQ(told(kForward, {set(Of::connection, 1) + maybe() + end(Verdict::Kind::accept)}), kForgotten)
      << "it is set before the rest is asked";
}

TEST(InspectMarks, OfRulesThatMatchNoneOfOursAreNone) {
  EXPECT_EQ(told(kMangleOut, {is(Of::packet, 0xca6c, kAll) + copy(Of::connection, kAll, kAll)}), kNothing);
  EXPECT_EQ(told(kForward, {is(Of::packet, 0, kAll) + set(Of::packet, 1)}), kNothing);
  EXPECT_EQ(told(kForward, {is(Of::connection, 0, kTrafficMarkMask) + set(Of::connection, 1)}), kNothing);
  EXPECT_EQ(told(kLateIn, {byDevice(Field::inputName, "lo") + set(Of::packet, 1)}), kNothing);
  EXPECT_EQ(told(kForward,
                 {Steps{LoadField{Field::outputIndex, 0}, Compare{0, Relation::equal, word(1)}} + set(Of::packet, 1)}),
            kNothing);
  EXPECT_EQ(told(kLateIn, {byDevice(Field::outputName, "wan0") + set(Of::packet, 1)}), kNothing) << "not routed yet";
  EXPECT_EQ(told(kForward, {end(Verdict::Kind::accept), set(Of::connection, 1)}), kNothing);
  EXPECT_EQ(told(kForward, {is(Of::packet, 0x2, 0xff) + set(Of::connection, 1)}), Lines{"advice: forgotten"});
}

TEST(InspectMarks, OfNewConnectionsAreNotNotedYet) {
  EXPECT_EQ(told(kMangleIn, {inState(kNew) + set(Of::connection, 1)}), kNothing);
  EXPECT_EQ(told(kForward, {inState(kNew) + set(Of::connection, 1)}), kUnanswered) << "but how they came in";
  EXPECT_EQ(told(kLast, {inState(kNew) + set(Of::connection, 1)}), kForgotten);
}

TEST(InspectMarks, ThatAreSavedHoldNothing) {
  EXPECT_EQ(told(kMangleOut, {copy(Of::connection, kAll, kAll)}), Lines{"problem: unheld"});
  Config one = catchAll();
  one.policies.front().members.resize(1);
  EXPECT_EQ(told(kMangleOut, {copy(Of::connection, kAll, kAll)}, one), Lines{"problem: arrival"})
      << "there is no other exit that the mark of the policy could lead to";
  EXPECT_EQ(told(kMangleOut, {inState(kNew) + copy(Of::connection, kAll, kAll)}), kNothing) << "of the first packet";
  EXPECT_EQ(told(kMangleOut, {copy(Of::connection, 0xffffff, 0xffffff)}), kNothing);
}

/// Restores, leaves marked packets alone, marks and saves: nothing of ours is ever overwritten before us.
TEST(InspectMarks, OfTheClassicRecipeAreKept) {
  const Steps restore = copy(Of::packet, kAll, kAll);
  const Steps marked = is(Of::packet, 0, kAll, Relation::notEqual) + end(Verdict::Kind::accept);
  const Steps save = copy(Of::connection, kAll, kAll);
  EXPECT_EQ(told(kMangleIn, {restore, marked, set(Of::packet, 1), save}), kNothing);
  EXPECT_EQ(told(kMangleIn, {restore, save}), kNothing) << "what it was";
  EXPECT_EQ(told(kMangleIn, {set(Of::packet, 1), save}), kForgotten);
}

TEST(InspectMarks, FromMapsAndNumbersOverwriteThem) {
  Set values;
  values.elements = {{.key = {0, 0, 0, 0}, .data = word(1), .verdict = {}},
                     {.key = {1, 0, 0, 0}, .data = word(2), .verdict = {}}};
  Lookup lookup;
  lookup.name = "__map0";
  lookup.to = Register{0};
  lookup.set = std::make_shared<const Set>(values);
  const Steps number{LoadUnknown{"numgen", 0}};
  EXPECT_EQ(told(kLateIn, {number + Steps{lookup, StoreMark{0, false}}}), Lines{"advice: misrouted"}) << "it may miss";
  EXPECT_EQ(told(kMangleIn, {number + Steps{lookup, StoreMark{0, false}}}), kNothing) << "no bit of ours in any value";
  EXPECT_EQ(told(kLateIn, {number + Steps{StoreMark{0, false}}}), kMisrouted);
  EXPECT_EQ(told(kForward, {number + Steps{StoreMark{0, true}}}), kForgotten);
  EXPECT_EQ(told(kForward, {is(Of::connection, 0, kTrafficMarkMask) + number + Steps{StoreMark{0, true}}}), kNothing);
  EXPECT_EQ(told(kLateIn, {Steps{LoadUnknown{"bits", 0, true}, StoreMark{0, false}}}), kNothing)
      << "it may be made of the mark";
}

/// By ip rules, which need no mark: only what leads elsewhere counts.
TEST(InspectMarks, OfThisHostsOwnByRules) {
  EXPECT_EQ(told(kInput, {set(Of::connection, 1)}), kNothing) << "answers go by their source";
  EXPECT_EQ(told(kOutput, {set(Of::packet, 1)}), kNothing);
  EXPECT_EQ(told(kRoute, {set(Of::packet, 0)}), kNothing);
  EXPECT_EQ(told(kRoute, {set(Of::packet, 1)}), kMisrouted);
  EXPECT_EQ(told(kRoute, {change(Of::packet, kTrafficMarkMask, 1)}), kNothing);
}

TEST(InspectMarks, OfThisHostsOwnByChains) {
  const Config config = catchAllWith(std::uint8_t{0});
  EXPECT_EQ(told(kInput, {set(Of::connection, 1)}, config), kUnanswered);
  EXPECT_EQ(told(kOutput, {set(Of::packet, 1)}, config), kUnnoted);
  EXPECT_EQ(told(kRoute, {set(Of::packet, 0)}, config), kMisrouted);
  Hook early = kRoute;
  early.priority = -150;
  EXPECT_EQ(told(early, {set(Of::packet, 1)}, config), kNothing);
  EXPECT_EQ(told(early, {copy(Of::packet, kAll, kAll)}, config), kMisrouted) << "taken for WireGuard's";
  EXPECT_EQ(told(early, {copy(Of::packet, 0xffffff, 0xffffff)}, config), kNothing);
}

TEST(InspectMarks, ThatAnIpRuleNamesAreMeant) {
  World world = twoWans();
  world.tunnels.edit().clear();
  wgsteer::Rule named = kernelRule(Family::v4, 1000, TableId{100});
  named.mark = {.value = 1, .mask = kAll};
  world.rules.insert(named);
  const Config config = catchAll();
  const Steering steering = steer(config, world);
  const State state = desire(config, world, steering);
  ASSERT_TRUE(state.nft->table.namedMarks.contains(Mark{1}));
  const auto findings = [&](const Hook& where, std::uint32_t mark) {
    const Firewall firewall{.chains = {chain(where, {set(Of::packet, mark)})}, .legacyTables = {}};
    return inspectFirewall(firewall, config, world, steering, state).size();
  };
  EXPECT_EQ(findings(kLateIn, 1), 0U);
  EXPECT_EQ(findings(kLateIn, 2), 1U);
  EXPECT_EQ(findings(kForward, 1), 1U) << "a route has been chosen";
}

TEST(InspectMarks, RemediesKeepWhatTheRuleKeeps) {
  const auto fixOf = [](const Hook& where, const Steps& rule) {
    const auto findings = found({chain(where, {rule})});
    return findings.empty() ? std::string{} : findings.front().fix.substr(findings.front().fix.find(": ") + 2);
  };
  EXPECT_EQ(fixOf(kLateIn, change(Of::packet, 0xff, 0)),
            "meta mark set meta mark and 0xff0000ff (iptables: MARK --set-xmark 0x0/0xffff00)");
  EXPECT_EQ(fixOf(kForward, copy(Of::connection, kAll, kAll)),
            "ct mark and 0xff000000 == 0 ct mark set meta mark and 0xffffff (iptables: CONNMARK --save-mark --nfmask "
            "0xffffff --ctmask 0xffffff)");
  EXPECT_EQ(fixOf(kForward, copy(Of::connection, 0xff, kAll)),
            "ct mark and 0xff000000 == 0 ct mark set meta mark and 0xff (iptables: CONNMARK --save-mark --nfmask 0xff "
            "--ctmask 0xffffff)");
  EXPECT_EQ(fixOf(kLateIn, copy(Of::packet, 0xff00ffff, 0xff00ffff)),
            "CONNMARK --restore-mark --nfmask 0xffff --ctmask 0xffff");
  EXPECT_EQ(fixOf(kForward, {LoadPayload{Header::network, 1, 1, 0}, StoreMark{0, true}}),
            "in nft, begin it with ct mark and 0xff000000 == 0; in iptables, give it a mask within 0xffffff");
}

}  // namespace
}  // namespace wgsteer::firewall
