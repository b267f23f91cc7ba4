// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>

#include "wgsteer/result.hpp"

namespace wgsteer::cli {

struct Watched {
  std::function<Result<nlohmann::json>()> fetch;    ///< the status as it is now
  std::function<bool(const nlohmann::json&)> show;  ///< on stdout; false: nobody takes it
  bool ticks = false;                               ///< shown each second as well, with what has an age grown older
};

/// Shows the status again whenever the daemon says that something has changed, but at most four times a second, until
/// interrupted or nobody reads stdout any more. What nobody tells of (handshakes, latencies) is fetched every five
/// seconds; without a daemon nobody tells of anything, and it is fetched each second.
Status watchStatus(const Watched& watched);

}  // namespace wgsteer::cli
