// SPDX-License-Identifier: GPL-2.0-or-later
// What each kind of member of `table inet wgsteer` is: the field of NftTable that holds it, and the elements of sets
// that it stands for. diff(), apply(), describe() and src/nft handle members through this alone, so a new kind needs
// only its field (state.hpp), its struct (plan.hpp), its sets (nft_sets.hpp), and one NftMemberTraits here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <set>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "wgsteer/core/plan.hpp"

#include "core/nft_sets.hpp"

namespace wgsteer {

using NftElements = std::vector<NftElement>;

/// What every specialisation has:
///   kSets                   the sets that its elements are in
///   field(table)            the set or map that holds the members of this kind
///   member(entry)           a member from an entry of it
///   entry(member)           and back: for a map, the pair of key and value
///   elements(member, out)   appends the elements that it stands for
///   take(element, table)    puts into the table what an element of such a set says; false when no member has
///                           such an element
/// and where it applies
///   kIsChain                a chain comes and goes with it, which elements may lead to
///   kInSeveralSets          one member is an element of several sets, which have to agree
template <class Member>
struct NftMemberTraits;

template <class Fn, std::size_t... kIndex>
void forEachNftMember(Fn& fn, std::index_sequence<kIndex...>) {
  (fn(std::type_identity<std::variant_alternative_t<kIndex, NftMember>>{}), ...);
}
/// Calls fn(std::type_identity<Member>{}) for every kind, in the order in which their changes are made.
template <class Fn>
void forEachNftMember(Fn fn) {
  forEachNftMember(fn, std::make_index_sequence<std::variant_size_v<NftMember>>{});
}

void appendElements(const NftMember& member, NftElements& elements);

/// Assembles the elements of an observed table into an NftTable.
class NftContents {
 public:
  /// False if this program does not make such elements.
  bool take(const NftElement& element);
  /// Whether redundant sets (`wan`, `arrival` and `initiations`, `own_mark` and `kept_out`) agree.
  bool consistent() const;

  NftTable table{};

