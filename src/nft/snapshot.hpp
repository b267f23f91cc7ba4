// SPDX-License-Identifier: GPL-2.0-or-later
// Reads the table that has our name, from one generation of the ruleset.
#pragma once

#include <cstdint>
#include <optional>

#include "wgsteer/core/numbers.hpp"
#include "wgsteer/core/state.hpp"
#include "wgsteer/result.hpp"

#include "nft/channel.hpp"
#include "nft/observed_table.hpp"

namespace wgsteer::nft {

/// What was found under our name.
struct TableLook {
  std::optional<NftState> ours;
  bool foreign = false;  ///< there is one that another program created
};

/// nullopt if there is no table with our name.
Result<std::optional<TableIdentity>> findTable(Channel& channel);

Result<TableLook> observeTable(Channel& channel, const Numbers& numbers);

}  // namespace wgsteer::nft
