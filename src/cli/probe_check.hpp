// SPDX-License-Identifier: GPL-2.0-or-later
// Probes that this host itself blocks, as a running daemon has found: wg-quick(8)'s kill switch rejects every packet
// with a mark other than its tunnel's.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "wgsteer/core/inspect.hpp"

namespace wgsteer::cli {

/// `status`: the daemon's.
std::vector<Finding> inspectProbes(const nlohmann::json& status);

}  // namespace wgsteer::cli
