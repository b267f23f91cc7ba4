// SPDX-License-Identifier: GPL-2.0-or-later
// Changes of routes as the bytes of one datagram, made before they are needed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "wgsteer/core/plan.hpp"

namespace wgsteer::netlink {

/// Flags of RTM_NEWROUTE, without those that every request has.
std::uint16_t additionFlags(bool replace);

class PreparedRoutes {
 public:
  /// Of AddRoute and DeleteRoute. Ends before the first that is something else, or has no room in a message.
  explicit PreparedRoutes(const std::vector<Change>& changes);

  const std::vector<Change>& changes() const { return changes_; }
  /// Message after message, without sequence numbers. An answer is asked for of the last.
  std::span<std::byte> bytes() { return bytes_; }

 private:
  std::vector<Change> changes_;
  std::vector<std::byte> bytes_;
};

}  // namespace wgsteer::netlink
