// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/declared.hpp"

#include <algorithm>
#include <bitset>
#include <netinet/in.h>

namespace wgsteer::netlink {

namespace {

constexpr std::size_t sizeOfAddress(Family family) { return bitsOf(family) / 8U; }

constexpr std::size_t sizeOfSocketAddress(Family family) {
  return family == Family::v4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
}

bool fits(Length length, Bytes value, std::optional<Family> family) {
  // Both structures begin with it, in 16 bits.
  static_assert(sizeof(sa_family_t) == sizeof(std::uint16_t));
  const auto number = readInteger<std::uint16_t>(value);
  const auto own = familyOf(number.value_or(AF_UNSPEC));
  switch (length) {
    case Length::any:
      return true;
    case Length::address:
      if (family) return value.size() == sizeOfAddress(*family);
      return value.size() == sizeOfAddress(Family::v4) || value.size() == sizeOfAddress(Family::v6);
    case Length::via:
      return own && value.size() == sizeof(std::uint16_t) + sizeOfAddress(*own);
    case Length::socketAddress:
      return own ? value.size() == sizeOfSocketAddress(*own) : number == AF_UNSPEC;
    default:
      return value.size() == static_cast<std::size_t>(length);
  }
}

}  // namespace

bool conforms(Bytes attributes, std::span<const Declared> table, std::optional<Family> family) {
  std::bitset<32> there;  // not a count: one may come twice
  bool all = true;
  forEachAttribute(attributes, [&](std::uint16_t type, Bytes value) {
    const auto declared = std::ranges::find(table, type, &Declared::type);
    if (declared == table.end()) return;
    there.set(static_cast<std::size_t>(declared - table.begin()));
    all = all && fits(declared->length, value, family);
  });
  for (std::size_t i = 0; i < table.size(); ++i) all = all && (there[i] || !table[i].required);
  return all;
}

}  // namespace wgsteer::netlink
