// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/cull_schedule.hpp"

#include <algorithm>
#include <utility>

namespace wgsteer {

void CullSchedule::dead(MarkMatch mark, const std::string& why, std::optional<Family> family) {
  const auto known = std::ranges::find(waiting_, Key{mark, family}, keyOf);
  if (known != waiting_.end())
    known->why = why;
  else
    waiting_.push_back({.mark = mark, .family = family, .why = why});
}

void CullSchedule::alive(MarkMatch mark, std::optional<Family> family) {
  const Key key{mark, family};
  std::erase_if(waiting_, [&](const Cull& cull) { return keyOf(cull) == key; });
  if (const auto pair = pairs_.find(key); pair != pairs_.end()) pair->second.again.reset();
}

void CullSchedule::clear() {
  waiting_.clear();
  for (auto& [mark, pair] : pairs_) pair.again.reset();
}

/// Instant{}: at once.
Instant CullSchedule::nextPairOf(const Key& key) const {
  const auto pair = pairs_.find(key);
  return pair == pairs_.end() ? Instant{} : pair->second.began + kPairPeriod;
}

Instant CullSchedule::nextWindow() const {
  return began_.size() == kBegunInWindow ? began_.front() + kWindow : Instant{};
}

void CullSchedule::begin(Instant now) {
  if (!began_.empty() && began_.back() == now) return;
  if (began_.size() == kBegunInWindow) began_.pop_front();
  began_.push_back(now);
}

std::vector<CullSchedule::Cull> CullSchedule::take(Instant now) {
  std::vector<Cull> due;
  for (auto& [mark, pair] : pairs_)
    if (pair.again && pair.began + kAgainAfter <= now) due.push_back(*std::exchange(pair.again, std::nullopt));
  std::vector<Cull> later;
  const bool allowed = nextWindow() <= now;
  for (Cull& cull : waiting_) {
    if (!allowed || nextPairOf(keyOf(cull)) > now) {
      later.push_back(std::move(cull));
      continue;
    }
    Cull again = cull;
    again.again = true;
    pairs_.insert_or_assign(keyOf(cull), Pair{.began = now, .again = std::move(again)});
    begin(now);
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
  for (const Cull& cull : waiting_) consider(std::max(nextPairOf(keyOf(cull)), nextWindow()));
  return next;
}

}  // namespace wgsteer
