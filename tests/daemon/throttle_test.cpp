// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/throttle.hpp"

#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace wgsteer {
namespace {

using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

class Throttling : public ::testing::Test {
 protected:
  void offer(const std::string& subject, const std::string& line) {
    throttle_.offer(subject, line, now_, [this](const std::string& said) { said_.push_back(said); });
  }
  Throttle throttle_{3, 2s};
  Instant now_ = 1h;
  Lines said_;
};

TEST_F(Throttling, AFewAtOnceAndTheLastInTheEnd) {
  for (int i = 0; i < 100; ++i) offer("a", "line " + std::to_string(i));
  EXPECT_EQ(said_, (Lines{"line 0", "line 1", "line 2"}));
  throttle_.catchUp(now_ + 1s);
  EXPECT_EQ(said_.size(), 3U);
  throttle_.catchUp(now_ + 2s);
  throttle_.catchUp(now_ + 20s);
  EXPECT_EQ(said_, (Lines{"line 0", "line 1", "line 2", "line 99 (96 similar lines suppressed)"}));
}

TEST_F(Throttling, ASubjectCostsOthersNothing) {
  for (int i = 0; i < 100; ++i) offer("a", "a");
  offer("b", "b");
  EXPECT_EQ(said_.back(), "b");
}

TEST_F(Throttling, WithoutEndOneNowAndThen) {
  for (int i = 0; i < 2500; ++i, now_ += 4ms) offer("a", "line " + std::to_string(i));
  EXPECT_LE(said_.size(), 3U + 5U);
  throttle_.catchUp(now_ + 2s);
  EXPECT_TRUE(said_.back().starts_with("line 2499 (")) << said_.back();
}

TEST_F(Throttling, SlowOnesAreAllSaid) {
  for (int i = 0; i < 50; ++i, now_ += 2s) offer("a", "line " + std::to_string(i));
  EXPECT_EQ(said_.size(), 50U);
}

}  // namespace
}  // namespace wgsteer
