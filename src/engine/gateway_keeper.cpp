// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/gateway_keeper.hpp"

#include <utility>

namespace wgsteer {

namespace {

std::set<Neighbour> gatewaysOf(const Steering& steering) {
  std::set<Neighbour> gateways;
  for (const Wan& wan : steering.wans)
    for (const auto& [family, routes] : wan.defaults) {
      if (!wan.eligible(family)) continue;
      for (const Route& route : routes)
        for (const NextHop& hop : route.hops)
          if (hop.gateway) gateways.insert({hop.device, *hop.gateway});
    }
  return gateways;
}

}  // namespace

void GatewayKeeper::keep(Kernel& kernel, const Steering& steering, Instant now,
                         const std::function<void(const Error&)>& report) {
  auto gateways = gatewaysOf(steering);
  if (gateways == gateways_ && !isDue(now)) return;
  keptAt_ = now;
  gateways_ = std::move(gateways);
  for (const Neighbour& gateway : gateways_)
    if (const auto done = kernel.warm(gateway); !done && done.error().kind != ErrorKind::notThere) report(done.error());
}

}  // namespace wgsteer
