// SPDX-License-Identifier: GPL-2.0-or-later
// When to read tunnels before the next poll: as soon as a late process of a new one answers, and a few times shortly
// after a device has come up that is not ready yet. Its socket, peers and fwmark come after it, and nothing announces
// the last two; meanwhile its packets may enter the tunnel itself.
#pragma once

#include <array>
#include <chrono>
#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "wgsteer/core/ids.hpp"
#include "wgsteer/core/time.hpp"
#include "wgsteer/result.hpp"

#include "os/poller.hpp"
#include "os/timer.hpp"

namespace wgsteer::netlink {

/// A device that is not ready, and its progress: when that changes, the looks start over.
struct Unready {
  IfIndex link;
  bool up = false;
  bool read = false;         ///< was read, but has no peers yet
  std::uint64_t socket = 0;  ///< of a device in user space
  auto operator<=>(const Unready&) const = default;
};

/// How long after `age` the next look is due: the first at an age of 10 ms, the last at 630 ms. After that the poll is
/// soon enough.
std::optional<Duration> nextLook(Duration age);

class LookAgain {
 public:
  static Result<LookAgain> create();
  /// To be called after each look, with the devices that are not ready, and the descriptors on which answers are
  /// outstanding.
  void expect(const std::map<IfName, Unready>& devices, const std::vector<int>& answers);
  /// Readable when a look is due.
  int descriptor() const { return poller_.descriptor(); }
  /// Clears what made it readable. True if there was anything.
  bool drain();

 private:
  struct Since {
    Unready state;
    Instant begun{};
  };
  LookAgain(os::Poller poller, os::Timer timer) : poller_(std::move(poller)), timer_(std::move(timer)) {}

  os::Poller poller_;
  os::Timer timer_;
  std::map<IfName, Since> unready_;
};

}  // namespace wgsteer::netlink
