// SPDX-License-Identifier: GPL-2.0-or-later
// A netlink socket that only listens. Its buffer is large (8 MB hold some 20 000 events, the default 256), and what it
// cannot hold is reported as an overrun, never lost silently.
#pragma once

#include <cstddef>
#include <functional>
#include <initializer_list>
#include <vector>

#include "wgsteer/result.hpp"

#include "netlink/wire.hpp"
#include "os/fd.hpp"

namespace wgsteer::netlink {

class EventSocket {
 public:
  static Result<EventSocket> open(int protocol, std::initializer_list<int> groups);

  enum class Routes : std::uint8_t {
    all,
    /// And those in tables with ids over 255 (ours are): a feed of a million routes then costs this process nothing.
    defaults,
  };
  /// Has the kernel drop what this process need not wake up for: announcements of what the request socket with port
  /// `ownPort` has done itself, and other routes. Classic BPF (socket(7), SO_ATTACH_FILTER), 11 instructions.
  Status filter(std::uint32_t ownPort, Routes routes);

  /// Hands on all that is queued. `onOverrun` when events were lost.
  void drain(const std::function<void(const nlmsghdr*)>& onMessage, const std::function<void()>& onOverrun);
  int descriptor() const { return socket_.get(); }

 private:
  EventSocket() = default;
  os::Fd socket_;
  std::vector<std::byte> input_;
};

}  // namespace wgsteer::netlink
