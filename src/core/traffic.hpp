// SPDX-License-Identifier: GPL-2.0-or-later
// The part of the plan that rules for any traffic add: marks, chains, ip rules, and which connections stay where they
// are.
#pragma once

#include "wgsteer/core/config.hpp"
#include "wgsteer/core/state.hpp"
#include "wgsteer/core/steering.hpp"
#include "wgsteer/core/world.hpp"

namespace wgsteer {

/// Resolves the rules against WANs and policies and gives each exit, policy and pair of them a mark. A rule for which
/// there is no mark left is a problem, and its traffic is left alone.
void steerTraffic(const Config& config, const World& world, Steering& steering);

/// Adds what the rules for any traffic require to a state that has everything else. `localFirst` says whether table
/// local is looked up before our rules in a family.
struct TrafficState {
  const Config& config;
  const World& world;
  const Steering& steering;
};
void addTrafficRules(const TrafficState& of, Family family, bool localBehind, std::set<Rule>& rules);
void addTrafficMembers(const TrafficState& of, NftTable& table);

/// The chains that the rules require; Steering::traffic must be there.
TrafficProgram trafficProgram(const Config& config, const Steering& steering);

}  // namespace wgsteer
