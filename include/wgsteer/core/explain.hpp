// SPDX-License-Identifier: GPL-2.0-or-later
// A routing simulator: the walk of a locally generated packet through rules, tables and our nft output chain. It is the
// `explain` verb, and the oracle of the property tests. Packets of any traffic: explain_traffic.hpp.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "wgsteer/core/describe.hpp"
#include "wgsteer/core/state.hpp"
#include "wgsteer/core/world.hpp"

namespace wgsteer {

struct Packet {
  Endpoint destination;  ///< port 0: not to a particular port, so the endpoint maps do not apply
  Mark mark;
  std::optional<Address> source;
  std::uint16_t sourcePort = 0;  ///< tells the flows of one tunnel from another's; 0: not known
  bool outer = true;             ///< WireGuard's own, which must not end in a tunnel; any other packet may
  IfName inputDevice{};          ///< by which it arrived; empty: this host sends it
  std::uint8_t protocol = 17;    ///< IANA's number: UDP
};

enum class Outcome : std::uint8_t {
  device,       ///< leaves by a device; by a tunnel only if it is not WireGuard's own
  loop,         ///< WireGuard's own, and ends in a tunnel
  dropped,      ///< would end in a tunnel, but the table's `sent` chain drops it
  unreachable,  ///< an unreachable, blackhole or prohibit route or rule
  noRoute,      ///< no rule or route matched
  local,        ///< delivered to this host
};

struct WalkStep {
  std::string text;  ///< "70: fwmark 0x10000000/0xf0000000 lookup 1464270081"
  bool matched = false;
};

struct Walk {
  std::vector<WalkStep> steps;
  Outcome outcome = Outcome::noRoute;
  std::optional<Route> route;
  IfName device;
  std::optional<Address> gateway;
  std::optional<Address> source;  ///< as far as the model can tell
  Mark mark;                      ///< the mark with which the packet leaves
};

Walk explain(const State& state, const World& world, const Packet& packet);
/// Of many packets, which costs less than one after the other.
std::vector<Walk> explain(const State& state, const World& world, std::span<const Packet> packets);

/// The packet that a peer's tunnel would send now, with the tunnel's mark of `state` (or the user's, of `world`).
Packet outerPacket(const State& state, const Tunnel& tunnel, const Endpoint& endpoint);

}  // namespace wgsteer
