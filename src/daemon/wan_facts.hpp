// SPDX-License-Identifier: GPL-2.0-or-later
// What a daemon knows about its WANs beyond what the kernel says: since when they have been up or down, and what probes
// found.
#pragma once

#include <array>
#include <map>
#include <string>
#include <vector>

#include "wgsteer/core/address.hpp"
#include "wgsteer/core/counters.hpp"
#include "wgsteer/core/health.hpp"
#include "wgsteer/core/steering.hpp"
#include "wgsteer/core/time.hpp"

#include "daemon/wan_verdict.hpp"

namespace wgsteer {

struct ProbedTarget {
  Endpoint target;  ///< port 0: the method's default
  TargetAverage average;
};

/// Since when WANs have been up or down. A WAN is up while it can be used in any family.
class WanHistory {
 public:
  struct Times {
    WallSeconds since{};
    std::array<WallSeconds, kFamilies.size()> sinceInFamily{};
  };
  /// To be called on every change; for a new WAN, the first call counts as its transition.
  void update(const Steering& steering, WallSeconds now);
  const std::map<std::string, Times>& all() const { return times_; }

 private:
  struct State {
    bool up = false;
    std::array<bool, kFamilies.size()> upInFamily{};
    bool operator==(const State&) const = default;
  };
  std::map<std::string, State> states_;
  std::map<std::string, Times> times_;
};

/// All keyed by the WAN's name.
struct WanFacts {
  std::map<std::string, WanHistory::Times> times;
  std::map<std::string, WanVerdicts> verdicts;
  std::map<std::string, std::vector<ProbedTarget>> targets;
  HandshakesByWan handshakes;
};

}  // namespace wgsteer
