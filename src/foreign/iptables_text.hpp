// SPDX-License-Identifier: GPL-2.0-or-later
// What iptables-restore makes of the values that mwan3 hands to it, tried on 1.8.9 (libxtables and its multiport). It
// takes a whole family's rules or none: one value that it refuses loses all of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wgsteer/core/address.hpp"

namespace wgsteer::foreign {

/// 0 is every protocol. A number, or a name in any case.
std::optional<std::uint8_t> iptablesProtocol(std::string_view text);

struct PortRange {
  std::uint16_t low = 0;
  std::uint16_t high = 0;
};

/// What could be read of a list, also of one that is refused.
struct PortList {
  std::vector<PortRange> ranges;
  std::vector<std::string> names;  ///< of services: the router's /etc/services knows
  std::string wrong;               ///< empty, or why iptables refuses the list

  bool covers(std::uint16_t port) const;
};
PortList iptablesPorts(std::string_view text);

/// Not only prefixes: 0.0.0.1/0.0.0.1 is every odd address.
struct AddressMatch {
  Address address;
  Address mask;

  bool contains(const Address& other) const;
  unsigned bits() const;  ///< that have to agree
};

struct AddressList {
  std::vector<AddressMatch> matches;
  std::vector<std::string> names;  ///< of hosts: resolved while the rules are loaded
  std::string wrong;
};
/// As iptables (v4) and ip6tables (v6) read it.
AddressList iptablesAddresses(std::string_view text, Family family);

}  // namespace wgsteer::foreign
