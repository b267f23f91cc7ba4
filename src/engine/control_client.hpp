// SPDX-License-Identifier: GPL-2.0-or-later
// The command line's side of the control socket.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "wgsteer/result.hpp"

namespace wgsteer {

/// The daemon's reply. ErrorKind::notThere: no daemon runs in this network namespace; refused: it said no, or whoever
/// holds the name is not root; busy: it does not answer within five seconds.
Result<nlohmann::json> askDaemon(std::string_view request);

}  // namespace wgsteer
