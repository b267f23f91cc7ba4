// SPDX-License-Identifier: GPL-2.0-or-later
// Interprets what the kernel says about the table, message by message. snapshot.hpp reads the messages: there is no I/O
// here. Nothing about a message is trusted except its length.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "wgsteer/core/numbers.hpp"
#include "wgsteer/core/state.hpp"

#include "core/nft_members.hpp"
#include "nft/ruleset.hpp"
#include "nft/sets.hpp"
#include "nft/table_comment.hpp"

struct nlmsghdr;

namespace wgsteer::nft {

struct TableIdentity {
  std::uint64_t handle = 0;
  bool ours = false;     ///< it has our comment
  bool current = false;  ///< its comment is that of this version of the layout
  TableComment comment{};
};

struct ObservedChain {
  std::string type;  ///< empty: no hook
  std::uint32_t hook = 0;
  std::int32_t priority = 0;
  bool accepts = true;  ///< by its policy
  std::vector<std::string> rules;
  std::string comment;
};

struct ObservedTable {
  TableIdentity table;
  std::map<std::string, ObservedChain> chains;
  std::set<NftSetId> sets;
  /// Sets of rules for any traffic, by name, and their text; their elements are in `traffic`.
  std::map<std::string, std::string> trafficSets;
  TrafficParts traffic;
  std::set<std::string> counters;
  NftContents contents;
  bool foreignParts = false;  ///< something that this program does not create, or that libnftnl cannot read
};

/// From NFT_MSG_NEWGEN: changes with every commit of any program. nullopt if it cannot be read.
std::optional<std::uint32_t> generationOf(const nlmsghdr* message);
/// From NFT_MSG_NEWTABLE; nullopt if it cannot be read.
std::optional<TableIdentity> identityOf(const nlmsghdr* message);

// From NFT_MSG_NEWCHAIN, NEWRULE, NEWSET, NEWSETELEM and NEWOBJ. Those of other tables are ignored.
void takeChain(const nlmsghdr* message, ObservedTable& observed);
void takeRule(const nlmsghdr* message, ObservedTable& observed);
void takeSet(const nlmsghdr* message, ObservedTable& observed);
void takeElements(const nlmsghdr* message, NftSetId id, ObservedTable& observed);
void takeElements(const nlmsghdr* message, const std::string& trafficSet, ObservedTable& observed);
void takeCounter(const nlmsghdr* message, ObservedTable& observed);

/// Converts the table; `intact` tells whether it is exactly what these numbers require.
NftState interpret(ObservedTable observed, const Numbers& numbers);

}  // namespace wgsteer::nft
