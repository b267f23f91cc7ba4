// SPDX-License-Identifier: GPL-2.0-or-later
// Resolves the host names of peers once and waits for the answers, for a process that does not stay.
#pragma once

#include <chrono>
#include <map>

#include "wgsteer/core/config.hpp"
#include "wgsteer/core/world.hpp"
#include "wgsteer/result.hpp"

namespace wgsteer {

/// Enough for a server that does not answer, followed by one of a WAN.
inline constexpr std::chrono::seconds kResolveAtMost{5};

/// Waits until there is an answer for every name, good or bad, at most kResolveAtMost. What could not be resolved, and
/// what is wrong in the files that names come from, is logged.
Result<std::map<PeerId, NamedPeer>> resolveOnce(const Config& config, const World& world);

}  // namespace wgsteer
