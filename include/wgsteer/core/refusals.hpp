// SPDX-License-Identifier: GPL-2.0-or-later
// Changes that the kernel refused, and when each is to be tried again. Every change has a delay of its own, so that the
// retry of one never puts off another; a change that differs in anything is another one and is made at once.
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

  /// Moves what is not due yet from the plan's changes to what it holds back.
  Plan withhold(Plan plan, Instant now) const;
  /// Takes note of how a plan went: new refusals are tried again after kFirstDelay, repeated ones after twice as long
  /// as the last time, and what was made, or is not asked for any more, is forgotten.
  void learn(const Plan& plan, const CommitReport& report, Instant now);
  /// Tries everything anew at the next occasion, as after a look that may have found the reason.
  void retryNow(ErrorKind kind);
  void clear() { refused_.clear(); }

  bool empty() const { return refused_.empty(); }
  /// When the next one is to be tried again.
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
