// SPDX-License-Identifier: GPL-2.0-or-later
// steer() and desire() for planning again and again: what depends on the peers alone is kept from one plan to the next,
// because there can be thousands of them. The results are the same as those of the functions.
#pragma once

#include <map>
#include <vector>

#include "wgsteer/core/desire.hpp"

namespace wgsteer {

/// Belongs to one configuration.
class Planner {
 public:
  /// Borrows from `world`, as wgsteer::steer() does.
  Steering steer(const Config& config, const World& world);
  /// `steering` is the result of the last steer(), for the same world.
  State desire(const Config& config, const World& world, const Steering& steering);
  /// To be called before the names are changed, which must then not copy them because they are shared with this.
  void letGoOfNames() { named_ = {}; }
  /// What that has put into the table about peers.
  const PeerMaps& maps() const { return maps_; }

 private:
  /// Brings the facts up to date with this world.
  void recall(const Config& config, const World& world);

  // What the facts were derived from.
  SharedMap<IfName, Tunnel> tunnels_;
  SharedMap<PeerId, NamedPeer> named_;
  std::map<IfName, Departed> departed_;
  PeerFacts facts_;
  // What the maps were derived from.
  std::map<IfName, Verdicts> verdicts_;
  std::vector<Family> families_;
  std::vector<Slot> slots_;
  PeerMaps maps_;
};

}  // namespace wgsteer
