// SPDX-License-Identifier: GPL-2.0-or-later
// What becomes of IPv6 packets of rules that leave by an exit with a source that is not of that exit (`ipv6` of a
// policy).
#pragma once

#include <vector>

#include "wgsteer/core/numbers.hpp"
#include "wgsteer/core/traffic.hpp"

#include "nft/ruleset.hpp"

namespace wgsteer::nft {

/// Nothing if no policy asks for it.
void addForeignSourceChains(const Numbers& numbers, const TrafficProgram& program, std::vector<Chain>& chains);

}  // namespace wgsteer::nft
