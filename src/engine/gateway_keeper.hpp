// SPDX-License-Identifier: GPL-2.0-or-later
// A WAN that is not in use sends nothing, so the kernel would forget its gateway's link-layer address; the first packet
// after a failover must not wait for it.
#pragma once

#include <functional>
#include <set>

#include "wgsteer/core/steering.hpp"
#include "wgsteer/core/time.hpp"
#include "wgsteer/kernel.hpp"

namespace wgsteer {

class GatewayKeeper {
 public:
  bool isDue(Instant now) const { return now - keptAt_ >= kPeriod; }
  /// Resolves the gateways of all usable WANs if they have changed or it is due. Failures are reported; nothing depends
  /// on them.
  void keep(Kernel& kernel, const Steering& steering, Instant now, const std::function<void(const Error&)>& report);

 private:
  /// Less than the 15 s for which an entry certainly stays reachable (base_reachable_time 30 s, halved at random).
  static constexpr Duration kPeriod = std::chrono::seconds{10};
  std::set<Neighbour> gateways_;
  Instant keptAt_{};
};

}  // namespace wgsteer
