// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/inspect.hpp"

namespace wgsteer {

std::vector<Finding> inspectTunnels(const World& world) {
  std::vector<Finding> findings;
  for (const auto& [name, why] : world.tunnelTroubles)
    findings.push_back(
        {Severity::problem, why,
         world.tunnels.contains(name)
             ? "what was last known of " + name + " stays in force until its process does what it is asked"
             : name + " is not steered until it can be read; nothing is sent by it as a WAN"});
  return findings;
}

}  // namespace wgsteer
