// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/cull_schedule.hpp"

#include <algorithm>
#include <utility>

namespace wgsteer {

void CullSchedule::dead(MarkMatch mark, const std::string& why) {
  const auto known = std::ranges::find(waiting_, mark, &Cull::mark);
  if (known != waiting_.end())
    known->why = why;
  else
    waiting_.push_back({.mark = mark, .why = why});
}

void CullSchedule::alive(MarkMatch mark) {
  std::erase_if(waiting_, [&](const Cull& cull) { return cull.mark == mark; });
  if (const auto pair = pairs_.find(mark); pair != pairs_.end()) pair->second.again.reset();
}

void CullSchedule::clear() {
  waiting_.clear();
  for (auto& [mark, pair] : pairs_) pair.again.reset();
}

/// Instant{}: at once.
Instant CullSchedule::allowedAt(MarkMatch mark) const {
  Instant allowed{};
  if (const auto pair = pairs_.find(mark); pair != pairs_.end()) allowed = pair->second.began + kPairPeriod;
  if (began_.size() == kPairsInWindow) allowed = std::max(allowed, began_.front() + kWindow);
  return allowed;
}

std::vector<CullSchedule::Cull> CullSchedule::take(Instant now) {
  std::vector<Cull> due;
  for (auto& [mark, pair] : pairs_)
    if (pair.again && pair.began + kAgainAfter <= now) due.push_back(*std::exchange(pair.again, std::nullopt));
  std::vector<Cull> later;
  for (Cull& cull : waiting_) {
    if (allowedAt(cull.mark) > now) {
      later.push_back(std::move(cull));
      continue;
    }
    pairs_.insert_or_assign(cull.mark, Pair{.began = now, .again = Cull{cull.mark, cull.why, true}});
    if (began_.size() == kPairsInWindow) began_.pop_front();
    began_.push_back(now);
    due.push_back(std::move(cull));
  }
  waiting_ = std::move(later);
  std::erase_if(pairs_,
                [&](const auto& entry) { return !entry.second.again && entry.second.began + kPairPeriod <= now; });
  return due;
}

std::optional<Instant> CullSchedule::nextDue() const {
  std::optional<Instant> next;
  const auto consider = [&](Instant when) { next = std::min(next.value_or(when), when); };
  for (const auto& [mark, pair] : pairs_)
    if (pair.again) consider(pair.began + kAgainAfter);
  for (const Cull& cull : waiting_) consider(allowedAt(cull.mark));
  return next;
}

}  // namespace wgsteer
