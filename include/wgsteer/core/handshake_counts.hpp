// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <map>

#include "wgsteer/core/ids.hpp"

namespace wgsteer {

/// Of one WAN, since `table inet wgsteer` was made: WireGuard's messages of types 1 (sent) and 2 (received).
struct HandshakeCounts {
  std::uint64_t initiations = 0;
  std::uint64_t responses = 0;
  bool operator==(const HandshakeCounts&) const = default;
};

using HandshakesByWan = std::map<Slot, HandshakeCounts>;

}  // namespace wgsteer
