// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/throttle.hpp"

#include <iterator>
#include <utility>

namespace wgsteer {

void Throttle::tell(Subject& subject) {
  const std::size_t before = std::exchange(subject.kept, 0) - 1;
  subject.say(subject.last + (before == 0 ? "" : " (" + std::to_string(before) + " similar lines suppressed)"));
}

void Throttle::offer(const std::string& subject, const std::string& line, Instant now, const Say& say) {
  Subject& about = subjects_.try_emplace(subject, Subject{.bucket = TokenBucket{burst_, refill_}}).first->second;
  about.last = line;
  about.say = say;
  ++about.kept;
  if (about.bucket.take(now)) tell(about);
}

void Throttle::catchUp(Instant now) {
  for (auto known = subjects_.begin(); known != subjects_.end();) {
    Subject& about = known->second;
    if (about.kept > 0 && about.bucket.take(now)) tell(about);
    known = about.kept == 0 && about.bucket.full(now) ? subjects_.erase(known) : std::next(known);
  }
}

}  // namespace wgsteer
