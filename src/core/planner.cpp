// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/planner.hpp"

#include <utility>

#include "core/host_routes.hpp"

namespace wgsteer {

void Planner::recall(const Config& config, const World& world) {
  if (tunnels_.same(world.tunnels) && named_.same(world.named) && departed_ == world.departed &&
      facts_.routes == tunnelRoutes(world))
    return;
  *this = {};
  tunnels_ = world.tunnels;
  named_ = world.named;
  departed_ = world.departed;
  facts_ = peerFacts(config, world);
}

Steering Planner::steer(const Config& config, const World& world) {
  recall(config, world);
  return wgsteer::steer(config, world, facts_);
}

State Planner::desire(const Config& config, const World& world, const Steering& steering) {
  auto verdicts = verdictsOf(steering);
  std::vector<Slot> slots;
  for (const PolicyView& policy : steering.policies) slots.push_back(policy.target.slot);
  if (verdicts != verdicts_ || steering.families != families_ || slots != slots_) {
    maps_ = peerMaps(world, steering, verdicts);
    verdicts_ = std::move(verdicts);
    families_ = steering.families;
    slots_ = std::move(slots);
  }
  return wgsteer::desire(config, world, steering, facts_, maps_);
}

}  // namespace wgsteer
