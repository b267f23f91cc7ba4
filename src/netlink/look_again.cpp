// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/look_again.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <sys/epoll.h>

namespace wgsteer::netlink {

namespace {

/// Doubling: whatever appears is noticed before the device is twice as old.
constexpr std::array<std::chrono::milliseconds, 6> kLooks{
    {std::chrono::milliseconds{10}, std::chrono::milliseconds{30}, std::chrono::milliseconds{70},
     std::chrono::milliseconds{150}, std::chrono::milliseconds{310}, std::chrono::milliseconds{630}}};

Status watch(int epoll, int descriptor, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = descriptor;
  // A descriptor that is already watched stays so.
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == 0 || errno == EEXIST) return {};
  return fail(ErrorKind::io, std::string{"epoll_ctl add: "} + std::strerror(errno), errno);
}

}  // namespace

std::optional<std::chrono::nanoseconds> nextLook(std::chrono::nanoseconds age) {
  const auto next = std::ranges::find_if(kLooks, [age](const auto look) { return look > age; });
  if (next == kLooks.end()) return std::nullopt;
  return *next - age;
}

Result<LookAgain> LookAgain::create() {
  os::Fd epoll{::epoll_create1(EPOLL_CLOEXEC)};
  if (!epoll) return fail(ErrorKind::io, std::string{"epoll_create1: "} + std::strerror(errno), errno);
  auto timer = os::Timer::create();
  if (!timer) return std::unexpected(timer.error());
  if (auto done = watch(epoll.get(), timer->descriptor(), EPOLLIN); !done) return std::unexpected(done.error());
  return LookAgain{std::move(epoll), std::move(*timer)};
}

void LookAgain::expect(const std::map<IfName, Unready>& devices, const std::vector<int>& answers) {
  const auto now = os::monotonicNow();
  std::erase_if(unready_, [&](const auto& known) { return !devices.contains(known.first); });
  std::optional<std::chrono::nanoseconds> first;
  for (const auto& [name, state] : devices) {
    auto& since = unready_.try_emplace(name, Since{state, now}).first->second;
    if (since.state != state) since = {state, now};
    const auto next = nextLook(now - since.begun);
    if (next && (!first || *next < *first)) first = next;
  }
  timer_.arm(first.value_or(std::chrono::nanoseconds{0}));
  // Once each: a process that answers in small pieces must not wake us for each of them.
  for (const int descriptor : answers) (void)watch(epoll_.get(), descriptor, EPOLLIN | EPOLLONESHOT);
}

bool LookAgain::drain() {
  std::array<epoll_event, 16> ready{};
  const int count = ::epoll_wait(epoll_.get(), ready.data(), static_cast<int>(ready.size()), 0);
  timer_.acknowledge();
  return count > 0;
}

}  // namespace wgsteer::netlink
