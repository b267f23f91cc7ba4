// SPDX-License-Identifier: GPL-2.0-or-later
// Peers that rules of other programs lead somewhere else than our tables would: by a device that is not a WAN, or into
// another tunnel. What cannot be repeated, or is not understood, keeps its effect because such peers are left alone.
#pragma once

#include <map>
#include <string>

#include "wgsteer/core/desire.hpp"
#include "wgsteer/core/steering.hpp"

namespace wgsteer {

/// Peers by their index in their tunnel, and why they are left alone.
using LeftAlone = std::map<IfName, std::map<std::size_t, std::string>>;

/// As if every link were up and had its carrier, and nothing were known against any WAN: a peer that was steered and
/// left alone by turns would lose its mark in the midst of a failover.
World atItsBest(const World& world);

/// Whether a rule of another program may lead a peer elsewhere for which no WANs are named: a look at their tables,
/// where there are any.
bool mayBeLedElsewhere(const Config& config, const World& world, const Steering& steering, const PeerFacts& peers);

/// Compares the path of each such peer's packets without us with that by the planned state. The world is at its best,
/// and `steering` is that of this world.
LeftAlone ledElsewhere(const Config& config, const World& best, const Steering& steering, const PeerFacts& peers);

}  // namespace wgsteer
