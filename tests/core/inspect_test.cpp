// SPDX-License-Identifier: GPL-2.0-or-later
// What `check` reports about a host, and for what `run` refuses to start.
#include "wgsteer/core/inspect.hpp"

#include <algorithm>
#include <functional>
#include <gtest/gtest.h>
#include <utility>

#include "wgsteer/core/desire.hpp"

#include "support/worlds.hpp"

namespace wgsteer {
namespace {

using namespace test;

std::vector<Finding> inspected(const Config& config, const World& world, const State& state) {
  return inspect(config, {world, state}, steer(config, world), state);
}

/// With all of our state in place.
std::vector<Finding> steered(const World& world, const Config& config = {}) {
  return inspected(config, world, desire(config, world));
}

/// "conflict: what", one line per finding.
std::vector<std::string> lines(const std::vector<Finding>& findings) {
  constexpr std::array kNames{"conflict: ", "problem: ", "advice: "};
  std::vector<std::string> all;
  for (const Finding& finding : findings) all.push_back(kNames.at(std::to_underlying(finding.severity)) + finding.what);
  return all;
}

using Lines = std::vector<std::string>;

Rule foreign(std::uint32_t priority, MarkMatch mark = {}) {
  Rule made = kernelRule(Family::v4, priority, TableId{7});
  made.mark = mark;
  made.protocol = 0;
  return made;
}

World withRule(const Rule& rule) {
  World world = twoWans();
  world.rules.insert(rule);
  return world;
}

TEST(Inspect, HasNothingToSayOfAHostThatIsSteered) { EXPECT_EQ(lines(steered(twoWans())), Lines{}); }

TEST(InspectMarks, OfNeighboursAreAConflictWhereTheyMeetOurs) {
  struct Row {
    const char* name;
    MarkMatch mark;
    bool conflict;
  };
  for (const Row& row : {Row{"none", {}, false}, Row{"mwan3", {0x100, 0x3f00}, false},
                         Row{"pbr", {0x10000, 0x00ff0000}, false}, Row{"wg-quick", {0xca6c, 0xffffffff}, false},
                         Row{"Mullvad, whose bits are those of no WAN", {0x6d6f6c65, 0xffffffff}, false},
                         Row{"a whole mark, whose number we leave to it", {0x1d6f6c65, 0xffffffff}, false},
                         Row{"a whole mark with the bits of the policy", {0xf0000001, 0xffffffff}, false},
                         Row{"one of our bits", {0x80000000, 0x80000000}, true},
                         Row{"none of our bits may be set", {0, 0x10000000}, true},
                         Row{"a wider mask", {0x12340000, 0xffff0000}, true}}) {
    const World world = withRule(foreign(1000, row.mark));
    const auto found = inspect({}, {world, {}}, steer({}, world), desire({}, world));
    ASSERT_EQ(found.size(), row.conflict ? 1U : 0U) << row.name;
    if (!row.conflict) continue;
    EXPECT_EQ(found.front().severity, Severity::conflict) << row.name;
    EXPECT_NE(found.front().what.find("ip rule priority 1000 fwmark " + row.mark.toString()), std::string::npos);
    EXPECT_NE(found.front().fix.find("mark_mask"), std::string::npos);
  }
}

TEST(InspectMarks, AreThoseOfTheMaskThatIsConfigured) {
  Config config;
  config.numbers.markMask = 0x0f000000;
  EXPECT_EQ(steered(withRule(foreign(1000, {0x80000000, 0x80000000})), config).size(), 0U);
  EXPECT_EQ(steered(withRule(foreign(1000, {0x01000000, 0x01000000})), config).size(), 1U);
}

TEST(InspectRules, InsideOurBlockAreTold) {
  for (const auto& [priority, told] :
       {std::pair{59U, false}, std::pair{60U, true}, std::pair{99U, true}, std::pair{100U, false}}) {
    Rule rule = foreign(priority);
    rule.destination = Prefix::parse("10.0.0.0/8");
    EXPECT_EQ(lines(steered(withRule(rule))),
              told ? Lines{"advice: another program's rule is inside our block of priorities: ip rule priority " +
                           std::to_string(priority) + " to 10.0.0.0/8 lookup 7"}
                   : Lines{});
  }
}

/// "fix" of the only finding.
std::string onlyFix(const std::vector<Finding>& found) { return found.size() == 1 ? found.front().fix : "not one"; }

TEST(InspectRules, InsideOurBlockAreToldWithAFixThatHelps) {
  const std::uint32_t first = std::ranges::min(desire({}, twoWans()).rules, {}, &Rule::priority).priority;
  ASSERT_GT(first, 63U) << "or these tests are about something else";
  Rule some = foreign(first + 1);
  some.destination = Prefix::parse("10.0.0.0/8");
  EXPECT_EQ(onlyFix(steered(withRule(some))), "set rule_priority in [globals] if it interferes");
  EXPECT_EQ(onlyFix(steered(withRule(foreign(first + 1)))),
            "ours stand behind it, because it would catch our packets; or set rule_priority in [globals]");
  some.priority = first - 3;
  EXPECT_EQ(onlyFix(steered(withRule(some))), "set rule_priority in [globals] if it interferes");
}

TEST(InspectRules, ThatTheKernelPutBeforeOursWouldFollowThem) {
  const std::uint32_t first = std::ranges::min(desire({}, twoWans()).rules, {}, &Rule::priority).priority;
  Rule some = foreign(first - 1);
  some.destination = Prefix::parse("10.0.0.0/8");
  const std::string follows =
      "it does not catch our packets; give it a priority of its own if it is to stay where it is";
  EXPECT_EQ(onlyFix(steered(withRule(some))), follows);
  World two = withRule(some);
  some.priority = first - 2;
  two.rules.insert(some);
  const auto found = steered(two);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found.front().fix, follows);
  EXPECT_EQ(onlyFix(steered(withRule(foreign(first - 1)))), "ours stand behind it, because it would catch our packets");
}

TEST(InspectRules, OfAFullTunnelAreNoneOfOurConcernWhereverTheKernelPutsThem) {
  for (const std::uint32_t priority : {62U, 64U, 68U, 71U}) {
    Rule toTunnel = foreign(priority, {0xca6c, 0xffffffff});
    toTunnel.invert = true;
    toTunnel.table = TableId{51820};
    Rule toMain = foreign(priority - 1);
    toMain.table = kMainTable;
    toMain.suppressPrefixLength = 0;
    World world = withRule(toTunnel);
    world.rules.insert(toMain);
    EXPECT_EQ(lines(steered(world)), Lines{}) << priority;
    toMain.suppressPrefixLength = -1;
    world.rules.insert(toMain);
    EXPECT_EQ(steered(world).size(), 1U) << "main for everything is another matter";
  }
}

TEST(InspectRules, ForEverythingBeforeOursAreJumpedOverWhereThereIsRoom) {
  EXPECT_EQ(lines(steered(withRule(foreign(5)))), Lines{});
  const Lines told{
      "problem: a rule before ours catches our packets: ip rule priority 4 lookup 7; move it to a priority above 4"};
  EXPECT_EQ(lines(steered(withRule(foreign(4)))), told);
  EXPECT_EQ(lines(steered(withRule(foreign(105)))), Lines{}) << "ours come first";
}

TEST(InspectRules, ThatUseSomeOfOurBitsRefuseOnlyAFirstStart) {
  const World world = withRule(foreign(1000, {0x10000000, 0x10000000}));
  EXPECT_EQ(conflicts({}, {world, {}}, steer({}, world)).size(), 1U);
  const State ours = desire({}, twoWans());
  EXPECT_TRUE(conflicts({}, {world, ours}, steer({}, world)).empty()) << "a daemon could not be started again";
  const auto told = lines(inspected({}, world, ours));
  EXPECT_TRUE(std::ranges::any_of(told, [](const std::string& line) {
    return line.starts_with("problem: mark bits 0x10000000 are used by ip rule priority 1000");
  }));
}

TEST(InspectRules, WithASelectorBeforeOursAreNone) {
  const std::vector<std::function<void(Rule&)>> selectors{
      [](Rule& rule) { rule.source = Prefix::parse("10.0.0.0/8"); },
      [](Rule& rule) { rule.destination = Prefix::parse("10.0.0.0/8"); },
      [](Rule& rule) { rule.inputInterface = "br-lan"; },
      [](Rule& rule) { rule.outputInterface = "br-lan"; },
      [](Rule& rule) { rule.mark = {1, 1}; },
      [](Rule& rule) { rule.ipProtocol = 6; },
      [](Rule& rule) { rule.sourcePort = PortRange{1, 2}; },
      [](Rule& rule) { rule.destinationPort = PortRange{1, 2}; },
      [](Rule& rule) { rule.otherSelector = true; },
      [](Rule& rule) { rule.suppressPrefixLength = 0; },
      [](Rule& rule) { rule.action = RuleAction::nop; },
  };
  for (std::size_t i = 0; i < selectors.size(); ++i) {
    Rule rule = foreign(5);
    selectors[i](rule);
    EXPECT_EQ(lines(steered(withRule(rule))), Lines{}) << "selector " << i;
  }
}

TEST(InspectTables, AreOursAlone) {
  World world = twoWans();
  Route intruder = route("10.0.0.0/8", kWan0, "192.0.2.1");
  intruder.table = TableId{kPolicyTableBase + 3};
  world.routes.insert(intruder);
  const std::string told =
      "another program's route is in one of our tables: 10.0.0.0/8 via 192.0.2.1 dev wan0 table "
      "1464271107 metric 0 proto 3";
  EXPECT_EQ(lines(steered(world)), Lines{"conflict: " + told});
  EXPECT_EQ(conflicts({}, {world, {}}, steer({}, world)).size(), 1U);

  State ours;
  Rule toThatTable = foreign(70);
  toThatTable.table = intruder.table;
  ours.rules.insert(toThatTable);
  EXPECT_EQ(lines(inspected({}, world, ours)).front(), "problem: " + told) << "a daemon could not be started again";
  EXPECT_TRUE(conflicts({}, {world, ours}, steer({}, world)).empty());
}

TEST(InspectTunnels, ThatCannotBeReadAreAProblemAndNotMissing) {
  World world = twoWans();
  world.tunnelTroubles = {{"wg7", "wg show wg7: its process does not answer"}};
  Config config;
  config.tunnels.push_back({.interface = "wg7"});
  const auto findings = steered(world, config);
  EXPECT_EQ(lines(findings), Lines{"problem: wg show wg7: its process does not answer"});
  EXPECT_NE(findings.at(0).fix, "");
}

TEST(InspectWans, ThatAreTunnelsNobodyCanReadAreAConflict) {
  World world = twoWans();
  world.tunnelTroubles = {{"wan1", "wg show wan1: its process does not answer"}};
  Config config;
  config.wans = {{.name = "first", .device = "wan0"}, {.name = "second", .device = "wan1"}};
  const auto all = lines(steered(world, config));
  EXPECT_NE(std::ranges::find(all, "conflict: WAN second (wan1) is a tunnel"), all.end());
}

TEST(InspectWans, AreMissedWhenThereAreNone) {
  World world = twoWans();
  std::erase_if(world.routes, [](const Route& own) { return own.destination.isDefault(); });
  const auto found = lines(steered(world));
  EXPECT_EQ(std::ranges::count(found, "problem: no WAN: only tunnels have a default route"), 1);
}

TEST(InspectWans, AreNamedWithTheirDevices) {
  World world = twoWans();
  world.links.erase(kWan1);
  EXPECT_EQ(lines(steered(world, fiberAndLte())), Lines{"problem: WAN lte (wan1): no such device"});
}

TEST(InspectWans, ThatAreTunnelsAreAConflict) {
  Config config = fiberAndLte();
  config.wans.push_back(wan("wg0", "wg0", 3));
  EXPECT_EQ(lines(steered(twoWans(), config)), Lines{"conflict: WAN wg0 is a tunnel"});
}

TEST(InspectWans, ThatCannotBeUsedNowAreToldWithTheReason) {
  World world = twoWans();
  world.links.at(kWan1).carrier = false;
  EXPECT_EQ(lines(steered(world)), Lines{"advice: WAN wan1 cannot be used at present: no carrier"});
  for (const Family family : kFamilies) {
    world = twoWans();
    std::erase_if(world.routes,
                  [&](const Route& own) { return own.family() == family && own.hops.front().device == kWan1; });
    EXPECT_EQ(lines(steered(world)), Lines{}) << "the other family is enough";
  }
}

TEST(InspectWans, NeedAnAnswerToStrictRpFilterAndLossOfCarrierWithoutOurSwitches) {
  struct Row {
    const char* name;
    std::uint8_t device;
    std::uint8_t all;
    bool ours;
    bool allHaveIt;
    bool told;
  };
  for (const Row& row :
       {Row{"off", 0, 0, false, false, false}, Row{"strict", 1, 0, false, false, true},
        Row{"strict for all", 0, 1, false, false, true}, Row{"loose", 2, 0, false, false, false},
        Row{"the larger counts", 1, 2, false, false, false}, Row{"our switch cures it", 1, 0, true, false, false},
        Row{"the administrator's does", 1, 0, false, true, false}}) {
    World world = twoWans();
    for (const IfIndex device : {kWan0, kWan1}) world.links.at(device).sysctls = {SysctlKind::ignoreLinkdown4};
    world.links.at(kWan0).rpFilter = row.device;
    world.rpFilterAll = row.all;
    if (row.allHaveIt) world.sysctlsAll = {SysctlKind::srcValidMark};
    Config config;
    config.sysctl = row.ours;
    const auto found = steered(world, config);
    const auto told = std::ranges::find(found, Severity::problem, &Finding::severity);
    ASSERT_EQ(told != found.end(), row.told) << row.name;
    if (!row.told) continue;
    EXPECT_EQ(told->what, "strict rp_filter on wan0 drops replies from the tunnel's peers");
    EXPECT_NE(told->fix.find("sysctl -w net.ipv4.conf.wan0.src_valid_mark=1"), std::string::npos) << "to be pasted";
  }
  Config config;
  config.sysctl = false;
  const Lines kernelGoesOn = {
      "advice: the kernel goes on using wan0 without a carrier: only a running daemon moves its tunnels",
      "advice: the kernel goes on using wan1 without a carrier: only a running daemon moves its tunnels"};
  EXPECT_EQ(lines(steered(twoWans(), config)), kernelGoesOn);
}

// As /proc/sys is in containers.
TEST(InspectSysctls, AreNotTakenForSetWhereTheyAreReadOnly) {
  World world = twoWans();
  const auto found = [&world] {
    const Steering steering = steer({}, world);
    return inspect({}, {world, {}}, steering, desire({}, world, steering), false);
  };
  EXPECT_EQ(found().size(), 2U) << "both WANs stay in use without a carrier";
  EXPECT_NE(found().front().fix.find("outside of this container"), std::string::npos) << found().front().fix;
  for (const IfIndex device : {kWan0, kWan1}) world.links.at(device).sysctls = {SysctlKind::ignoreLinkdown4};
  EXPECT_EQ(lines(found()), Lines{}) << "somebody else has set them";
  world.rpFilterAll = 1;
  EXPECT_EQ(lines(found()), (Lines{"problem: strict rp_filter on wan0 drops replies from the tunnel's peers",
                                   "problem: strict rp_filter on wan1 drops replies from the tunnel's peers"}));
}

TEST(InspectSteering, HandsOnWhatCouldNotBeSteeredAsAsked) {
  const World world = twoWans();  // the steering refers to it
  Steering steering = steer({}, world);
  steering.problems = {"no mark is left"};
  EXPECT_EQ(lines(inspect({}, {world, {}}, steering, desire({}, world))), Lines{"problem: no mark is left"});
}

TEST(InspectSteering, SaysWhatHelpsWhereEveryMarkIsTaken) {
  World world = twoWans();
  for (std::uint32_t number = 1; number <= 15; ++number)
    world.rules.insert(foreign(1000 + number, {number << 28, 0xffffffff}));
  const auto found = inspected({}, world, {});
  EXPECT_TRUE(std::ranges::any_of(found, [](const Finding& each) {
    return each.what.starts_with("nothing is steered: ") && each.what.ends_with("; set it to unused bits in [globals]");
  }));
}

TEST(InspectTunnels, OfTheConfigurationThatAreNotThereAreTold) {
  Config config;
  config.tunnels = {tunnel("wg7", "default"), tunnel("wg8", "default")};
  config.tunnels.back().enabled = false;
  EXPECT_EQ(lines(steered(twoWans(), config)), Lines{"advice: tunnel wg7 is configured but does not exist"});
}

TEST(InspectPeers, ThatLoopAreAProblem) {
  const auto found = inspected({}, twoWans(), {});
  EXPECT_EQ(lines(found), Lines{"problem: wg0: 203.0.113.55:51820 is reached through tunnel wg0: a loop"});
  EXPECT_NE(found.front().fix.find("wgsteer explain 203.0.113.55:51820"), std::string::npos);
}

TEST(InspectPeers, ThatNoWanReachesAreAProblem) {
  World world = twoWans();
  for (const IfIndex device : {kWan0, kWan1}) world.links.at(device).up = false;
  const auto found = lines(steered(world));
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found.back(),
            "problem: wg0: 203.0.113.55:51820 cannot be reached: no WAN of its policy can be used at present");
}

TEST(InspectPeers, WithoutAnEndpointHaveNothingToBeFound) {
  World world = twoWans();
  world.tunnels.edit().at("wg0").peers.front().endpoint.reset();
  EXPECT_EQ(lines(inspected({}, world, {})), Lines{});
}

}  // namespace
}  // namespace wgsteer
