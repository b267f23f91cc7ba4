// SPDX-License-Identifier: GPL-2.0-or-later
// A request of `wgsteer wan`, as it comes over the control socket:
//   {"version":1,"request":"wan","name":"fiber","use":"up|down|auto","reason":"maintenance"}
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>

#include "wgsteer/result.hpp"

#include "daemon/wan_overrides.hpp"

namespace wgsteer {

inline constexpr std::size_t kMaxReason = 200;  ///< bytes; it stands in one line of the log

struct WanRequest {
  std::string name;
  std::optional<WanOverride> decision;  ///< nothing: auto
};

/// ErrorKind::refused for a WAN that is not known, with those that are.
Result<WanRequest> readWanRequest(const nlohmann::json& request, const std::set<std::string>& known);

}  // namespace wgsteer
