// SPDX-License-Identifier: GPL-2.0-or-later
// The engine and the connections of exits that have died.
#include <algorithm>
#include <utility>

#include "engine/engine.hpp"

namespace wgsteer {

Engine::Pinned Engine::pinned() const {
  const auto& nft = picture_.observed.nft;
  return nft && nft->layout.traffic ? nft->table.pinned : Pinned{};
}

/// Connections whose exit can no longer be used begin anew by another one. Masquerading does that by itself; other NAT,
/// IPv6 and offloaded flows do not. After the commit that takes their packets away from the exit. On an exit that has
/// another address, or again one, those begin anew whose translation is wrong.
void Engine::cullConnections(const Pinned& before, const Steering& steering) {
  spare_.follow(spareExits(config_, steering), now_());
  if (!steering.traffic) return;
  const Pinned after = pinned();
  for (const PinnedExit& exit : pinnedExits(steering))
    for (const Family family : steering.families) {
      const MarkMatch mark = config_.numbers.mark(exit.pin);
      const std::pair key{family, Mark{mark.value}};
      // Only when it comes back: a plan that is about something else calls nothing off.
      if (after.contains(key) && !before.contains(key)) culler_.alive(mark, family);
      if (!after.contains(key) && before.contains(key))
        culler_.dead(mark, family,
                     (exit.policy ? "policy " + steering.policies[*exit.policy].name : "what is configured now") +
                         " has a better exit than " + steering.wans[exit.wan].name + " in " + nameOf(family));
    }
  translations_.note(translationsOf(steering, picture_.world, config_.numbers, noteExitSources(steering)));
  onCull();
}

/// The exits that have an address again or another one; with the former one if it is another.
std::map<ExitName, std::optional<Address>> Engine::noteExitSources(const Steering& steering) {
  std::map<ExitName, std::optional<Address>> changed;
  std::set<ExitName> sourced;
  for (const Wan& wan : steering.wans)
    for (const auto& [family, source] : wan.source) {
      const ExitName exit{wan.name, family};
      sourced.insert(exit);
      if (!sourced_.contains(exit)) changed[exit];
      const auto [known, fresh] = exitSources_.try_emplace(exit, source);
      if (fresh || known->second == source) continue;
      changed[exit] = std::exchange(known->second, source);
    }
  sourced_ = std::move(sourced);
  return changed;
}

void Engine::onCull() {
  const auto report = [this](const Error& error) { this->report(error); };
  culler_.cull(now_(), observer_.culled, report);
  translations_.forget(now_(), config_.numbers.markMask, observer_.retranslated, report);
  spare_.look(now_(), observer_.drained, report);
}

std::optional<Duration> Engine::cullAfter() const {
  std::optional<Instant> next;
  for (const auto& due : {culler_.nextDue(), translations_.nextDue(), spare_.nextDue()})
    if (due) next = std::min(next.value_or(*due), *due);
  // At least 1: a delay of 0 would disarm the timer.
  return next.transform([this](Instant due) { return std::max(due - now_(), Duration{1}); });
}

}  // namespace wgsteer
