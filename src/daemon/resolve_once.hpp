// SPDX-License-Identifier: GPL-2.0-or-later
// Host names of peers for who does not stay: asked once, waited for, not followed.
#pragma once

#include <chrono>
#include <map>

#include "wgsteer/core/config.hpp"
#include "wgsteer/core/world.hpp"
#include "wgsteer/result.hpp"

namespace wgsteer {

/// Enough for a server that does not answer and one of a WAN after it.
inline constexpr std::chrono::seconds kResolveAtMost{5};

/// Waits until there is an answer for every name, good or bad, at most kResolveAtMost. What could not be resolved, and
/// what is wrong in the files that names come from, is logged.
Result<std::map<PeerId, NamedPeer>> resolveOnce(const Config& config, const World& world);

}  // namespace wgsteer
