// SPDX-License-Identifier: GPL-2.0-or-later
// Which rules leave nothing to later ones.
#include "core/rule_cover.hpp"

#include <functional>
#include <gtest/gtest.h>

namespace wgsteer {
namespace {

using Change = std::function<void(RuleConfig&)>;

RuleConfig made(const Change& change) {
  RuleConfig rule;
  change(rule);
  return rule;
}

std::vector<Prefix> prefixes(const std::vector<std::string>& texts) {
  std::vector<Prefix> all;
  for (const std::string& text : texts) all.push_back(*Prefix::parse(text));
  return all;
}
Change from(const std::vector<std::string>& any, const std::vector<std::string>& none = {}) {
  return [=](RuleConfig& rule) { rule.source = {prefixes(any), prefixes(none)}; };
}
Change to(const std::vector<std::string>& any, const std::vector<std::string>& none = {}) {
  return [=](RuleConfig& rule) { rule.destination = {prefixes(any), prefixes(none)}; };
}
Change ports(const std::vector<PortRange>& any, const std::vector<PortRange>& none = {}) {
  return [=](RuleConfig& rule) { rule.destinationPort = {any, none}; };
}
Change devices(const std::vector<IfName>& any, const std::vector<IfName>& none = {}) {
  return [=](RuleConfig& rule) { rule.inputDevice = {any, none}; };
}
Change origin(Origin origin) {
  return [=](RuleConfig& rule) { rule.origin = origin; };
}
Change family(Family family) {
  return [=](RuleConfig& rule) { rule.family = family; };
}
Change protocols(const std::vector<std::uint8_t>& any) {
  return [=](RuleConfig& rule) { rule.protocol.any = any; };
}
Change both(const Change& first, const Change& second) {
  return [=](RuleConfig& rule) { first(rule), second(rule); };
}
void nothing(RuleConfig&) {}

struct Row {
  const char* name;
  Change earlier;
  Change later;
  bool covers;
};

void expectRows(const std::vector<Row>& rows) {
  for (const Row& row : rows) EXPECT_EQ(covers(made(row.earlier), made(row.later)), row.covers) << row.name;
}

TEST(RuleCover, OfAddressesIsThatOfTheirSets) {
  expectRows({{"everything", nothing, from({"192.168.5.0/24"}), true},
              {"a part", from({"192.168.5.0/24"}), nothing, false},
              {"the same", from({"192.168.5.0/24"}), from({"192.168.5.0/24"}), true},
              {"a host in a network", from({"192.168.5.0/24"}), from({"192.168.5.7"}), true},
              {"two halves", from({"192.168.5.0/25", "192.168.5.128/25"}), from({"192.168.5.0/24"}), true},
              {"a half", from({"192.168.5.0/25"}), from({"192.168.5.0/24"}), false},
              {"all but one", from({"192.168.5.0/24"}, {"192.168.5.9"}), from({"192.168.5.0/24"}), false},
              {"both but that one", from({"192.168.5.0/24"}, {"192.168.5.9"}),
               from({"192.168.5.0/24"}, {"192.168.5.9"}), true},
              {"the one that is excluded", from({"192.168.5.0/24"}, {"192.168.5.9"}), from({"192.168.5.9"}), false},
              {"everything but a network", from({}, {"10.0.0.0/8"}), from({"192.168.5.7"}), true},
              {"the whole family", from({"0.0.0.0/0"}), from({"192.168.5.7"}), true},
              {"IPv6", from({"2001:db8::/32"}), from({"2001:db8:1::/48", "2001:db8:2::7"}), true},
              {"source is not destination", from({"192.168.5.0/24"}), to({"192.168.5.0/24"}), false}});
}

TEST(RuleCover, ConsidersEachFamilyByItself) {
  const Change tv = from({"192.168.5.40", "2001:db8::40"});
  expectRows({{"one family of two", from({"192.168.5.0/24"}), tv, false},
              {"both", from({"192.168.5.0/24", "2001:db8::/64"}), tv, true},
              {"two of one", tv, from({"192.168.5.40"}), true},
              {"by family", family(Family::v4), from({"192.168.5.40"}), true},
              {"by the other family", family(Family::v6), from({"192.168.5.40"}), false},
              {"any family", family(Family::v4), nothing, false},
              {"excluded in the other family alone", from({}, {"2001:db8::40"}), from({"192.168.5.40"}), true}});
}

TEST(RuleCover, NeedsEverySelector) {
  const Change web = both(protocols({6, 17}), ports({{80, 80}, {443, 443}}));
  expectRows(
      {{"fewer selectors", protocols({6, 17}), web, true},
       {"more selectors", web, protocols({6, 17}), false},
       {"a port of them", web, both(protocols({6}), ports({{443, 443}})), true},
       {"one port more", web, both(protocols({6}), ports({{443, 444}})), false},
       {"joined ranges", ports({{1, 79}, {80, 65535}}), ports({{70, 90}}), true},
       {"all but a port", ports({}, {{22, 22}}), ports({{80, 80}}), true},
       {"that port", ports({}, {{22, 22}}), ports({{20, 22}}), false},
       {"port and host", both(from({"192.168.5.0/24"}), web), both(from({"192.168.5.7"}), web), true},
       {"port, but another host", both(from({"192.168.6.0/24"}), web), both(from({"192.168.5.7"}), web), false}});
}

TEST(RuleCover, KnowsWhereDevicesAre) {
  expectRows({{"one of two", devices({"br-lan", "br-iot"}), devices({"br-iot"}), true},
              {"another", devices({"br-lan"}), devices({"br-la"}), false},
              {"any but one", devices({}, {"br-lan"}), devices({"br-iot"}), true},
              {"what is forwarded", origin(Origin::forwarded), devices({"br-lan"}), true},
              {"what is from here", origin(Origin::local), devices({"br-lan"}), false},
              {"a part by its origin", origin(Origin::forwarded), nothing, false}});
}

TEST(RuleCover, FindsTheFirst) {
  const std::vector<RuleConfig> rules{made(from({"192.168.5.0/24"})), made(nothing), made(from({"192.168.5.7"})),
                                      made(from({"10.0.0.0/8"}))};
  EXPECT_EQ(coverOf(rules, 0), std::nullopt);
  EXPECT_EQ(coverOf(rules, 1), std::nullopt);
  EXPECT_EQ(coverOf(rules, 2), 0U);
  EXPECT_EQ(coverOf(rules, 3), 1U);
  EXPECT_TRUE(isCatchAll(rules[1]));
  EXPECT_FALSE(isCatchAll(rules[3]));
}

}  // namespace
}  // namespace wgsteer
