// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/token_bucket.hpp"

#include <gtest/gtest.h>

namespace wgsteer {
namespace {

using std::chrono::milliseconds;

TEST(TokenBucket, BurstAndThenOneARefill) {
  TokenBucket bucket{3, milliseconds{100}};
  const Instant now = std::chrono::hours{1};
  EXPECT_TRUE(bucket.full(now));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(bucket.take(now));
  EXPECT_FALSE(bucket.take(now));
  EXPECT_EQ(bucket.wait(now), milliseconds{100});
  EXPECT_EQ(bucket.wait(now + milliseconds{30}), milliseconds{70});
  EXPECT_TRUE(bucket.take(now + milliseconds{100}));
  EXPECT_FALSE(bucket.take(now + milliseconds{199}));
  EXPECT_FALSE(bucket.full(now + milliseconds{399}));
  EXPECT_TRUE(bucket.full(now + milliseconds{400}));
}

TEST(TokenBucket, NeverHoldsMoreThanItsBurst) {
  TokenBucket bucket{2, milliseconds{100}};
  const Instant later = std::chrono::hours{24};
  EXPECT_TRUE(bucket.take(later));
  EXPECT_TRUE(bucket.take(later));
  EXPECT_FALSE(bucket.take(later));
}

}  // namespace
}  // namespace wgsteer
