// SPDX-License-Identifier: GPL-2.0-or-later
// What the real kernel announces when others, or we, change something.
#include <algorithm>
#include <array>
#include <cstring>
#include <gtest/gtest.h>
#include <linux/rtnetlink.h>
#include <string>
#include <sys/socket.h>
#include <vector>

#include "wgsteer/core/numbers.hpp"

#include "netlink/rtnetlink.hpp"
#include "netlink/rtnl_bytes.hpp"
#include "support/netns.hpp"

namespace wgsteer::netlink {
namespace {

using wgsteer::test::indexOf;
using wgsteer::test::shell;

constexpr TableId kTable{0x57470001};

/// The events of a command are queued before it returns: no waiting is needed. But the kernel keeps announcing the
/// states of new links for a while, so each test looks only at its own kind of event.
class RtnlEvents : public wgsteer::test::OwnNetwork {
 protected:
  void SetUp() override {
    OwnNetwork::SetUp();
    wgsteer::test::addVethPair("wan0", "wan0p");
    shell("ip address add 192.0.2.2/24 dev wan0");
    wan0_ = indexOf("wan0");
    auto opened = Rtnetlink::open();
    ASSERT_TRUE(opened) << opened.error().toString();
    kernel_.emplace(std::move(*opened));
    EXPECT_EQ(kernel_->eventDescriptor(), -1);
    const Status subscribed = kernel_->subscribe();
    ASSERT_TRUE(subscribed) << subscribed.error().toString();
    EXPECT_GE(kernel_->eventDescriptor(), 0);
  }

  std::vector<Event> after(const std::string& command) {
    drained();
    shell(command);
    return drained();
  }
  std::vector<Event> drained() {
    std::vector<Event> events;
    kernel_->drain([&](const Event& event) { events.push_back(event); });
    return events;
  }
  std::vector<std::uint16_t> queuedTypes() const {
    std::vector<std::uint16_t> types;
    std::array<char, 32768> buffer{};
    while (::recv(kernel_->eventDescriptor(), buffer.data(), buffer.size(), MSG_DONTWAIT) > 0) {
      nlmsghdr header{};
      std::memcpy(&header, buffer.data(), sizeof header);
      types.push_back(header.nlmsg_type);
    }
    return types;
  }
  template <class T>
  static std::vector<T> only(const std::vector<Event>& events) {
    std::vector<T> found;
    for (const Event& event : events)
      if (const auto* one = std::get_if<T>(&event)) found.push_back(*one);
    return found;
  }
  static std::size_t routesIn(const std::vector<Event>& events) {
    return only<RouteAdded>(events).size() + only<RouteGone>(events).size();
  }
  Route defaultBy(const char* gateway, std::uint8_t protocol) const {
    Route route;
    route.table = kTable;
    const Address address = *Address::parse(gateway);
    route.destination = route.source = Prefix::any(address.family());
    route.metric = 1;
    route.hops = {NextHop{.device = wan0_, .gateway = address, .onlink = true}};
    route.protocol = protocol;
    return route;
  }

