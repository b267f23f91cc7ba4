// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/event_loop.hpp"

#include <array>

namespace wgsteer::os {

Result<EventLoop> EventLoop::create() {
  auto poller = Poller::create();
  if (!poller) return std::unexpected(poller.error());
  return EventLoop{std::move(*poller)};
}

Status EventLoop::watch(int descriptor, Handler onReadable) {
  if (auto watched = poller_.watch(descriptor, EPOLLIN, nextTicket_); !watched) return watched;
  // The previous descriptor with this number has been closed, or epoll would have refused.
  if (const auto before = tickets_.find(descriptor); before != tickets_.end()) handlers_.erase(before->second);
  tickets_[descriptor] = nextTicket_;
  handlers_[nextTicket_++] = std::make_shared<const Handler>(std::move(onReadable));
  return {};
}

void EventLoop::unwatch(int descriptor) {
  const auto known = tickets_.find(descriptor);
  if (known == tickets_.end()) return;
  poller_.unwatch(descriptor);
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
    const auto events = poller_.wait(ready);
    if (!events) return std::unexpected(events.error());
    for (const epoll_event& event : *events) runHandler(event.data.u64);
    if (const auto after = afterEach_; after && *after) (*after)();
  }
  return {};
}

}  // namespace wgsteer::os
