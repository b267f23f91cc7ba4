// SPDX-License-Identifier: GPL-2.0-or-later
// The named counters of our table.
#pragma once

#include "wgsteer/core/counters.hpp"
#include "wgsteer/result.hpp"

#include "nft/channel.hpp"

namespace wgsteer::nft {

/// One dump: two objects for each WAN and one for each rule. Empty when there is no table.
Result<Counters> readCounters(Channel& channel);

}  // namespace wgsteer::nft
