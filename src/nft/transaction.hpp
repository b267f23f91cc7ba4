// SPDX-License-Identifier: GPL-2.0-or-later
// Converts the ops of a plan to the messages of one nft transaction.
#pragma once

#include "wgsteer/core/numbers.hpp"
#include "wgsteer/core/plan.hpp"
#include "wgsteer/result.hpp"

#include "nft/batch.hpp"

namespace wgsteer::nft {

/// First the table (if `createTable`), then the ops. `numbers` have the mask of the transaction's layout.
Status fill(Batch& batch, const NftTransaction& transaction, const Numbers& numbers);

}  // namespace wgsteer::nft
