// SPDX-License-Identifier: GPL-2.0-or-later
// What follows from the steering in the kernel, line by line.
#include "wgsteer/core/desire.hpp"

#include <algorithm>
#include <gtest/gtest.h>

#include "wgsteer/core/describe.hpp"

#include "support/worlds.hpp"

namespace wgsteer {
namespace {

using namespace test;
using Lines = std::vector<std::string>;

constexpr TableId kFirstWan{kWanTableBase + 1};
constexpr TableId kSecondWan{kWanTableBase + 2};
constexpr TableId kDefaultPolicyTable{kPolicyTableBase + 15};

/// A table's routes, without the parts common to all of them.
Lines table(const State& state, const World& world, TableId id, Family family) {
  Lines lines;
  const std::string tail = " proto 87";
  const std::string where = " table " + std::to_string(id.value);
  for (const Route& each : state.routes) {
    if (each.table != id || each.family() != family) continue;
    std::string text = describe(each, deviceNames(world));
    for (const std::string& cut : {tail, where}) text.erase(text.find(cut), cut.size());
    lines.push_back(text);
  }
  return lines;
}

Lines rules(const State& state, Family family) {
  Lines lines;
  for (const Rule& rule : state.rules)
    if (rule.family == family) lines.push_back(describe(rule));
  return lines;
}

TEST(Desire, IsNothingAsLongAsNoWanWasEverSeen) {
  World world = twoWans();
  std::erase_if(world.routes, [](const Route& each) { return each.destination.isDefault(); });
  EXPECT_EQ(desire({}, world), State{});
}

TEST(Desire, HasOneRulePerMarkInBothFamilies) {
  const World world = twoWans();
  const State state = desire({}, world);
  const Lines expected{"priority 70 fwmark 0x10000000/0xf0000000 iif lo lookup 1464270849 proto 87",
                       "priority 70 fwmark 0x20000000/0xf0000000 iif lo lookup 1464270850 proto 87",
                       "priority 70 fwmark 0xf0000000/0xf0000000 iif lo lookup 1464271119 proto 87"};
  EXPECT_EQ(rules(state, Family::v4), expected);
  EXPECT_EQ(rules(state, Family::v6), expected);
}

TEST(Desire, HasNoIpv6RulesOnAKernelWithoutIpv6) {
  World world = twoWans();
  for (auto& [index, each] : world.links) each.hasIpv6 = false;
  const State state = desire({}, world);
  EXPECT_TRUE(rules(state, Family::v6).empty());
  EXPECT_TRUE(std::ranges::none_of(state.routes, [](const Route& each) { return each.family() == Family::v6; }));
  EXPECT_FALSE(rules(state, Family::v4).empty());
}

TEST(Tables, OfAWanHaveItsPrefixesItsDefaultAndAClosingRoute) {
  const World world = twoWans();
  const State state = desire({}, world);
  EXPECT_EQ(
      table(state, world, kFirstWan, Family::v4),
      (Lines{"default via 192.0.2.1 dev wan0 onlink metric 1", "unreachable default metric 4294967295",
             "192.0.2.0/24 dev wan0 scope link metric 1", "198.51.100.0/24 dev wan1 scope link metric 4294967280"}));
  EXPECT_EQ(table(state, world, kFirstWan, Family::v6),
            (Lines{"default via 2001:db8:10::1 dev wan0 metric 1", "unreachable default metric 4294967295",
                   "2001:db8:10::/64 dev wan0 metric 1", "2001:db8:20::/64 dev wan1 metric 4294967280"}));
}

TEST(Tables, OfAPolicyHaveAllEligibleWansByTheirMetrics) {
  const World world = twoWans();
  const State state = desire({}, world);
  EXPECT_EQ(table(state, world, kDefaultPolicyTable, Family::v4),
            (Lines{"default via 192.0.2.1 dev wan0 onlink metric 11",
                   "default via 198.51.100.1 dev wan1 onlink metric 21", "unreachable default metric 4294967295",
                   "192.0.2.0/24 dev wan0 scope link metric 11", "198.51.100.0/24 dev wan1 scope link metric 21"}));
}

TEST(Tables, OfAPolicyLeaveOutWhatIsNotEligible) {
  for (const auto spoil : {+[](World& world) { world.links.at(kWan0).carrier = false; },
                           +[](World& world) { world.wansDown = {{"wan0", "silent"}}; }}) {
    World world = twoWans();
    world.adopted.wanSlots = {{"wan0", Slot{1}}, {"wan1", Slot{2}}};
    spoil(world);
    const State state = desire({}, world);
    const Lines lines = table(state, world, kDefaultPolicyTable, Family::v4);
    EXPECT_EQ(lines.front(), "default via 198.51.100.1 dev wan1 onlink metric 21");
    EXPECT_EQ(lines.size(), 4U) << "prefixes stay";
    EXPECT_EQ(table(state, world, kFirstWan, Family::v4).size(), 4U) << "probes go on over the WAN's own table";
  }
}

TEST(Tables, OfAWanWhoseLinkIsDownAreClosedAndEmpty) {
  World world = twoWans();
  world.links.at(kWan0).up = world.links.at(kWan0).carrier = false;
  const State state = desire(fiberAndLte(), world);
  EXPECT_EQ(table(state, world, kFirstWan, Family::v4),
            (Lines{"unreachable default metric 4294967295", "198.51.100.0/24 dev wan1 scope link metric 4294967280"}));
}

TEST(Tables, WithTheLastResortMainAreNotClosed) {
  Config config = fiberAndLte();
  config.policies = {policy("open", {{"lte", 1, 1}}, LastResort::main)};
  const World world = twoWans();
  const State state = desire(config, world);
  EXPECT_EQ(
      table(state, world, TableId{kPolicyTableBase + 14}, Family::v4),
      (Lines{"default via 198.51.100.1 dev wan1 onlink metric 1", "192.0.2.0/24 dev wan0 scope link metric 4294967280",
             "198.51.100.0/24 dev wan1 scope link metric 1"}));
}

TEST(Tables, HaveTheLansButNeverATunnel) {
  World world = twoWans();
  world.links.emplace(IfIndex{4}, link(IfIndex{4}, "lan0", "bridge"));
  world.links.emplace(IfIndex{5}, link(IfIndex{5}, "lan1", "bridge"));
  world.links.at(IfIndex{5}).carrier = false;
  world.links.emplace(IfIndex{6}, link(IfIndex{6}, "tun0", "tun"));
  world.addresses.merge(std::set{address(IfIndex{4}, "10.50.0.1/24"), address(IfIndex{4}, "fe80::1/64"),
                                 address(IfIndex{5}, "10.51.0.1/24"), address(IfIndex{6}, "10.52.0.1/24")});
  const State state = desire({}, world);
  for (const TableId id : {kFirstWan, kSecondWan, kDefaultPolicyTable}) {
    const Lines lines = table(state, world, id, Family::v4);
    for (const char* lan : {"10.50.0.0/24 dev lan0", "10.51.0.0/24 dev lan1", "10.52.0.0/24 dev tun0"})
      EXPECT_TRUE(std::ranges::count(lines, lan + std::string{" scope link metric 4294967280"}) == 1) << lan;
    EXPECT_FALSE(
        std::ranges::any_of(lines, [](const std::string& line) { return line.find("wg0") != std::string::npos; }));
  }
}

TEST(Tables, OfBalancedWansHaveOneRouteWithWeights) {
  Config config = fiberAndLte();
  config.policies = {policy("both", {{"fiber", 1, 3}, {"lte", 1, 1}})};
  const World world = twoWans();
  const State state = desire(config, world);
  const TableId id{kPolicyTableBase + 14};
  EXPECT_EQ(
      table(state, world, id, Family::v4).front(),
      "default metric 1 nexthop via 192.0.2.1 dev wan0 weight 3 onlink nexthop via 198.51.100.1 dev wan1 weight 1 "
      "onlink");
  World alone = twoWans();
  alone.links.at(kWan1).carrier = false;
  EXPECT_EQ(table(desire(config, alone), alone, id, Family::v4).front(),
            "default via 192.0.2.1 dev wan0 onlink metric 1")
      << "a single next hop has no weight";
}

TEST(Tables, OfAPointToPointWanHaveNoGateway) {
  World world = twoWans();
  world.routes.erase(route("0.0.0.0/0", kWan0, "192.0.2.1", 10));
  world.routes.insert(route("0.0.0.0/0", kWan0, "", 10));
  world.addresses.erase(address(kWan0, "192.0.2.10/24"));
  InterfaceAddress own = address(kWan0, "192.0.2.10/32");
  own.peer = *Address::parse("100.64.0.1");
  world.addresses.insert(own);
  const State state = desire({}, world);
  EXPECT_EQ(
      table(state, world, kFirstWan, Family::v4),
      (Lines{"default dev wan0 scope link metric 1", "unreachable default metric 4294967295",
             "100.64.0.1 dev wan0 scope link metric 1", "198.51.100.0/24 dev wan1 scope link metric 4294967280"}));
}

TEST(Tables, HaveSourceSpecificDefaultsAndOneForLookupsWithoutASource) {
  World world = twoWans();
  world.routes.erase(route("::/0", kWan0, "2001:db8:10::1", 10));
  Route specific = route("::/0", kWan0, "2001:db8:10::1", 10);
  specific.source = *Prefix::parse("2001:db8:10::/56");
  world.routes.insert(specific);
  const State state = desire({}, world);
  EXPECT_EQ(table(state, world, kFirstWan, Family::v6),
            (Lines{"default via 2001:db8:10::1 dev wan0 metric 1", "unreachable default metric 4294967295",
                   "default from 2001:db8:10::/56 via 2001:db8:10::1 dev wan0 metric 1",
                   "2001:db8:10::/64 dev wan0 metric 1", "2001:db8:20::/64 dev wan1 metric 4294967280"}));
}

TEST(Tables, TakeTheirPartOfAMultipathDefault) {
  World world = twoWans();
  std::erase_if(world.routes, [](const Route& each) { return each.destination.isDefault(); });
  Route both = route("0.0.0.0/0", kWan0, "192.0.2.1");
  both.hops.front().weight = 5;
  both.hops.push_back({.device = kWan1, .gateway = Address::parse("198.51.100.1")});
  world.routes.insert(both);
  const State state = desire({}, world);
  EXPECT_EQ(table(state, world, kSecondWan, Family::v4).front(), "default via 198.51.100.1 dev wan1 onlink metric 1");
  EXPECT_EQ(table(state, world, kFirstWan, Family::v4).front(), "default via 192.0.2.1 dev wan0 onlink metric 1");
}

TEST(Tables, LeaveOutPrefixesThatTheUserDoesNotWantOnLink) {
  World world = twoWans();
  InterfaceAddress own = address(kWan0, "10.7.0.1/24");
  own.noPrefixRoute = true;
  world.addresses.insert(own);
  world.addresses.insert(address(kWan0, "10.8.0.1/32"));
  const State state = desire({}, world);
  EXPECT_EQ(table(state, world, kFirstWan, Family::v4).size(), 4U);
}

TEST(Marks, OfTheTunnelsArePoliciesMarks) {
  const World world = twoWans();
  const State state = desire({}, world);
  EXPECT_EQ(state.tunnelMarks, (std::map<IfName, Mark>{{"wg0", Mark{0xf0000000}}}));
  EXPECT_EQ(state.nft->table.endpoints.at(kServer4), Slot{15}) << "for the time until a reset fwmark is set again";
}

TEST(Marks, OfTheUserAreKeptAndMatchedAsTheyAre) {
  World world = twoWans();
  world.tunnels.edit().at("wg0").fwmark = Mark{0xca6c};
  const State state = desire({}, world);
  EXPECT_TRUE(state.tunnelMarks.empty());
  EXPECT_EQ(rules(state, Family::v6).back(), "priority 80 fwmark 0xca6c iif lo lookup 1464271119 proto 87");
  EXPECT_EQ(state.nft->table.foreignMarks, std::set{Mark{0xca6c}});
  EXPECT_EQ(state.nft->table.endpoints.at(kServer4), Slot{15}) << "for the time until a reset fwmark is set again";
  EXPECT_TRUE(state.nft->table.flows.empty());
}

TEST(Marks, OfTheUserThatTwoTunnelsShareLeadToTheFirstOnesPolicy) {
  Config config = fiberAndLte();
  config.policies = {policy("mobile", {{"lte", 1, 1}})};
  config.tunnels = {tunnel("wg1", "mobile")};
  World world = twoWans();
  world.tunnels.edit().at("wg0").fwmark = Mark{0xca6c};
  Tunnel second = world.tunnels.at("wg0");
  second.name = "wg1";
  second.peers = {peer(2, "203.0.113.66:51820")};
  world.tunnels.edit().emplace("wg1", second);
  const State state = desire(config, world);
  const Endpoint& other = *second.peers.front().endpoint;
  EXPECT_EQ(state.nft->table.flows.at({other, 51820}), Slot{2}) << "steered by its endpoint, whatever its mark";
  EXPECT_FALSE(state.nft->table.flows.contains({kServer4, 51820}));
}

TEST(Endpoints, OfAPinnedPeerAreMarkedByNft) {
  Config config = fiberAndLte();
  config.policies = {policy("mobile", {{"lte", 1, 1}})};
  config.peers = {pinned("wg0", 1, "mobile")};
  const World world = twoWans();
  const State state = desire(config, world);
  EXPECT_EQ(state.nft->table.flows.at({kServer4, 51820}), Slot{2});
  EXPECT_EQ(state.nft->table.endpoints.at(kServer4), Slot{2}) << "also without a mark";
  EXPECT_TRUE(state.nft->table.policies.contains(Slot{2})) << "an element leads to its chain";
}

Lines policySources(const State& state) {
  Lines lines;
  for (const auto& [key, address] : state.nft->table.policySources)
    lines.push_back(hex(key.first.value) + " " + address.toString());
  return lines;
}

TEST(PolicySources, AreThoseOfTheWanInUse) {
  World world = twoWans();
  EXPECT_EQ(policySources(desire(fiberAndLte(), world)),
            (Lines{"0xf0000000 192.0.2.10", "0xf0000000 2001:db8:10::10"}));
  world.links.at(kWan0).carrier = false;
  EXPECT_EQ(policySources(desire(fiberAndLte(), world)),
            (Lines{"0xf0000000 198.51.100.10", "0xf0000000 2001:db8:20::10"}));
  world.addresses.erase(address(kWan1, "2001:db8:20::10/64"));
  EXPECT_EQ(policySources(desire(fiberAndLte(), world)), (Lines{"0xf0000000 198.51.100.10"}));
  world.wansDown = {{"lte", "silent"}};
  EXPECT_EQ(policySources(desire(fiberAndLte(), world)), Lines{});
}

TEST(PolicySources, OfASingleWanAreThereAsLongAsItsRouteIs) {
  Config config = fiberAndLte();
  config.policies = {policy("mobile", {{"lte", 1, 1}})};
  World world = twoWans();
  world.wansDown = {{"lte", "silent"}};
  EXPECT_EQ(policySources(desire(config, world)).front(), "0x20000000 198.51.100.10");
}

TEST(PolicySources, AreNotForServers) {
  Config config = fiberAndLte();
  config.tunnels = {tunnel("wg0", "default", Role::server)};
  for (const std::string& line : policySources(desire(config, twoWans())))
    EXPECT_TRUE(line.starts_with("0xf")) << line << ": 0xe0000000 is the server's";
}

/// Which mark each of many peers gets, with WANs of equal metric.
std::map<Slot, int> shares(const Config& config, const World& world) {
  std::map<Slot, int> seen;
  const State state = desire(config, world);
  for (const auto& [endpoint, slot] : state.nft->table.endpoints) {
    ++seen[slot.value_or(Slot{0})];
    EXPECT_TRUE(!slot || state.nft->table.policies.contains(*slot));
  }
  return seen;
}

World manyPeers() {
  World world = twoWans();
  for (std::uint8_t number = 2; number < 101; ++number)
    world.tunnels.edit().at("wg0").peers.push_back(peer(number, "203.0.113.55:" + std::to_string(number)));
  return world;
}

Config balanced() {
  Config config = fiberAndLte();
  config.policies = {policy("both", {{"fiber", 1, 1}, {"lte", 1, 1}})};
  config.tunnels = {tunnel("wg0", "both", Role::client)};
  return config;
}

TEST(Balance, GivesEachPeerAWanOfItsOwn) {
  Config config = balanced();
  EXPECT_EQ(shares(config, manyPeers()), (std::map<Slot, int>{{Slot{14}, 100}})) << "the kernel chooses by flow";
  config.tunnels.front().balance = true;
  const auto seen = shares(config, manyPeers());
  EXPECT_EQ(seen.size(), 2U);
  EXPECT_NEAR(seen.at(Slot{1}), 50, 15);
  EXPECT_NEAR(seen.at(Slot{2}), 50, 15);
  const State state = desire(config, manyPeers());
  EXPECT_EQ((state.nft->table.policySources.at({Mark{0x20000000}, Family::v4})), Address::v4(198, 51, 100, 10));
}

TEST(Balance, LeavesOneWanToThePolicysTable) {
  Config config = balanced();
  config.tunnels.front().balance = true;
  World world = manyPeers();
  world.links.at(kWan1).carrier = false;
  EXPECT_EQ(shares(config, world), (std::map<Slot, int>{{Slot{14}, 100}}));
}

TEST(Balance, AppliesToThePeersOfATunnelWithTheUsersMark) {
  Config config = balanced();
  config.tunnels.front().balance = true;
  World world = manyPeers();
  world.tunnels.edit().at("wg0").fwmark = Mark{0xca6c};
  EXPECT_EQ(shares(config, world), shares(config, manyPeers()));
}

TEST(Balance, IsNotForServers) {
  Config config = balanced();
  config.tunnels.front().balance = true;
  config.tunnels.front().role = Role::server;
  EXPECT_EQ(shares(config, manyPeers()).size(), 1U);
}

TEST(Balance, OfAPinnedPeerAgreesWithItsSource) {
  Config config = balanced();
  config.tunnels = {tunnel("wg0", "default", Role::client)};
  config.peers = {pinned("wg0", 1, "both"), pinned("wg0", 2, "both"), pinned("wg0", 3, "both"),
                  pinned("wg0", 4, "both")};
  const auto seen = shares(config, manyPeers());
  EXPECT_EQ(seen.at(Slot{15}), 96);
  EXPECT_FALSE(seen.contains(Slot{14})) << "the kernel's choice might not be the source's WAN";
}

TEST(Endpoints, ThatNobodyCouldSteerAreLeftOut) {
  World world = twoWans();
  world.tunnels.edit().at("wg0").peers.clear();
  std::uint8_t number = 0;
  for (const char* endpoint : {"0.0.0.0:1", "127.0.0.1:1", "[::1]:1", "[fe80::1]:1", "224.0.0.1:1", "192.0.2.7:0"})
    world.tunnels.edit().at("wg0").peers.push_back(peer(++number, endpoint));
  Peer silent = peer(++number, "192.0.2.7:1");
  silent.endpoint.reset();
  world.tunnels.edit().at("wg0").peers.push_back(silent);
  EXPECT_TRUE(desire({}, world).nft->table.endpoints.empty());
}

TEST(Servers, AnswerByTheWanWhoseAddressTheyCarry) {
  Config config = fiberAndLte();
  config.tunnels = {tunnel("wg0", "default", Role::server)};
  World world = twoWans();
  InterfaceAddress tentative = address(kWan0, "2001:db8:10::99/64");
  tentative.tentative = true;
  world.addresses.insert(tentative);
  const State state = desire(config, world);
  const Lines all = rules(state, Family::v6);
  const Lines replies{all.begin(), all.begin() + 2};
  EXPECT_EQ(replies,
            (Lines{"priority 60 from 2001:db8:10::10 fwmark 0xe0000000/0xf0000000 iif lo lookup 1464270849 proto 87",
                   "priority 60 from 2001:db8:20::10 fwmark 0xe0000000/0xf0000000 iif lo lookup 1464270850 proto 87"}));
}

TEST(Servers, WithTheUsersMarkDoSoAsWell) {
  Config config = fiberAndLte();
  config.tunnels = {tunnel("wg0", "default", Role::server)};
  World world = twoWans();
  world.tunnels.edit().at("wg0").fwmark = Mark{0xca6c};
  const Lines all = rules(desire(config, world), Family::v4);
  EXPECT_EQ(std::ranges::count(all, "priority 60 from 192.0.2.10 fwmark 0xca6c iif lo lookup 1464270849 proto 87"), 1);
}

TEST(Switches, AreWantedOnWansAndRememberedAsOurs) {
  World world = twoWans();
  world.links.at(kWan0).rpFilter = 1;
  world.links.at(kWan1).hasIpv6 = false;
  const State state = desire({}, world);
  EXPECT_EQ(state.sysctls, (std::set<Sysctl>{{SysctlKind::ignoreLinkdown4, "wan0"},
                                             {SysctlKind::ignoreLinkdown4, "wan1"},
                                             {SysctlKind::ignoreLinkdown6, "wan0"},
                                             {SysctlKind::srcValidMark, "wan0"}}));
  EXPECT_EQ(state.nft->table.changedSysctls, state.sysctls);
}

TEST(Switches, OfTheAdministratorAreNotOurs) {
  World world = twoWans();
  world.links.at(kWan0).sysctls = {SysctlKind::ignoreLinkdown4, SysctlKind::ignoreLinkdown6};
  const Sysctl theirs{SysctlKind::ignoreLinkdown4, "wan0"};
  EXPECT_FALSE(desire({}, world).sysctls.contains(theirs));
  world.adopted.sysctls = {theirs};
  EXPECT_TRUE(desire({}, world).sysctls.contains(theirs)) << "on because the last run turned it on";
}

TEST(Switches, ForStrictRpFilterAreNotWantedWhereAllHaveThem) {
  World world = twoWans();
  world.rpFilterAll = 1;
  EXPECT_TRUE(desire({}, world).sysctls.contains({SysctlKind::srcValidMark, "wan1"}));
  world.sysctlsAll = {SysctlKind::srcValidMark};
  EXPECT_FALSE(desire({}, world).sysctls.contains({SysctlKind::srcValidMark, "wan1"}));
  world.links.at(kWan0).rpFilter = 2;
  world.sysctlsAll.clear();
  EXPECT_FALSE(desire({}, world).sysctls.contains({SysctlKind::srcValidMark, "wan0"})) << "loose wins over strict";
}

/// With it, the filter would look up the way back of the proxy's packets by their mark.
TEST(Switches, ForStrictRpFilterAreNotWantedBesideATransparentProxy) {
  World world = twoWans();
  world.rpFilterAll = 1;
  Rule proxy = kernelRule(Family::v4, 1000, TableId{100});
  proxy.mark = {1, 0xffffffff};
  world.rules.insert(proxy);
  const Sysctl sysctl{SysctlKind::srcValidMark, "wan1"};
  EXPECT_TRUE(desire({}, world).sysctls.contains(sysctl)) << "the table is empty";
  Route here = route("0.0.0.0/0", kWan0);
  here.type = RouteType::local;
  here.table = proxy.table;
  world.routes.insert(here);
  EXPECT_FALSE(desire({}, world).sysctls.contains(sysctl));
}

TEST(Switches, AreLeftAloneWhenTheUserSaysSo) {
  Config config;
  config.sysctl = false;
  EXPECT_TRUE(desire(config, twoWans()).sysctls.empty());
}

TEST(NftTable, HasTheChainsForTunnelsFromTheFirstTunnelOn) {
  World world = twoWans();
  const auto hasThem = [&](const Config& config = {}) { return desire(config, world).nft->layout.tunnels; };
  EXPECT_TRUE(hasThem());
  world.tunnels.edit().clear();
  EXPECT_FALSE(hasThem());
  EXPECT_TRUE(hasThem({.tunnels = {{.interface = "wg7"}}})) << "it is expected";
  EXPECT_TRUE(hasThem({.forward = true})) << "tunnels of other hosts";
  world.tunnelTroubles = {{"wg0", "wg show wg0: its process does not answer"}};
  EXPECT_TRUE(hasThem());
  world.tunnelTroubles.clear();
  world.adopted.tunnelChains = true;
  EXPECT_TRUE(hasThem()) << "there was a tunnel";
}

TEST(NftTable, KnowsWhatIsRightOnEachWan) {
  World world = twoWans();
  world.addresses.insert(address(kWan0, "fe80::1/64"));
  const State state = desire({}, world);
  const NftTable& nft = state.nft->table;
  EXPECT_EQ(nft.wans, (std::map<IfName, Slot>{{"wan0", Slot{1}}, {"wan1", Slot{2}}}));
  EXPECT_TRUE(nft.addresses.contains({"wan0", *Address::parse("fe80::1")}));
  EXPECT_TRUE(nft.addresses.contains({"wan1", *Address::parse("198.51.100.10")}));
  EXPECT_FALSE(nft.addresses.contains({"wg0", *Address::parse("10.9.0.2")}));
  EXPECT_EQ((nft.sources.at({"wan0", Family::v6}).toString()), "2001:db8:10::10");
  EXPECT_EQ(nft.listenPorts, std::set<std::uint16_t>{51820});
  EXPECT_EQ(nft.tunnels, std::set<IfName>{"wg0"});
  EXPECT_FALSE(state.nft->layout.forward);
}

}  // namespace
}  // namespace wgsteer
