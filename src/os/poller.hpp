// SPDX-License-Identifier: GPL-2.0-or-later
// A set of descriptors that are waited for at once, epoll(7). It has a descriptor of its own, which is readable while
// one of them is ready. Ownership: descriptors belong to their owners; closing one removes it.
#pragma once

#include <cstdint>
#include <span>
#include <sys/epoll.h>
#include <utility>

#include "wgsteer/result.hpp"

#include "os/fd.hpp"

namespace wgsteer::os {

class Poller {
 public:
  static Result<Poller> create();

  int descriptor() const { return epoll_.get(); }
  /// From here on, `tag` is reported when the descriptor is ready for `events` (EPOLLIN, ...). Error::code is EEXIST if
  /// it is watched already.
  Status watch(int descriptor, std::uint32_t events, std::uint64_t tag) const;
  /// The same for one that may be watched already, with other events.
  Status rewatch(int descriptor, std::uint32_t events, std::uint64_t tag) const;
  /// Does nothing if it is not watched.
  void unwatch(int descriptor) const;

  /// What is ready now, as far as there is room; the tag is in `data.u64`.
  std::span<const epoll_event> ready(std::span<epoll_event> room) const;
  /// The same, but waits until something is ready.
  Result<std::span<const epoll_event>> wait(std::span<epoll_event> room) const;

 private:
  explicit Poller(Fd epoll) : epoll_(std::move(epoll)) {}
  Fd epoll_;
};

}  // namespace wgsteer::os
