// SPDX-License-Identifier: GPL-2.0-or-later
// Lines of the log about what may go on without end: a route that flaps 250 times a second is not to be told 250 times
// a second. Of each subject a few lines go at once, later ones now and then; the last is always told, with the number
// of those before it that were not.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>

#include "wgsteer/core/token_bucket.hpp"

namespace wgsteer {

class Throttle {
 public:
  using Say = std::function<void(const std::string& line)>;
  Throttle(int burst, Duration refill) : burst_(burst), refill_(refill) {}

  /// Says it now, or keeps it.
  void offer(const std::string& subject, const std::string& line, Instant now, const Say& say);
  /// To be called now and then: says what was kept, as far as it may.
  void catchUp(Instant now);

 private:
  struct Subject {
    TokenBucket bucket;
    std::string last{};
    Say say{};
    std::size_t kept = 0;
  };
  static void tell(Subject& subject);

  int burst_;
  Duration refill_;
  std::map<std::string, Subject> subjects_;
};

}  // namespace wgsteer
