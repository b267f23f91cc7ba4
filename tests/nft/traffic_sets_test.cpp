// SPDX-License-Identifier: GPL-2.0-or-later
// How the sets of rules for any traffic are shaped, and how often their chains look things up.
#include "nft/traffic_sets.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <linux/netfilter/nf_tables.h>

#include "wgsteer/core/traffic.hpp"

#include "nft/traffic_chains.hpp"

namespace wgsteer::nft::test {

namespace {

using Bytes = std::vector<std::uint8_t>;

TrafficSet hosts(std::initializer_list<std::pair<Bytes, Bytes>> ranges) {
  TrafficSet set{.name = "map_1", .field = TrafficField::source4, .map = true, .ranges = {}, .remembers = {}};
  for (const auto& [first, last] : ranges) set.ranges.push_back({.first = first, .last = last, .chain = "rule_a"});
  return set;
}

TEST(TrafficSets, SingleValuesAreNoIntervals) {
  const TrafficSet set = hosts({{{10, 0, 0, 1}, {10, 0, 0, 1}}, {{10, 0, 0, 2}, {10, 0, 0, 2}}});
  EXPECT_EQ(shapeOf(set).flags, std::uint32_t{NFT_SET_MAP});
  const auto elements = elementsOf(set);
  ASSERT_EQ(elements.size(), 2U);
  for (const TrafficElement& element : elements) EXPECT_FALSE(element.endsInterval);
}

TEST(TrafficSets, OneRangeMakesIntervalsOfAll) {
  const TrafficSet set = hosts({{{10, 0, 0, 1}, {10, 0, 0, 1}}, {{10, 0, 0, 4}, {10, 0, 0, 7}}});
  EXPECT_EQ(shapeOf(set).flags, std::uint32_t{NFT_SET_MAP} | std::uint32_t{NFT_SET_INTERVAL});
  const auto elements = elementsOf(set);
  ASSERT_EQ(elements.size(), 4U);
  EXPECT_EQ(elements[1].key, (Bytes{10, 0, 0, 2}));
  EXPECT_TRUE(elements[1].endsInterval);
  EXPECT_EQ(elements[3].key, (Bytes{10, 0, 0, 8}));
  EXPECT_TRUE(elements[3].endsInterval);
}

TEST(TrafficSets, DevicesAreNeverIntervals) {
  TrafficSet set{.name = "rule_a_iif", .field = TrafficField::inputDevice, .map = false, .ranges = {}, .remembers = {}};
  set.ranges.push_back({.first = {'l', 'a', 'n'}, .last = {'l', 'a', 'n'}, .chain = {}});
  EXPECT_EQ(shapeOf(set).flags, 0U);
  EXPECT_EQ(elementsOf(set).size(), 1U);
}

/// The rules of one chain as text, one after the other.
std::string textOf(const std::vector<Chain>& chains, std::string_view name) {
  const auto chain = std::ranges::find(chains, name, &Chain::name);
  if (chain == chains.end()) return {};
  std::string text;
  for (const Rule& rule : chain->rules) text += canonicalText(rule.get()) + "\n";
  return text;
}

std::size_t countOf(std::string_view text, std::string_view part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

/// In IPv6, each look at an address's type is a lookup of a route.
TEST(TrafficChains, ANewConnectionAsksOnceForTheTypeOfItsDestination) {
  TrafficProgram program;
  program.asksForLocal = {Family::v4, Family::v6};
  const auto chains = trafficChains(Numbers{}, program);
  EXPECT_EQ(countOf(textOf(chains, "unpinned"), "[ fib "), 1U);
  EXPECT_EQ(countOf(textOf(chains, "local"), "[ fib "), 1U);
}

TEST(TrafficChains, APinnedConnectionIsNotAskedByWhichWanItCameIn) {
  const std::string text = textOf(trafficChains(Numbers{}, TrafficProgram{}), "traffic");
  EXPECT_NE(text.find("pinned4"), std::string::npos);
  EXPECT_EQ(text.find("arrive"), std::string::npos);
}

}  // namespace

}  // namespace wgsteer::nft::test
