// SPDX-License-Identifier: GPL-2.0-or-later
// Foreign chains as values: what is reported about them, and that only certain findings are reported. tests/nft has the
// part with the kernel and the real nft and iptables.
#include "wgsteer/core/firewall.hpp"

#include <algorithm>
#include <cstring>
#include <gtest/gtest.h>

#include "wgsteer/core/desire.hpp"
#include "wgsteer/core/inspect_firewall.hpp"

#include "support/steps.hpp"
#include "support/worlds.hpp"

namespace wgsteer::firewall {
namespace {

using namespace wgsteer::test;

using Lines = std::vector<std::string>;

Steps setMark(std::uint32_t value) { return {LoadValue{word(value), 0}, StoreMark{0, false}}; }
Steps verdict(Verdict::Kind kind, const std::string& to = "") { return {Verdict{kind, to}}; }
Steps markIs(std::uint32_t value, std::uint32_t mask) {
  return {LoadField{Field::mark, 0}, MaskXor{0, 0, word(mask), word(0)}, Compare{0, Relation::equal, word(value)}};
}
Steps maybe() { return {MayMatch{"-m owner"}}; }

Chain chain(const std::string& name, std::optional<Hook> hook, const std::vector<Steps>& rules) {
  Chain made{.family = TableFamily::inet, .table = "t", .name = name, .hook = hook, .rules = {}};
  for (const Steps& steps : rules) made.rules.push_back({steps});
  return made;
}

constexpr Hook kRoute{.point = HookPoint::output, .priority = 0, .routes = true, .accepts = true};

Lines told(const Firewall& firewall, const World& world = twoWans(), const Config& config = {}) {
  const Steering steering = steer(config, world);
  constexpr std::array kNames{"conflict: ", "problem: ", "advice: "};
  Lines all;
  for (const Finding& one : inspectFirewall(firewall, config, world, steering, desire(config, world, steering)))
    all.push_back(kNames.at(std::to_underlying(one.severity)) + one.what);
  return all;
}

Lines toldOf(const std::vector<Steps>& rules, const std::vector<Chain>& others = {}, Hook hook = kRoute) {
  Firewall firewall{.chains = others, .legacyTables = {}};
  firewall.chains.push_back(chain("out", hook, rules));
  return told(firewall);
}

const Lines kNothing;
const Lines kCleared{
    "problem: table inet t, chain out (output, priority 0): \"meta mark set 0x0\" changes the mark of wg0's packets to "
    "203.0.113.55:51820: they are rerouted by the new mark"};

TEST(Firewall, WithoutChainsIsFine) { EXPECT_EQ(told({}), kNothing); }

TEST(FirewallMarks, ThatAreClearedForCertainAreTold) {
  EXPECT_EQ(toldOf({setMark(0)}), kCleared);
  EXPECT_EQ(toldOf({maybe() + setMark(0)}), kNothing);
  EXPECT_EQ(toldOf({maybe() + verdict(Verdict::Kind::accept), setMark(0)}), kNothing) << "it may not get there";
  EXPECT_EQ(toldOf({maybe() + verdict(Verdict::Kind::return_), setMark(0)}), kNothing);
  EXPECT_EQ(toldOf({maybe() + verdict(Verdict::Kind::drop), setMark(0)}), kCleared) << "what is left is cleared";
  EXPECT_EQ(toldOf({verdict(Verdict::Kind::mayEnd, "queue"), setMark(0)}), kNothing);
  EXPECT_EQ(toldOf({verdict(Verdict::Kind::accept), setMark(0)}), kNothing);
  EXPECT_EQ(toldOf({verdict(Verdict::Kind::next), setMark(0)}), kCleared);
}

TEST(FirewallMarks, ThatAreSetRightAgainAreNone) {
  const Steps back = {LoadValue{word(0xf0000000), 0}, StoreMark{0, false}};
  EXPECT_EQ(toldOf({setMark(0), back}), kNothing);
  EXPECT_EQ(toldOf({setMark(0), maybe() + back}), kNothing) << "perhaps it is";
}

TEST(FirewallMarks, OfChainsBeforeOursAreSetAgainIfCleared) {
  Hook early = kRoute;
  early.priority = -150;
  EXPECT_EQ(toldOf({setMark(0)}, {}, early), kNothing);
  EXPECT_EQ(toldOf({setMark(0x70000000)}, {}, early).size(), 1U) << "bits of ours are left as they are";
  early.priority = -300;
  EXPECT_EQ(toldOf({setMark(0)}, {}, early), kNothing);
  EXPECT_EQ(toldOf({setMark(0x7)}, {}, early), kNothing) << "our bits are cleared";
}

TEST(FirewallMarks, AtOurOwnPriorityMayBeBeforeOrAfterUs) {
  Hook same = kRoute;
  same.priority = -148;
  const Lines found = toldOf({setMark(0)}, {}, same);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_TRUE(found[0].starts_with("advice: table inet t, chain out (output, priority -148)")) << found[0];
  EXPECT_NE(found[0].find("only if it runs after wgsteer's chain of the same priority"), std::string::npos);
}

TEST(FirewallJumps, AreFollowed) {
  const Chain inner = chain("inner", {}, {setMark(0)});
  EXPECT_EQ(toldOf({verdict(Verdict::Kind::jump, "inner")}, {inner}).size(), 1U);
  EXPECT_EQ(toldOf({verdict(Verdict::Kind::goto_, "inner")}, {inner}).size(), 1U);
  EXPECT_EQ(toldOf({maybe() + verdict(Verdict::Kind::jump, "inner")}, {inner}), kNothing);
  const Chain returns = chain("returns", {}, {maybe() + verdict(Verdict::Kind::return_), verdict(Verdict::Kind::next)});
  EXPECT_EQ(toldOf({verdict(Verdict::Kind::jump, "returns"), setMark(0)}, {returns}), kCleared)
      << "comes back either way";
  EXPECT_EQ(toldOf({verdict(Verdict::Kind::goto_, "returns"), setMark(0)}, {returns}), kNothing);
  const Chain accepts = chain("accepts", {}, {maybe() + verdict(Verdict::Kind::accept)});
  EXPECT_EQ(toldOf({verdict(Verdict::Kind::jump, "accepts"), setMark(0)}, {accepts}), kNothing);
  EXPECT_EQ(toldOf({verdict(Verdict::Kind::jump, "gone"), setMark(0)}), kNothing) << "changed while it was read";
}

TEST(FirewallJumps, InACircleOrWithoutEndAreGivenUp) {
  const Chain circle = chain("circle", {}, {verdict(Verdict::Kind::jump, "circle")});
  EXPECT_EQ(toldOf({verdict(Verdict::Kind::jump, "circle"), setMark(0)}, {circle}), kNothing);
  // Each jumps to the next twenty times: 20^10 rules.
  std::vector<Chain> bushes;
  for (int i = 0; i < 10; ++i)
    bushes.push_back(chain("bush" + std::to_string(i), {},
                           std::vector<Steps>(20, verdict(Verdict::Kind::jump, "bush" + std::to_string(i + 1)))));
  bushes.push_back(chain("bush10", {}, {verdict(Verdict::Kind::next)}));
  EXPECT_EQ(toldOf({verdict(Verdict::Kind::jump, "bush0"), setMark(0)}, bushes), kNothing);
}

TEST(FirewallSets, AreAskedWhenTheirElementsAreKnown) {
  const auto withPort = [](const std::optional<Set>& set, bool inverted = false) {
    Lookup lookup;
    lookup.name = "__set0";
    lookup.from = 0;
    lookup.inverted = inverted;
    if (set) lookup.set = std::make_shared<const Set>(*set);
    return toldOf({Steps{LoadPayload{Header::transport, 2, 2, 0}, lookup} + setMark(0)}).size();
  };
  const auto element = [](std::uint8_t high, std::uint8_t low, bool ends = false) {
    return Set::Element{.key = {high, low}, .endsInterval = ends, .data = {}, .verdict = {}};
  };
  const Set in{.elements = {element(0, 53), element(0xca, 0x6c)}, .forOthers = {}};  // 51820
  const Set out{.elements = {element(0, 53)}, .forOthers = {}};
  const Set around{.elements = {element(0xca, 0), element(0xcb, 0, true)}, .forOthers = {}, .intervals = true};
  const Set below{.elements = {element(0xc0, 0), element(0xca, 0x6c, true)}, .forOthers = {}, .intervals = true};
  EXPECT_EQ(withPort(in), 1U);
  EXPECT_EQ(withPort(out), 0U);
  EXPECT_EQ(withPort(out, true), 1U);
  EXPECT_EQ(withPort(around), 1U);
  EXPECT_EQ(withPort(below), 0U);
  EXPECT_EQ(withPort(std::nullopt), 0U) << "perhaps";
  EXPECT_EQ(withPort(std::nullopt, true), 0U);
}

TEST(FirewallDrops, AreProblemsByTheMarkAndAdviceOtherwise) {
  constexpr Hook kFilter{.point = HookPoint::output, .priority = 0, .routes = false, .accepts = true};
  const Lines byMark = toldOf({markIs(0xf0000000, 0xf0000000) + verdict(Verdict::Kind::drop)}, {}, kFilter);
  ASSERT_EQ(byMark.size(), 1U);
  EXPECT_EQ(
      byMark[0],
      "problem: table inet t, chain out (output, priority 0): \"meta mark & 0xf0000000 == 0xf0000000 drop\" drops "
      "wg0's packets to 203.0.113.55:51820, because of the mark 0xf0000000");
  EXPECT_EQ(toldOf({markIs(0x8000, 0x8000) + verdict(Verdict::Kind::drop)}, {}, kFilter), kNothing);
  const Lines all = toldOf({verdict(Verdict::Kind::reject)}, {}, kFilter);
  ASSERT_EQ(all.size(), 1U);
  EXPECT_TRUE(all[0].starts_with("advice: table inet t, chain out (output, priority 0): \"reject\" rejects wg0's"));
  EXPECT_EQ(toldOf({maybe() + verdict(Verdict::Kind::drop)}, {}, kFilter), kNothing);
}

TEST(FirewallDrops, ByPolicyNeedThatNothingMayAcceptBefore) {
  constexpr Hook kDrops{.point = HookPoint::output, .priority = 0, .routes = false, .accepts = false};
  EXPECT_EQ(toldOf({}, {}, kDrops).size(), 1U);
  EXPECT_EQ(toldOf({maybe() + verdict(Verdict::Kind::return_)}, {}, kDrops).size(), 1U) << "returning ends in it, too";
  EXPECT_EQ(toldOf({maybe() + verdict(Verdict::Kind::accept)}, {}, kDrops), kNothing);
  EXPECT_EQ(toldOf({verdict(Verdict::Kind::accept)}, {}, kDrops), kNothing);
}

TEST(FirewallDrops, ByAKillSwitchThatSplitsTunnelsByCgroupAreTold) {
  // As in Mullvad's application: a class of programs is allowed out, and packets with its own mark.
  const Steps ofClass = {LoadField{Field::cgroup, 0}, Compare{0, Relation::equal, word(5087041)}};
  const Steps markConnection = {LoadValue{word(0xf41), 0}, StoreMark{0, true}};
  const Steps connectionMarked = {LoadField{Field::connectionMark, 0}, Compare{0, Relation::equal, word(0xf41)}};
  const Chain mangle =
      chain("mangle", Hook{.point = HookPoint::output, .priority = -150, .routes = true, .accepts = true},
            {ofClass + markConnection + setMark(0x6d6f6c65)});
  const Lines found =
      toldOf({connectionMarked + verdict(Verdict::Kind::accept),
              markIs(0x6d6f6c65, 0xffffffff) + verdict(Verdict::Kind::accept), verdict(Verdict::Kind::reject)},
             {mangle}, Hook{.point = HookPoint::output, .priority = 0, .routes = false, .accepts = false});
  const std::string wanted = "problem: table inet t, chain out (output, priority 0): \"reject\" rejects wg0's packets";
  EXPECT_TRUE(std::ranges::any_of(found, [&](const std::string& line) { return line.starts_with(wanted); }));
}

TEST(FirewallRules, AreShownAsNftWould) {
  EXPECT_EQ(gist({{LoadField{Field::outputName, 0}, Compare{0, Relation::notEqual, {'w', 'g', '0', 0}},
                   LoadField{Field::l4Protocol, 0}, Compare{0, Relation::equal, {17}},
                   LoadPayload{Header::transport, 2, 2, 0}, Within{0, {0, 1}, {0, 9}, false}, Verdict{}}}),
            "oifname != \"wg0\" udp dport 1-9 accept");
  EXPECT_EQ(gist({{LoadField{Field::mark, 0}, MaskXor{0, 0, word(0xff), word(0x100)}, StoreMark{0, false}}}),
            "meta mark set meta mark & 0xff | 0x100");
  EXPECT_EQ(gist({{LoadField{Field::inputName, 0}, Compare{0, Relation::equal, {'e', 't', 'h'}},
                   LoadRoute{.ofSource = true, .byInput = true, .result = LoadRoute::Result::present, .to = 0},
                   Compare{0, Relation::equal, {0}}, Verdict{Verdict::Kind::jump, "mine"}}}),
            "iifname \"eth*\" fib saddr . iif oif missing jump mine");
  EXPECT_EQ(gist({{LoadPayload{Header::network, 12, 4, 0}, Compare{0, Relation::equal, {10, 0, 0, 1}},
                   MayMatch{"limit"}, Verdict{Verdict::Kind::reject, {}}}}),
            "ip saddr 10.0.0.1 limit reject");
}

TEST(FirewallSteps, WithRegistersBeyondTheLastDoNoHarm) {
  for (const Register beyond : {Register{19}, Register{20}, Register{255}})
    EXPECT_LE(toldOf({Steps{LoadField{Field::inputName, beyond}, LoadPayload{Header::network, 0, 64, beyond},
                            LoadValue{Bytes(64), beyond}, LoadUnknown{"", beyond}, LoadField{Field::mark, beyond},
                            MaskXor{beyond, beyond, Bytes(64), Bytes(64)}, Combine{beyond, beyond, 1, beyond, 1},
                            Compare{beyond, Relation::less, Bytes(64)}, Within{beyond, Bytes(64), Bytes(64), false},
                            StoreMark{beyond, false}}})
                  .size(),
              1U);
}

TEST(FirewallLegacy, IsNamedWithTheCommandThatShowsIt) {
  const Firewall legacy{.chains = {}, .legacyTables = {{TableFamily::ip, "filter"}, {TableFamily::ip6, "raw"}}};
  EXPECT_EQ(told(legacy), Lines{"advice: cannot read tables of legacy iptables: ip filter, ip6 raw"});
}

TEST(FirewallHardware, IsNamedWhereThereAreRules) {
  const Firewall firewall{.chains = {}, .legacyTables = {}, .hardwareFlowtables = {"inet fw4, flowtable ft"}};
  EXPECT_EQ(told(firewall), kNothing);
  Config config;
  config.rules.push_back({.name = "rest", .use = RuleUse::unreachable});
  EXPECT_EQ(
      told(firewall, twoWans(), config),
      Lines{"advice: table inet fw4, flowtable ft: network cards forward its connections, which may use a WAN that "
            "is up but dead for about two seconds longer than others"});
}

TEST(UnknownTunnels, AreTunDevicesWithADefaultRoute) {
  const auto told = [](const World& of) { return inspectUnknownTunnels(of, steer({}, of)); };
  World world = twoWans();
  Link tun = link(IfIndex{12}, "tun0", "tun");
  tun.pointToPoint = true;
  world.links.emplace(tun.index, tun);
  EXPECT_TRUE(told(world).empty()) << "without a default route";
  world.routes.insert(route("0.0.0.0/0", tun.index));
  ASSERT_EQ(told(world).size(), 1U);
  EXPECT_EQ(told(world)[0].what, "tun0 is a TUN device with a default route but no WireGuard socket");
  EXPECT_EQ(told(world)[0].severity, Severity::advice);
  Tunnel known;
  known.name = "tun0";
  world.tunnels.edit().emplace("tun0", known);
  EXPECT_TRUE(told(world).empty()) << "it is one that we know";
  world.tunnels.edit().erase("tun0");
  world.tunnelTroubles.emplace("tun0", "tun0 does not answer");
  EXPECT_TRUE(told(world).empty()) << "its trouble is told";
}

}  // namespace
}  // namespace wgsteer::firewall
