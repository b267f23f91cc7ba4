// SPDX-License-Identifier: GPL-2.0-or-later
// The sets and maps of `table inet wgsteer`: their names and types, and their elements as typed values. A set is
// declared by a line in NftSetId and a row in kNftSets; nft_members.hpp says which of them a member of the table fills;
// src/nft encodes them.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "wgsteer/core/address.hpp"
#include "wgsteer/core/ids.hpp"
#include "wgsteer/core/lifetime.hpp"

namespace wgsteer {

enum class NftSetId : std::uint8_t {
  wan,
  address4,
  address6,
  bound4,
  bound6,
  source4,
  source6,
  policySource4,
  policySource6,
  endpoint4,
  endpoint6,
  flow4,
  flow6,
  flowPort,
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
  pinned4,
  pinned6,
  arrive4,
  arrive6,
  namedMark,
  prefix6,
  reset4,
  reset6,
  deprecated,
};

/// A component of a key. `sourcePort` comes after `port`.
enum class NftKeyPart : std::uint8_t { none, device, ipv4, ipv6, prefix6, port, sourcePort, mark, preferred, written };
enum class NftValueKind : std::uint8_t { none, ipv4, ipv6, verdict, counter };

struct NftSet {
  NftSetId id;
  const char* name;
  std::array<NftKeyPart, 3> key;  ///< in this order, `none` after the last
  NftValueKind value = NftValueKind::none;
  /// Repeats another set in the form that some rules need: left out where changes are shown.
  bool repeats = false;
  bool traffic = false;  ///< only in a table with rules for any traffic
};

/// By NftSetId.
inline constexpr auto kNftSets = std::to_array<NftSet>({
    {NftSetId::wan, "wan", {NftKeyPart::device}, NftValueKind::none, true},
    {NftSetId::address4, "address4", {NftKeyPart::device, NftKeyPart::ipv4}},
    {NftSetId::address6, "address6", {NftKeyPart::device, NftKeyPart::ipv6}},
    {NftSetId::bound4, "bound4", {NftKeyPart::ipv4}},
    {NftSetId::bound6, "bound6", {NftKeyPart::ipv6}},
    {NftSetId::source4, "source4", {NftKeyPart::device}, NftValueKind::ipv4},
    {NftSetId::source6, "source6", {NftKeyPart::device}, NftValueKind::ipv6},
    {NftSetId::policySource4, "policy_source4", {NftKeyPart::mark}, NftValueKind::ipv4},
    {NftSetId::policySource6, "policy_source6", {NftKeyPart::mark}, NftValueKind::ipv6},
    {NftSetId::endpoint4, "endpoint4", {NftKeyPart::ipv4, NftKeyPart::port}, NftValueKind::verdict},
    {NftSetId::endpoint6, "endpoint6", {NftKeyPart::ipv6, NftKeyPart::port}, NftValueKind::verdict},
    {NftSetId::flow4, "flow4", {NftKeyPart::ipv4, NftKeyPart::port, NftKeyPart::sourcePort}, NftValueKind::verdict},
    {NftSetId::flow6, "flow6", {NftKeyPart::ipv6, NftKeyPart::port, NftKeyPart::sourcePort}, NftValueKind::verdict},
    {NftSetId::flowPort, "flow_port", {NftKeyPart::port}},
    {NftSetId::arrival, "arrival", {NftKeyPart::device}, NftValueKind::verdict},
    {NftSetId::listenPort, "listen_port", {NftKeyPart::port}},
    {NftSetId::tunnel, "tunnel", {NftKeyPart::device}},
    {NftSetId::foreignMark, "foreign_mark", {NftKeyPart::mark}},
    {NftSetId::ownMark, "own_mark", {NftKeyPart::mark}},
    {NftSetId::keptOut, "kept_out", {NftKeyPart::mark}, NftValueKind::verdict},
    {NftSetId::ignoreLinkdown4, "ignore_linkdown4", {NftKeyPart::device}},
    {NftSetId::ignoreLinkdown6, "ignore_linkdown6", {NftKeyPart::device}},
    {NftSetId::srcValidMark, "src_valid_mark", {NftKeyPart::device}},
    {NftSetId::initiations, "initiations", {NftKeyPart::device}, NftValueKind::counter, true},
    {NftSetId::pinned4, "pinned4", {NftKeyPart::mark}, NftValueKind::verdict, false, true},
    {NftSetId::pinned6, "pinned6", {NftKeyPart::mark}, NftValueKind::verdict, false, true},
    {NftSetId::arrive4, "arrive4", {NftKeyPart::device}, NftValueKind::verdict, false, true},
    {NftSetId::arrive6, "arrive6", {NftKeyPart::device}, NftValueKind::verdict, false, true},
    {NftSetId::namedMark, "named_mark", {NftKeyPart::mark}, NftValueKind::none, false, true},
    {NftSetId::prefix6, "prefix6", {NftKeyPart::device, NftKeyPart::prefix6}, NftValueKind::none, false, true},
    {NftSetId::reset4, "reset4", {NftKeyPart::mark}, NftValueKind::verdict, false, true},
    {NftSetId::reset6, "reset6", {NftKeyPart::mark}, NftValueKind::verdict, false, true},
    {NftSetId::deprecated, "deprecated", {NftKeyPart::ipv6, NftKeyPart::preferred, NftKeyPart::written}},
});

constexpr bool nftSetsAreInOrder() {
  for (std::size_t i = 0; i < kNftSets.size(); ++i)
    if (static_cast<std::size_t>(kNftSets[i].id) != i) return false;
  return true;
}
static_assert(nftSetsAreInOrder(), "nftSet() takes the row by its number");

constexpr const NftSet& nftSet(NftSetId id) { return kNftSets[static_cast<std::size_t>(id)]; }
/// nullopt if no set of ours has that name.
std::optional<NftSetId> nftSetByName(std::string_view name);

/// The set of a family: address4 or address6.
constexpr NftSetId byFamily(Family family, NftSetId v4) {
  return family == Family::v4 ? v4 : static_cast<NftSetId>(static_cast<unsigned>(v4) + 1);
}

/// Only the components of the set's key are filled in.
struct NftKey {
  IfName device{};
  Address address{};
  std::uint8_t length = 0;  ///< of a prefix
  std::uint16_t port = 0;
  std::uint16_t sourcePort = 0;
  Mark mark{};
  Deprecation before{};  ///< of `preferred` and `written`
  auto operator<=>(const NftKey&) const = default;
};
struct NftGoto {
  std::string chain;
  auto operator<=>(const NftGoto&) const = default;
};
struct NftReturn {
  auto operator<=>(const NftReturn&) const = default;
};
struct NftCounter {
  std::string name;
  auto operator<=>(const NftCounter&) const = default;
};
struct NftElement {
  NftSetId set = NftSetId::wan;
  NftKey key{};
  std::variant<std::monostate, Address, NftGoto, NftReturn, NftCounter> value{};
  auto operator<=>(const NftElement&) const = default;
};
/// As nft(8) spells it: `203.0.113.55 . 51820 : goto policy_1`.
std::string toString(const NftElement& element);

// Chains and counters that come and go with a WAN or a policy.
inline constexpr std::string_view kPolicyPrefix = "policy_";
inline constexpr std::string_view kWanPrefix = "wan_";
inline constexpr std::string_view kInitiationsPrefix = "initiations_";
inline constexpr std::string_view kResponsesPrefix = "responses_";
inline constexpr std::string_view kExitPrefix = "exit_";
inline constexpr std::string_view kArrivePrefix = "arrive_";
inline constexpr std::string_view kLeavePrefix = "leave_";
inline constexpr std::string_view kPinPrefix = "pin_";
inline constexpr std::string_view kFormerPrefix = "former_";
inline constexpr std::string_view kChoosePrefix = "choose_";
/// Of the chain, counter and sets of a rule for any traffic, before its name.
inline constexpr std::string_view kRulePrefix = "rule_";
/// Of maps that stand for several rules.
inline constexpr std::string_view kMapPrefix = "map_";
inline constexpr const char* kLeavingMap = "leaving";
/// By the mark of a connection, as another program has saved it from a packet.
inline constexpr const char* kSavedMap = "saved";
/// By the mark of a packet, what is done about a source that is not of its exit: before it is forwarded, and by NAT.
inline constexpr const char* kRefusingMap = "refusing";
inline constexpr const char* kTranslatingMap = "translating";
/// All maps of a program besides those that are named after rules.
inline constexpr auto kProgramMaps =
    std::to_array<std::string_view>({kLeavingMap, kSavedMap, kRefusingMap, kTranslatingMap});
inline constexpr std::string_view kRefusePrefix = "refuse_";
inline constexpr std::string_view kTranslatePrefix = "translate_";
/// Where sources of an exit, and others that are translated for it, do not come through.
inline constexpr const char* kRefuseChain = "refuse";
/// Where the elements of `reset4` and `reset6` lead.
inline constexpr const char* kResetChain = "reset";
inline constexpr const char* kMasqueradeChain = "masquerade_source";
/// Where the elements of `kept_out` lead.
inline constexpr const char* kTunnelsChain = "tunnels";

std::string policyChainName(Slot slot);
std::string wanChainName(Slot slot);
std::string exitChainName(Slot slot);
std::string arriveChainName(Slot slot);
std::string leaveChainName(Slot slot);
std::string formerChainName(Slot slot);
std::string pinChainName(Slot slot);
std::string chooseChainName(Slot slot);
std::string refuseChainName(Slot slot);
std::string translateChainName(Slot slot);
std::string initiationsCounter(Slot slot);
std::string responsesCounter(Slot slot);
/// 5 from "policy_5" and "policy_"; nullopt for any name that the functions above would not make.
std::optional<Slot> slotFromName(std::string_view name, std::string_view prefix);

}  // namespace wgsteer
