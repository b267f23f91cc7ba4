// SPDX-License-Identifier: GPL-2.0-or-later
// Changes that the kernel refused, and when to retry each. Every change has a delay of its own, so that retrying one
// never postpones another; a change that differs in any respect counts as new and is made at once.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "wgsteer/core/commit_guard.hpp"
#include "wgsteer/core/numbers.hpp"
#include "wgsteer/core/plan.hpp"
#include "wgsteer/core/time.hpp"

namespace wgsteer {

class Refusals {
 public:
  static constexpr Duration kFirstDelay = std::chrono::milliseconds{100};
  static constexpr Duration kLongestDelay = std::chrono::seconds{30};

  /// Moves changes that are not due yet to those that the plan holds back.
  Plan withhold(Plan plan, Instant now) const;
  /// Learns from the outcome of a plan: new refusals are retried after kFirstDelay, repeated ones after twice the
  /// previous delay; changes that were made, or are no longer wanted, are forgotten.
  void learn(const Plan& plan, const CommitReport& report, Instant now);
  void clear() { refused_.clear(); }

  bool empty() const { return refused_.empty(); }
  /// When the next retry is due.
  std::optional<Instant> nextDue() const;
  /// WANs whose default route the kernel refuses, by number and family, each with what the kernel said.
  std::map<std::pair<Slot, Family>, std::string> wans() const;

 private:
  struct Refusal {
    Change change;
    ErrorKind kind = ErrorKind::io;
    std::string why;
    Duration delay{};
    Instant due{};
  };
  const Refusal* find(const Change& change) const;

  std::vector<Refusal> refused_;
};

}  // namespace wgsteer
