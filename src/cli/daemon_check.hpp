// SPDX-License-Identifier: GPL-2.0-or-later
// What only a running daemon knows: what the kernel and other processes have refused it, and which probes this host
// itself blocks (wg-quick(8)'s kill switch rejects every packet with a mark other than its tunnel's).
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "wgsteer/core/config.hpp"
#include "wgsteer/core/inspect.hpp"
#include "wgsteer/core/world.hpp"

namespace wgsteer::cli {

/// Adds what the kernel and tunnels have refused to the daemon, as its `status` says, to a world that was just read.
void learnFrom(const nlohmann::json& status, const Config& config, World& world);

/// `writable`: sysctls. Where they are not, changes of them are pending for ever, which other findings say.
std::vector<Finding> inspectDaemon(const nlohmann::json& status, bool writable);

}  // namespace wgsteer::cli
