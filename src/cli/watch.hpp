// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>

#include "wgsteer/result.hpp"

namespace wgsteer::cli {

struct Watched {
  std::function<Result<nlohmann::json>()> fetch;    ///< the status as it is now
  std::function<bool(const nlohmann::json&)> show;  ///< on stdout; false: its reader is gone
  bool ticks = false;                               ///< also shown each second, with updated ages
};

/// Shows the status again whenever the daemon says that something has changed, but at most four times a second, until
/// interrupted or the reader of stdout is gone. What is not announced (handshakes, latencies) is fetched every five
/// seconds; without a daemon nothing is announced, and everything is fetched each second.
Status watchStatus(const Watched& watched);

}  // namespace wgsteer::cli
