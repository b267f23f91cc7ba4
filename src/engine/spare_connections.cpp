// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/spare_connections.hpp"

#include <algorithm>

namespace wgsteer {

void SpareConnections::follow(const std::vector<SpareExit>& spares, Instant now) {
  std::map<std::pair<Mark, Family>, Watched> watched;
  for (const SpareExit& spare : spares) {
    const std::pair key{Mark{spare.mark.value}, spare.family};
    const auto known = watched_.find(key);
    if (known != watched_.end() && known->second.exit == spare)
      watched.emplace(key, std::move(known->second));
    else
      watched.emplace(key, Watched{.exit = spare, .silentOnesGone = false, .idle = {}, .due = now});
  }
  watched_ = std::move(watched);
}

void SpareConnections::look(Instant now, const Tell& tell, const Report& report) {
  for (auto& [key, watched] : watched_) {
    if (!watched.due || *watched.due > now) continue;
    const Status done = lookAt(watched, now, tell);
    if (done) {
      trouble_.clear();
      continue;
    }
    watched.due = now + kLookEvery;
    if (const std::string text = done.error().toString(); std::exchange(trouble_, text) != text) report(done.error());
  }
}

Status SpareConnections::lookAt(Watched& watched, Instant now, const Tell& tell) {
  const SpareExit& exit = watched.exit;
  if (!watched.silentOnesGone) {
    const auto forgotten = kernel_.forgetUnanswered(exit.mark, exit.family);
    if (!forgotten) return std::unexpected(forgotten.error());
    watched.silentOnesGone = true;
  }
  watched.due.reset();
  if (!exit.drainAfter) return {};
  const bool first = !watched.idle;
  if (first) watched.idle.emplace(*exit.drainAfter);
  const auto drained = kernel_.forgetIdle(exit.mark, exit.family, *watched.idle, now);
  if (!drained) return std::unexpected(drained.error());
  if (drained->forgotten > 0 && tell) tell(exit.mark, drained->forgotten);
  // Nothing new joins them: a packet that was under way when the better exit came back is seen by the second look.
  if (first || drained->left > 0) watched.due = now + std::min<Duration>(kLookEvery, *exit.drainAfter);
  return {};
}

std::optional<Instant> SpareConnections::nextDue() const {
  std::optional<Instant> next;
  for (const auto& [key, watched] : watched_)
    if (watched.due) next = std::min(next.value_or(*watched.due), *watched.due);
  return next;
}

}  // namespace wgsteer
