// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/idle_watch.hpp"

#include <utility>

namespace wgsteer {

std::set<std::uint32_t> IdleWatch::look(Instant now, const std::vector<Seen>& all) {
  std::map<std::uint32_t, Known> current;
  for (const Seen& seen : all) {
    const Known fresh{.expiry = now + seen.expiresIn, .since = now};
    const auto before = known_.find(seen.id);
    // Against the first look, not the last: packets at short intervals must add up.
    const bool same = before != known_.end() && std::chrono::abs(fresh.expiry - before->second.expiry) <= kTolerance;
    const auto [entry, isNew] = current.try_emplace(seen.id, same ? before->second : fresh);
    // Two connections of the same id, a hash of 32 bits: neither is judged.
    if (!isNew) entry->second = fresh;
  }
  known_ = std::move(current);
  std::set<std::uint32_t> idle;
  for (const auto& [id, known] : known_)
    if (now - known.since >= idle_ + kTolerance) idle.insert(id);
  return idle;
}

}  // namespace wgsteer
