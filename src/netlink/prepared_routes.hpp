// SPDX-License-Identifier: GPL-2.0-or-later
// Route changes as the bytes of one datagram, encoded before they are needed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "wgsteer/core/plan.hpp"

namespace wgsteer::netlink {

/// Flags of RTM_NEWROUTE, without those common to all requests.
std::uint16_t additionFlags(bool replace);

class PreparedRoutes {
 public:
  /// From AddRoute and DeleteRoute changes. Stops before the first change of another kind, or one that does not fit
  /// into a message.
  explicit PreparedRoutes(const std::vector<Change>& changes);

  const std::vector<Change>& changes() const { return changes_; }
  /// The messages in sequence, without sequence numbers. Only the last requests an answer.
  std::span<std::byte> bytes() { return bytes_; }

 private:
  std::vector<Change> changes_;
  std::vector<std::byte> bytes_;
};

}  // namespace wgsteer::netlink
