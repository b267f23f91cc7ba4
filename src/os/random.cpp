// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/random.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>
#include <sys/random.h>
#include <unistd.h>

namespace wgsteer::os {

namespace {

/// splitmix64: consecutive states give unrelated numbers.
std::uint64_t scrambled(std::uint64_t state) {
  state = (state ^ (state >> 30U)) * 0xbf58476d1ce4e5b9U;
  state = (state ^ (state >> 27U)) * 0x94d049bb133111ebU;
  return state ^ (state >> 31U);
}

void fillFromClock(std::span<std::uint8_t> bytes) {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  auto state = static_cast<std::uint64_t>(now.tv_nsec) << 32U ^ static_cast<std::uint64_t>(now.tv_sec) << 20U ^
               static_cast<std::uint64_t>(getpid());
  while (!bytes.empty()) {
    const std::uint64_t number = scrambled(state += 0x9e3779b97f4a7c15U);
    const std::size_t part = std::min(bytes.size(), sizeof number);
    std::memcpy(bytes.data(), &number, part);
    bytes = bytes.subspan(part);
  }
}

}  // namespace

void fillRandom(std::span<std::uint8_t> bytes) {
  while (!bytes.empty()) {
    // Up to 256 bytes are delivered in full, or not at all (getrandom(2)).
    const ssize_t got = getrandom(bytes.data(), std::min<std::size_t>(bytes.size(), 256), GRND_NONBLOCK);
    if (got <= 0) return fillFromClock(bytes);
    bytes = bytes.subspan(static_cast<std::size_t>(got));
  }
}

std::uint32_t randomNumber() {
  std::array<std::uint8_t, sizeof(std::uint32_t)> bytes{};
  fillRandom(bytes);
  std::uint32_t number = 0;
  std::memcpy(&number, bytes.data(), sizeof number);
  return number;
}

}  // namespace wgsteer::os