 private:
  std::set<NftElement> shared_;  ///< elements of members that have more than one
};

template <>
struct NftMemberTraits<NftPolicy> {
  static constexpr std::array<NftSetId, 0> kSets{};
  static constexpr bool kIsChain = true;
  static auto& field(auto& table) { return table.policies; }
  static NftPolicy member(Slot slot) { return {slot}; }
  static Slot entry(const NftPolicy& policy) { return policy.slot; }
  static void elements(const NftPolicy&, NftElements&) {}
  static bool take(const NftElement&, NftTable&) { return false; }
};

template <>
struct NftMemberTraits<NftWan> {
  static constexpr std::array<NftSetId, 3> kSets{NftSetId::wan, NftSetId::arrival, NftSetId::initiations};
  static constexpr bool kInSeveralSets = true;
  static constexpr bool kIsChain = true;
  static auto& field(auto& table) { return table.wans; }
  static NftWan member(const auto& entry) { return {entry.first, entry.second}; }
  static auto entry(const NftWan& wan) { return std::pair{wan.device, wan.slot}; }
  static void elements(const NftWan& wan, NftElements& out);
  static bool take(const NftElement& element, NftTable& table);
};

template <>
struct NftMemberTraits<NftAddress> {
  static constexpr std::array<NftSetId, 2> kSets{NftSetId::address4, NftSetId::address6};
  static auto& field(auto& table) { return table.addresses; }
  static NftAddress member(const auto& entry) { return {entry.first, entry.second}; }
  static auto entry(const NftAddress& own) { return std::pair{own.device, own.address}; }
  static void elements(const NftAddress& own, NftElements& out);
  static bool take(const NftElement& element, NftTable& table);
};

template <>
struct NftMemberTraits<NftBound> {
  static constexpr std::array<NftSetId, 2> kSets{NftSetId::bound4, NftSetId::bound6};
  static auto& field(auto& table) { return table.bound; }
  static NftBound member(const Address& address) { return {address}; }
  static const Address& entry(const NftBound& bound) { return bound.address; }
  static void elements(const NftBound& bound, NftElements& out);
  static bool take(const NftElement& element, NftTable& table);
};

template <>
struct NftMemberTraits<NftSource> {
  static constexpr std::array<NftSetId, 2> kSets{NftSetId::source4, NftSetId::source6};
  static auto& field(auto& table) { return table.sources; }
  static NftSource member(const auto& entry) { return {entry.first.first, entry.second}; }
  static auto entry(const NftSource& source) {
    return std::pair{std::pair{source.device, source.address.family()}, source.address};
  }
  static void elements(const NftSource& source, NftElements& out);
  static bool take(const NftElement& element, NftTable& table);
};

template <>
struct NftMemberTraits<NftPolicySource> {
  static constexpr std::array<NftSetId, 2> kSets{NftSetId::policySource4, NftSetId::policySource6};
  static auto& field(auto& table) { return table.policySources; }
  static NftPolicySource member(const auto& entry) { return {entry.first.first, entry.second}; }
  static auto entry(const NftPolicySource& source) {
    return std::pair{std::pair{source.mark, source.address.family()}, source.address};
  }
  static void elements(const NftPolicySource& source, NftElements& out);
  static bool take(const NftElement& element, NftTable& table);
};

template <>
struct NftMemberTraits<NftEndpoint> {
  static constexpr std::array<NftSetId, 2> kSets{NftSetId::endpoint4, NftSetId::endpoint6};
  static auto& field(auto& table) { return table.endpoints; }
  static NftEndpoint member(const auto& entry) { return {entry.first, entry.second}; }
  static auto entry(const NftEndpoint& peer) { return std::pair{peer.endpoint, peer.policy}; }
  static void elements(const NftEndpoint& peer, NftElements& out);
  static bool take(const NftElement& element, NftTable& table);
};

template <>
struct NftMemberTraits<NftFlow> {
  static constexpr std::array<NftSetId, 2> kSets{NftSetId::flow4, NftSetId::flow6};
  static auto& field(auto& table) { return table.flows; }
  static NftFlow member(const auto& entry) { return {entry.first, entry.second}; }
  static auto entry(const NftFlow& flow) { return std::pair{flow.flow, flow.policy}; }
  static void elements(const NftFlow& flow, NftElements& out);
  static bool take(const NftElement& element, NftTable& table);
};

template <>
struct NftMemberTraits<NftFlowPort> {
  static constexpr std::array<NftSetId, 1> kSets{NftSetId::flowPort};
  static auto& field(auto& table) { return table.flowPorts; }
  static NftFlowPort member(std::uint16_t port) { return {port}; }
  static std::uint16_t entry(const NftFlowPort& flow) { return flow.port; }
  static void elements(const NftFlowPort& flow, NftElements& out);
  static bool take(const NftElement& element, NftTable& table);
};

template <>
struct NftMemberTraits<NftListenPort> {
  static constexpr std::array<NftSetId, 1> kSets{NftSetId::listenPort};
  static auto& field(auto& table) { return table.listenPorts; }
  static NftListenPort member(std::uint16_t port) { return {port}; }
  static std::uint16_t entry(const NftListenPort& listen) { return listen.port; }
  static void elements(const NftListenPort& listen, NftElements& out);
  static bool take(const NftElement& element, NftTable& table);
};

template <>
struct NftMemberTraits<NftTunnel> {
  static constexpr std::array<NftSetId, 1> kSets{NftSetId::tunnel};
  static auto& field(auto& table) { return table.tunnels; }
  static NftTunnel member(const IfName& device) { return {device}; }
  static const IfName& entry(const NftTunnel& tunnel) { return tunnel.device; }
  static void elements(const NftTunnel& tunnel, NftElements& out);
  static bool take(const NftElement& element, NftTable& table);
};

template <>
struct NftMemberTraits<NftForeignMark> {
  static constexpr std::array<NftSetId, 1> kSets{NftSetId::foreignMark};
  static auto& field(auto& table) { return table.foreignMarks; }
  static NftForeignMark member(Mark mark) { return {mark}; }
  static Mark entry(const NftForeignMark& foreign) { return foreign.mark; }
  static void elements(const NftForeignMark& foreign, NftElements& out);
  static bool take(const NftElement& element, NftTable& table);
};

template <>
struct NftMemberTraits<NftOwnMark> {
  static constexpr std::array<NftSetId, 2> kSets{NftSetId::ownMark, NftSetId::keptOut};
  static constexpr bool kInSeveralSets = true;
  static auto& field(auto& table) { return table.ownMarks; }
  static NftOwnMark member(const auto& entry) { return {entry.first, entry.second}; }
  static auto entry(const NftOwnMark& own) { return std::pair{own.mark, own.keptOut}; }
  static void elements(const NftOwnMark& own, NftElements& out);
  static bool take(const NftElement& element, NftTable& table);
};

template <>
struct NftMemberTraits<NftSysctl> {
  static constexpr std::array<NftSetId, 3> kSets{NftSetId::ignoreLinkdown4, NftSetId::ignoreLinkdown6,
                                                 NftSetId::srcValidMark};
  static auto& field(auto& table) { return table.changedSysctls; }
  static NftSysctl member(const Sysctl& sysctl) { return {sysctl}; }
  static const Sysctl& entry(const NftSysctl& changed) { return changed.sysctl; }
  static void elements(const NftSysctl& changed, NftElements& out);
  static bool take(const NftElement& element, NftTable& table);
};

template <>
struct NftMemberTraits<NftDeprecated> {
  static constexpr std::array<NftSetId, 1> kSets{NftSetId::deprecated};
  static auto& field(auto& table) { return table.deprecated; }
  static NftDeprecated member(const auto& entry) { return {entry.first, entry.second}; }
  static auto entry(const NftDeprecated& ours) { return std::pair{ours.address, ours.before}; }
  static void elements(const NftDeprecated& ours, NftElements& out);
  static bool take(const NftElement& element, NftTable& table);
};

template <>
struct NftMemberTraits<NftPinned> {
  static constexpr std::array<NftSetId, 2> kSets{NftSetId::pinned4, NftSetId::pinned6};
  static auto& field(auto& table) { return table.pinned; }
  static NftPinned member(const auto& entry) { return {entry.first.first, entry.first.second, entry.second}; }
  static auto entry(const NftPinned& pinned) { return std::pair{std::pair{pinned.family, pinned.pin}, pinned.way}; }
  static void elements(const NftPinned& pinned, NftElements& out);
  static bool take(const NftElement& element, NftTable& table);
};

template <>
struct NftMemberTraits<NftArrival> {
  static constexpr std::array<NftSetId, 2> kSets{NftSetId::arrive4, NftSetId::arrive6};
  static auto& field(auto& table) { return table.arrivals; }
  static NftArrival member(const auto& entry) { return {entry.first.first, entry.first.second, entry.second}; }
  static auto entry(const NftArrival& own) { return std::pair{std::pair{own.family, own.device}, own.exit}; }
  static void elements(const NftArrival& arrival, NftElements& out);
  static bool take(const NftElement& element, NftTable& table);
};

template <>
struct NftMemberTraits<NftNamedMark> {
  static constexpr std::array<NftSetId, 1> kSets{NftSetId::namedMark};
  static auto& field(auto& table) { return table.namedMarks; }
  static NftNamedMark member(Mark mark) { return {mark}; }
  static Mark entry(const NftNamedMark& named) { return named.mark; }
  static void elements(const NftNamedMark& named, NftElements& out);
  static bool take(const NftElement& element, NftTable& table);
};

template <>
struct NftMemberTraits<NftReset> {
  static constexpr std::array<NftSetId, 2> kSets{NftSetId::reset4, NftSetId::reset6};
  static auto& field(auto& table) { return table.resetting; }
  static NftReset member(const auto& entry) { return {entry.first, entry.second}; }
  static auto entry(const NftReset& reset) { return std::pair{reset.family, reset.mark}; }
  static void elements(const NftReset& reset, NftElements& out);
  static bool take(const NftElement& element, NftTable& table);
};

template <>
struct NftMemberTraits<NftPrefix> {
  static constexpr std::array<NftSetId, 1> kSets{NftSetId::prefix6};
  static auto& field(auto& table) { return table.prefixes; }
  static NftPrefix member(const auto& entry) { return {entry.first, entry.second}; }
  static auto entry(const NftPrefix& own) { return std::pair{own.device, own.prefix}; }
  static void elements(const NftPrefix& own, NftElements& out);
  static bool take(const NftElement& element, NftTable& table);
};

template <class Member>
inline constexpr bool kIsNftChain = requires { NftMemberTraits<Member>::kIsChain; };
template <class Member>
inline constexpr bool kIsInSeveralNftSets = requires { NftMemberTraits<Member>::kInSeveralSets; };

}  // namespace wgsteer
