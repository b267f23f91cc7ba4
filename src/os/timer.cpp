// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/timer.hpp"

#include <cerrno>
#include <cstring>
#include <ctime>
#include <sys/timerfd.h>
#include <unistd.h>

namespace wgsteer::os {

namespace {

timespec toTimespec(Duration duration) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration);
  timespec result{};
  result.tv_sec = static_cast<time_t>(seconds.count());
  result.tv_nsec = static_cast<long>((duration - seconds).count());
  return result;
}

Duration read(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec};
}

}  // namespace

Result<Timer> Timer::create() {
  Fd fd{timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)};
  if (!fd) return fail(ErrorKind::io, std::string{"timerfd_create: "} + std::strerror(errno), errno);
  return Timer{std::move(fd)};
}

void Timer::arm(Duration delay) {
  const itimerspec when{.it_interval = {}, .it_value = toTimespec(delay)};
  timerfd_settime(fd_.get(), 0, &when, nullptr);
}

void Timer::acknowledge() {
  std::uint64_t expirations = 0;
  // EAGAIN when it was re-armed in between: then there is nothing to read.
  [[maybe_unused]] const auto taken = ::read(fd_.get(), &expirations, sizeof expirations);
}

Instant monotonicNow() { return read(CLOCK_MONOTONIC); }

Duration processorTime() { return read(CLOCK_PROCESS_CPUTIME_ID); }

WallSeconds wallClock() { return WallSeconds{std::chrono::floor<std::chrono::seconds>(read(CLOCK_REALTIME))}; }

std::int64_t wallClockMilliseconds() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(read(CLOCK_REALTIME)).count();
}

}  // namespace wgsteer::os
