// SPDX-License-Identifier: GPL-2.0-or-later
// Strong types for the numbers and names by which the kernel and the user identify things, so that a table is never
// mistaken for a metric, nor a mark for a mask.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace wgsteer {

template <class Tag, class T>
struct Strong {
  T value{};
  auto operator<=>(const Strong&) const = default;
};

using IfIndex = Strong<struct IfIndexTag, std::int32_t>;  ///< 0: none
using TableId = Strong<struct TableIdTag, std::uint32_t>;
/// A WAN's or composite policy's number: its mark is `slot` shifted into the mask, its table the base plus `slot`.
/// From 1.
using Slot = Strong<struct SlotTag, std::uint8_t>;
/// A whole 32-bit firewall mark, as a packet or a socket carries it.
using Mark = Strong<struct MarkTag, std::uint32_t>;

/// Interface name, at most 15 characters; the kernel's IFNAMSIZ includes the terminating zero.
using IfName = std::string;
inline constexpr std::size_t kMaxIfNameLength = 15;

/// "fwmark value/mask": a packet matches when (mark & mask) == value.
struct MarkMatch {
  std::uint32_t value = 0;
  std::uint32_t mask = 0;
  constexpr bool matches(Mark mark) const { return (mark.value & mask) == value; }
  /// As `ip rule` prints it: 0x10000000/0xf0000000, without the mask when it is all ones.
  std::string toString() const;
  auto operator<=>(const MarkMatch&) const = default;
};

/// Writes the match's value under its mask and leaves all other bits of the mark alone.
constexpr Mark stamp(Mark mark, MarkMatch match) { return {(mark.value & ~match.mask) | match.value}; }

/// "0x10000000".
std::string hex(std::uint32_t value);
/// Two digits for each byte, without a prefix.
std::string hexBytes(std::span<const std::uint8_t> bytes);
inline constexpr std::string_view kHexDigits = "0123456789abcdef";

/// A WireGuard public key (Curve25519). The only kind of key that this program ever keeps.
class PublicKey {
 public:
  static constexpr std::size_t kSize = 32;
  PublicKey() = default;
  explicit PublicKey(const std::array<std::uint8_t, kSize>& bytes) : bytes_(bytes) {}
  /// 44 characters of base64, as `wg` prints it. Nothing if it is not exactly that.
  static std::optional<PublicKey> parse(std::string_view base64);
  /// 64 hexadecimal digits, as the cross-platform UAPI has it.
  static std::optional<PublicKey> parseHex(std::string_view hexDigits);
  std::string toString() const;
  std::string toHex() const;
  const std::array<std::uint8_t, kSize>& bytes() const { return bytes_; }
  auto operator<=>(const PublicKey&) const = default;

 private:
  std::array<std::uint8_t, kSize> bytes_{};
};

}  // namespace wgsteer
