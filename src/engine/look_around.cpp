// SPDX-License-Identifier: GPL-2.0-or-later
// A slow full read of rtnetlink's state, for changes that are neither announced nor modelled.
#include <algorithm>

#include "wgsteer/core/untold.hpp"

#include "engine/engine.hpp"

namespace wgsteer {

namespace {

/// If a look takes long (a million routes: half a second), it is made less often: at most 2 % of the time.
constexpr int kLookShare = 50;
/// While events arrive, more will follow soon, but on some hosts they never end.
constexpr Duration kAtRest = std::chrono::seconds{3};
constexpr int kPeriodsAtMost = 10;

}  // namespace

bool Engine::timeToLook() const {
  const auto now = now_();
  const Duration since = now - lookedAt_;
  return !looks_.due() && since >= lookPeriod_ && (now - heardAt_ >= kAtRest || since >= kPeriodsAtMost * lookPeriod_);
}

void Engine::lookAround() {
  if (!timeToLook()) return;
  const bool overdue = now_() - lookedAt_ >= kPeriodsAtMost * lookPeriod_;
  // What is queued counts as announced.
  onEvents();
  const std::size_t told = statistics_.wakeUps;
  const auto begun = now_();
  Picture seen;
  const Status done = kernel_.refresh(seen, config_.numbers, {.network = true});
  const auto took = now_() - begun;
  lookedAt_ = begun + took;
  lookPeriod_ = std::max(kLookPeriod, took * kLookShare);
  if (!done) {
    report(done.error());
    return;
  }
  // Events have arrived meanwhile, so what was read may be outdated.
  onEvents();
  if (statistics_.wakeUps != told) {
    if (overdue && reread({.rtnetlink = true})) converge();
    return;
  }
  const auto difference = untold(picture_, seen);
  if (observer_.looked) observer_.looked(difference.value_or(""), took);
  if (!difference) return;
  wake(Trigger::overrun);
  ++statistics_.wakeUps;
  if (reread({.rtnetlink = true})) converge();
}

}  // namespace wgsteer
