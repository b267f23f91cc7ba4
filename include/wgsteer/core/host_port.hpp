// SPDX-License-Identifier: GPL-2.0-or-later
// Where a peer is reached, as people write it: host:port.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "wgsteer/core/address.hpp"

namespace wgsteer {

/// An address, or a name that DNS resolves.
using Host = std::variant<Address, std::string>;

struct HostPort {
  Host host;
  std::uint16_t port = 0;

  const Address* address() const { return std::get_if<Address>(&host); }
  const std::string* name() const { return std::get_if<std::string>(&host); }
  /// Without the port, and without brackets.
  std::string hostText() const { return address() != nullptr ? address()->toString() : *name(); }
  bool operator==(const HostPort&) const = default;
};

}  // namespace wgsteer
