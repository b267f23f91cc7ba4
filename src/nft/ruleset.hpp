// SPDX-License-Identifier: GPL-2.0-or-later
// The fixed part of `table inet wgsteer` as data: which chains and rules there are. The sets are in core/nft_sets.hpp.
// Everything that varies is in sets, so that an update never rewrites a rule.
//
// clang-format off
//   source       filter output -300       our packets leave with a source that is right on their WAN (before conntrack)
//   output       route  output -299       packets that their tunnel's fwmark does not steer get a mark and a source
//   remark       route  output -148       the same again for packets whose mark was cleared in between
//   early        filter prerouting -300   answers get the mark of the WAN they came in by, for reverse path filters
//   prerouting   filter prerouting -148   the same again for packets whose mark was cleared in between
//   sent         filter postrouting -150  drops what would enter a tunnel; counts handshake initiations per WAN
//   postrouting  nat    postrouting 99    (with forwarding) hosts behind this one get an address of the WAN
//   wrong_source, flows, marked, unmarked, arrived: what the chains above do with the few packets that they are about
//   tunnels      where nothing that we mark may go
//   policy_N     the mark of a policy, and its source;  wan_N: the mark of a WAN, and its count of handshake responses
// clang-format on
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "wgsteer/core/numbers.hpp"
#include "wgsteer/core/state.hpp"

#include "core/nft_sets.hpp"
#include "nft/rule.hpp"

namespace wgsteer::nft {

struct Hook {
  const char* type;
  std::uint32_t number;
  std::int32_t priority;
};

struct Chain {
  std::string name;
  std::optional<Hook> hook;
  std::vector<Rule> rules;
  std::string comment{};  ///< for people, and of chains for a mark what it means
};

/// The chain that only a table with forwarding has.
inline constexpr const char* kPostroutingChain = "postrouting";
/// One that only a table for tunnels has.
inline constexpr const char* kOutputChain = "output";

/// The chains of every table, without those of traffic_chains.hpp; `numbers` provide the mark mask.
std::vector<Chain> baseChains(const Numbers& numbers, const NftLayout& layout);
Chain policyChain(const Numbers& numbers, Slot slot);
Chain wanChain(const Numbers& numbers, Slot slot);

}  // namespace wgsteer::nft
