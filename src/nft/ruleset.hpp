// SPDX-License-Identifier: GPL-2.0-or-later
// The fixed part of `table inet wgsteer` as data: which sets, chains and rules there are. What is in the sets is
// sets.hpp's subject. Everything that varies is in sets, so that an update never rewrites a rule.
//
// clang-format off
//   source       filter output -300       our packets leave with a source that is right on their WAN (before conntrack)
//   output       route  output -299       packets that their tunnel's fwmark does not steer get a mark and a source
//   remark       route  output -148       the same again for packets whose mark was cleared in between
//   early        filter prerouting -300   answers get the mark of the WAN they came in by, for reverse path filters
//   prerouting   filter prerouting -148   the same again for packets whose mark was cleared in between
//   sent         filter postrouting -150  drops what would enter a tunnel; counts handshake initiations per WAN
//   postrouting  nat    postrouting 99    (with forwarding) hosts behind this one get an address of the WAN
//   tunnels      where nothing that we mark may go
//   policy_N     the mark of a policy, and its source;  wan_N: the mark of a WAN, and its count of handshake responses
// clang-format on
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wgsteer/core/numbers.hpp"
#include "wgsteer/core/state.hpp"

#include "rule.hpp"

namespace wgsteer::nft {

/// The comment of the table: our mark of ownership, and the version of the layout.
inline constexpr std::string_view kOwnershipPrefix = "wgsteer ";
/// Raise it whenever baseChains() or kSets change: a table of another version is replaced in one transaction.
inline constexpr const char* kTableComment = "wgsteer 2";

enum class SetId : std::uint8_t {
  wan,
  address4,
  address6,
  source4,
  source6,
  policySource4,
  policySource6,
  endpoint4,
  endpoint6,
  flow4,
  flow6,
  arrival,
  listenPort,
  tunnel,
  foreignMark,
  ownMark,
  keptOut,
  ignoreLinkdown4,
  ignoreLinkdown6,
  srcValidMark,
  initiations,
};

enum class SetKind : std::uint8_t { set, map, verdictMap, counterMap };

/// nft(8)'s numbers of types (enum datatypes in its include/datatype.h): the kernel keeps them, only nft reads them.
enum class DataType : std::uint32_t { none = 0, ipv4 = 7, ipv6 = 8, inetService = 13, mark = 19, ifName = 41 };
/// nft's enum byteorder: without it a port is printed with its bytes swapped.
enum class ByteOrder : std::uint32_t { none = 0, host = 1, network = 2 };

struct SetShape {
  SetId id;
  const char* name;
  SetKind kind;
  std::uint32_t keyType;
  std::uint32_t keyLength;
  ByteOrder keyOrder;
  std::uint32_t dataType = 0;  ///< of SetKind::map
  std::uint32_t dataLength = 0;
};

/// By SetId.
inline constexpr std::size_t kSetCount = 21;
extern const std::array<SetShape, kSetCount> kSets;
const SetShape& shapeOf(SetId id);
/// NFT_SET_MAP and the like.
std::uint32_t setFlags(const SetShape& shape);

struct Hook {
  const char* type;
  std::uint32_t number;
  std::int32_t priority;
};

struct Chain {
  std::string name;
  std::optional<Hook> hook;
  std::vector<Rule> rules;
};

/// Rules of the chain `prerouting` without the two that forwarding adds.
inline constexpr std::size_t kPreroutingRules = 3;

/// Chains with a hook; `numbers` for the mask of the marks.
std::vector<Chain> baseChains(const Numbers& numbers, bool forward);
Chain policyChain(const Numbers& numbers, Slot slot);
Chain wanChain(const Numbers& numbers, Slot slot);

std::string policyChainName(Slot slot);
std::string wanChainName(Slot slot);
std::string initiationsCounter(Slot slot);
std::string responsesCounter(Slot slot);
/// 5 from "policy_5" and "policy_"; nothing for anything that the functions above would not make.
std::optional<Slot> slotFromName(std::string_view name, std::string_view prefix);

/// Where the elements of `kept_out` lead.
inline constexpr const char* kTunnelsChain = "tunnels";
inline constexpr std::string_view kPolicyPrefix = "policy_";
inline constexpr std::string_view kWanPrefix = "wan_";
inline constexpr std::string_view kInitiationsPrefix = "initiations_";
inline constexpr std::string_view kResponsesPrefix = "responses_";

}  // namespace wgsteer::nft
