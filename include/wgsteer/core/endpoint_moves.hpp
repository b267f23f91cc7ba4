// SPDX-License-Identifier: GPL-2.0-or-later
// Which peers need a new endpoint according to their host names.
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

/// The moves for tunnels whose update_endpoint is on.
std::vector<EndpointMove> endpointMoves(const Config& config, const World& world, const Steering& steering,
                                        WallSeconds now);

/// The equivalent wg(8) command.
std::string describe(const EndpointMove& move, const World& world);

}  // namespace wgsteer
