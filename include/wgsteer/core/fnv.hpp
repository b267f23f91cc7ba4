// SPDX-License-Identifier: GPL-2.0-or-later
// FNV-1a, 64 bits: tells contents apart that nobody forges.
#pragma once

#include <cstdint>
#include <string_view>

namespace wgsteer {

class Fnv {
 public:
  constexpr void add(std::uint8_t byte) { state_ = (state_ ^ byte) * 0x100000001b3U; }
  constexpr void add(std::string_view bytes) {
    for (const char byte : bytes) add(static_cast<std::uint8_t>(byte));
  }
  constexpr std::uint64_t value() const { return state_; }

 private:
  std::uint64_t state_ = 0xcbf29ce484222325U;
};

}  // namespace wgsteer
