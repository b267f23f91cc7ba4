// SPDX-License-Identifier: GPL-2.0-or-later
// How we decode messages that a kernel has really sent.
#include <bit>
#include <cerrno>
#include <gtest/gtest.h>

#include "wgsteer/core/numbers.hpp"

#include "netlink/captured.hpp"
#include "netlink/rtnetlink.hpp"
#include "netlink/rtnl_bytes.hpp"
#include "netlink/trace.hpp"

namespace wgsteer::netlink {
namespace {

using test::Bytestring;

constexpr IfIndex kWan0{3};
constexpr IfIndex kWan1{5};
constexpr TableId kTable{0x57470001};
constexpr std::uint8_t kBoot = 3;  // the default of ip

class Captured : public ::testing::Test {
 protected:
  void SetUp() override {
    if constexpr (std::endian::native != std::endian::little) GTEST_SKIP() << "captured on a little-endian machine";
  }
  template <class T>
  static T eventIn(std::string_view hex) {
    const Bytestring bytes{hex};
    const auto event = decodeEvent(bytes.message());
    EXPECT_TRUE(event) << trace(bytes.message());
    const T* expected = event ? std::get_if<T>(&*event) : nullptr;
    EXPECT_NE(expected, nullptr) << trace(bytes.message());
    return expected == nullptr ? T{} : *expected;
  }
  static bool ignored(std::string_view hex) { return !decodeEvent(Bytestring{hex}.message()); }
};

Route defaultBy(std::optional<Address> gateway, Family family = Family::v4) {
  Route route;
  route.table = kTable;
  route.destination = route.source = Prefix::any(family);
  route.metric = 1;
  route.hops = {{.device = kWan0, .gateway = gateway, .onlink = true}};
  route.protocol = kProtocol;
  return route;
}

TEST_F(Captured, Addresses) {
  InterfaceAddress expected{.device = kWan0, .address = Address::v4(192, 0, 2, 2), .prefixLength = 24};
  expected.noPrefixRoute = true;
  EXPECT_EQ(eventIn<AddressAdded>(captured::kAddress).address, expected);

  expected = {.device = kWan1, .address = Address::v4(10, 8, 0, 1), .prefixLength = 32};
  expected.peer = Address::v4(10, 8, 0, 2);
  EXPECT_EQ(eventIn<AddressAdded>(captured::kAddressWithPeer).address, expected);

  expected = {.device = kWan0, .address = *Address::parse("2001:db8::2"), .prefixLength = 64};
  EXPECT_EQ(eventIn<AddressAdded>(captured::kAddress6).address, expected);
  expected.tentative = true;
  EXPECT_EQ(eventIn<AddressAdded>(captured::kAddress6Tentative).address, expected);

  expected = {
      .device = kWan0, .address = *Address::parse("2001:db8:1::2"), .prefixLength = 64, .peer = {}, .deprecated = true};
  EXPECT_EQ(eventIn<AddressAdded>(captured::kAddress6Deprecated).address, expected);
}

TEST_F(Captured, DefaultRoutes) {
  const auto added = eventIn<RouteAdded>(captured::kDefault);
  EXPECT_EQ(added.route, defaultBy(Address::v4(192, 0, 2, 1)));
  EXPECT_FALSE(added.replaced);
  const auto replaced = eventIn<RouteAdded>(captured::kDefaultReplaced);
  EXPECT_EQ(replaced.route, defaultBy(Address::v4(192, 0, 2, 9)));
  EXPECT_TRUE(replaced.replaced);
  EXPECT_EQ(eventIn<RouteGone>(captured::kDefaultGone).route, replaced.route);
  EXPECT_EQ(eventIn<RouteAdded>(captured::kDefault6).route, defaultBy(Address::parse("fe80::1"), Family::v6));
}

TEST_F(Captured, ClosingRoutesHaveNoNextHopInEitherFamily) {
  for (const Family family : kFamilies) {
    Route expected = defaultBy({}, family);
    expected.hops.clear();
    expected.type = RouteType::unreachable;
    expected.metric = kClosingMetric;
    const auto seen = eventIn<RouteAdded>(family == Family::v4 ? captured::kClosing : captured::kClosing6);
    EXPECT_EQ(seen.route, expected);
  }
}

TEST_F(Captured, OnLinkRouteOfTheMainTable) {
  Route expected;
  expected.table = kMainTable;
  expected.destination = *Prefix::parse("10.99.0.0/16");
  expected.metric = 7;
  expected.hops = {{.device = kWan1}};
  expected.preferredSource = Address::v4(10, 8, 0, 1);
  expected.linkScope = true;
  expected.protocol = kBoot;
  EXPECT_EQ(eventIn<RouteAdded>(captured::kOnLink).route, expected);
}

TEST_F(Captured, SeveralNextHops) {
  Route expected = defaultBy({});
  expected.metric = 2;
  expected.protocol = kBoot;
  expected.hops = {{.device = kWan0, .gateway = Address::v4(192, 0, 2, 1), .onlink = true, .weight = 3},
                   {.device = kWan1, .gateway = {}, .onlink = false, .weight = 200}};
  EXPECT_EQ(eventIn<RouteAdded>(captured::kMultipath).route, expected);
}

TEST_F(Captured, Ipv4ByAnIpv6Gateway) {
  Route expected;
  expected.table = kMainTable;
  expected.metric = 9;
  expected.hops = {{.device = kWan0, .gateway = Address::parse("fe80::1")}};
  expected.protocol = kBoot;
  EXPECT_EQ(eventIn<RouteAdded>(captured::kViaInet6).route, expected);
}

TEST_F(Captured, SourceSpecificDefault) {
  Route expected = defaultBy(Address::parse("fe80::1"), Family::v6);
  expected.table = kMainTable;
  expected.source = *Prefix::parse("2001:db8::/56");
  expected.metric = 512;
  expected.hops.front().onlink = false;
  expected.protocol = kBoot;
  EXPECT_EQ(eventIn<RouteAdded>(captured::kSourceSpecific6).route, expected);
}

TEST_F(Captured, NextHopThatJoinsAnIpv6RouteReplacesWhatWasKnown) {
  const auto joined = eventIn<RouteAdded>(captured::kHopJoined6);
  EXPECT_TRUE(joined.replaced);
  Route expected = defaultBy(Address::parse("fe80::1"), Family::v6);
  expected.hops.push_back({.device = kWan1, .gateway = Address::parse("fe80::2")});
  EXPECT_EQ(joined.route, expected);
}

TEST_F(Captured, RulesOfOurs) {
  Rule expected{.priority = 70, .mark = {0x10000000, 0xf0000000}, .table = kTable, .protocol = kProtocol};
  EXPECT_EQ(eventIn<RuleAdded>(captured::kRuleMark).rule, expected);
  EXPECT_EQ(eventIn<RuleGone>(captured::kRuleGone).rule, expected);
  expected.priority = 60;
  expected.family = Family::v6;
  expected.source = Prefix::host(*Address::parse("2001:db8::2"));
  EXPECT_EQ(eventIn<RuleAdded>(captured::kRuleFrom6).rule, expected);
}

TEST_F(Captured, RulesOfOthers) {
  const Rule wgQuick{.priority = 80, .invert = true, .mark = {0xca6c, 0xffffffff}, .table = TableId{51820}};
  EXPECT_EQ(eventIn<RuleAdded>(captured::kRuleNot).rule, wgQuick);
  const Rule suppress{.priority = 81, .table = kMainTable, .suppressPrefixLength = 0};
  EXPECT_EQ(eventIn<RuleAdded>(captured::kRuleSuppress).rule, suppress);
  Rule all{.priority = 82, .source = Prefix::parse("10.0.0.0/8"), .destination = Prefix::parse("192.0.2.0/24")};
  all.inputInterface = "wan0";
  all.outputInterface = "wan1";
  all.action = RuleAction::goto_;
  all.gotoPriority = 32766;
  all.ipProtocol = 17;
  all.sourcePort = {51820, 51820};
  all.destinationPort = {1000, 2000};
  EXPECT_EQ(eventIn<RuleAdded>(captured::kRuleGoto).rule, all);
  const Rule users{.priority = 83, .action = RuleAction::blackhole, .otherSelector = true};
  EXPECT_EQ(eventIn<RuleAdded>(captured::kRuleUidRange).rule, users);
  // Linux 6.15 and later send a mask along with each single port.
  const Rule port{.priority = 84, .action = RuleAction::unreachable, .sourcePort = PortRange{5, 5}};
  EXPECT_EQ(eventIn<RuleAdded>(captured::kRulePort).rule, port);
}

TEST_F(Captured, LinkWithItsSwitches) {
  Link expected{.index = kWan0, .name = "wan0", .kind = "veth", .up = true, .carrier = true};
  expected.rpFilter = 2;
  expected.sysctls = {SysctlKind::ignoreLinkdown4, SysctlKind::ignoreLinkdown6, SysctlKind::srcValidMark};
  EXPECT_EQ(eventIn<LinkChanged>(captured::kLink).link, expected);
  EXPECT_EQ(eventIn<LinkGone>(captured::kLinkGone).index, kWan1);
}

TEST_F(Captured, BridgesSpeakOfTheirPortsOnly) {
  EXPECT_TRUE(ignored(captured::kBridgePort));
  EXPECT_TRUE(ignored(captured::kBridgePortGone));
}

TEST_F(Captured, WirelessEventIsNoLink) {
  // rtmsg_ifinfo's header and name as in kLink, then IFLA_WIRELESS, as wireless_nlevent_flush() makes it.
  Message message{RTM_NEWLINK, 0};
  message.extra<ifinfomsg>().ifi_index = kWan0.value;
  message.text(IFLA_IFNAME, "wan0");
  EXPECT_TRUE(decodeEvent(message.header()));
  message.u32(IFLA_WIRELESS, 0);
  EXPECT_FALSE(decodeEvent(message.header()));
}

TEST_F(Captured, Switches) {
  EXPECT_EQ(eventIn<SysctlsChanged>(captured::kNetconfLinkdown).device, kWan0);
  EXPECT_EQ(eventIn<SysctlsChanged>(captured::kNetconfAll).device, IfIndex{0});
  EXPECT_TRUE(ignored(captured::kNetconfDefault));
  EXPECT_TRUE(ignored(captured::kNetconfForwarding));
}

TEST_F(Captured, Answers) {
  auto answer = answerIn(Bytestring{captured::kNoSuchTable}.message());
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->error, ENOENT);
  EXPECT_EQ(answer->sequence, 7U);
  EXPECT_EQ(answer->text, "ipv4: FIB table does not exist");
  answer = answerIn(Bytestring{captured::kNoSuchDevice}.message());
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->error, ENODEV);
  EXPECT_EQ(answer->text, "");
  answer = answerIn(Bytestring{captured::kNoSuchGateway}.message());
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->error, ENETUNREACH);
  EXPECT_EQ(answer->text, "Nexthop has invalid gateway");
}

TEST_F(Captured, AsText) {
  const auto text = [](std::string_view hex) { return trace(Bytestring{hex}.message()); };
  EXPECT_EQ(text(captured::kDefaultReplaced),
            "RTM_NEWROUTE replace: ip route default via 192.0.2.9 dev if3 onlink table 1464270849 metric 1 proto 87");
  EXPECT_EQ(text(captured::kRuleGone),
            "RTM_DELRULE: ip rule priority 70 fwmark 0x10000000/0xf0000000 lookup 1464270849 proto 87");
  EXPECT_EQ(text(captured::kLink), "RTM_NEWLINK: link 3 wan0 veth up");
  EXPECT_EQ(text(captured::kAddressWithPeer), "RTM_NEWADDR: address 10.8.0.1 peer 10.8.0.2/32 dev if5");
  EXPECT_EQ(text(captured::kNoSuchTable), "NLMSG_DONE: No such file or directory, ipv4: FIB table does not exist");
  EXPECT_EQ(text(captured::kNetconfAll), "RTM_NEWNETCONF: 36 bytes");
}

}  // namespace
}  // namespace wgsteer::netlink