  IfIndex wan0_;
  std::optional<Rtnetlink> kernel_;
};

TEST_F(RtnlEvents, OfRoutes) {
  const std::string route = " default dev wan0 onlink table 1464270849 metric 1 proto 87 via ";
  auto added = only<RouteAdded>(after("ip route add" + route + "192.0.2.1"));
  ASSERT_EQ(added.size(), 1U);
  EXPECT_EQ(added[0].route, defaultBy("192.0.2.1", kProtocol));
  EXPECT_FALSE(added[0].replaced);
  added = only<RouteAdded>(after("ip route replace" + route + "192.0.2.9"));
  ASSERT_EQ(added.size(), 1U);
  EXPECT_EQ(added[0].route, defaultBy("192.0.2.9", kProtocol));
  EXPECT_TRUE(added[0].replaced);
  const auto gone = only<RouteGone>(after("ip route del" + route + "192.0.2.9"));
  ASSERT_EQ(gone.size(), 1U);
  EXPECT_EQ(gone[0].route, added[0].route);
}

TEST_F(RtnlEvents, OfIPv4RoutesSayWhetherTheyComeLast) {
  shell("ip route add default via 192.0.2.1 dev wan0 onlink");
  auto added = only<RouteAdded>(after("ip route append default via 192.0.2.8 dev wan0 onlink"));
  ASSERT_EQ(added.size(), 1U);
  EXPECT_TRUE(added[0].appended);
  added = only<RouteAdded>(after("ip route prepend default via 192.0.2.9 dev wan0 onlink"));
  ASSERT_EQ(added.size(), 1U);
  EXPECT_FALSE(added[0].appended);
}

TEST_F(RtnlEvents, SpecificRoutesOfOthersTablesAreNotTold) {
  const char* const foreign =
      "ip route add 198.51.100.0/24 dev wan0 table 77;"
      "ip route add 198.51.100.0/24 dev wan0 table 100000;"
      "ip -6 route add 2001:db8:9::/48 dev wan0 table 77;"
      "ip -6 route add 2001:db8:9::/48 dev wan0 table 100000;"
      "ip route add local 198.51.100.7 dev wan0;"
      "ip route del 198.51.100.0/24 dev wan0 table 77";
  // Not even queued, by a filter that knows the tables that foreign rules look up: otherwise a feed of routes would
  // cost CPU time.
  ASSERT_TRUE(kernel_->listen({.uplinks = {}, .tables = {TableId{78}, TableId{253}, TableId{100001}}}));
  drained();
  shell(foreign);
  for (const std::uint16_t type : queuedTypes()) EXPECT_TRUE(type != RTM_NEWROUTE && type != RTM_DELROUTE);
  EXPECT_EQ(routesIn(after("ip route add throw 198.51.101.0/24; ip -6 route add throw 2001:db8:101::/48")), 2U)
      << "of main, where they lead on";
  EXPECT_EQ(only<RouteAdded>(after("ip route add 198.51.100.0/24 dev wan0 table 1464270849;"
                                   "ip -6 route add 2001:db8:9::/48 dev wan0 table 1464270849"))
                .size(),
            2U);
  EXPECT_EQ(
      only<RouteAdded>(after("ip route add default dev wan0; ip -6 route add default dev wan0 table 100000")).size(),
      2U);
}

TEST_F(RtnlEvents, SpecificRoutesOfTablesThatRulesLookUpAreTold) {
  std::set<TableId> tables{TableId{77}, TableId{100000}};
  const auto told = [&] {
    return routesIn(
        after("ip route add 198.51.100.0/24 dev wan0 table 77; ip route del 198.51.100.0/24 table 77;"
              "ip -6 route add 2001:db8:9::/48 dev wan0 table 100000;"
              "ip -6 route del 2001:db8:9::/48 table 100000;"
              "ip route add 198.51.100.0/24 dev wan0; ip route del 198.51.100.0/24;"
              "ip route add 198.51.100.0/24 dev wan0 table 79; ip route del 198.51.100.0/24 table 79"));
  };
  ASSERT_TRUE(kernel_->listen({.uplinks = {}, .tables = tables}));
  EXPECT_EQ(told(), 6U);
  for (std::uint32_t more = 200000; more < 200450; ++more) tables.insert(TableId{more});
  ASSERT_TRUE(kernel_->listen({.uplinks = {}, .tables = tables}));
  EXPECT_EQ(told(), 6U) << "jumps over as many as there are";
  for (std::uint32_t more = 300000; more < 303000; ++more) tables.insert(TableId{more});
  ASSERT_TRUE(kernel_->listen({.uplinks = {}, .tables = tables}));
  EXPECT_EQ(told(), 6U) << "more than the filter has room for";
}

/// Specific routes of the main table, with their origin, and whether they are announced while wan0 is a WAN with a full
/// feed.
struct SpecificCase {
  const char* route;
  bool told;
};
constexpr std::array kSpecificCases{
    SpecificCase{"10.1.0.0/16 via 192.0.2.7 dev wan0 proto static", true},
    SpecificCase{"10.2.0.0/16 via 192.0.2.7 dev wan0 proto kernel", true},
    SpecificCase{"10.3.0.0/16 via 192.0.2.7 dev wan0 proto boot", true},
    SpecificCase{"10.4.0.0/16 via 192.0.2.7 dev wan0 proto dhcp", true},
    SpecificCase{"10.5.0.0/16 via 192.0.2.7 dev wan0 proto ra", true},
    SpecificCase{"10.6.0.0/16 via 192.0.2.7 dev wan0 proto redirect", false},
    SpecificCase{"10.7.0.0/16 via 192.0.2.7 dev wan0 proto bgp", false},
    SpecificCase{"10.8.0.0/16 via inet6 fe80::7 dev wan0 proto bgp", false},
    SpecificCase{"10.9.0.0/16 dev wan0 proto bgp", true},
    SpecificCase{"10.10.0.0/16 via 10.20.0.7 dev lan0 proto ospf", true},
    SpecificCase{"10.11.0.0/16 proto bgp nexthop via 192.0.2.7 dev wan0 nexthop via 192.0.2.8 dev wan0", false},
    SpecificCase{"10.12.0.0/16 proto ospf nexthop via 10.20.0.7 dev lan0 nexthop via 10.20.0.8 dev lan0", true},
    SpecificCase{"10.13.0.0/16 proto static nexthop via 192.0.2.7 dev wan0 nexthop via 192.0.2.8 dev wan0", true},
    SpecificCase{"unreachable 10.14.0.0/16 proto static", true},
    SpecificCase{"blackhole 10.15.0.0/16 proto bgp", true},
    SpecificCase{"2001:db8:1::/48 via 2001:db8::7 dev wan0 proto static", true},
    SpecificCase{"2001:db8:2::/48 via 2001:db8::7 dev wan0 proto bgp", false},
    SpecificCase{"2001:db8:3::/48 via fe80::7 dev lan0 proto babel", true},
    SpecificCase{"prohibit 2001:db8:4::/48 proto static", true},
    SpecificCase{"2001:db8:5::/48 proto bgp nexthop via fe80::7 dev wan0 nexthop via fe80::8 dev wan0", false}};

TEST_F(RtnlEvents, LearnedRoutesByAWanAreNotEvenQueued) {
  wgsteer::test::addVethPair("lan0", "lan0p");
  shell("ip address add 10.20.0.1/24 dev lan0; ip -6 address add 2001:db8::2/64 dev wan0 nodad");
  // With other attributes in between, so that the search is really tested.
  ASSERT_TRUE(
      kernel_->listen({.uplinks = {IfIndex{7000}, wan0_, IfIndex{8000}}, .leftOut = RouteInterest::LeftOut::fed}));
  for (const SpecificCase& row : kSpecificCases) {
    const std::string ip = std::string{row.route}.find("::") < 20 ? "ip -6 route " : "ip route ";
    EXPECT_EQ(only<RouteAdded>(after(ip + "add " + row.route)).size(), row.told ? 1U : 0U) << row.route;
    drained();
    shell(ip + "del " + row.route);
    const auto queued = queuedTypes();
    EXPECT_EQ(std::ranges::count(queued, RTM_DELROUTE), row.told ? 1 : 0) << row.route;
  }
}

TEST_F(RtnlEvents, WhatIsListenedForCanBeChanged) {
  const std::string route = "10.7.0.0/16 via 192.0.2.7 dev wan0 proto bgp";
  const auto told = [&] { return routesIn(after("ip route add " + route + "; ip route del " + route)); };
  EXPECT_EQ(told(), 2U) << "no WAN is known yet";
  ASSERT_TRUE(kernel_->listen({.uplinks = {wan0_}}));
  EXPECT_EQ(told(), 2U) << "a company's network";
  ASSERT_TRUE(kernel_->listen({.uplinks = {wan0_}, .leftOut = RouteInterest::LeftOut::fed}));
  EXPECT_EQ(told(), 0U);
  ASSERT_TRUE(kernel_->listen({.uplinks = {}, .leftOut = RouteInterest::LeftOut::fed}));
  EXPECT_EQ(told(), 2U);
  ASSERT_TRUE(kernel_->listen({.uplinks = {wan0_}, .leftOut = RouteInterest::LeftOut::learned}));
  EXPECT_EQ(told(), 0U);
  EXPECT_EQ(routesIn(after("ip route add 10.6.0.0/16 via 192.0.2.7 proto static")), 1U);
  ASSERT_TRUE(kernel_->listen({.uplinks = {wan0_}, .leftOut = RouteInterest::LeftOut::byUplinks}));
  EXPECT_EQ(told(), 0U);
  EXPECT_EQ(routesIn(after("ip route add 10.8.0.0/16 via 192.0.2.7 proto static")), 0U);
  EXPECT_EQ(routesIn(after("ip route add 10.9.0.0/16 dev wan0 proto static")), 1U);
}

TEST_F(RtnlEvents, ThereIsRoomForMoreWansThanMarks) {
  RouteInterest interest;
  for (int index = 1; index <= 3000; ++index) interest.uplinks.insert(IfIndex{100000 + index});
  interest.uplinks.insert(wan0_);
  interest.leftOut = RouteInterest::LeftOut::fed;
  const Status done = kernel_->listen(interest);
  ASSERT_TRUE(done) << done.error().toString();
  EXPECT_EQ(routesIn(after("ip route add 10.7.0.0/16 via 192.0.2.7 dev wan0 proto bgp")), 0U);
}

TEST_F(RtnlEvents, OwnChangesAreNotTold) {
  Rule rule;
  rule.priority = 70;
  rule.mark = {0x10000000, 0xf0000000};
  rule.table = kTable;
  rule.protocol = kProtocol;
  drained();
  for (const char* gateway : {"192.0.2.1", "fe80::1"}) {
    const Route route = defaultBy(gateway, kProtocol);
    EXPECT_TRUE(kernel_->addRoute(route, false));
    rule.family = route.family();
    EXPECT_TRUE(kernel_->addRule(rule));
    EXPECT_TRUE(kernel_->deleteRule(rule));
    EXPECT_TRUE(kernel_->deleteRoute(route));
  }
  // Not even queued: the process is not woken up for them.
  for (const std::uint16_t type : queuedTypes())
    EXPECT_TRUE(type != RTM_NEWROUTE && type != RTM_DELROUTE && type != RTM_NEWRULE && type != RTM_DELRULE) << type;
}

TEST_F(RtnlEvents, RulesDeletedBehindOurBack) {
  Rule rule;
  rule.priority = 70;
  rule.mark = {0x10000000, 0xf0000000};
  rule.table = kTable;
  rule.protocol = kProtocol;
  for (const Family family : kFamilies) {
    rule.family = family;
    ASSERT_TRUE(kernel_->addRule(rule));
    const auto gone = only<RuleGone>(after(std::string{ipCommand(family)} + " rule flush protocol 87"));
    ASSERT_EQ(gone.size(), 1U);
    EXPECT_EQ(gone[0].rule, rule);
  }
}

TEST_F(RtnlEvents, LinksAndAddresses) {
  const auto added = only<AddressAdded>(after("ip address add 192.0.2.3/24 dev wan0"));
  ASSERT_EQ(added.size(), 1U);
  EXPECT_EQ(added[0].address.address, Address::v4(192, 0, 2, 3));
  const auto gone = only<AddressGone>(after("ip address del 192.0.2.3/24 dev wan0"));
  ASSERT_EQ(gone.size(), 1U);
  EXPECT_EQ(gone[0].address, added[0].address);
  const auto changed = only<LinkChanged>(after("ip link set wan0 down"));
  EXPECT_TRUE(std::ranges::any_of(
      changed, [&](const LinkChanged& one) { return one.link.index == wan0_ && !one.link.up && !one.link.carrier; }));
  const auto removed = only<LinkGone>(after("ip link del wan0"));
  EXPECT_EQ(removed.size(), 2U);
}

TEST_F(RtnlEvents, PortsOfBridgesStayLinks) {
  shell("ip link add br0 type bridge");
  const auto events = after("ip link set wan0 master br0; ip link set wan0 nomaster");
  EXPECT_TRUE(only<LinkGone>(events).empty());
  for (const LinkChanged& changed : only<LinkChanged>(events))
    EXPECT_EQ(changed.link.kind, changed.link.index == indexOf("br0") ? "bridge" : "veth");
}

TEST_F(RtnlEvents, SwitchesThatMatter) {
  const auto devices = [&](const std::string& command) {
    std::vector<IfIndex> found;
    for (const SysctlsChanged& changed : only<SysctlsChanged>(after(command))) found.push_back(changed.device);
    return found;
  };
  const std::string ipv4 = " > /proc/sys/net/ipv4/conf/";
  EXPECT_EQ(devices("echo 1" + ipv4 + "wan0/ignore_routes_with_linkdown"), std::vector{wan0_});
  EXPECT_EQ(devices("echo 1" + ipv4 + "all/rp_filter"), std::vector{IfIndex{0}});
  EXPECT_TRUE(devices("echo 1" + ipv4 + "default/rp_filter; echo 1" + ipv4 + "wan0/forwarding").empty());
}

TEST_F(RtnlEvents, LostOnesAreReportedAndLaterOnesArrive) {
  auto other = Rtnetlink::open();
  ASSERT_TRUE(other);
  drained();
  // 16 MB (the kernel doubles the 8 that are asked for) hold some 20 000 of them.
  bool done = true;
  for (int i = 0; i < 15000; ++i)
    done = done && other->addRoute(defaultBy("192.0.2.1", 3), true) && other->addRoute(defaultBy("192.0.2.9", 3), true);
  EXPECT_TRUE(done);
  const auto events = drained();
  EXPECT_FALSE(only<Overrun>(events).empty());
  EXPECT_GT(only<RouteAdded>(events).size(), 10000U);
  EXPECT_EQ(only<RouteAdded>(after("ip route add default dev wan0")).size(), 1U);
}

TEST_F(RtnlEvents, TraceTellsBothDirections) {
  std::vector<std::string> lines;
  kernel_->traceTo([&](const std::string& line) {
    if (line.find("LINK") == std::string::npos) lines.push_back(line);
  });
  drained();
  lines.clear();
  const std::string device = "dev if" + std::to_string(wan0_.value);
  ASSERT_TRUE(kernel_->addRoute(defaultBy("192.0.2.1", kProtocol), false));
  after("ip route del default table 1464270849");
  ASSERT_FALSE(kernel_->addRoute(defaultBy("192.0.2.2", kProtocol), false));
  const std::string route = ": ip route default via 192.0.2.1 " + device + " onlink table 1464270849 metric 1 proto 87";
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0], "sent RTM_NEWROUTE create exclusive" + route);
  EXPECT_EQ(lines[1], "heard RTM_DELROUTE" + route);
  EXPECT_TRUE(lines[2].ends_with("(kernel: Nexthop has invalid gateway)")) << lines[2];
}

}  // namespace
}  // namespace wgsteer::netlink
