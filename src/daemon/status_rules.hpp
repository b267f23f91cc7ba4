// SPDX-License-Identifier: GPL-2.0-or-later
// The members "rules" and "exits" of `wgsteer status`, which are there only if there are rules for any traffic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>

#include "wgsteer/core/config.hpp"
#include "wgsteer/core/counters.hpp"
#include "wgsteer/core/steering.hpp"

namespace wgsteer {

void addRules(const Config& config, const World& world, const Steering& steering, const MatchesByRule& matches,
              nlohmann::json& document);

/// The bits of conntrack's marks that stand for exits; 0: there are no exits to count connections of.
std::uint32_t exitMask(const nlohmann::json& document);
/// The document says which marks stand for which exits; the connections are those of Kernel::connectionsByMark().
void addConnections(const std::map<std::uint32_t, std::size_t>& byMark, nlohmann::json& document);

}  // namespace wgsteer
