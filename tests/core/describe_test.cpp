// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/describe.hpp"

#include <gtest/gtest.h>

#include "wgsteer/core/desire.hpp"

#include "support/worlds.hpp"

namespace wgsteer {
namespace {

using namespace test;
using Lines = std::vector<std::string>;

Lines lines(const Change& change) {
  const World world = twoWans();
  const Lines all = describe(change, deviceNames(world));
  EXPECT_EQ(lineCount(change), all.size()) << "what is counted is what is told";
  return all;
}

Route ours(const std::string& destination, const std::string& gateway) {
  Route made = route(destination, kWan0, gateway, 1);
  made.table = TableId{kWanTableBase + 1};
  made.protocol = kProtocol;
  return made;
}

TEST(DescribeRoute, IsWhatIpTakes) {
  Route made = ours("0.0.0.0/0", "192.0.2.1");
  made.hops.front().onlink = true;
  EXPECT_EQ(lines(AddRoute{made}),
            Lines{"ip route add default via 192.0.2.1 dev wan0 onlink table 1464270849 metric 1 proto 87"});
  EXPECT_EQ(lines(AddRoute{made, true}),
            Lines{"ip route replace default via 192.0.2.1 dev wan0 onlink table 1464270849 metric 1 proto 87"});
  EXPECT_EQ(lines(DeleteRoute{made}),
            Lines{"ip route del default via 192.0.2.1 dev wan0 onlink table 1464270849 metric 1 proto 87"});
}

TEST(DescribeRoute, HasAllOfItsParts) {
  Route made = ours("::/0", "2001:db8:10::1");
  made.source = *Prefix::parse("2001:db8:10::/56");
  made.preferredSource = Address::parse("2001:db8:10::10");
  EXPECT_EQ(lines(AddRoute{made}), Lines{"ip -6 route add default from 2001:db8:10::/56 via 2001:db8:10::1 dev wan0 "
                                         "table 1464270849 src 2001:db8:10::10 metric 1 proto 87"});
  Route over = ours("192.0.2.0/24", "2001:db8:10::1");
  over.linkScope = true;
  EXPECT_EQ(lines(AddRoute{over}), Lines{"ip route add 192.0.2.0/24 via inet6 2001:db8:10::1 dev wan0 table 1464270849 "
                                         "scope link metric 1 proto 87"});
}

TEST(DescribeRoute, NamesItsType) {
  Route made = ours("0.0.0.0/0", "");
  made.hops.clear();
  for (const auto& [type, name] : std::map<RouteType, std::string>{{RouteType::unreachable, "unreachable "},
                                                                   {RouteType::blackhole, "blackhole "},
                                                                   {RouteType::prohibit, "prohibit "},
                                                                   {RouteType::throw_, "throw "},
                                                                   {RouteType::unicast, ""}}) {
    made.type = type;
    EXPECT_EQ(describe(made, {}), name + "default table 1464270849 metric 1 proto 87");
  }
}

TEST(DescribeRoute, HasAWeightForEachOfSeveralHops) {
  Route made = ours("0.0.0.0/0", "192.0.2.1");
  made.hops.front().weight = 3;
  made.hops.push_back({.device = IfIndex{77}, .gateway = {}});
  EXPECT_EQ(
      lines(AddRoute{made}),
      Lines{"ip route add default table 1464270849 metric 1 proto 87 nexthop via 192.0.2.1 dev wan0 weight 3 nexthop "
            "dev if77 weight 1"});
}

TEST(DescribeRoute, CallsTheKernelsTablesByTheirNames) {
  Route made = route("10.0.0.0/8", kWan0);
  EXPECT_EQ(describe(made, [](IfIndex) { return std::string{"wan0"}; }),
            "10.0.0.0/8 dev wan0 table main metric 0 proto 3");
  made.table = kLocalTable;
  made.type = RouteType::local;
  EXPECT_EQ(describe(made, [](IfIndex) { return std::string{"lo"}; }),
            "local 10.0.0.0/8 dev lo table local metric 0 proto 3");
}

TEST(DescribeRule, HasAllOfItsSelectors) {
  Rule made = kernelRule(Family::v4, 60, TableId{7});
  EXPECT_EQ(describe(made), "priority 60 lookup 7 proto 2");
  made.invert = true;
  made.source = Prefix::parse("192.0.2.10");
  made.destination = Prefix::parse("0.0.0.0/0");
  made.mark = {0x10000000, 0xf0000000};
  made.inputInterface = "lo";
  made.outputInterface = "wan0";
  made.ipProtocol = 17;
  made.sourcePort = PortRange{1, 1};
  made.destinationPort = PortRange{51820, 51821};
  made.otherSelector = true;
  made.suppressPrefixLength = 0;
  EXPECT_EQ(
      describe(made),
      "priority 60 not from 192.0.2.10 to all fwmark 0x10000000/0xf0000000 iif lo oif wan0 ipproto 17 sport 1 dport "
      "51820-51821 (and more) lookup 7 suppress_prefixlength 0 proto 2");
}

TEST(DescribeRule, HasItsAction) {
  Rule made = kernelRule(Family::v6, 5, TableId{});
  made.protocol = 0;
  made.gotoPriority = 100;
  const std::map<RuleAction, std::string> texts{
      {RuleAction::goto_, "goto 100"},      {RuleAction::nop, "nop"},
      {RuleAction::blackhole, "blackhole"}, {RuleAction::unreachable, "unreachable"},
      {RuleAction::prohibit, "prohibit"},   {RuleAction::other, "(other action)"}};
  for (const auto& [action, text] : texts) {
    made.action = action;
    EXPECT_EQ(describe(made), "priority 5 " + text);
  }
}

TEST(DescribeRule, IsWhatIpTakesInBothFamilies) {
  EXPECT_EQ(lines(AddRule{kernelRule(Family::v4, 70, kMainTable)}),
            Lines{"ip rule add priority 70 lookup main proto 2"});
  EXPECT_EQ(lines(DeleteRule{kernelRule(Family::v6, 70, kDefaultTable)}),
            Lines{"ip -6 rule del priority 70 lookup default proto 2"});
}

TEST(DescribeTunnelMark, IsWhatWgTakes) {
  EXPECT_EQ(lines(SetTunnelMark{"wg0", Mark{0xf0000000}}), Lines{"wg set wg0 fwmark 0xf0000000"});
  EXPECT_EQ(lines(SetTunnelMark{"wg0", Mark{0}}), Lines{"wg set wg0 fwmark off"});
}

TEST(DescribeSysctl, IsWhatSysctlTakes) {
  const Sysctl sysctl{SysctlKind::srcValidMark, "eth0.7"};
  EXPECT_EQ(lines(SetSysctl{sysctl, true}), Lines{"sysctl -w net.ipv4.conf.eth0/7.src_valid_mark=1"});
  EXPECT_EQ(lines(SetSysctl{sysctl, false}), Lines{"sysctl -w net.ipv4.conf.eth0/7.src_valid_mark=0"});
}

TEST(DescribeNft, HasALineForEachPart) {
  NftTransaction transaction{.deleteTable = true, .createTable = true, .layout = {}, .ops = {}};
  const Address own = *Address::parse("2001:db8::1");
  for (const bool add : {false, true}) {
    transaction.ops.push_back({add, NftEndpoint{kServer4, Slot{15}}});
    transaction.ops.push_back({add, NftSource{"wan0", own}});
    transaction.ops.push_back({add, NftWan{"wan0", Slot{1}}});
  }
  EXPECT_EQ(lines(transaction),
            (Lines{"nft delete table inet wgsteer", "nft add table inet wgsteer",
                   "nft delete element inet wgsteer endpoint4 { 203.0.113.55 . 51820 }",
                   "nft delete element inet wgsteer source6 { \"wan0\" }",
                   "nft delete element inet wgsteer arrival { \"wan0\" }",
                   "nft add element inet wgsteer endpoint4 { 203.0.113.55 . 51820 : goto policy_15 }",
                   "nft add element inet wgsteer source6 { \"wan0\" : 2001:db8::1 }",
                   "nft add element inet wgsteer arrival { \"wan0\" : goto wan_1 }"}));
}

TEST(DescribeNft, KnowsEveryKindOfMember) {
  NftTransaction transaction;
  transaction.ops = {{true, NftAddress{"wan0", Address::v4(192, 0, 2, 1)}},
                     {true, NftPolicySource{Mark{0xe0000000}, Address::v4(192, 0, 2, 1)}},
                     {false, NftPolicySource{Mark{0xe0000000}, *Address::parse("2001:db8::1")}},
                     {true, NftPolicy{Slot{14}}},
                     {false, NftPolicy{Slot{13}}},
                     {true, NftEndpoint{*Endpoint::parse("[2001:db8::1]:1"), {}}},
                     {true, NftListenPort{51820}},
                     {true, NftTunnel{"wg0"}},
                     {true, NftForeignMark{Mark{0xca6c}}},
                     {true, NftSysctl{{SysctlKind::ignoreLinkdown4, "wan0"}}},
                     {true, NftSysctl{{SysctlKind::ignoreLinkdown6, "wan0"}}},
                     {false, NftSysctl{{SysctlKind::srcValidMark, "wan0"}}},
                     {true, NftDeprecated{*Address::parse("2001:db8::1"), {{1800}, 77}}},
                     {false, NftDeprecated{*Address::parse("2001:db8::1"), {{}, 0}}}};
  EXPECT_EQ(
      lines(transaction),
      (Lines{"nft add element inet wgsteer address4 { \"wan0\" . 192.0.2.1 }",
             "nft add element inet wgsteer policy_source4 { 0xe0000000 : 192.0.2.1 }",
             "nft delete element inet wgsteer policy_source6 { 0xe0000000 }", "nft add chain inet wgsteer policy_14",
             "nft delete chain inet wgsteer policy_13",
             "nft add element inet wgsteer endpoint6 { 2001:db8::1 . 1 : return }",
             "nft add element inet wgsteer listen_port { 51820 }", "nft add element inet wgsteer tunnel { \"wg0\" }",
             "nft add element inet wgsteer foreign_mark { 0xca6c }",
             "nft add element inet wgsteer ignore_linkdown4 { \"wan0\" }",
             "nft add element inet wgsteer ignore_linkdown6 { \"wan0\" }",
             "nft delete element inet wgsteer src_valid_mark { \"wan0\" }",
             "nft add element inet wgsteer deprecated { 2001:db8::1 . 0x708 . 0x4d }",
             "nft delete element inet wgsteer deprecated { 2001:db8::1 . 0xffffffff . 0x0 }"}));
}

TEST(DescribeRules, SayWhatTheirElementsMean) {
  Config config = fiberAndLte();
  config.numbers.markMask = kTrafficMarkMask;
  config.policies = {policy("lte_first", {{.wan = "lte"}, {.wan = "fiber"}})};
  for (const char* name : {"tv", "web", "mail"}) {
    RuleConfig rule;
    rule.name = name;
    rule.policy = name == std::string{"mail"} ? "lte_first" : "default";
    config.rules.push_back(rule);
  }
  const World world = twoWans();
  const NftLayout layout = desire(config, world).nft->layout;
  const TrafficSteering traffic = *steer(config, world).traffic;
  const auto told = [&](const NftOp& op) { return lines(NftTransaction{.layout = layout, .ops = {op}}).front(); };
  const auto pinned = [&](std::size_t policy, std::size_t wan) {
    return NftPinned{Family::v4, config.numbers.markOf(traffic.policies.at(policy).pins.at(wan)),
                     PinnedWay{traffic.exits.at(wan)}};
  };
  EXPECT_TRUE(told({true, pinned(0, 0)}).ends_with("  # IPv4 connections of rule tv and 1 more by wan0 stay there"));
  EXPECT_TRUE(told({false, pinned(1, 1)}).ends_with("  # IPv4 connections of rule mail by wan1 ask the rules again"));
  EXPECT_EQ(told({true, NftPinned{Family::v6, Mark{0x40000000}, PinnedWay{Slot{64}}}}),
            "nft add element inet wgsteer pinned6 { 0x40000000 : goto exit_64 }  # IPv6 connections that arrived on "
            "exit 64 stay there");
  NftPinned following = pinned(0, 0);
  following.way = {.mark = traffic.policies.at(0).chosen, .exit = false};
  EXPECT_TRUE(told({true, following}).ends_with(" by wan0 follow their policy, which leads there"));
  const Lines changed = lines(NftTransaction{.layout = layout, .ops = {{false, pinned(0, 0)}, {true, following}}});
  EXPECT_TRUE(changed.front().ends_with("}")) << "it is added again";
  EXPECT_EQ(told({false, NftArrival{Family::v4, "wan0", Slot{64}}}),
            "nft delete element inet wgsteer arrive4 { \"wan0\" }  # IPv4 connections that arrive on wan0 are no "
            "longer answered over it");
  EXPECT_EQ(told({true, NftReset{Family::v4, Mark{0x42000000}}}),
            "nft add element inet wgsteer reset4 { 0x42000000 : goto reset }  # IPv4 TCP connections of a WAN that has "
            "failed are reset");
  EXPECT_EQ(
      told({true, NftNamedMark{Mark{1}}}),
      "nft add element inet wgsteer named_mark { 0x1 }  # a mark of another program: such packets bypass the rules");
  EXPECT_EQ(lines(NftTransaction{.createTable = true, .layout = layout, .ops = {}}),
            Lines{"nft add table inet wgsteer  # rules for any traffic: 3 rules, 2 sets"});
}

}  // namespace
}  // namespace wgsteer
