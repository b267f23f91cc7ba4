// SPDX-License-Identifier: GPL-2.0-or-later
// The steps from the observed to the desired state: an ordered list of changes, each of which is atomic.
//
// Order: new addresses of WANs in nft, routes that are added or replaced (closing routes first), rules added, the main
// nft transaction, tunnel marks, sysctls, deprecated addresses; and only then rules deleted, routes deleted, the
// sources of policies changed, which no failover waits for, and lost addresses deleted. So a mark never exists before
// its rule, nor a rule before its table, and a packet that is routed correctly at one step is routed correctly at every
// later one.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "wgsteer/core/state.hpp"

namespace wgsteer {

struct AddRoute {
  Route route;
  bool replace = false;  ///< one of ours with the same key exists
  bool operator==(const AddRoute&) const = default;
};
struct DeleteRoute {
  Route route;
  bool operator==(const DeleteRoute&) const = default;
};
struct AddRule {
  Rule rule;
  bool operator==(const AddRule&) const = default;
};
struct DeleteRule {
  Rule rule;
  bool operator==(const DeleteRule&) const = default;
};
struct SetTunnelMark {
  IfName tunnel;
  Mark mark;                ///< 0: given back
  std::optional<Mark> was;  ///< the mark of ours that it has until then
  bool operator==(const SetTunnelMark&) const = default;
};
struct SetSysctl {
  Sysctl sysctl;
  bool on = true;
  bool operator==(const SetSysctl&) const = default;
};
/// Ends the preferred lifetime of an address, or gives back what is left of it; nothing else of the address changes.
struct SetDeprecated {
  OwnAddress own;
  Preferred preferred;  ///< until when it was preferred before
  bool on = true;
  bool operator==(const SetDeprecated&) const = default;
};

// Members of the nft table, each added or deleted by an NftOp.
struct NftWan {
  IfName device;
  Slot slot;
  bool operator==(const NftWan&) const = default;
};
struct NftAddress {
  IfName device;
  Address address;
  bool operator==(const NftAddress&) const = default;
};
struct NftBound {
  Address address;
  bool operator==(const NftBound&) const = default;
};
struct NftSource {
  IfName device;
  Address address;
  bool operator==(const NftSource&) const = default;
};
struct NftPolicySource {
  Mark mark;  ///< of the policy
  Address address;
  bool operator==(const NftPolicySource&) const = default;
};
struct NftPolicy {
  Slot slot;
  bool operator==(const NftPolicy&) const = default;
};
struct NftEndpoint {
  Endpoint endpoint;
  std::optional<Slot> policy;
  bool operator==(const NftEndpoint&) const = default;
};
struct NftFlow {
  Flow flow;
  std::optional<Slot> policy;
  bool operator==(const NftFlow&) const = default;
};
struct NftFlowPort {
  std::uint16_t port = 0;
  bool operator==(const NftFlowPort&) const = default;
};
struct NftListenPort {
  std::uint16_t port = 0;
  bool operator==(const NftListenPort&) const = default;
};
struct NftTunnel {
  IfName device;
  bool operator==(const NftTunnel&) const = default;
};
struct NftForeignMark {
  Mark mark;
  bool operator==(const NftForeignMark&) const = default;
};
struct NftOwnMark {
  Mark mark;
  bool keptOut = true;  ///< of tunnels
  bool operator==(const NftOwnMark&) const = default;
};
struct NftSysctl {
  Sysctl sysctl;
  bool operator==(const NftSysctl&) const = default;
};
struct NftDeprecated {
  Address address;
  Deprecation before;
  bool operator==(const NftDeprecated&) const = default;
};

struct NftPinned {
  Family family = Family::v4;
  Mark pin;  ///< of the connection
  PinnedWay way;
  bool operator==(const NftPinned&) const = default;
};
struct NftArrival {
  Family family = Family::v4;
  IfName device;
  Slot exit;
  bool operator==(const NftArrival&) const = default;
};
struct NftNamedMark {
  Mark mark;
  bool operator==(const NftNamedMark&) const = default;
};
struct NftReset {
  Family family = Family::v4;
  Mark mark;
  bool operator==(const NftReset&) const = default;
};
struct NftPrefix {
  IfName device;
  Prefix prefix;
  bool operator==(const NftPrefix&) const = default;
};

/// In the order in which the changes of a transaction are listed. core/nft_members.hpp describes the kinds.
using NftMember = std::variant<NftPolicy, NftWan, NftAddress, NftBound, NftSource, NftPolicySource, NftEndpoint,
                               NftFlow, NftFlowPort, NftListenPort, NftTunnel, NftForeignMark, NftOwnMark, NftSysctl,
                               NftDeprecated, NftPinned, NftArrival, NftNamedMark, NftReset, NftPrefix>;

struct NftOp {
  bool add = true;
  NftMember member;
  bool operator==(const NftOp&) const = default;
};

/// One nft transaction. `deleteTable` comes first, then `createTable` with the layout, then the ops in their order,
/// which is one that the kernel accepts: elements deleted, chains added, elements added, chains deleted.
struct NftTransaction {
  bool deleteTable = false;
  bool createTable = false;
  NftLayout layout;
  std::vector<NftOp> ops;
  bool operator==(const NftTransaction&) const = default;
};

using Change =
    std::variant<AddRoute, DeleteRoute, AddRule, DeleteRule, SetTunnelMark, SetSysctl, SetDeprecated, NftTransaction>;

/// What our table records before it is changed: a switch, or an address whose preferred lifetime is ended.
using Recorded = std::variant<Sysctl, Address>;
struct RecordedChange {
  Recorded what;
  bool on = true;  ///< false: it becomes what it was before
};
/// nullopt: the change is of another kind.
std::optional<RecordedChange> recordedChange(const Change& change);
/// What this member of the table is the record of; nullopt: of nothing.
std::optional<Recorded> recordedBy(const NftMember& member);

struct Plan {
  std::vector<Change> changes;
  /// Due as well, but not attempted now because the kernel refused them a moment ago; nor is anything that relies on
  /// them.
  std::vector<Change> heldBack{};
  bool empty() const { return changes.empty(); }
  bool operator==(const Plan&) const = default;
};

/// Changes that make `observed` equal to `desired`. Empty when they are equal.
Plan diff(const State& desired, const State& observed);

/// Applies a change to a state: the model of what the kernel does.
void apply(State& state, const Change& change);
void apply(State& state, const Plan& plan);

}  // namespace wgsteer
