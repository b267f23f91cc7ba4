// SPDX-License-Identifier: GPL-2.0-or-later
// Messages as bytes, made by hand or by our encoders, as input for decoders.
#pragma once

#include <cstddef>
#include <ostream>
#include <span>
#include <string_view>
#include <vector>

#include "wgsteer/core/describe.hpp"

#include "netlink/rtnl.hpp"

namespace wgsteer {

/// Makes GoogleTest show differences as text rather than as bytes.
inline void PrintTo(const Route& route, std::ostream* out) {
  *out << describe(route, [](IfIndex index) { return "if" + std::to_string(index.value); });
}
inline void PrintTo(const Rule& rule, std::ostream* out) { *out << describe(rule); }

}  // namespace wgsteer

namespace wgsteer::netlink::test {

/// Exactly as large as stated, so that a sanitizer notices every access beyond the end.
class Bytestring {
 public:
  explicit Bytestring(std::span<const std::byte> bytes) : bytes_(bytes.begin(), bytes.end()) {}
  /// A message that claims this length.
  Bytestring(std::span<const std::byte> bytes, std::size_t length) : Bytestring(bytes) {
    const auto said = static_cast<std::uint32_t>(length);
    std::memcpy(bytes_.data(), &said, sizeof said);
  }
  explicit Bytestring(std::string_view hex) {
    const auto digit = [&](std::size_t at) {
      return static_cast<unsigned>(hex[at] <= '9' ? hex[at] - '0' : hex[at] - 'a' + 10);
    };
    for (std::size_t at = 0; at + 1 < hex.size(); at += 2)
      bytes_.push_back(static_cast<std::byte>(digit(at) << 4 | digit(at + 1)));
  }
  std::span<const std::byte> all() const { return bytes_; }
  const nlmsghdr* message() const { return reinterpret_cast<const nlmsghdr*>(bytes_.data()); }

 private:
  std::vector<std::byte> bytes_;
};

inline Bytestring encoded(const Route& route) {
  Message message{RTM_NEWROUTE, NLM_F_CREATE};
  encodeRoute(message, route);
  return Bytestring{message.finished()};
}

inline Bytestring encoded(const Rule& rule) {
  Message message{RTM_NEWRULE, NLM_F_CREATE};
  encodeRule(message, rule);
  return Bytestring{message.finished()};
}

}  // namespace wgsteer::netlink::test
