// SPDX-License-Identifier: GPL-2.0-or-later
// Parses one DNS answer, RFC 1035 section 4, as far as it concerns addresses. The bytes are untrusted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "wgsteer/core/address.hpp"

namespace wgsteer::dns {

/// A peer has a handful of addresses; more would fill the kernel's sets with arbitrary ones.
inline constexpr std::size_t kMaxAddresses = 64;
/// Longer chains of CNAMEs are refused, and so are loops.
inline constexpr std::size_t kMaxChain = 16;

struct Records {
  std::vector<Address> addresses;  ///< sorted, each once; empty: the name has none of this family
  std::uint32_t ttl = 0;           ///< seconds; the smallest of the chain and its addresses
  bool operator==(const Records&) const = default;
};

/// The addresses of the name that the message's question is about, or why the answer is refused. The receiver has
/// already checked that the question is ours, and the response code.
std::expected<Records, std::string> readAnswer(std::span<const std::uint8_t> message, Family family);

/// Why no peer can have this address, whatever the source of the answer; nullopt if one may.
std::optional<std::string_view> whyUnusable(const Address& address);

}  // namespace wgsteer::dns
