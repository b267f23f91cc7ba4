// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/pending.hpp"

#include "wgsteer/core/describe.hpp"
#include "wgsteer/core/desire.hpp"
#include "wgsteer/core/endpoint_moves.hpp"
#include "wgsteer/core/plan.hpp"

namespace wgsteer {

Pending pending(const Config& config, const Picture& picture, WallSeconds now) {
  const World& world = picture.world;
  const Steering steering = steer(config, world);
  Pending pending{.changes = describe(diff(desire(config, world, steering), picture.observed), deviceNames(world)),
                  .notes = steering.notes};
  for (const EndpointMove& move : endpointMoves(config, world, steering, now))
    pending.changes.push_back(describe(move, world));
  return pending;
}

}  // namespace wgsteer
