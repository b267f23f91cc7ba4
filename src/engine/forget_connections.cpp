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
/// IPv6 and offloaded flows do not. After the commit that takes their packets away from the exit. Those of an exit that
/// has another address begin anew as well: their translation is wrong.
void Engine::cullConnections(const Pinned& before, const Steering& steering) {
  spare_.follow(spareExits(config_, steering), now_());
  if (!steering.traffic) return;
  const auto [moved, returned] = noteExitSources(steering);
  const Pinned after = pinned();
  for (const PinnedExit& exit : pinnedExits(steering))
    for (const Family family : steering.families) {
      const MarkMatch mark = config_.numbers.mark(exit.pin);
      const std::pair key{family, Mark{mark.value}};
      const std::string& name = steering.wans[exit.wan].name;
      // Only when it comes back: a plan that is about something else calls nothing off.
      if (after.contains(key) && !before.contains(key)) culler_.alive(mark, family);
      if (!after.contains(key) && before.contains(key))
        culler_.dead(mark, family,
                     (exit.policy ? "policy " + steering.policies[*exit.policy].name : "what is configured now") +
                         " has a better exit than " + name + " in " + nameOf(family));
      if (moved.contains({name, family}))
        culler_.dead(mark, family, name + " has another " + nameOf(family) + " address");
    }
  onCull();
  forgetWrongTranslations(steering, returned);
}

Engine::ExitSources Engine::noteExitSources(const Steering& steering) {
  ExitSources noted;
  Exits sourced;
  for (const Wan& wan : steering.wans)
    for (const auto& [family, source] : wan.source) {
      const std::pair exit{wan.name, family};
      sourced.insert(exit);
      if (!sourced_.contains(exit)) noted.returned.insert(exit);
      const auto [known, fresh] = exitSources_.try_emplace(exit, source);
      if (fresh || known->second == source) continue;
      known->second = source;
      noted.moved.insert(exit);
    }
  sourced_ = std::move(sourced);
  return noted;
}

void Engine::forgetWrongTranslations(const Steering& steering, const Exits& exits) {
  if (exits.empty()) return;
  const auto wrong = wrongTranslations(steering, picture_.world, config_.numbers, exits);
  const auto forgotten = kernel_.forgetTranslatedTo(config_.numbers.markMask, wrong);
  if (!forgotten)
    report(forgotten.error());
  else if (*forgotten != 0 && observer_.retranslated)
    observer_.retranslated(*forgotten);
}

void Engine::onCull() {
  const auto report = [this](const Error& error) { this->report(error); };
  culler_.cull(now_(), observer_.culled, report);
  spare_.look(now_(), observer_.drained, report);
}

std::optional<Duration> Engine::cullAfter() const {
  const auto dead = culler_.nextDue();
  const auto spare = spare_.nextDue();
  const auto next = dead && spare ? std::min(dead, spare) : std::max(dead, spare);
  // At least 1: a delay of 0 would disarm the timer.
  return next.transform([this](Instant due) { return std::max(due - now_(), Duration{1}); });
}

}  // namespace wgsteer
