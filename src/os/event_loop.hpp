// SPDX-License-Identifier: GPL-2.0-or-later
// One epoll loop. A wake-up runs the handler of every ready descriptor and then, once, what is to be done after all of
// them: so events that come together are planned for together, without any delay.
//
// Threading: one thread. Ownership: descriptors stay their owners'; unwatch before closing.
#pragma once

#include <functional>
#include <map>

#include "wgsteer/result.hpp"

#include "os/fd.hpp"

namespace wgsteer::os {

class EventLoop {
 public:
  using Handler = std::function<void()>;

  static Result<EventLoop> create();

  Status watch(int descriptor, Handler onReadable);
  void unwatch(int descriptor);
  void afterEach(Handler handler) { afterEach_ = std::move(handler); }

  /// Until stop(); an error only if epoll itself fails.
  Status run();
  void stop() { running_ = false; }

 private:
  explicit EventLoop(Fd epoll) : epoll_(std::move(epoll)) {}

  Fd epoll_;
  std::map<int, Handler> handlers_;
  Handler afterEach_;
  bool running_ = false;
};

}  // namespace wgsteer::os
