// SPDX-License-Identifier: GPL-2.0-or-later
// Rules for any traffic as the plan sees them: which mark each exit, policy and pinned connection has, and the chains
// that follow from the rules. Without rules there is nothing of it.
//
// A mark of a packet is that of a policy, given by the rule that matched a new connection, or that of an exit. The mark
// of its connection says by which policy and exit it left (`pins`), or by which exit it came in. None of them is ever
// the fwmark of a tunnel: what steers WireGuard's own packets stays as it is.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "wgsteer/core/config.hpp"
#include "wgsteer/core/ids.hpp"
#include "wgsteer/core/route.hpp"

namespace wgsteer {

/// A policy as rules use it; each sticky rule has one of its own, because it remembers sources for itself.
struct TrafficPolicy {
  std::size_t policy = 0;  ///< index into Steering::policies
  Slot chosen;             ///< on packets: a rule has matched, and the policy's table decides
  /// On connections: they left by this WAN (index into Steering::wans). On packets, if `chooses`: this WAN was chosen
  /// for a new connection, and serves it if it is one of the policy's best now.
  std::map<std::size_t, Slot> pins;
  std::optional<std::chrono::seconds> sticky;  ///< how long a source goes where it went last
  bool chooses = false;                        ///< the chains choose a WAN, not the policy's table alone
  bool operator==(const TrafficPolicy&) const = default;
};

struct TrafficRule {
  const RuleConfig* rule = nullptr;
  std::optional<std::size_t> policy;  ///< index into TrafficSteering::policies; none: main, unreachable or blackhole
};

/// From a prefix of hosts to that of an exit; what both leave of the address stays.
struct TrafficTranslation {
  IfName device;
  Prefix inside;
  Prefix outside;
  bool operator==(const TrafficTranslation&) const = default;
};

/// What becomes of IPv6 sources that are not of the exit (`prefix6`), for packets with one of these marks.
struct TrafficForeignSource {
  std::vector<Slot> marks;  ///< the first is the policy's
  ForeignSource treatment = ForeignSource::none;
  std::vector<TrafficTranslation> translations;
  bool operator==(const TrafficForeignSource&) const = default;
};

/// Part of Steering.
struct TrafficSteering {
  std::map<std::size_t, Slot> exits;  ///< by WAN: on packets that leave by it, and on connections that came in by it
  std::vector<TrafficPolicy> policies;
  std::vector<TrafficRule> rules;
  std::vector<TrafficForeignSource> foreignSources;  ///< of policies that leave none as it is
  /// What rules of other programs decide, to be repeated before ours: their copies at their own priorities.
  std::vector<Rule> foreign;
  std::vector<Prefix> thrown;  ///< by main, to rules behind it
  /// Marks of an earlier configuration, and the WAN by which connections that carry it leave, if it still exists.
  std::map<Slot, std::optional<std::size_t>> former;
  std::optional<Slot> unreachable;  ///< marks of rules that refuse
  std::optional<Slot> blackhole;
  /// All of them, by names that do not change when rules, policies or WANs are added: connections keep their marks over
  /// a change of the configuration, so no mark may mean something else then.
  std::map<std::string, Slot> slots;
};

/// A mark of connections that left by a WAN (index into Steering::wans).
struct PinnedExit {
  Slot pin;
  std::size_t wan = 0;
  std::optional<std::size_t> policy;  ///< index into Steering::policies; none: of an earlier configuration
};

/// An exit of a policy that its connections stay on, although the policy has better ones that can be used.
struct SpareExit {
  Family family = Family::v4;
  MarkMatch mark;                                  ///< of these connections
  std::optional<std::chrono::seconds> drainAfter;  ///< those that are idle for so long are to move
  bool operator==(const SpareExit&) const = default;
};

/// A server's and a client's; in IPv6 a client's and a server's.
inline constexpr PortRange kDhcpPorts{67, 68};
inline constexpr PortRange kDhcp6Ports{546, 547};

/// Whether the rule can match packets of the family: not if values that it selects are all of the other one.
bool concerns(const RuleConfig& rule, Family family);

/// What a rule looks at, each in the type that nftables has for it.
enum class TrafficField : std::uint8_t {
  inputDevice,
  source4,
  source6,
  destination4,
  destination6,
  sourcePort,
  destinationPort,
  protocol,
  sourceMac,
  mark,  ///< of the packet, under our mask
};

/// Values from `first` to `last`, both included, as bytes in the order of the packet (devices: the name;
/// marks: the host's order).
struct TrafficRange {
  std::vector<std::uint8_t> first;
  std::vector<std::uint8_t> last;
  std::string chain;  ///< where a map leads
  auto operator<=>(const TrafficRange&) const = default;
};

/// A named set or map of the table whose elements follow from the configuration alone.
struct TrafficSet {
  std::string name;
  TrafficField field = TrafficField::source4;
  bool map = false;
  std::vector<TrafficRange> ranges;               ///< disjoint and ascending
  std::optional<std::chrono::seconds> remembers;  ///< empty at first, filled by packets: its elements time out
  bool operator==(const TrafficSet&) const = default;
};

struct TrafficCondition {
  TrafficField field = TrafficField::source4;
  std::string set;
  bool inverted = false;
  bool operator==(const TrafficCondition&) const = default;
};

/// One statement of the chain `rules`.
struct TrafficMatch {
  std::optional<Family> family;
  std::optional<bool> fromHere;
  std::optional<std::uint8_t> dscp;   ///< only with a family, as the next
  std::vector<std::uint8_t> notDscp;  ///< none of these; only without `dscp`
  std::vector<TrafficCondition> conditions;
  std::string chain;  ///< where it leads; empty: `map` decides
  std::string map;
  TrafficField mapField = TrafficField::source4;
  bool operator==(const TrafficMatch&) const = default;
};

/// Sources that went by an exit lately, and the mark that leads there.
struct TrafficMemory {
  Slot mark;
  std::string set4;
  std::string set6;
  bool operator==(const TrafficMemory&) const = default;
};

/// Of a number from 0 to the sum of weights, those below `below` and not below that of the choice before.
struct TrafficChoice {
  Slot mark;
  std::uint32_t below = 0;
  bool operator==(const TrafficChoice&) const = default;
};

/// What a rule does, in the chain rule_NAME: remembered sources first, then shares, then the mark for all.
struct TrafficVerdict {
  std::string chain;
  std::string counter;
  std::vector<TrafficMemory> memories;
  Balance balance = Balance::pair;  ///< how to find the number for `choices`
  std::vector<TrafficChoice> choices;
  std::optional<Slot> mark;  ///< none: left alone
  bool operator==(const TrafficVerdict&) const = default;
};

struct TrafficPin {
  IfName device;
  std::vector<Address> routers;  ///< of several WANs on one device, its own; empty: whatever leaves by the device
  Slot pin;
  bool operator==(const TrafficPin&) const = default;
};

/// How connections of a policy are noted on their way out.
struct TrafficLeaving {
  Slot chosen;
  std::vector<TrafficPin> pins;
  std::vector<TrafficMemory> memories;  ///< where a source is noted under its exit's pin, and forgotten under others
  std::chrono::seconds timeout{};       ///< of these
  bool operator==(const TrafficLeaving&) const = default;
};

/// The chains for any traffic, but for what changes while they stand (pinned4/6, arrive4/6, prefix6, reset4/6).
struct TrafficProgram {
  MarkMatch marks;                    ///< all that are for traffic
  std::map<std::string, Slot> slots;  ///< as in TrafficLayout
  std::vector<Slot> exits;
  std::vector<Slot> former;   ///< of an earlier configuration, recorded so that nothing else gets them
  std::vector<Slot> choices;  ///< marks of policies and of their shares, which chains give to noted connections
  std::vector<TrafficSet> sets;
  std::vector<TrafficMatch> matches;
  std::vector<TrafficVerdict> verdicts;
  std::vector<TrafficLeaving> leavings;
  std::vector<TrafficForeignSource> foreignSources;
  bool resets = false;  ///< TCP that conntrack does not know, with marks in reset4/6
  /// This host's own new connections of these families ask the rules in the chains: ip rules could not say all of them.
  std::set<Family> asksForLocal;
  bool operator==(const TrafficProgram&) const = default;

  /// As text, for comparison and for its fingerprint.
  std::string toString() const;
};

/// The program in the table's layout: equal fingerprints, equal programs. A program that is only observed is known by
/// its fingerprint alone, which the comment of the table records.
struct TrafficLayout {
  std::uint64_t fingerprint = 0;  ///< 0: there are no rules for any traffic
  std::shared_ptr<const TrafficProgram> program;
  /// What each mark means, by a name that does not depend on the order of rules: also of a table that is only observed.
  std::map<std::string, Slot> slots;
  explicit operator bool() const { return fingerprint != 0; }
  bool operator==(const TrafficLayout& other) const { return fingerprint == other.fingerprint; }
};
TrafficLayout layoutOf(TrafficProgram program);

/// FNV-1a, 64 bits, never 0: to notice differences, not to resist anybody.
std::uint64_t fingerprintOf(std::string_view text);

}  // namespace wgsteer
