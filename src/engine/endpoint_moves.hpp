// SPDX-License-Identifier: GPL-2.0-or-later
// Which peers are to be given another endpoint, because their host names say so.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "wgsteer/core/config.hpp"
#include "wgsteer/core/steering.hpp"
#include "wgsteer/core/world.hpp"

namespace wgsteer {

struct EndpointMove {
  IfName tunnel;
  std::size_t peer = 0;  ///< index into the tunnel's peers
  Endpoint to;
};

/// Those of tunnels whose update_endpoint is on.
std::vector<EndpointMove> endpointMoves(const Config& config, const World& world, const Steering& steering,
                                        WallSeconds now);

/// As one would do it with wg(8).
std::string describe(const EndpointMove& move, const World& world);

}  // namespace wgsteer
