// SPDX-License-Identifier: GPL-2.0-or-later
// The named counters of our table.
#pragma once

#include "wgsteer/core/handshake_counts.hpp"
#include "wgsteer/result.hpp"

#include "nft/channel.hpp"

namespace wgsteer::nft {

/// One dump of at most thirty objects. Empty when there is no table.
Result<HandshakesByWan> readHandshakes(Channel& channel);

}  // namespace wgsteer::nft
