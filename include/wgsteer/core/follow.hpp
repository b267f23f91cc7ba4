// SPDX-License-Identifier: GPL-2.0-or-later
// Which address to use for a peer that is known by its host name.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "wgsteer/core/address.hpp"
#include "wgsteer/core/time.hpp"
#include "wgsteer/core/world.hpp"

namespace wgsteer {

/// Endpoints that are steered to even if the kernel does not have them as the peer's: every address of the name.
std::vector<Endpoint> endpointsOf(const NamedPeer& named);

/// The endpoint to give to the peer; nullopt if it keeps its current one, which is in the answer, or to which the peer
/// has roamed and which is alive. `usable` lists the families in which its packets can leave.
std::optional<Endpoint> betterEndpoint(const Peer& peer, const NamedPeer& named, const std::vector<Family>& usable,
                                       WallSeconds now);

}  // namespace wgsteer
