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

inline constexpr std::size_t kMaxReason = 200;  ///< bytes; it has to fit on one line of the log

struct WanRequest {
  std::string name;
  std::optional<WanOverride> decision;  ///< nullopt: auto
};

/// ErrorKind::refused for an unknown WAN; the error lists the known ones.
Result<WanRequest> readWanRequest(const nlohmann::json& request, const std::set<std::string>& known);

}  // namespace wgsteer
