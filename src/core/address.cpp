// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/address.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>

namespace wgsteer {

namespace {

std::optional<unsigned> parseNumber(std::string_view text, unsigned limit) {
  unsigned number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number > limit) return std::nullopt;
  return number;
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
  const std::string terminated{text};
  // inet_pton stops at a zero byte: "1.2.3.4\0x" is not an address.
  if (terminated.find('\0') != std::string::npos) return std::nullopt;
  Address address;
  address.family_ = text.find(':') == std::string_view::npos ? Family::v4 : Family::v6;
  const int family = address.family_ == Family::v4 ? AF_INET : AF_INET6;
  if (inet_pton(family, terminated.c_str(), address.bytes_.data()) != 1) return std::nullopt;
  return address;
}

std::string Address::toString() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(family_ == Family::v4 ? AF_INET : AF_INET6, bytes_.data(), text.data(), text.size());
  return text.data();
}

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

Prefix::Prefix(const Address& address, std::uint8_t length) : length_(std::min(length, bitsOf(address.family()))) {
  std::array<std::uint8_t, 16> bytes{};
  const auto size = address.bytes().size();
  std::ranges::copy(address.bytes(), bytes.begin());
  for (std::size_t i = 0; i < size; ++i) {
    const int kept = std::clamp(static_cast<int>(length_) - static_cast<int>(i * 8), 0, 8);
    bytes[i] = static_cast<std::uint8_t>(bytes[i] & (0xff00U >> static_cast<unsigned>(kept)));
  }
  address_ = *Address::fromBytes({bytes.data(), size});
}

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
  return address.family() == family() && Prefix{address, length_}.address() == address_;
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
