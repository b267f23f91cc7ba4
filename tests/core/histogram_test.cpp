// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/histogram.hpp"

#include <gtest/gtest.h>

namespace wgsteer {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;

TEST(Histogram, EmptyHasNothing) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0U);
  EXPECT_EQ(histogram.quantile(0.99), seconds{0});
}

TEST(Histogram, QuantilesAreUpperBounds) {
  Histogram histogram;
  for (int i = 0; i < 98; ++i) histogram.add(microseconds{30});
  histogram.add(microseconds{1500});
  histogram.add(microseconds{3000});
  EXPECT_EQ(histogram.quantile(0.5), microseconds{50});
  EXPECT_EQ(histogram.quantile(0.99), microseconds{2000});
  EXPECT_EQ(histogram.quantile(1.0), microseconds{3000});
  EXPECT_EQ(histogram.longest(), microseconds{3000});
  EXPECT_EQ(histogram.sum(), microseconds{98 * 30 + 4500});
}

TEST(Histogram, WhatIsBeyondTheLastBoundIsCounted) {
  Histogram histogram;
  histogram.add(seconds{60});
  EXPECT_EQ(histogram.count(), 1U);
  EXPECT_EQ(histogram.quantile(0.5), seconds{60});
}

TEST(Histogram, ABoundIsInItsBucket) {
  Histogram histogram;
  histogram.add(microseconds{10});
  EXPECT_EQ(histogram.buckets()[0], 1U);
}

}  // namespace
}  // namespace wgsteer
