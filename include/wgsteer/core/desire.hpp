// SPDX-License-Identifier: GPL-2.0-or-later
// The brain: what should be in the kernel, given the configuration and the world. Pure; equal inputs, equal results.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>

#include "wgsteer/core/config.hpp"
#include "wgsteer/core/shared_map.hpp"
#include "wgsteer/core/state.hpp"
#include "wgsteer/core/steering.hpp"
#include "wgsteer/core/world.hpp"

namespace wgsteer {

/// Mark that nftables sets on packets to each peer of a tunnel. nullopt: packets are left as they are.
struct Verdicts {
  std::optional<Slot> usual;                          ///< unless they already have a mark
  std::map<std::size_t, std::optional<Slot>> others;  ///< for individual peers, by index, whatever mark they have
  bool operator==(const Verdicts&) const = default;
};
/// By tunnel, for the tunnels that are steered.
std::map<IfName, Verdicts> verdictsOf(const Steering& steering);

/// What nftables has to know about the peers of all tunnels.
struct PeerMaps {
  SharedMap<Endpoint, std::optional<Slot>> endpoints;
  SharedMap<Flow, std::optional<Slot>> flows;
  std::set<std::uint16_t> flowPorts;
};
PeerMaps peerMaps(const World& world, const Steering& steering, const std::map<IfName, Verdicts>& verdicts);

/// Empty when there is nothing to steer over: without a configuration, until the first WAN is found.
State desire(const Config& config, const World& world, const Steering& steering, const PeerFacts& peers,
             const PeerMaps& maps);
State desire(const Config& config, const World& world, const Steering& steering);
State desire(const Config& config, const World& world);

}  // namespace wgsteer
