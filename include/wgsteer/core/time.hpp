// SPDX-License-Identifier: GPL-2.0-or-later
// Time, as the whole program counts it. Nothing in the core reads a clock: the caller passes the time in.
#pragma once

#include <chrono>
#include <cstdint>

namespace wgsteer {

/// How long something takes.
using Duration = std::chrono::nanoseconds;
/// A moment on a clock that never goes back, as the time since its origin.
using Instant = std::chrono::nanoseconds;
/// A moment of wall-clock time, with which WireGuard stamps handshakes and which people are shown.
using WallSeconds = std::chrono::sys_seconds;
/// A measured or averaged duration, with fractions.
using Milliseconds = std::chrono::duration<double, std::milli>;

/// From a number of seconds in a configuration.
constexpr Duration fromSeconds(double seconds) {
  return std::chrono::round<Duration>(std::chrono::duration<double>{seconds});
}

/// Seconds since 1970, for documents.
constexpr std::int64_t sinceEpoch(WallSeconds moment) { return moment.time_since_epoch().count(); }
/// The reverse, for numbers from the kernel and from files.
constexpr WallSeconds fromEpoch(std::int64_t seconds) { return WallSeconds{std::chrono::seconds{seconds}}; }

}  // namespace wgsteer
