// SPDX-License-Identifier: GPL-2.0-or-later
// Carrier losses within a second of each other are announced late (net/core/link_watch.c): during that second the links
// are queried.
#pragma once

#include <optional>

#include "wgsteer/core/time.hpp"

namespace wgsteer {

class CarrierWatch {
 public:
  void begin(Instant now) { until_ = now + kWatch; }
  /// How long until the carriers must be queried; nullopt while they are stable.
  std::optional<Duration> nextCheck(Instant now) const { return now >= until_ ? std::nullopt : std::optional{kPeriod}; }

 private:
  static constexpr Duration kWatch = std::chrono::seconds{1};
  static constexpr Duration kPeriod = std::chrono::milliseconds{10};
  Instant until_{};
};

}  // namespace wgsteer
