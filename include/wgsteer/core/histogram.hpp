// SPDX-License-Identifier: GPL-2.0-or-later
// Durations in buckets of 1, 2, 5, 10, ... from 10 us to 10 s: enough to see a change, and 80 bytes for 32-bit routers.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "wgsteer/core/time.hpp"

namespace wgsteer {

class Histogram {
 public:
  /// Inclusive upper bounds; anything longer than the last is counted only in count(), sum() and longest().
  static constexpr std::array<std::int64_t, 19> kBoundsInMicroseconds{
      10,     20,     50,      100,     200,     500,       1'000,     2'000,     5'000,     10'000,
      20'000, 50'000, 100'000, 200'000, 500'000, 1'000'000, 2'000'000, 5'000'000, 10'000'000};

  void add(Duration duration) {
    ++count_;
    sum_ += duration;
    if (duration > longest_) longest_ = duration;
    for (std::size_t i = 0; i < kBoundsInMicroseconds.size(); ++i)
      if (duration <= std::chrono::microseconds{kBoundsInMicroseconds[i]}) {
        ++buckets_[i];
        return;
      }
  }

  std::uint32_t count() const { return count_; }
  Duration sum() const { return sum_; }
  Duration longest() const { return longest_; }
  /// Not cumulative, one for each bound.
  const std::array<std::uint32_t, kBoundsInMicroseconds.size()>& buckets() const { return buckets_; }

  /// The bound below which this share (0..1) of all lie, or the longest if that is less; zero when there are none.
  Duration quantile(double share) const {
    std::uint32_t below = 0;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
      below += buckets_[i];
      if (below > 0 && below >= share * count_) {
        const Duration bound = std::chrono::microseconds{kBoundsInMicroseconds[i]};
        return bound < longest_ ? bound : longest_;
      }
    }
    return longest_;
  }

 private:
  std::uint32_t count_ = 0;
  Duration sum_{};
  Duration longest_{};
  std::array<std::uint32_t, kBoundsInMicroseconds.size()> buckets_{};
};

}  // namespace wgsteer
