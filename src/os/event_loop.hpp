// SPDX-License-Identifier: GPL-2.0-or-later
// One epoll loop. A wake-up runs the handler of every ready descriptor and then, once, what must be done after all of
// them, so that events that arrive together are planned for together, without any delay.
//
// A handler may unwatch and close any descriptor, its own as well, and watch others: a number that is reused within the
// round is a new watch, which gets no events of its predecessor.
//
// Threading: one thread. Ownership: descriptors belong to their owners; unwatch before closing.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "wgsteer/result.hpp"

#include "os/poller.hpp"

namespace wgsteer::os {

class EventLoop {
 public:
  using Handler = std::function<void()>;

  static Result<EventLoop> create();

  Status watch(int descriptor, Handler onReadable);
  /// Does nothing if it is not watched.
  void unwatch(int descriptor);
  void afterEach(Handler handler) { afterEach_ = std::make_shared<const Handler>(std::move(handler)); }

  /// Runs until stop(); fails only if epoll itself fails.
  Status run();
  void stop() { running_ = false; }

 private:
  using Ticket = std::uint64_t;

  explicit EventLoop(Poller poller) : poller_(std::move(poller)) {}
  void runHandler(Ticket ticket);

  Poller poller_;
  Ticket nextTicket_ = 0;
  std::map<int, Ticket> tickets_;  ///< by descriptor
  std::map<Ticket, std::shared_ptr<const Handler>> handlers_;
  std::shared_ptr<const Handler> afterEach_;
  bool running_ = false;
};

}  // namespace wgsteer::os
