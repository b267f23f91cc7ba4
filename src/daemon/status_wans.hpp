// SPDX-License-Identifier: GPL-2.0-or-later
// The members "wans" of `wgsteer status`.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "wgsteer/core/steering.hpp"

#include "daemon/wan_facts.hpp"

namespace wgsteer {

/// Without a daemon there are no `facts`: what only the daemon knows is null then.
nlohmann::json wanDocument(const Wan& wan, const Numbers& numbers, const WanFacts* facts);

}  // namespace wgsteer
