// SPDX-License-Identifier: GPL-2.0-or-later
// Distributes peers among WANs by weighted rendezvous hashing (Thaler and Ravishankar 1998; Schindelhauer and Schomaker
// 2005): each peer goes to the WAN with the highest score, a hash of both scaled by the WAN's weight. When a WAN
// disappears, only its own peers move; when one appears, only the peers that go to it move. No state has to be kept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "wgsteer/core/ids.hpp"

namespace wgsteer {

struct Candidate {
  std::string_view wan;  ///< its name, which is hashed
  std::uint32_t weight = 1;
};

/// Index of the candidate that gets the peer; of equal ones, the first. Expects at least one candidate.
std::size_t rendezvous(const PublicKey& key, std::span<const Candidate> candidates);

}  // namespace wgsteer
