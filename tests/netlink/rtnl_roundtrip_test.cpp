// SPDX-License-Identifier: GPL-2.0-or-later
// What our encoders write is read back by our decoders and, independently, by libnl-route.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <gtest/gtest.h>
#include <initializer_list>
#include <linux/fib_rules.h>
#include <memory>
#include <netlink/msg.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <netlink/route/rule.h>
#include <vector>

#include "wgsteer/core/describe.hpp"

#include "netlink/declared.hpp"
#include "netlink/rtnl_bytes.hpp"
#include "netlink/rtnl_random.hpp"

namespace wgsteer::netlink {
namespace {

using test::encoded;
using test::Random;

constexpr int kRounds = 2000;
constexpr std::array<std::int32_t, 2> kDevices{3, 5};

std::string name(IfIndex index) { return "if" + std::to_string(index.value); }

TEST(RtnlRoundTrip, RandomRoutes) {
  Random random{1};
  for (int i = 0; i < kRounds; ++i) {
    const Route route = random.route(kDevices);
    EXPECT_EQ(decodeRoute(encoded(route).message()), route) << describe(route, name);
  }
}

TEST(RtnlRoundTrip, RandomRules) {
  Random random{2};
  for (int i = 0; i < kRounds; ++i) {
    const Rule rule = random.rule();
    EXPECT_EQ(decodeRule(encoded(rule).message()), rule) << describe(rule);
  }
}

TEST(RtnlRoundTrip, GatewayOfTheOtherFamily) {
  Route route;
  route.table = kMainTable;
  route.hops = {{.device = IfIndex{3}, .gateway = Address::parse("fe80::1"), .onlink = true}};
  EXPECT_EQ(decodeRoute(encoded(route).message()), route);
  route.hops.push_back({.device = IfIndex{5}, .gateway = Address::parse("2001:db8::1"), .onlink = true, .weight = 7});
  EXPECT_EQ(decodeRoute(encoded(route).message()), route);
}

TEST(RtnlRoundTrip, TwoWansIsWellInsideOfAMessageAndAThousandIsRefused) {
  Route route;
  route.table = kMainTable;
  for (std::int32_t device = 1; device <= 15; ++device)
    route.hops.push_back({.device = IfIndex{device}, .gateway = Address::parse("fe80::1"), .onlink = true});
  Message fits{RTM_NEWROUTE, 0};
  encodeRoute(fits, route);
  EXPECT_TRUE(fits.whole());
  route.hops.resize(1000, route.hops.front());
  Message tooLarge{RTM_NEWROUTE, 0};
  encodeRoute(tooLarge, route);
  EXPECT_FALSE(tooLarge.whole());
  EXPECT_LE(tooLarge.finished().size(), 8192U);
}

TEST(RtnlMessage, NothingOfTheStackGoesToTheKernel) {
  alignas(Message) std::array<std::byte, sizeof(Message)> stack;
  stack.fill(std::byte{0xaa});
  asm volatile(""
               :
               : "r"(stack.data())
               : "memory");  // or the compiler would omit the fill, since the stack is not read afterwards
  auto* message = new (stack.data()) Message{RTM_NEWRULE, 0};
  message->extra<fib_rule_hdr>() = {};
  message->u8(FRA_PROTOCOL, 1);
  message->u16(FRA_SPORT_RANGE, 1);
  message->text(FRA_IIFNAME, "wan0");
  const auto sent = message->finished();
  ASSERT_GT(sent.size(), sizeof(nlmsghdr) + sizeof(fib_rule_hdr));
  EXPECT_EQ(std::ranges::count(sent, std::byte{0xaa}), 0);
}

// libnl's view.

using Object = std::unique_ptr<nl_object, decltype(&nl_object_put)>;

void keep(nl_object* object, void* kept) {
  nl_object_get(object);
  static_cast<Object*>(kept)->reset(object);
}

/// By the message's type: a rtnl_route, a rtnl_rule.
Object parsedByLibnl(const test::Bytestring& bytes) {
  Object object{nullptr, &nl_object_put};
  nl_msg* message = nlmsg_convert(const_cast<nlmsghdr*>(bytes.message()));
  nlmsg_set_proto(message, NETLINK_ROUTE);
  EXPECT_EQ(nl_msg_parse(message, keep, &object), 0);
  nlmsg_free(message);
  return object;
}

std::optional<Address> addressOf(nl_addr* address) {
  if (address == nullptr || nl_addr_get_len(address) == 0) return std::nullopt;
  return Address::fromBytes(
      {static_cast<const std::uint8_t*>(nl_addr_get_binary_addr(address)), nl_addr_get_len(address)});
}

/// libnl has a default destination, but a source only when there is one.
Prefix prefixOf(nl_addr* address, Family family) {
  const auto bits = addressOf(address);
  return bits ? Prefix{*bits, static_cast<std::uint8_t>(nl_addr_get_prefixlen(address))} : Prefix::any(family);
}

NextHop hopOf(rtnl_nexthop* hop) {
  return {.device = IfIndex{rtnl_route_nh_get_ifindex(hop)},
          .gateway = addressOf(rtnl_route_nh_get_gateway(hop)),
          .onlink = (rtnl_route_nh_get_flags(hop) & RTNH_F_ONLINK) != 0,
          // libnl has the kernel's rtnh_hops, which is one less.
          .weight = static_cast<std::uint16_t>(rtnl_route_nh_get_weight(hop) + 1)};
}

Route routeOf(rtnl_route* parsed) {
  Route route;
  const Family family = familyOf(rtnl_route_get_family(parsed)).value();
  route.table = TableId{rtnl_route_get_table(parsed)};
  route.destination = prefixOf(rtnl_route_get_dst(parsed), family);
  route.source = prefixOf(rtnl_route_get_src(parsed), family);
  route.metric = rtnl_route_get_priority(parsed);
  route.preferredSource = addressOf(rtnl_route_get_pref_src(parsed));
  route.protocol = rtnl_route_get_protocol(parsed);
  route.linkScope = rtnl_route_get_scope(parsed) == RT_SCOPE_LINK;
  for (int i = 0; i < rtnl_route_get_nnexthops(parsed); ++i)
    route.hops.push_back(hopOf(rtnl_route_nexthop_n(parsed, i)));
  switch (rtnl_route_get_type(parsed)) {
    case RTN_UNICAST:
      route.type = RouteType::unicast;
      break;
    case RTN_UNREACHABLE:
      route.type = RouteType::unreachable;
      break;
    case RTN_BLACKHOLE:
      route.type = RouteType::blackhole;
      break;
    case RTN_PROHIBIT:
      route.type = RouteType::prohibit;
      break;
    case RTN_THROW:
      route.type = RouteType::throw_;
      break;
    default:
      route.type = RouteType::other;
  }
  return route;
}

TEST(RtnlOracle, LibnlReadsOurRoutes) {
  Random random{3};
  for (int i = 0; i < kRounds; ++i) {
    const Route route = random.route(kDevices);
    const Object object = parsedByLibnl(encoded(route));
    ASSERT_TRUE(object);
    EXPECT_EQ(routeOf(reinterpret_cast<rtnl_route*>(object.get())), route) << describe(route, name);
  }
}

std::string text(const char* value) { return value == nullptr ? "" : value; }

template <class Get>
std::optional<PortRange> portsOf(rtnl_rule* rule, Get get) {
  PortRange range;
  // Negative when not set.
  if (get(rule, &range.first, &range.last) < 0 || range == PortRange{}) return std::nullopt;
  return range;
}

Rule ruleOf(rtnl_rule* parsed) {
  Rule rule;
  rule.family = familyOf(rtnl_rule_get_family(parsed)).value();
  rule.priority = rtnl_rule_get_prio(parsed);
  if (nl_addr* source = rtnl_rule_get_src(parsed)) rule.source = prefixOf(source, rule.family);
  if (nl_addr* destination = rtnl_rule_get_dst(parsed)) rule.destination = prefixOf(destination, rule.family);
  rule.inputInterface = text(rtnl_rule_get_iif(parsed));
  rule.outputInterface = text(rtnl_rule_get_oif(parsed));
  rule.mark = {rtnl_rule_get_mark(parsed), rtnl_rule_get_mask(parsed)};
  rule.table = TableId{rtnl_rule_get_table(parsed)};
  rule.gotoPriority = rtnl_rule_get_goto(parsed);
  std::uint8_t value = 0;
  if (rtnl_rule_get_protocol(parsed, &value) >= 0) rule.protocol = value;
  value = 0;
  if (rtnl_rule_get_ipproto(parsed, &value) >= 0) rule.ipProtocol = value;
  rule.sourcePort = portsOf(parsed, rtnl_rule_get_sport);
  rule.destinationPort = portsOf(parsed, rtnl_rule_get_dport);
  return rule;
}

constexpr int actionNumber(RuleAction action) {
  constexpr std::array kNumbers{FR_ACT_TO_TBL,    FR_ACT_GOTO,        FR_ACT_NOP,
                                FR_ACT_BLACKHOLE, FR_ACT_UNREACHABLE, FR_ACT_PROHIBIT};
  return kNumbers[static_cast<std::size_t>(action)];
}

TEST(RtnlOracle, LibnlReadsOurRules) {
  Random random{4};
  for (int i = 0; i < kRounds; ++i) {
    const Rule rule = random.rule();
    const Object object = parsedByLibnl(encoded(rule));
    ASSERT_TRUE(object);
    auto* parsed = reinterpret_cast<rtnl_rule*>(object.get());
    EXPECT_EQ(rtnl_rule_get_action(parsed), actionNumber(rule.action)) << describe(rule);
    // libnl knows neither "not" nor suppress_prefixlength.
    Rule known = rule;
    known.invert = false;
    known.suppressPrefixLength = -1;
    Rule read = ruleOf(parsed);
    read.action = rule.action;
    EXPECT_EQ(read, known) << describe(rule) << "\nlibnl: " << describe(read);
  }
}

/// A rule without its unreadable suppressor would be a different rule, and so would a route without its metric.
TEST(RtnlDeclared, AnAttributeOfAnotherLengthIsNotTakenForAnAbsentOne) {
  Rule rule;
  rule.table = kMainTable;
  Message known{RTM_NEWRULE, 0};
  encodeRule(known, rule);
  EXPECT_TRUE(decodeRule(known.header()));
  known.u8(FRA_SUPPRESS_PREFIXLEN, 0);
  EXPECT_FALSE(decodeRule(known.header()));

  Route route{.table = kMainTable, .destination = Prefix::any(Family::v4), .source = Prefix::any(Family::v4)};
  Message announced{RTM_NEWROUTE, 0};
  encodeRoute(announced, route);
  EXPECT_TRUE(decodeRoute(announced.header()));
  announced.bytes(RTA_PREFSRC, Address::parse("2001:db8::1")->bytes());
  EXPECT_FALSE(decodeRoute(announced.header())) << "an address of the other family";
}

TEST(RtnlDeclared, WhatIsRequiredHasToBeThere) {
  Message nameless{RTM_NEWLINK, 0};
  nameless.extra<ifinfomsg>().ifi_index = 4;
  EXPECT_FALSE(decodeLink(nameless.header()));
  nameless.text(IFLA_IFNAME, "wan0");
  EXPECT_TRUE(decodeLink(nameless.header()));
}

TEST(RtnlDeclared, OneThatComesTwiceDoesNotStandForAnother) {
  constexpr auto table = std::to_array<Declared>({{1, Length::u8, true}, {2, Length::u8, true}});
  const auto conformsWith = [&](std::initializer_list<std::uint16_t> types) {
    std::vector<std::uint8_t> bytes;
    for (const std::uint16_t type : types) {
      const nlattr header{.nla_len = sizeof(nlattr) + 1, .nla_type = type};
      const auto at = bytes.size();
      bytes.resize(at + 2 * sizeof header);
      std::memcpy(bytes.data() + at, &header, sizeof header);
    }
    return conforms(bytes, table);
  };
  EXPECT_TRUE(conformsWith({1, 2}));
  EXPECT_TRUE(conformsWith({1, 2, 1}));
  EXPECT_FALSE(conformsWith({1}));
  EXPECT_FALSE(conformsWith({1, 1}));
}

}  // namespace
}  // namespace wgsteer::netlink
