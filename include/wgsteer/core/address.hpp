// SPDX-License-Identifier: GPL-2.0-or-later
// IP addresses, prefixes and UDP endpoints as plain comparable values. Canonical on construction: two values that mean
// the same compare equal, so that the rest of the program needs one notion of equality only.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace wgsteer {

enum class Family : std::uint8_t { v4, v6 };

inline constexpr std::array kFamilies{Family::v4, Family::v6};

/// Address length in bits: 32 or 128.
constexpr std::uint8_t bitsOf(Family family) { return family == Family::v4 ? 32 : 128; }
/// "ip" or "ip -6", as typed in a shell.
std::string_view ipCommand(Family family);
/// "IPv4", for people.
constexpr const char* nameOf(Family family) { return family == Family::v4 ? "IPv4" : "IPv6"; }
/// "ipv4", as a key of JSON documents.
constexpr const char* keyOf(Family family) { return family == Family::v4 ? "ipv4" : "ipv6"; }

/// An IPv4 or IPv6 address in network byte order. No scope id: what needs one (link-local) is never steered.
class Address {
 public:
  constexpr Address() = default;  ///< 0.0.0.0
  static constexpr Address v4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
    Address address;
    address.bytes_ = {a, b, c, d};
    return address;
  }
  static constexpr Address unspecified(Family family) {
    Address address;
    address.family_ = family;
    return address;
  }
  /// From bytes in network order: 4 for IPv4, 16 for IPv6, nullopt for any other length.
  static std::optional<Address> fromBytes(std::span<const std::uint8_t> bytes);
  /// Accepts what inet_pton(3) accepts.
  static std::optional<Address> parse(std::string_view text);

  Family family() const { return family_; }
  std::span<const std::uint8_t> bytes() const { return {bytes_.data(), bitsOf(family_) / 8U}; }
  std::string toString() const;

  /// A copy with all bits beyond the first `length` cleared.
  Address truncated(std::uint8_t length) const;

  bool isUnspecified() const;
  bool isLoopback() const;
  bool isLinkLocal() const;    ///< 169.254/16, fe80::/10
  bool isMulticast() const;    ///< 224/4 and 255.255.255.255, ff00::/8
  bool isUniqueLocal() const;  ///< fc00::/7

  auto operator<=>(const Address&) const = default;

 private:
  Family family_ = Family::v4;
  std::array<std::uint8_t, 16> bytes_{};
};

/// A prefix; bits beyond the length are zero by construction.
class Prefix {
 public:
  constexpr Prefix() = default;  ///< 0.0.0.0/0
  Prefix(const Address& address, std::uint8_t length);
  static constexpr Prefix any(Family family) {
    Prefix prefix;
    prefix.address_ = Address::unspecified(family);
    return prefix;
  }
  static Prefix host(const Address& address) { return {address, bitsOf(address.family())}; }
  /// "10.0.0.0/8", or a bare address for a host.
  static std::optional<Prefix> parse(std::string_view text);

  const Address& address() const { return address_; }
  std::uint8_t length() const { return length_; }
  Family family() const { return address_.family(); }
  bool isDefault() const { return length_ == 0; }
  bool contains(const Address& address) const;
  bool overlaps(const Prefix& other) const;
  Address last() const;  ///< its last address: all bits beyond the length are set
  /// As `ip` prints it: "default" for length 0, no length for a host.
  std::string toString() const;

  auto operator<=>(const Prefix&) const = default;

 private:
  Address address_;
  std::uint8_t length_ = 0;
};

/// Where a WireGuard peer is reached. Port in host byte order.
struct Endpoint {
  Address address;
  std::uint16_t port = 0;

  /// "203.0.113.55:51820" or "[2001:db8::1]:51820".
  static std::optional<Endpoint> parse(std::string_view text);
  std::string toString() const;
  auto operator<=>(const Endpoint&) const = default;
};

}  // namespace wgsteer
