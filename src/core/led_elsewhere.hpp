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

/// Compares the way of each peer's packets without us with that by the planned state. Only among the peers that
/// `steering` steers and for which no WANs are named. Costs nothing where no rule of another program is concerned.
LeftAlone ledElsewhere(const Config& config, const World& world, const Steering& steering, const PeerFacts& peers);

}  // namespace wgsteer
