// SPDX-License-Identifier: GPL-2.0-or-later
// How long an IPv6 address is preferred, in a form that stays the same while time passes: so values can be compared and
// recorded, and nobody needs a clock but those who read from the kernel or write to it.
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>

namespace wgsteer {

/// A lifetime in the kernel's messages that never ends (INFINITY_LIFE_TIME of net/ipv6.h).
inline constexpr std::uint32_t kForever = 0xffffffff;

/// Until when an address is preferred, as one number, which is what our table records: forever; or so many seconds
/// before it becomes invalid; or, for one that does not become invalid, kSinceBoot plus the time in seconds since boot.
struct Preferred {
  static constexpr std::uint32_t kSinceBoot = 0x80000000;
  std::uint32_t until = kForever;
  auto operator<=>(const Preferred&) const = default;
};

/// `valid` and `preferred`: the lifetimes that are left, in seconds, as the kernel says them at `sinceBoot` seconds.
constexpr Preferred preferredOf(std::uint32_t valid, std::uint32_t preferred, std::uint32_t sinceBoot) {
  constexpr std::uint32_t kMost = Preferred::kSinceBoot - 2;
  if (preferred == kForever) return {};
  // Of what is valid for more than 68 years, the time says it as well.
  if (const std::uint32_t before = valid - std::min(valid, preferred); valid != kForever && before <= kMost)
    return {before};
  return {Preferred::kSinceBoot + std::min(sinceBoot + std::min(preferred, kMost), kMost)};
}

/// The preferred lifetime that is left now, in seconds, never more than the valid one; kForever: it never ends.
constexpr std::uint32_t preferredLeft(Preferred preferred, std::uint32_t valid, std::uint32_t sinceBoot) {
  if (preferred.until == kForever) return valid;
  if (preferred.until < Preferred::kSinceBoot)
    return valid == kForever ? valid : valid - std::min(valid, preferred.until);
  const std::uint32_t end = preferred.until - Preferred::kSinceBoot;
  return std::min(end - std::min(end, sinceBoot), valid);
}

/// What the kernel says about an address beyond what a plan depends on: it is rewritten with every renewal, so no two
/// values differ.
struct Lifetimes {
  Preferred preferred;        ///< meaningless of a deprecated address
  std::uint32_t written = 0;  ///< when they were last written, in 1/100 s since boot (ifa_cacheinfo); 0: not known yet
  friend constexpr bool operator==(const Lifetimes&, const Lifetimes&) { return true; }
  friend constexpr std::strong_ordering operator<=>(const Lifetimes&, const Lifetimes&) {
    return std::strong_ordering::equal;
  }
};

/// What our table records of an address that we deprecate.
struct Deprecation {
  Preferred preferred;  ///< until then it was preferred
  /// When we did it, as the kernel says it (Lifetimes::written): after that, nobody else has written its lifetimes. 0:
  /// not known yet, because the record is made before.
  std::uint32_t written = 0;
  auto operator<=>(const Deprecation&) const = default;
};

}  // namespace wgsteer
