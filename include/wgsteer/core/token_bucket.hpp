// SPDX-License-Identifier: GPL-2.0-or-later
// A token bucket: `burst` at once, then one every `refill`. Time is the caller's, from any monotonic origin.
#pragma once

#include <algorithm>
#include <chrono>

namespace wgsteer {

class TokenBucket {
 public:
  using Time = std::chrono::nanoseconds;

  TokenBucket(int burst, Time refill) : capacity_(refill * burst), refill_(refill), level_(capacity_) {}

  /// Takes a token if there is one.
  bool take(Time now) {
    fill(now);
    if (level_ < refill_) return false;
    level_ -= refill_;
    return true;
  }
  /// How long until there is a token; zero if there is one.
  Time wait(Time now) {
    fill(now);
    return std::max(Time{0}, refill_ - level_);
  }
  bool full(Time now) {
    fill(now);
    return level_ == capacity_;
  }

 private:
  void fill(Time now) {
    level_ = std::min(capacity_, level_ + std::max(Time{0}, now - filled_));
    filled_ = now;
  }

  Time capacity_;
  Time refill_;
  Time level_;  ///< tokens, each worth `refill_`
  Time filled_{};
};

}  // namespace wgsteer
