// SPDX-License-Identifier: GPL-2.0-or-later
// The walk of a new connection's first packet, of any traffic: through our chains, then through rules and tables.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "wgsteer/core/config.hpp"
#include "wgsteer/core/explain.hpp"
#include "wgsteer/core/steering.hpp"

namespace wgsteer {

struct FirstPacket {
  Packet packet;                        ///< ports 0: none, or not known
  std::optional<MacAddress> sourceMac;  ///< none: it has none, or it is not known
  std::uint8_t dscp = 0;
};

/// What our chains for any traffic decide by.
enum class TrafficReason : std::uint8_t {
  noRules,       ///< there are no such chains
  noRoute,       ///< this host sends it, and has no route for it: no chain sees it
  namedMark,     ///< it has a mark that rules of other programs name
  wireGuard,     ///< it is WireGuard's own, of this host or of one behind it
  arrived,       ///< it came in by a WAN: answered by it
  byWan,         ///< it came in by a WAN that could not carry the answer
  forUsOrMany,   ///< to this host, or to many
  housekeeping,  ///< DHCP, and what IPv6 does on a link
  ownChoice,     ///< this host sends it, with a mark or from the address of a WAN: that decides
  noRule,
  rule,
};

struct TrafficWalk {
  Walk walk;
  TrafficReason reason = TrafficReason::noRules;
  std::string why;      ///< for the user
  std::string rule;     ///< its name; empty: none matches, or none was asked
  std::string policy;   ///< of the rule; empty: it names none
  std::string wan;      ///< by which the packet leaves, or came in and is answered; empty: none
  bool inside = false;  ///< a specific route precedes what the rule says
  Mark connection{};    ///< of the connection, from then on
};

/// `state` has the program of its chains, see TrafficLayout.
struct TrafficView {
  const Config& config;
  const World& world;
  const Steering& steering;
  const State& state;
};

TrafficWalk explain(const TrafficView& view, const FirstPacket& first);

}  // namespace wgsteer
