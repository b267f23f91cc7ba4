// SPDX-License-Identifier: GPL-2.0-or-later
// Declares the format of messages as tables: which attributes are understood, the length of each, and which are
// required. A message that does not conform is rejected as a whole: an attribute with a wrong length does not count as
// absent. Also maps enumerations of the kernel to ours, as tables of two columns.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include "wgsteer/core/address.hpp"

#include "netlink/wire.hpp"

namespace wgsteer::netlink {

/// The length of an attribute. `timespec` is two 64-bit words on every architecture (struct __kernel_timespec), and
/// `key` one of WireGuard's. An address has the length of the message's family, or of any family if there is none.
enum class Length : std::uint8_t { any = 0, u8 = 1, u16 = 2, u32 = 4, u64 = 8, timespec = 16, key = 32, address = 255 };

struct Declared {
  std::uint16_t type;
  Length length = Length::any;
  bool required = false;
};

/// Undeclared attributes are ignored.
inline bool conforms(Bytes attributes, std::span<const Declared> table, std::optional<Family> family = {}) {
  const auto fits = [&](Length length, std::size_t size) {
    if (length == Length::any) return true;
    if (length != Length::address) return size == static_cast<std::size_t>(length);
    const auto isOf = [size](Family one) { return size == bitsOf(one) / 8U; };
    return family ? isOf(*family) : isOf(Family::v4) || isOf(Family::v6);
  };
  std::size_t missing = static_cast<std::size_t>(std::ranges::count(table, true, &Declared::required));
  bool all = true;
  forEachAttribute(attributes, [&](std::uint16_t type, Bytes value) {
    const auto declared = std::ranges::find(table, type, &Declared::type);
    if (declared == table.end()) return;
    if (declared->required && missing > 0) --missing;
    all = all && fits(declared->length, value.size());
  });
  return all && missing == 0;
}

/// A number in the kernel, and its value here.
template <class Ours, std::size_t kSize>
using Names = std::array<std::pair<std::uint8_t, Ours>, kSize>;

template <class Ours, std::size_t kSize>
constexpr Ours ours(const Names<Ours, kSize>& names, std::uint8_t number, Ours otherwise) {
  for (const auto& [kernels, known] : names)
    if (kernels == number) return known;
  return otherwise;
}
template <class Ours, std::size_t kSize>
constexpr std::uint8_t kernels(const Names<Ours, kSize>& names, Ours value, std::uint8_t otherwise) {
  for (const auto& [number, known] : names)
    if (known == value) return number;
  return otherwise;
}

}  // namespace wgsteer::netlink
