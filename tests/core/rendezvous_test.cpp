// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/rendezvous.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <random>
#include <vector>

namespace wgsteer {
namespace {

constexpr std::size_t kKeys = 10000;

std::vector<PublicKey> keys() {
  std::mt19937 random{7};
  std::vector<PublicKey> made;
  for (std::size_t i = 0; i < kKeys; ++i) {
    std::array<std::uint8_t, PublicKey::kSize> bytes{};
    std::ranges::generate(bytes, [&] { return static_cast<std::uint8_t>(random()); });
    made.emplace_back(bytes);
  }
  return made;
}

/// Keys that differ in one byte, as tests would use.
PublicKey numbered(std::uint8_t number) {
  std::array<std::uint8_t, PublicKey::kSize> bytes{};
  bytes[0] = number;
  return PublicKey{bytes};
}

using Wans = std::vector<Candidate>;

std::vector<std::string_view> choices(const std::vector<PublicKey>& peers, const Wans& wans) {
  std::vector<std::string_view> chosen;
  for (const PublicKey& peer : peers) chosen.push_back(wans[rendezvous(peer, wans)].wan);
  return chosen;
}

double share(const std::vector<std::string_view>& chosen, std::string_view wan) {
  return static_cast<double>(std::ranges::count(chosen, wan)) / static_cast<double>(chosen.size());
}

TEST(Rendezvous, SharesByWeight) {
  const auto peers = keys();
  for (const Wans& wans : {Wans{{"fiber", 1}, {"lte", 1}}, Wans{{"fiber", 3}, {"lte", 1}},
                           Wans{{"a", 1}, {"b", 2}, {"c", 3}, {"d", 4}}, Wans{{"wan0", 256}, {"wan1", 64}}}) {
    double total = 0;
    for (const Candidate& wan : wans) total += wan.weight;
    const auto chosen = choices(peers, wans);
    for (const Candidate& wan : wans)
      EXPECT_NEAR(share(chosen, wan.wan), wan.weight / total, 0.02) << wan.wan << " of " << wans.size();
  }
}

TEST(Rendezvous, SharesAlsoKeysThatDifferLittle) {
  std::vector<PublicKey> peers;
  for (unsigned number = 0; number < 256; ++number) peers.push_back(numbered(static_cast<std::uint8_t>(number)));
  EXPECT_NEAR(share(choices(peers, {{"wan0", 1}, {"wan1", 1}}), "wan0"), 0.5, 0.1);
}

TEST(Rendezvous, MovesOnlyThePeersOfAWanThatGoesOrComes) {
  const auto peers = keys();
  const Wans all{{"a", 1}, {"b", 2}, {"c", 1}};
  for (std::size_t lost = 0; lost < all.size(); ++lost) {
    Wans rest = all;
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(lost));
    const auto before = choices(peers, all);
    const auto after = choices(peers, rest);
    for (std::size_t i = 0; i < peers.size(); ++i) {
      EXPECT_NE(after[i], all[lost].wan);
      if (before[i] != all[lost].wan) {
        ASSERT_EQ(before[i], after[i]) << "a peer of another WAN moved";
      }
    }
  }
}

TEST(Rendezvous, MovesPeersOnlyToAWanWhoseWeightGrew) {
  const auto peers = keys();
  const auto before = choices(peers, {{"a", 1}, {"b", 1}});
  const auto after = choices(peers, {{"a", 1}, {"b", 2}});
  for (std::size_t i = 0; i < peers.size(); ++i) {
    if (before[i] == "b") {
      ASSERT_EQ(after[i], "b");
    }
  }
}

TEST(Rendezvous, DoesNotDependOnTheOrder) {
  const auto peers = keys();
  EXPECT_EQ(choices(peers, {{"a", 1}, {"b", 2}, {"c", 3}}), choices(peers, {{"c", 3}, {"a", 1}, {"b", 2}}));
}

TEST(Rendezvous, HasNoChoiceWithOneWan) { EXPECT_EQ(rendezvous(numbered(1), std::array{Candidate{"a", 1}}), 0U); }

}  // namespace
}  // namespace wgsteer
