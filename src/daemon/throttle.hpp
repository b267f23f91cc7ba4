// SPDX-License-Identifier: GPL-2.0-or-later
// Limits log lines about things that may repeat endlessly: a route that flaps 250 times a second must not be logged 250
// times a second. For each subject a few lines are written at once, later ones from time to time; the last one is
// always written, with the number of those suppressed before it.
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

  /// Writes the line now or keeps it for later.
  void offer(const std::string& subject, const std::string& line, Instant now, const Say& say);
  /// To be called from time to time: writes what was kept, as far as the limit allows.
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
