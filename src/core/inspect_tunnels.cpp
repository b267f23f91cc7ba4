// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/inspect.hpp"

namespace wgsteer {

std::vector<Finding> inspectTunnels(const World& world) {
  std::vector<Finding> findings;
  for (const auto& [name, why] : world.tunnelTroubles)
    findings.push_back({Severity::problem, why,
                        world.tunnels.contains(name)
                            ? "the last known state of " + name + " stays in force until its process responds"
                            : name + " is not steered, nor used as a WAN, until it can be read"});
  return findings;
}

}  // namespace wgsteer
