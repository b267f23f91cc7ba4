// SPDX-License-Identifier: GPL-2.0-or-later
// When to read everything again because something could not be read: soon, and less and less often while that fails.
#pragma once

#include <algorithm>
#include <optional>

#include "wgsteer/core/time.hpp"

namespace wgsteer {

class LookSchedule {
 public:
  /// Something failed. `again`: the scheduled look itself did; other failures do not postpone it.
  void failed(Instant now, bool again) {
    if (again)
      delay_ = std::min(delay_ * 2, kLongest);
    else if (due_)
      return;
    due_ = now + delay_;
  }
  void setDue(Instant when) { due_ = when; }
  /// The look begins.
  void begin() { due_.reset(); }
  /// It is over; its failures have been reported with failed().
  void end() {
    if (!due_) delay_ = kFirst;
  }
  const std::optional<Instant>& due() const { return due_; }

 private:
  static constexpr Duration kFirst = std::chrono::milliseconds{100};
  static constexpr Duration kLongest = std::chrono::seconds{30};
  std::optional<Instant> due_;
  Duration delay_ = kFirst;
};

}  // namespace wgsteer
