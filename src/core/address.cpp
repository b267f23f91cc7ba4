// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/address.hpp"

#include <algorithm>
#include <charconv>
#include <vector>

#include "wgsteer/core/ids.hpp"

namespace wgsteer {

namespace {

using Bytes = std::vector<std::uint8_t>;

std::optional<unsigned> parseNumber(std::string_view text, unsigned limit, int base = 10) {
  unsigned number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc{} || end != text.data() + text.size() || number > limit) return std::nullopt;
  return number;
}

// Text is parsed and formatted here instead of by inet_pton(3) and inet_ntop(3): those belong to the operating system,
// and musl's format some addresses differently from glibc's.

/// "192.0.2.1", without leading zeros, which some programs take for octal.
std::optional<Bytes> parse4(std::string_view text) {
  Bytes bytes;
  for (;;) {
    const auto dot = text.find('.');
    const std::string_view part = text.substr(0, dot);
    const auto octet = parseNumber(part, 255);
    if (!octet || (part.size() > 1 && part.front() == '0')) return std::nullopt;
    bytes.push_back(static_cast<std::uint8_t>(*octet));
    if (dot == std::string_view::npos) break;
    text.remove_prefix(dot + 1);
  }
  if (bytes.size() != 4) return std::nullopt;
  return bytes;
}

/// Groups separated by single colons, or nothing at all; the last may be in IPv4 form if it ends the address.
std::optional<Bytes> parseGroups(std::string_view text, bool endsAddress) {
  Bytes bytes;
  if (text.empty()) return bytes;
  for (;;) {
    const auto colon = text.find(':');
    const std::string_view group = text.substr(0, colon);
    if (colon == std::string_view::npos && endsAddress && group.find('.') != std::string_view::npos) {
      const auto last = parse4(group);
      if (!last) return std::nullopt;
      bytes.insert(bytes.end(), last->begin(), last->end());
      return bytes;
    }
    const auto number = parseNumber(group, 0xffff, 16);
    if (!number || group.size() > 4) return std::nullopt;
    bytes.push_back(static_cast<std::uint8_t>(*number >> 8));
    bytes.push_back(static_cast<std::uint8_t>(*number & 0xff));
    if (colon == std::string_view::npos) return bytes;
    text.remove_prefix(colon + 1);
  }
}

std::optional<Bytes> parse6(std::string_view text) {
  constexpr std::size_t kSize = 16;
  const auto gap = text.find("::");
  auto bytes = parseGroups(text.substr(0, gap), gap == std::string_view::npos);
  if (!bytes) return std::nullopt;
  if (gap != std::string_view::npos) {
    const auto tail = parseGroups(text.substr(gap + 2), true);
    // "::" stands for at least one group.
    if (!tail || bytes->size() + tail->size() > kSize - 2) return std::nullopt;
    bytes->resize(kSize - tail->size());
    bytes->insert(bytes->end(), tail->begin(), tail->end());
  }
  if (bytes->size() != kSize) return std::nullopt;
  return bytes;
}

std::string text4(std::span<const std::uint8_t> bytes) {
  std::string text;
  for (const std::uint8_t octet : bytes) text += (text.empty() ? "" : ".") + std::to_string(octet);
  return text;
}

struct Run {
  std::size_t first = 0;
  std::size_t size = 0;
};

/// What "::" stands for: the longest run of at least two zero groups; of equally long ones, the first (RFC 5952, 4.2).
Run longestZeros(const std::array<unsigned, 8>& groups) {
  Run best;
  Run current;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (groups[i] != 0)
      current = {i + 1, 0};
    else if (++current.size > best.size)
      best = current;
  }
  return best.size < 2 ? Run{groups.size(), 0} : best;
}

std::string text6(std::span<const std::uint8_t> bytes) {
  std::array<unsigned, 8> groups{};
  for (std::size_t i = 0; i < groups.size(); ++i) groups[i] = bytes[2 * i] * 256U + bytes[2 * i + 1];
  const Run zeros = longestZeros(groups);
  // ::ffff:192.0.2.1, and the older ::192.0.2.1: as `ip` prints them.
  const bool embedded = zeros.first == 0 && (zeros.size == 6 || (zeros.size == 5 && groups[5] == 0xffff));
  std::string text;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (zeros.size != 0 && i == zeros.first) {
      text += "::";
      i += zeros.size - 1;
      continue;
    }
    if (!text.empty() && text.back() != ':') text += ':';
    if (embedded && i == 6) return text + text4(bytes.last(4));
    text += hex(groups[i]).substr(2);
  }
  return text;
}

}  // namespace

