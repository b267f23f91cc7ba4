// SPDX-License-Identifier: GPL-2.0-or-later
// What the kernel has under the name of our table, and what it means.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "wgsteer/core/numbers.hpp"
#include "wgsteer/core/state.hpp"
#include "wgsteer/result.hpp"

#include "channel.hpp"
#include "ruleset.hpp"
#include "sets.hpp"

namespace wgsteer::nft {

struct TableIdentity {
  std::uint64_t handle = 0;
  bool ours = false;     ///< carries our comment
  bool current = false;  ///< and that of this version of the layout
};

/// Nothing when there is no table of our name.
Result<std::optional<TableIdentity>> findTable(Channel& channel);

/// Refused when the table is somebody else's.
Result<std::optional<NftState>> observeTable(Channel& channel, const Numbers& numbers);

}  // namespace wgsteer::nft
