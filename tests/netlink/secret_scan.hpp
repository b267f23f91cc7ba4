// SPDX-License-Identifier: GPL-2.0-or-later
// Whether some bytes are anywhere in this process's memory: on its heap, on its stack, in what was freed.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace wgsteer::netlink::test {

/// Stores the bytes inverted, so that the search does not find its own copy.
class Secret {
 public:
  explicit Secret(std::span<const std::uint8_t> bytes);
  /// A key in hexadecimal digits, made of the digit repeated.
  static Secret repeated(char digit, std::size_t count);

  /// Only its last bytes.
  Secret tail(std::size_t count) const;

  /// In any writable mapping. Reads /proc/self/mem, so that AddressSanitizer does not object to reading freed memory.
  bool isInMemory() const;

 private:
  Secret() = default;
  bool isIn(std::span<const std::uint8_t> memory) const;
  std::vector<std::uint8_t> inverted_;
};

}  // namespace wgsteer::netlink::test
