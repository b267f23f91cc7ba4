// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/poller.hpp"

#include <cerrno>
#include <cstring>
#include <string>

namespace wgsteer::os {

namespace {

std::unexpected<Error> failed(const char* call) {
  return fail(ErrorKind::io, std::string{call} + ": " + std::strerror(errno), errno);
}

Status control(int epoll, int operation, int descriptor, std::uint32_t events, std::uint64_t tag) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = tag;
  if (epoll_ctl(epoll, operation, descriptor, &event) != 0) return failed("epoll_ctl");
  return {};
}

}  // namespace

Result<Poller> Poller::create() {
  Fd epoll{epoll_create1(EPOLL_CLOEXEC)};
  if (!epoll) return failed("epoll_create1");
  return Poller{std::move(epoll)};
}

Status Poller::watch(int descriptor, std::uint32_t events, std::uint64_t tag) const {
  return control(epoll_.get(), EPOLL_CTL_ADD, descriptor, events, tag);
}

Status Poller::rewatch(int descriptor, std::uint32_t events, std::uint64_t tag) const {
  Status added = watch(descriptor, events, tag);
  if (added || added.error().code != EEXIST) return added;
  return control(epoll_.get(), EPOLL_CTL_MOD, descriptor, events, tag);
}

void Poller::unwatch(int descriptor) const { epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, descriptor, nullptr); }

std::span<const epoll_event> Poller::ready(std::span<epoll_event> room) const {
  const int count = epoll_wait(epoll_.get(), room.data(), static_cast<int>(room.size()), 0);
  return room.first(count < 0 ? 0 : static_cast<std::size_t>(count));
}

Result<std::span<const epoll_event>> Poller::wait(std::span<epoll_event> room) const {
  int count = -1;
  while ((count = epoll_wait(epoll_.get(), room.data(), static_cast<int>(room.size()), -1)) < 0)
    if (errno != EINTR) return failed("epoll_wait");
  return room.first(static_cast<std::size_t>(count));
}

}  // namespace wgsteer::os
