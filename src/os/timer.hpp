// SPDX-License-Identifier: GPL-2.0-or-later
// A timerfd(2) on the monotonic clock, which neither a wrong date nor its correction affects.
#pragma once

#include <chrono>

#include "wgsteer/core/time.hpp"
#include "wgsteer/result.hpp"

#include "os/fd.hpp"

namespace wgsteer::os {

class Timer {
 public:
  static Result<Timer> create();
  /// Expires once, after `delay`; zero disarms it.
  void arm(Duration delay);
  void disarm() { arm({}); }
  /// Reads the expiry from the descriptor, which otherwise stays readable.
  void acknowledge();
  int descriptor() const { return fd_.get(); }

 private:
  explicit Timer(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

/// Nanoseconds since boot (CLOCK_MONOTONIC).
Instant monotonicNow();
/// CPU time of this process in nanoseconds, including time in the kernel (CLOCK_PROCESS_CPUTIME_ID).
Duration processorTime();
/// CLOCK_REALTIME, as WireGuard stamps handshakes.
WallSeconds wallClock();
/// The same in milliseconds since the epoch.
std::int64_t wallClockMilliseconds();

}  // namespace wgsteer::os
