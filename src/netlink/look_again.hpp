// SPDX-License-Identifier: GPL-2.0-or-later
// When tunnels are to be looked at before the next poll: as soon as a process that was late answers, and a few times
// shortly after a device has come up that is not ready yet. Its socket, its peers and its fwmark come after it, and
// nothing announces the last two; meanwhile its packets may go into itself.
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
#include "wgsteer/result.hpp"

#include "os/fd.hpp"
#include "os/timer.hpp"

namespace wgsteer::netlink {

/// A device that is not ready, and how far it has come: when that changes, the looks begin anew.
struct Unready {
  IfIndex link;
  bool up = false;
  bool read = false;         ///< and has no peers yet
  std::uint64_t socket = 0;  ///< of a device in user space
  auto operator<=>(const Unready&) const = default;
};

/// How long after `age` the next look is due: the first at an age of 10 ms, the last at 630. From then on the poll is
/// soon enough.
std::optional<std::chrono::nanoseconds> nextLook(std::chrono::nanoseconds age);

class LookAgain {
 public:
  static Result<LookAgain> create();
  /// After each look: devices that are not ready, and descriptors on which answers are still to come.
  void expect(const std::map<IfName, Unready>& devices, const std::vector<int>& answers);
  /// Readable when a look is due.
  int descriptor() const { return epoll_.get(); }
  /// Takes off what has made it readable. True if there was anything.
  bool drain();

 private:
  struct Since {
    Unready state;
    std::chrono::nanoseconds begun{};
  };
  LookAgain(os::Fd epoll, os::Timer timer) : epoll_(std::move(epoll)), timer_(std::move(timer)) {}

  os::Fd epoll_;
  os::Timer timer_;
  std::map<IfName, Since> unready_;
};

}  // namespace wgsteer::netlink
