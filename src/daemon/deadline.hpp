// SPDX-License-Identifier: GPL-2.0-or-later
// A timer for something that the engine has to be called for in time, which may come nearer or be called off.
#pragma once

#include <optional>

#include "wgsteer/core/time.hpp"

#include "os/timer.hpp"

namespace wgsteer {

class Deadline {
 public:
  /// Borrows the timer.
  explicit Deadline(os::Timer& timer) : timer_(timer) {}

  /// Replaces what it was armed for; nullopt: nothing is to be done any more.
  void arm(std::optional<Duration> after) {
    if (after || armed_) timer_.arm(after.value_or(Duration{0}));
    armed_ = after.has_value();
  }
  /// For something that has to be done so long after the first time that it is asked for, however often that is.
  void armOnce(std::optional<Duration> after) {
    if (!armed_ || !after) arm(after);
  }
  /// When its descriptor is readable.
  void expire() {
    timer_.acknowledge();
    armed_ = false;
    due_ = true;
  }
  bool isDue() const { return due_; }
  void done() { due_ = false; }

 private:
  os::Timer& timer_;
  bool armed_ = false;
  bool due_ = false;
};

}  // namespace wgsteer
