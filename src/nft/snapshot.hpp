// SPDX-License-Identifier: GPL-2.0-or-later
// What the kernel has under the name of our table, read from one generation of the ruleset.
#pragma once

#include <cstdint>
#include <optional>

#include "wgsteer/core/numbers.hpp"
#include "wgsteer/core/state.hpp"
#include "wgsteer/result.hpp"

#include "channel.hpp"
#include "observed_table.hpp"

namespace wgsteer::nft {

/// What was found under our name.
struct TableLook {
  std::optional<NftState> ours;
  bool foreign = false;  ///< there is one that somebody else has made
};

/// Changes with every commit to the ruleset, anybody's.
Result<std::uint32_t> generation(Channel& channel);

/// Nothing when there is no table of our name.
Result<std::optional<TableIdentity>> findTable(Channel& channel);

Result<TableLook> observeTable(Channel& channel, const Numbers& numbers);

}  // namespace wgsteer::nft
