// SPDX-License-Identifier: GPL-2.0-or-later
// A WAN that is not in use talks to nobody, so its gateway would be forgotten; the first packet after a failover must
// not wait for it.
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
  /// Has the gateways of all usable WANs resolved, if they are others or it is due. Failures are reported, and nothing
  /// depends on them.
  void keep(Kernel& kernel, const Steering& steering, Instant now, const std::function<void(const Error&)>& report);

 private:
  /// Less than the 15 s that an entry is sure to stay reachable (base_reachable_time 30 s, halved at random).
  static constexpr Duration kPeriod = std::chrono::seconds{10};
  std::set<Neighbour> gateways_;
  Instant keptAt_{};
};

}  // namespace wgsteer
