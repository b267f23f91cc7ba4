// SPDX-License-Identifier: GPL-2.0-or-later
// Where a peer that is known by its host name is to be reached.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "wgsteer/core/address.hpp"
#include "wgsteer/core/time.hpp"
#include "wgsteer/core/world.hpp"

namespace wgsteer {

/// What is steered to although the kernel may not name it as the peer's endpoint: every address of the name.
std::vector<Endpoint> endpointsOf(const NamedPeer& named);

/// The endpoint to give to the peer, or none if it keeps the one it has: that is in the answer, or it is one that the
/// peer has roamed to and that is alive. `usable` tells the families that its packets can leave by.
std::optional<Endpoint> betterEndpoint(const Peer& peer, const NamedPeer& named, const std::vector<Family>& usable,
                                       WallSeconds now);

}  // namespace wgsteer
