// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/event_loop.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <sys/epoll.h>

namespace wgsteer::os {

Result<EventLoop> EventLoop::create() {
  Fd epoll{epoll_create1(EPOLL_CLOEXEC)};
  if (!epoll) return fail(ErrorKind::io, std::string{"epoll_create1: "} + std::strerror(errno), errno);
  return EventLoop{std::move(epoll)};
}

Status EventLoop::watch(int descriptor, Handler onReadable) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = descriptor;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, descriptor, &event) != 0)
    return fail(ErrorKind::io, std::string{"epoll_ctl add: "} + std::strerror(errno), errno);
  handlers_[descriptor] = std::move(onReadable);
  return {};
}

void EventLoop::unwatch(int descriptor) {
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, descriptor, nullptr);
  handlers_.erase(descriptor);
}

Status EventLoop::run() {
  running_ = true;
  std::array<epoll_event, 32> ready{};
  while (running_) {
    const int count = epoll_wait(epoll_.get(), ready.data(), static_cast<int>(ready.size()), -1);
    if (count < 0) {
      if (errno == EINTR) continue;
      return fail(ErrorKind::io, std::string{"epoll_wait: "} + std::strerror(errno), errno);
    }
    for (int i = 0; i < count; ++i) {
      // An earlier handler of this round may have unwatched it; a copy, for a handler may unwatch itself.
      const auto known = handlers_.find(ready[static_cast<std::size_t>(i)].data.fd);
      if (known == handlers_.end()) continue;
      const Handler handler = known->second;
      handler();
    }
    if (afterEach_) afterEach_();
  }
  return {};
}

}  // namespace wgsteer::os
