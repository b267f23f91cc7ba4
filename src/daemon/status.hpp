// SPDX-License-Identifier: GPL-2.0-or-later
// What `wgsteer status` shows, as one JSON document: from the daemon if it is running, otherwise from the kernel.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "wgsteer/core/config.hpp"
#include "wgsteer/core/counters.hpp"
#include "wgsteer/core/time.hpp"
#include "wgsteer/core/track.hpp"

#include "daemon/wan_facts.hpp"
#include "engine/engine.hpp"

namespace wgsteer {

/// Raised when a member changes its meaning or goes; members may be added at any time.
inline constexpr int kStatusVersion = 1;

/// The last time that the running daemon reloaded its configuration, or its start with one that was refused.
struct LastReload {
  WallSeconds at{};
  bool atStart = false;
  std::optional<std::string> error;  ///< why the configuration was refused and the previous or last good one kept
};

struct DaemonFacts {
  int pid = 0;
  WallSeconds startedAt{};
  std::optional<LastReload> lastReload;
  EngineStatistics statistics;
  WanFacts wans;
};

/// `now` is for the age of handshakes. Connections on exits are not counted yet: see addConnections().
nlohmann::json statusDocument(const Config& config, const Picture& picture, const std::optional<DaemonFacts>& daemon,
                              const MatchesByRule& matches, WallSeconds now);

}  // namespace wgsteer
