// SPDX-License-Identifier: GPL-2.0-or-later
// Damage is repaired at once, but if it goes on, only at a limited rate.
#pragma once

#include <utility>

#include "wgsteer/core/time.hpp"
#include "wgsteer/core/token_bucket.hpp"

namespace wgsteer {

class RepairLimiter {
 public:
  bool allows(Instant now) {
    if (bucket_.full(now)) fighting_ = false;
    return bucket_.take(now);
  }
  /// To be called when it does not: whether a fight begins, which is reported once.
  bool beginsFight() { return !std::exchange(fighting_, true); }
  /// Until it allows one again.
  Duration wait(Instant now) { return bucket_.wait(now); }

 private:
  /// An `ip rule flush` or `ip route flush` wakes us up once per object; anything beyond that is a fight.
  static constexpr int kAtOnce = 64;
  static constexpr Duration kPeriod = std::chrono::milliseconds{250};
  TokenBucket bucket_{kAtOnce, kPeriod};
  bool fighting_ = false;
};

}  // namespace wgsteer
