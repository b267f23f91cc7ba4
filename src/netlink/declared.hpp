// SPDX-License-Identifier: GPL-2.0-or-later
// Declares the format of messages as tables: which attributes are understood, the length of each, and which are
// required. A message that does not conform is rejected as a whole: an attribute with a wrong length does not count as
// absent. Also maps enumerations of the kernel to ours, as tables of two columns.
#pragma once

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
/// `key` one of WireGuard's. An address has the length of the message's family, or of any family if there is none. The
/// length of what begins with an address family of its own follows from that family.
enum class Length : std::uint8_t {
  any = 0,
  u8 = 1,
  u16 = 2,
  u32 = 4,
  u64 = 8,
  timespec = 16,
  addressTimes = 16,  ///< struct ifa_cacheinfo: four times 32 bits
  key = 32,
  socketAddress = 253,  ///< struct sockaddr_in, sockaddr_in6, or none (AF_UNSPEC)
  via = 254,            ///< struct rtvia: a family, and an address of it
  address = 255,
};

struct Declared {
  std::uint16_t type;
  Length length = Length::any;
  bool required = false;
};

/// Undeclared attributes are ignored. A table has at most 32 rows.
bool conforms(Bytes attributes, std::span<const Declared> table, std::optional<Family> family = {});

/// A number in the kernel, and its value here.
template <class Ours>
using Name = std::pair<std::uint8_t, Ours>;

template <class Ours, std::size_t kSize>
constexpr Ours ours(const std::array<Name<Ours>, kSize>& names, std::uint8_t number, Ours otherwise) {
  for (const auto& [kernels, known] : names)
    if (kernels == number) return known;
  return otherwise;
}
template <class Ours, std::size_t kSize>
constexpr std::uint8_t kernels(const std::array<Name<Ours>, kSize>& names, Ours value, std::uint8_t otherwise) {
  for (const auto& [number, known] : names)
    if (known == value) return number;
  return otherwise;
}

}  // namespace wgsteer::netlink
