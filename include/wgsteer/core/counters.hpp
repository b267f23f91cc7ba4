// SPDX-License-Identifier: GPL-2.0-or-later
// What our table counts. A table that is made anew, for another configuration or after a `flush`, begins at 0.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "wgsteer/core/ids.hpp"

namespace wgsteer {

/// Of one WAN: WireGuard's messages of types 1 (sent) and 2 (received).
struct HandshakeCounts {
  std::uint64_t initiations = 0;
  std::uint64_t responses = 0;
  bool operator==(const HandshakeCounts&) const = default;
};

using HandshakesByWan = std::map<Slot, HandshakeCounts>;
/// By the rule's name: packets that it decided about. Of a connection that is given an exit this is the first one, and
/// another one whenever it begins anew. Of refused ones, and of those that conntrack does not track, it is each.
using MatchesByRule = std::map<std::string, std::uint64_t>;

struct Counters {
  HandshakesByWan handshakes;
  MatchesByRule rules;
  bool operator==(const Counters&) const = default;
};

}  // namespace wgsteer
