// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/rendezvous.hpp"

#include <cmath>

#include "wgsteer/core/fnv.hpp"

namespace wgsteer {

namespace {

/// MurmurHash3's finaliser: FNV alone hardly changes its upper bits with the last bytes.
std::uint64_t mixed(std::uint64_t value) {
  value = (value ^ value >> 33U) * 0xff51afd7ed558ccdU;
  value = (value ^ value >> 33U) * 0xc4ceb9fe1a85ec53U;
  return value ^ value >> 33U;
}

/// -weight / ln(u), with u of the hash's upper 53 bits evenly in (0, 1).
double score(const PublicKey& key, const Candidate& candidate) {
  Fnv hash;
  hash.add(candidate.wan);
  for (const std::uint8_t byte : key.bytes()) hash.add(byte);
  const double even = (static_cast<double>(mixed(hash.value()) >> 11U) + 0.5) * 0x1p-53;
  return -static_cast<double>(candidate.weight) / std::log(even);
}

}  // namespace

std::size_t rendezvous(const PublicKey& key, std::span<const Candidate> candidates) {
  std::size_t best = 0;
  for (std::size_t i = 1; i < candidates.size(); ++i)
    if (score(key, candidates[i]) > score(key, candidates[best])) best = i;
  return best;
}

}  // namespace wgsteer
