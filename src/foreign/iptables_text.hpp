// SPDX-License-Identifier: GPL-2.0-or-later
// How iptables-restore interprets the values that mwan3 passes to it, tested with 1.8.9 (libxtables and its multiport).
// It accepts all rules of a family or none: one refused value loses them all.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wgsteer/core/address.hpp"

namespace wgsteer::foreign {

/// Accepts a number, or a name in any case. 0 means every protocol.
std::optional<std::uint8_t> iptablesProtocol(std::string_view text);

struct PortRange {
  std::uint16_t low = 0;
  std::uint16_t high = 0;
};

/// What could be read of a list, even of a refused one.
struct PortList {
  std::vector<PortRange> ranges;
  std::vector<std::string> names;  ///< of services, to be looked up in the router's /etc/services
  std::string wrong;               ///< empty, or why iptables refuses the list

  bool covers(std::uint16_t port) const;
};
PortList iptablesPorts(std::string_view text);

/// More than prefixes: 0.0.0.1/0.0.0.1 matches every odd address.
struct AddressMatch {
  Address address;
  Address mask;

  bool contains(const Address& other) const;
  unsigned bits() const;  ///< number of bits that have to agree
};

struct AddressList {
  std::vector<AddressMatch> matches;
  std::vector<std::string> names;  ///< of hosts, resolved while the rules are loaded
  std::string wrong;
};
/// As iptables (v4) and ip6tables (v6) read it.
AddressList iptablesAddresses(std::string_view text, Family family);

}  // namespace wgsteer::foreign
