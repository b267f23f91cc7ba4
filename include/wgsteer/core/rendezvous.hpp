// SPDX-License-Identifier: GPL-2.0-or-later
// Peers shared out among WANs by weighted rendezvous hashing (Thaler and Ravishankar 1998; Schindelhauer and Schomaker
// 2005): each peer goes to the WAN for which a hash of both, bent by the WAN's weight, is highest. When a WAN goes,
// only its own peers move; when one comes, only those move that go to it. Nothing has to be remembered.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "wgsteer/core/ids.hpp"

namespace wgsteer {

struct Candidate {
  std::string_view wan;  ///< its name: what the hash is of
  std::uint32_t weight = 1;
};

/// Index of the candidate that the peer goes to; of equal ones the first. Expects one candidate at the least.
std::size_t rendezvous(const PublicKey& key, std::span<const Candidate> candidates);

}  // namespace wgsteer
