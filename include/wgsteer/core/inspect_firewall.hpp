// SPDX-License-Identifier: GPL-2.0-or-later
// What the netfilter chains of other programs do to WireGuard's packets, to our probes, and to the marks of any
// traffic: for the `check` verb.
#pragma once

#include <vector>

#include "wgsteer/core/config.hpp"
#include "wgsteer/core/firewall.hpp"
#include "wgsteer/core/inspect.hpp"
#include "wgsteer/core/state.hpp"
#include "wgsteer/core/steering.hpp"
#include "wgsteer/core/world.hpp"

namespace wgsteer {

/// `state` is what is (or will be) installed. `world` needs all routes if asksRoutes().
std::vector<Finding> inspectFirewall(const firewall::Firewall& firewall, const Config& config, const World& world,
                                     const Steering& steering, const State& state);
/// Whether a chain or the kernel's rp_filter looks up the route back to the source of packets.
bool asksRoutes(const firewall::Firewall& firewall, const World& world);

/// Devices that may be tunnels of an unknown kind, except WANs (464XLAT).
std::vector<Finding> inspectUnknownTunnels(const World& world, const Steering& steering);

}  // namespace wgsteer
