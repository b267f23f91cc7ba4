// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/ids.hpp"

#include <algorithm>
#include <charconv>

namespace wgsteer {

namespace {

constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::optional<std::uint8_t> hexDigit(char digit) {
  if (digit >= '0' && digit <= '9') return static_cast<std::uint8_t>(digit - '0');
  if (digit >= 'a' && digit <= 'f') return static_cast<std::uint8_t>(digit - 'a' + 10);
  if (digit >= 'A' && digit <= 'F') return static_cast<std::uint8_t>(digit - 'A' + 10);
  return std::nullopt;
}

}  // namespace

std::string hex(std::uint32_t value) {
  std::array<char, 8> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value, 16).ptr;
  return "0x" + std::string(digits.data(), end);
}

std::string MarkMatch::toString() const { return mask == 0xffffffff ? hex(value) : hex(value) + "/" + hex(mask); }

std::optional<PublicKey> PublicKey::parse(std::string_view base64) {
  constexpr std::size_t kLength = 44;
  if (base64.size() != kLength || base64.back() != '=') return std::nullopt;
  std::array<std::uint8_t, kSize> bytes{};
  std::uint32_t bits = 0;
  unsigned count = 0;
  std::size_t filled = 0;
  for (const char letter : base64.substr(0, kLength - 1)) {
    const auto value = kBase64.find(letter);
    if (value == std::string_view::npos) return std::nullopt;
    bits = (bits << 6) | static_cast<std::uint32_t>(value);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes[filled++] = static_cast<std::uint8_t>(bits >> count);
  }
  // The two spare bits of the last letter must be zero, or two texts would mean the same key.
  if (filled != kSize || (bits & 3U) != 0) return std::nullopt;
  return PublicKey{bytes};
}

std::string hexBytes(std::span<const std::uint8_t> bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text += kHexDigits[byte >> 4U];
    text += kHexDigits[byte & 0xfU];
  }
  return text;
}

std::string PublicKey::toHex() const { return hexBytes(bytes_); }

std::optional<PublicKey> PublicKey::parseHex(std::string_view hexDigits) {
  if (hexDigits.size() != 2 * kSize) return std::nullopt;
  std::array<std::uint8_t, kSize> bytes{};
  for (std::size_t i = 0; i < kSize; ++i) {
    const auto high = hexDigit(hexDigits[2 * i]);
    const auto low = hexDigit(hexDigits[2 * i + 1]);
    if (!high || !low) return std::nullopt;
    bytes[i] = static_cast<std::uint8_t>(*high << 4 | *low);
  }
  return PublicKey{bytes};
}

std::string PublicKey::toString() const {
  std::string text;
  for (std::size_t i = 0; i < kSize; i += 3) {
    const std::uint32_t group = static_cast<std::uint32_t>(bytes_[i]) << 16 |
                                static_cast<std::uint32_t>(i + 1 < kSize ? bytes_[i + 1] : 0) << 8 |
                                static_cast<std::uint32_t>(i + 2 < kSize ? bytes_[i + 2] : 0);
    for (int shift = 18; shift >= 0; shift -= 6) text += kBase64[(group >> static_cast<unsigned>(shift)) & 63];
  }
  // 32 bytes are ten groups of three plus two bytes: one letter of padding.
  text.back() = '=';
  return text;
}

}  // namespace wgsteer
