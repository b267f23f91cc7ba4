// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/idle_watch.hpp"

#include <gtest/gtest.h>

namespace wgsteer {
namespace {

using std::chrono::seconds;
using Ids = std::set<std::uint32_t>;

class IdleWatchTest : public testing::Test {
 protected:
  /// As the kernel tells it: an entry that expires at `expiry`, after `elapsed` of the test.
  static IdleWatch::Seen seen(std::uint32_t id, Duration elapsed, Duration expiry) {
    return {id, std::chrono::floor<seconds>(expiry - elapsed)};
  }
  Ids look(Duration elapsed, const std::vector<IdleWatch::Seen>& all) {
    return watch_.look(std::chrono::hours{1} + elapsed, all);
  }
  IdleWatch watch_{seconds{30}};
};

TEST_F(IdleWatchTest, WhatExpiresAtTheSameTimeInEveryLookWasNotHeardOf) {
  const Duration expiry = std::chrono::milliseconds{180'700};
  for (const int second : {0, 1, 10, 20, 31})
    EXPECT_EQ(look(seconds{second}, {seen(1, seconds{second}, expiry)}), Ids{});
  EXPECT_EQ(look(seconds{32}, {seen(1, seconds{32}, expiry)}), Ids{1});
  EXPECT_EQ(look(seconds{33}, {seen(1, seconds{33}, expiry)}), Ids{1}) << "until it is gone";
}

TEST_F(IdleWatchTest, APacketBeginsTheTimeAnew) {
  EXPECT_EQ(look(seconds{0}, {seen(1, seconds{0}, seconds{180})}), Ids{});
  EXPECT_EQ(look(seconds{29}, {seen(1, seconds{29}, seconds{205})}), Ids{}) << "at 25 s";
  EXPECT_EQ(look(seconds{60}, {seen(1, seconds{60}, seconds{205})}), Ids{}) << "seen at 29 s";
  EXPECT_EQ(look(seconds{61}, {seen(1, seconds{61}, seconds{205})}), Ids{1});
}

TEST_F(IdleWatchTest, AStateWithAShorterTimeoutIsAPacketToo) {
  EXPECT_EQ(look(seconds{0}, {seen(1, seconds{0}, seconds{432'000})}), Ids{});
  EXPECT_EQ(look(seconds{40}, {seen(1, seconds{40}, seconds{155})}), Ids{}) << "a FIN at 35 s";
}

TEST_F(IdleWatchTest, PacketsAtShortIntervalsAddUp) {
  for (int second = 0; second < 100; ++second)
    EXPECT_EQ(look(seconds{second}, {seen(1, seconds{second}, seconds{second + 180})}), Ids{}) << second;
}

TEST_F(IdleWatchTest, EachConnectionHasItsOwnTime) {
  look(seconds{0}, {seen(1, seconds{0}, seconds{180})});
  look(seconds{20}, {seen(1, seconds{20}, seconds{180}), seen(2, seconds{20}, seconds{200})});
  EXPECT_EQ(look(seconds{40}, {seen(1, seconds{40}, seconds{180}), seen(2, seconds{40}, seconds{200})}), Ids{1});
  EXPECT_EQ(look(seconds{52}, {seen(2, seconds{52}, seconds{200})}), Ids{2});
}

TEST_F(IdleWatchTest, WhatWasGoneForOneLookIsNew) {
  look(seconds{0}, {seen(1, seconds{0}, seconds{180})});
  look(seconds{20}, {});
  EXPECT_EQ(look(seconds{40}, {seen(1, seconds{40}, seconds{180})}), Ids{});
}

TEST_F(IdleWatchTest, TwoConnectionsOfTheSameIdAreNotJudged) {
  for (const int second : {0, 40, 80})
    EXPECT_EQ(look(seconds{second}, {seen(1, seconds{second}, seconds{180}), seen(1, seconds{second}, seconds{600})}),
              Ids{});
}

}  // namespace
}  // namespace wgsteer
