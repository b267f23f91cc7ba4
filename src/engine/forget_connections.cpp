// SPDX-License-Identifier: GPL-2.0-or-later
// The engine and the connections of exits that have died.
#include <algorithm>
#include <set>

#include "engine/engine.hpp"

namespace wgsteer {

namespace {

/// The marks of connections that go where they went, in any family.
std::set<Mark> marksIn(const std::map<std::pair<Family, Mark>, Slot>& pinned) {
  std::set<Mark> marks;
  for (const auto& [pin, exit] : pinned) marks.insert(pin.second);
  return marks;
}

}  // namespace

Engine::Pinned Engine::pinned() const {
  const auto& nft = picture_.observed.nft;
  return nft && nft->layout.traffic ? nft->table.pinned : Pinned{};
}

/// Connections whose exit can no longer be used begin anew by another one. Masquerading does that by itself; other NAT,
/// IPv6 and offloaded flows do not. After the commit that takes their packets away from the exit. An exit that is lost
/// in one family alone keeps its connections of the other.
void Engine::cullConnections(const Pinned& before, const Steering& steering) {
  if (!steering.traffic) return;
  const std::set<Mark> after = marksIn(pinned());
  for (const TrafficPolicy& policy : steering.traffic->policies)
    for (const auto& [wan, pin] : policy.pins) {
      const MarkMatch mark = config_.numbers.mark(pin);
      if (after.contains(Mark{mark.value}))
        culler_.alive({mark});
      else if (marksIn(before).contains(Mark{mark.value}))
        culler_.dead({mark}, "policy " + steering.policies[policy.policy].name + " has a better exit than " +
                                 steering.wans[wan].name);
    }
  onCull();
}

void Engine::onCull() {
  culler_.cull(now_(), observer_.culled, [this](const Error& error) { report(error); });
}

std::optional<Duration> Engine::cullAfter() const {
  // At least 1: a delay of 0 would disarm the timer.
  return culler_.nextDue().transform([this](Instant due) { return std::max(due - now_(), Duration{1}); });
}

}  // namespace wgsteer