std::string_view ipCommand(Family family) { return family == Family::v4 ? "ip" : "ip -6"; }

std::optional<Address> Address::fromBytes(std::span<const std::uint8_t> bytes) {
  if (bytes.size() != 4 && bytes.size() != 16) return std::nullopt;
  Address address;
  address.family_ = bytes.size() == 4 ? Family::v4 : Family::v6;
  std::ranges::copy(bytes, address.bytes_.begin());
  return address;
}

std::optional<Address> Address::parse(std::string_view text) {
  const auto bytes = text.find(':') == std::string_view::npos ? parse4(text) : parse6(text);
  if (!bytes) return std::nullopt;
  return fromBytes(*bytes);
}

std::string Address::toString() const { return family_ == Family::v4 ? text4(bytes()) : text6(bytes()); }

bool Address::isUnspecified() const {
  return std::ranges::all_of(bytes_, [](std::uint8_t byte) { return byte == 0; });
}

bool Address::isLoopback() const {
  if (family_ == Family::v4) return bytes_[0] == 127;
  return bytes_[15] == 1 && std::all_of(bytes_.begin(), bytes_.end() - 1, [](std::uint8_t byte) { return byte == 0; });
}

bool Address::isLinkLocal() const {
  if (family_ == Family::v4) return bytes_[0] == 169 && bytes_[1] == 254;
  return bytes_[0] == 0xfe && (bytes_[1] & 0xc0) == 0x80;
}

bool Address::isMulticast() const {
  if (family_ == Family::v6) return bytes_[0] == 0xff;
  return (bytes_[0] & 0xf0) == 0xe0 || *this == Address::v4(255, 255, 255, 255);
}

bool Address::isUniqueLocal() const { return family_ == Family::v6 && (bytes_[0] & 0xfe) == 0xfc; }

Address Address::truncated(std::uint8_t length) const {
  Address result = *this;
  const std::size_t whole = length / 8U;
  if (whole >= bytes().size()) return result;
  result.bytes_[whole] = static_cast<std::uint8_t>(result.bytes_[whole] & (0xff00U >> (length % 8U)));
  std::fill(result.bytes_.begin() + static_cast<std::ptrdiff_t>(whole) + 1, result.bytes_.end(), std::uint8_t{0});
  return result;
}

Prefix::Prefix(const Address& address, std::uint8_t length)
    : address_(address.truncated(length)), length_(std::min(length, bitsOf(address.family()))) {}

std::optional<Prefix> Prefix::parse(std::string_view text) {
  const auto slash = text.find('/');
  const auto address = Address::parse(text.substr(0, slash));
  if (!address) return std::nullopt;
  if (slash == std::string_view::npos) return Prefix::host(*address);
  const auto length = parseNumber(text.substr(slash + 1), bitsOf(address->family()));
  if (!length) return std::nullopt;
  return Prefix{*address, static_cast<std::uint8_t>(*length)};
}

bool Prefix::contains(const Address& address) const {
  return address.family() == family() && address.truncated(length_) == address_;
}

bool Prefix::overlaps(const Prefix& other) const { return contains(other.address_) || other.contains(address_); }

Address Prefix::last() const {
  std::array<std::uint8_t, 16> bytes{};
  std::ranges::copy(address_.bytes(), bytes.begin());
  for (std::size_t bit = length_; bit < bitsOf(family()); ++bit)
    bytes.at(bit / 8) = static_cast<std::uint8_t>(bytes.at(bit / 8) | 0x80U >> bit % 8);
  return *Address::fromBytes(std::span{bytes}.first(bitsOf(family()) / 8U));
}

std::string Prefix::toString() const {
  if (isDefault()) return "default";
  if (length_ == bitsOf(family())) return address_.toString();
  return address_.toString() + "/" + std::to_string(length_);
}

std::optional<Endpoint> Endpoint::parse(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto address = Address::parse(host);
  const auto port = parseNumber(text.substr(colon + 1), 65535);
  if (!address || !port || bracketed != (address->family() == Family::v6)) return std::nullopt;
  return Endpoint{*address, static_cast<std::uint16_t>(*port)};
}

std::string Endpoint::toString() const {
  const std::string host = address.family() == Family::v4 ? address.toString() : "[" + address.toString() + "]";
  return host + ":" + std::to_string(port);
}

}  // namespace wgsteer
