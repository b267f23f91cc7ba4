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
  event.data.u64 = nextTicket_;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, descriptor, &event) != 0)
    return fail(ErrorKind::io, std::string{"epoll_ctl add: "} + std::strerror(errno), errno);
  // The previous descriptor with this number has been closed, or epoll would have refused.
  if (const auto before = tickets_.find(descriptor); before != tickets_.end()) handlers_.erase(before->second);
  tickets_[descriptor] = nextTicket_;
  handlers_[nextTicket_++] = std::make_shared<const Handler>(std::move(onReadable));
  return {};
}

void EventLoop::unwatch(int descriptor) {
  const auto known = tickets_.find(descriptor);
  if (known == tickets_.end()) return;
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, descriptor, nullptr);
  handlers_.erase(known->second);
  tickets_.erase(known);
}

void EventLoop::runHandler(Ticket ticket) {
  // An earlier handler of this round may have unwatched it.
  const auto known = handlers_.find(ticket);
  if (known == handlers_.end()) return;
  // Held, because a handler may unwatch itself.
  const auto handler = known->second;
  (*handler)();
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
    for (int i = 0; i < count; ++i) runHandler(ready[static_cast<std::size_t>(i)].data.u64);
    if (const auto after = afterEach_; after && *after) (*after)();
  }
  return {};
}

}  // namespace wgsteer::os
