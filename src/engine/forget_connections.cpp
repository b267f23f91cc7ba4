// SPDX-License-Identifier: GPL-2.0-or-later
// The engine and the connections of exits that have died.
#include <algorithm>

#include "engine/engine.hpp"

namespace wgsteer {

Engine::Pinned Engine::pinned() const {
  const auto& nft = picture_.observed.nft;
  return nft && nft->layout.traffic ? nft->table.pinned : Pinned{};
}

/// Connections whose exit can no longer be used begin anew by another one. Masquerading does that by itself; other NAT,
/// IPv6 and offloaded flows do not. After the commit that takes their packets away from the exit.
void Engine::cullConnections(const Pinned& before, const Steering& steering) {
  if (!steering.traffic) return;
  const Pinned after = pinned();
  for (const TrafficPolicy& policy : steering.traffic->policies)
    for (const auto& [wan, pin] : policy.pins)
      for (const Family family : steering.families) {
        const MarkMatch mark = config_.numbers.mark(pin);
        const std::pair key{family, Mark{mark.value}};
        if (after.contains(key))
          culler_.alive(mark, family);
        else if (before.contains(key))
          culler_.dead(mark, family,
                       "policy " + steering.policies[policy.policy].name + " has a better exit than " +
                           steering.wans[wan].name + " in " + nameOf(family));
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
