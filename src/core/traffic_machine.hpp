// SPDX-License-Identifier: GPL-2.0-or-later
// What the chains of nft/traffic_chains.hpp do with the first packet of a connection.
#pragma once

#include <optional>
#include <string>

#include "wgsteer/core/explain_traffic.hpp"
#include "wgsteer/core/state.hpp"

#include "core/routing.hpp"

namespace wgsteer {

struct TrafficDecision {
  TrafficReason reason = TrafficReason::noRules;
  Mark mark;         ///< of the packet
  Mark connection;   ///< of the connection, as far as it is noted before a route is chosen
  std::string rule;  ///< name of the rule that matched
};

/// What becomes of a packet whose source may not be one of its exit.
struct SourceVerdict {
  bool refused = false;
  std::optional<Address> source;  ///< with which it leaves
};

/// Borrows the table and the routing.
class TrafficMachine {
 public:
  TrafficMachine(const NftState& nft, const Routing& routing)
      : nft_(nft), program_(*nft.layout.traffic.program), routing_(routing) {}

  /// As the hooks prerouting (it has an input device) and output (it has none) leave it.
  TrafficDecision decide(const FirstPacket& first) const;
  /// What postrouting notes when a packet with this mark leaves by the device.
  std::optional<Slot> pinFor(Mark mark, const IfName& device) const;
  /// What the hooks forward (not for what this host sends) and postrouting do with the source of a packet that is about
  /// to leave by the device.
  SourceVerdict verdictOnSource(const Packet& packet, const IfName& device) const;

 private:
  bool hasOurBits(Mark mark) const { return (mark.value & nft_.layout.markMask) != 0; }
  bool isOfExit(const Address& source, const IfName& device) const;
  MarkMatch markOf(Slot slot) const;
  std::optional<Slot> stampOfWireGuard(const FirstPacket& first) const;
  std::optional<Slot> exitOnArrival(const FirstPacket& first) const;
  TrafficDecision prerouting(const FirstPacket& first) const;
  TrafficDecision output(const FirstPacket& first) const;
  TrafficDecision askRules(const FirstPacket& first) const;
  std::string chainFor(const FirstPacket& first) const;
  std::string chainFor(const TrafficMatch& match, const FirstPacket& first) const;
  const TrafficRange* rangeIn(const std::string& set, TrafficField field, const FirstPacket& first) const;

  const NftState& nft_;
  const TrafficProgram& program_;
  const Routing& routing_;
};

}  // namespace wgsteer
