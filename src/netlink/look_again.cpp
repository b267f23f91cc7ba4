// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/look_again.hpp"

#include <algorithm>

namespace wgsteer::netlink {

namespace {

using namespace std::chrono_literals;

/// Doubling: whatever appears is noticed before the device is twice as old.
constexpr std::array kLooks{10ms, 30ms, 70ms, 150ms, 310ms, 630ms};

}  // namespace

std::optional<Duration> nextLook(Duration age) {
  const auto next = std::ranges::find_if(kLooks, [age](const auto look) { return look > age; });
  if (next == kLooks.end()) return std::nullopt;
  return *next - age;
}

Result<LookAgain> LookAgain::create() {
  auto poller = os::Poller::create();
  if (!poller) return std::unexpected(poller.error());
  auto timer = os::Timer::create();
  if (!timer) return std::unexpected(timer.error());
  if (auto watched = poller->watch(timer->descriptor(), EPOLLIN, 0); !watched) return std::unexpected(watched.error());
  return LookAgain{std::move(*poller), std::move(*timer)};
}

void LookAgain::expect(const std::map<IfName, Unready>& devices, const std::vector<int>& answers) {
  const auto now = os::monotonicNow();
  std::erase_if(unready_, [&](const auto& known) { return !devices.contains(known.first); });
  std::optional<Duration> first;
  for (const auto& [name, state] : devices) {
    auto& since = unready_.try_emplace(name, Since{state, now}).first->second;
    if (since.state != state) since = {state, now};
    const auto next = nextLook(now - since.begun);
    if (next && (!first || *next < *first)) first = next;
  }
  timer_.arm(first.value_or(Duration{0}));
  // Once each: a process that answers in small pieces must not wake us for each of them. One that is watched already
  // stays as it is.
  for (const int descriptor : answers) (void)poller_.watch(descriptor, EPOLLIN | EPOLLONESHOT, 0);
}

bool LookAgain::drain() {
  std::array<epoll_event, 16> ready{};
  const bool any = !poller_.ready(ready).empty();
  timer_.acknowledge();
  return any;
}

}  // namespace wgsteer::netlink
