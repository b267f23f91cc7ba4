// SPDX-License-Identifier: GPL-2.0-or-later
// What would change now, for `wgsteer plan`, which says the same with a daemon and without.
#pragma once

#include <string>
#include <vector>

#include "wgsteer/core/config.hpp"
#include "wgsteer/core/time.hpp"
#include "wgsteer/core/track.hpp"

namespace wgsteer {

struct Pending {
  /// One a line, in the spelling of `ip`, `nft` and `wg`: what the picture lacks, and peers' new endpoints.
  std::vector<std::string> changes;
  std::vector<std::string> notes;  ///< what is left alone, and why
};

Pending pending(const Config& config, const Picture& picture, WallSeconds now);

}  // namespace wgsteer
