// SPDX-License-Identifier: GPL-2.0-or-later
// What the kernel has under the name of our table, read from one generation of the ruleset.
#pragma once

#include <optional>

#include "wgsteer/core/numbers.hpp"
#include "wgsteer/core/state.hpp"
#include "wgsteer/result.hpp"

#include "channel.hpp"
#include "observed_table.hpp"

namespace wgsteer::nft {

/// Nothing when there is no table of our name.
Result<std::optional<TableIdentity>> findTable(Channel& channel);

/// Refused when the table is somebody else's.
Result<std::optional<NftState>> observeTable(Channel& channel, const Numbers& numbers);

}  // namespace wgsteer::nft
