// SPDX-License-Identifier: GPL-2.0-or-later
// A token bucket: `burst` at once, then one every `refill`.
#pragma once

#include <algorithm>

#include "wgsteer/core/time.hpp"

namespace wgsteer {

class TokenBucket {
 public:
  TokenBucket(int burst, Duration refill) : capacity_(refill * burst), refill_(refill), level_(capacity_) {}

  /// Takes a token if there is one.
  bool take(Instant now) {
    fill(now);
    if (level_ < refill_) return false;
    level_ -= refill_;
    return true;
  }
  /// How long until there is a token; zero if there is one.
  Duration wait(Instant now) {
    fill(now);
    return std::max(Duration{0}, refill_ - level_);
  }
  bool full(Instant now) {
    fill(now);
    return level_ == capacity_;
  }

 private:
  void fill(Instant now) {
    level_ = std::min(capacity_, level_ + std::max(Duration{0}, now - filled_));
    filled_ = now;
  }

  Duration capacity_;
  Duration refill_;
  Duration level_;  ///< tokens, each worth `refill_`
  Instant filled_{};
};

}  // namespace wgsteer
