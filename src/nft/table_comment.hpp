// SPDX-License-Identifier: GPL-2.0-or-later
// The comment of the table: whose it is, the version of its layout and, with rules for any traffic, which rules these
// are and what the chains and sets that follow from them looked like when they were made. So a restart finds them as
// they should be without knowing how they were compiled, and a change by another program is noticed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "wgsteer/core/state.hpp"

#include "nft/ruleset.hpp"

namespace wgsteer::nft {

/// The parts of a table that its comment vouches for, as text: chains with their rules, sets with their elements.
struct TrafficParts {
  std::map<std::string, std::vector<std::string>> chains;
  std::map<std::string, std::set<std::string>> sets;
  std::set<std::string> counters;
  std::uint64_t checksum() const;
};

struct TableComment {
  std::uint64_t fingerprint = 0;  ///< of the rules; 0: there are none
  std::uint64_t checksum = 0;     ///< of TrafficParts
};
/// nullopt: of another version of the layout.
std::optional<TableComment> parseComment(std::string_view text);

/// For a table that is to have these chains for its traffic.
std::string commentFor(const NftLayout& layout, const std::vector<Chain>& trafficChains);

/// A chain's hook and rules, as TrafficParts has them.
std::vector<std::string> textOf(const Chain& chain);
std::string hookText(std::string_view type, std::uint32_t number, std::int32_t priority);

}  // namespace wgsteer::nft
