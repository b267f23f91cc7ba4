// SPDX-License-Identifier: GPL-2.0-or-later
// A netlink socket that only listens. Its buffer is large (8 MB hold some 20 000 events, the default 256), and what it
// cannot hold is reported as an overrun, never lost silently.
#pragma once

#include <cstddef>
#include <functional>
#include <initializer_list>
#include <linux/filter.h>
#include <vector>

#include "wgsteer/result.hpp"

#include "netlink/wire.hpp"
#include "os/fd.hpp"

namespace wgsteer::netlink {

class EventSocket {
 public:
  static Result<EventSocket> open(int protocol, std::initializer_list<int> groups);

  Status join(int group);

  /// Makes the kernel drop messages for which this process need not wake up. Replaces the previous filter atomically.
  Status attach(std::vector<sock_filter> program);

  /// Passes on all queued messages. `onOverrun` is called when events were lost.
  void drain(const std::function<void(const nlmsghdr*)>& onMessage, const std::function<void()>& onOverrun);
  int descriptor() const { return socket_.get(); }

 private:
  EventSocket() = default;
  os::Fd socket_;
  std::vector<std::byte> input_;
};

}  // namespace wgsteer::netlink
