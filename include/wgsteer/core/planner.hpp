// SPDX-License-Identifier: GPL-2.0-or-later
// steer() and desire() for somebody who plans again and again: what follows from the peers alone is kept from one plan
// to the next, for there can be thousands of them. The results are those of the functions.
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
  /// `steering` as the last steer() gave it, for the same world.
  State desire(const Config& config, const World& world, const Steering& steering);

 private:
  /// Has the facts be those of this world.
  void recall(const Config& config, const World& world);

  // What the facts are of.
  SharedMap<IfName, Tunnel> tunnels_;
  SharedMap<PeerId, NamedPeer> named_;
  PeerFacts facts_;
  // And the maps.
  std::map<IfName, Verdicts> verdicts_;
  std::vector<Family> families_;
  PeerMaps maps_;
};

}  // namespace wgsteer
