// SPDX-License-Identifier: GPL-2.0-or-later
// Which foreign routes are kept, however many there are; and whether a route or a rule is ours.
#include "wgsteer/core/route_interest.hpp"

#include <gtest/gtest.h>

#include "wgsteer/core/numbers.hpp"
#include "wgsteer/core/ours.hpp"

#include "support/worlds.hpp"

namespace wgsteer {
namespace {

using namespace test;

constexpr std::uint8_t kBgp = 186;
constexpr IfIndex kLan{5};

Route by(std::uint8_t protocol, Route made) {
  made.protocol = protocol;
  return made;
}

Route numbered(std::size_t number, std::uint8_t protocol, IfIndex device, const std::string& gateway) {
  Route made = by(protocol, route("100.64.0.0/32", device, gateway));
  made.destination =
      Prefix::host(Address::v4(100, 64, static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)));
  return made;
}

TEST(RouteInterest, LeavesOutWhatIsLearnedByAWanWhereThatIsMuch) {
  const RouteInterest interest{.uplinks = {kWan0}, .leftOut = RouteInterest::LeftOut::fed};
  const Route learned = by(kBgp, route("10.0.0.0/8", kWan0, "192.0.2.1"));
  EXPECT_FALSE(interest.wants(learned));
  EXPECT_TRUE((RouteInterest{.uplinks = {kWan0}}.wants(learned)));
  EXPECT_TRUE(interest.wants(by(kBgp, route("10.0.0.0/8", kWan1, "198.51.100.1"))));
  EXPECT_TRUE(interest.wants(by(kBgp, route("0.0.0.0/0", kWan0, "192.0.2.1"))));
  EXPECT_TRUE(interest.wants(by(kBgp, route("10.0.0.0/8", kWan0)))) << "without a router";
  for (const std::uint8_t protocol : std::initializer_list<std::uint8_t>{2, 3, 4, 9, 16})
    EXPECT_TRUE(interest.wants(by(protocol, learned))) << +protocol;
  EXPECT_FALSE(interest.wants(by(1, route("10.0.0.0/8", kLan, "10.20.0.7")))) << "a redirect";
  EXPECT_FALSE((RouteInterest{.uplinks = {}, .leftOut = RouteInterest::LeftOut::learned}.wants(learned)));
  Route elsewhere = route("10.0.0.0/8", kLan);
  elsewhere.table = TableId{77};
  EXPECT_FALSE(interest.wants(elsewhere));
  elsewhere.table = TableId{kWanTableBase};
  EXPECT_TRUE(interest.wants(elsewhere)) << "an intruder in our table";
}

TEST(RouteSieve, KeepsAFeedOutWhateverItsOrder) {
  for (const bool defaultFirst : {true, false}) {
    RouteSieve sieve{std::nullopt};
    const Route theDefault = route("0.0.0.0/0", kWan0, "192.0.2.1");
    const Route lan = by(188, route("10.0.0.0/8", kLan, "10.20.0.7"));
    if (defaultFirst) sieve.take(Route{theDefault});
    for (std::size_t i = 0; i <= kMaxFedRoutes; ++i) sieve.take(numbered(i, kBgp, kWan0, "192.0.2.1"));
    sieve.take(Route{lan});
    if (!defaultFirst) sieve.take(Route{theDefault});
    EXPECT_EQ(sieve.devicesOfDefaults(), std::set{kWan0});
    EXPECT_TRUE(sieve.narrow({.uplinks = sieve.devicesOfDefaults()}));
    const auto kept = sieve.finish();
    EXPECT_EQ(kept.routes, (std::set<Route>{theDefault, lan}));
    EXPECT_TRUE(kept.tooMany);
    EXPECT_EQ(kept.leftOut, RouteInterest::LeftOut::fed);
  }
}

/// One filter in the kernel serves both families.
TEST(RouteSieve, KeepsNoneOfAKindThatTheOtherFamilyHasTooManyOf) {
  RouteSieve sieve{RouteInterest{.uplinks = {kWan0}}};
  const Route site = by(kBgp, route("2001:db8:77::/48", kWan0, "2001:db8:10::7"));
  sieve.take(Route{site});
  EXPECT_EQ(RouteSieve{sieve}.finish().routes, std::set{site});
  for (std::size_t i = 0; i <= kMaxFedRoutes; ++i) sieve.take(numbered(i, kBgp, kWan0, "192.0.2.1"));
  EXPECT_TRUE(sieve.finish().routes.empty());
}

TEST(RouteSieve, SaysWhenItHasToLookAgain) {
  RouteSieve sieve{std::nullopt};
  for (std::size_t i = 0; i <= kMaxSpecificRoutes; ++i) sieve.take(numbered(i, kBgp, kWan0, "192.0.2.1"));
  EXPECT_FALSE(sieve.narrow({.uplinks = {kWan0}}));
  sieve.restart(Family::v4);
  for (std::size_t i = 0; i <= kMaxSpecificRoutes; ++i) sieve.take(numbered(i, kBgp, kWan0, "192.0.2.1"));
  const auto kept = sieve.finish();
  EXPECT_TRUE(kept.routes.empty());
  EXPECT_EQ(kept.leftOut, RouteInterest::LeftOut::fed);
}

TEST(RouteSieve, GivesUpLearnedOnesFirst) {
  RouteSieve sieve{RouteInterest{}};
  const Route onLink = by(4, route("172.16.0.0/12", kLan));
  for (std::size_t i = 0; i < kMaxSpecificRoutes - 10; ++i) sieve.take(numbered(i, kBgp, kLan, "10.20.0.7"));
  for (std::size_t i = 0; i < 20; ++i) sieve.take(by(4, numbered(i, 4, kLan, "10.20.0.8")));
  sieve.take(Route{onLink});
  const auto kept = sieve.finish();
  EXPECT_TRUE(kept.tooMany);
  EXPECT_EQ(kept.routes.size(), 21U);
  EXPECT_TRUE(kept.routes.contains(onLink));
}

TEST(RouteSieve, GivesUpWhatGoesByAWanNext) {
  RouteSieve sieve{RouteInterest{.uplinks = {kWan0}}};
  const Route lan = by(4, route("172.16.0.0/12", kLan, "10.20.0.7"));
  for (std::size_t i = 0; i <= kMaxSpecificRoutes; ++i) sieve.take(numbered(i, 3, kWan0, "192.0.2.1"));
  sieve.take(Route{lan});
  const auto kept = sieve.finish();
  EXPECT_TRUE(kept.tooMany);
  EXPECT_EQ(kept.leftOut, RouteInterest::LeftOut::byUplinks);
  EXPECT_EQ(kept.routes, std::set{lan});
}

TEST(RouteSieve, HasABoundForAllOfThem) {
  RouteSieve sieve{RouteInterest{}};
  const Route onLink = by(4, route("172.16.0.0/12", kLan));
  const Route theDefault = route("0.0.0.0/0", kWan0, "192.0.2.1");
  for (std::size_t i = 0; i <= 2 * kMaxSpecificRoutes; ++i) sieve.take(numbered(i, 4, kLan, "10.20.0.7"));
  for (const Route& route : {onLink, theDefault}) sieve.take(Route{route});
  const auto kept = sieve.finish();
  EXPECT_TRUE(kept.tooMany);
  EXPECT_EQ(kept.leftOut, RouteInterest::LeftOut::nothing) << "no kind of them";
  EXPECT_EQ(kept.routes.size(), kMaxSpecificRoutes + 1) << "and the default route";
  EXPECT_TRUE(kept.routes.contains(onLink) && kept.routes.contains(theDefault));
}

TEST(Routes, DefaultsAreFoundAmongOthersInAllTables) {
  std::set<Route> routes;
  std::vector<Route> expected;
  for (const std::uint32_t table : {1U, 254U, 255U, 0xffffffffU})
    for (const char* destination : {"0.0.0.0/0", "0.0.0.0/1", "10.0.0.0/8", "::/0", "::/1", "2001:db8::/32"}) {
      if (table == 255 && std::string_view{destination} == "::/0") continue;
      for (const std::uint32_t metric : {1U, 2U}) {
        Route made = route(destination, kWan0, "", metric);
        made.table = TableId{table};
        if (made.destination == Prefix::any(Family::v6)) expected.push_back(made);
        routes.insert(made);
      }
    }
  std::vector<Route> found;
  forEachDefault(routes, Family::v6, [&](const Route& one) { found.push_back(one); });
  EXPECT_EQ(found, expected);
  std::size_t count = 0;
  forEachDefault(routes, Family::v4, [&](const Route&) { ++count; });
  EXPECT_EQ(count, 8U);
}

TEST(Ours, RulesAreByProtocolAndByWhatTheyDo) {
  Rule rule = kernelRule(Family::v4, 31000, kMainTable);
  rule.mark = {1, 1};
  rule.protocol = kProtocol;
  EXPECT_FALSE(isOurs(rule)) << "a stranger's that has our protocol by chance";
  rule.table = TableId{kPolicyTableBase + 15};
  EXPECT_TRUE(isOurs(rule)) << "wherever rule_priority once was";
  rule.protocol = 3;
  EXPECT_FALSE(isOurs(rule));
  rule.protocol = kProtocol;
  rule.table = TableId{0};
  rule.action = RuleAction::goto_;
  rule.gotoPriority = rule.priority + 10;
  EXPECT_TRUE(isOurs(rule));
  rule.gotoPriority = 32766;
  EXPECT_FALSE(isOurs(rule));
  rule.action = RuleAction::unreachable;
  EXPECT_FALSE(isOurs(rule)) << "we make none";
}

}  // namespace
}  // namespace wgsteer
