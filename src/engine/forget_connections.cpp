// SPDX-License-Identifier: GPL-2.0-or-later
// The engine and the connections of exits that have died.
#include <algorithm>

#include "engine/engine.hpp"

namespace wgsteer {

/// The exits that these marks stand for are dead: connections that carry them begin anew by another exit. To be called
/// after the commit that takes packets away from these exits. Over the limits of CullSchedule, onCull() does it later.
void Engine::forgetConnectionsOf(const std::vector<MarkMatch>& marks, const std::string& why) {
  culler_.dead(marks, why);
  onCull();
}

/// The exits can be used again: connections that carry these marks are good, and deletions that wait are called off.
void Engine::keepConnectionsOf(const std::vector<MarkMatch>& marks) { culler_.alive(marks); }

void Engine::onCull() {
  culler_.cull(now_(), observer_.culled, [this](const Error& error) { report(error); });
}

std::optional<Duration> Engine::cullAfter() const {
  // At least 1: a delay of 0 would disarm the timer.
  return culler_.nextDue().transform([this](Instant due) { return std::max(due - now_(), Duration{1}); });
}

}  // namespace wgsteer
