// SPDX-License-Identifier: GPL-2.0-or-later
// Our state in the kernel, desired or observed: rules, routes, tunnel marks, sysctls, the nft table. If both compare
// equal, there is nothing to do.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "wgsteer/core/address.hpp"
#include "wgsteer/core/ids.hpp"
#include "wgsteer/core/lifetime.hpp"
#include "wgsteer/core/route.hpp"
#include "wgsteer/core/shared_map.hpp"
#include "wgsteer/core/sysctl.hpp"
#include "wgsteer/core/traffic.hpp"
#include "wgsteer/core/world.hpp"

namespace wgsteer {

/// Packets of one tunnel, told from those of another tunnel to the same endpoint by their source port.
struct Flow {
  Endpoint endpoint;
  std::uint16_t sourcePort = 0;
  auto operator<=>(const Flow&) const = default;
};

/// The mark by which the packets of a noted connection are routed.
struct PinnedWay {
  Slot mark;
  /// Of the exit alone. Otherwise of its policy, or of a share of it, while that leads to this exit: when the exit goes
  /// down, the kernel finds another one by itself.
  bool exit = true;
  auto operator<=>(const PinnedWay&) const = default;
};

/// Contents of `table inet wgsteer`. Its chains are fixed, except for the two kinds named here; everything that varies
/// is in sets and maps, so that a change never rewrites a rule.
///
///   set      wan             { type ifname }                                     devices of the WANs
///   map      arrival         { type ifname : verdict }                           "wan0" : goto wan_1
///   set      address4/6      { type ifname . ip(v6)_addr }                       sources that are right on a WAN
///   set      bound4/6        { type ip(v6)_addr }                                right on those WANs alone
///   map      source4/6       { type ifname : ip(v6)_addr }                       the one to use otherwise
///   map      policy_source4/6  { type mark : ip(v6)_addr }                       0xf0000000 : 192.0.2.10
///   map      endpoint4/6     { type ip(v6)_addr . inet_service : verdict }       203.0.113.55 . 51820 : goto policy_15
///   map      flow4/6         { type ip(v6)_addr . inet_service . inet_service : verdict }   and the tunnel's port
///   set      flow_port       { type inet_service }                               the tunnels' ports in flow4/6
///   set      listen_port     { type inet_service }                               ports of the tunnels
///   set      tunnel          { type ifname }                                     where nothing that we mark may go
///   set      foreign_mark    { type mark }                                       fwmarks that belong to the user
///   set      own_mark        { type mark }                                       marks that mean one of our tables
///   map      kept_out        { type mark : verdict }                             those that may enter no tunnel
///   set      ignore_linkdown4/6, src_valid_mark  { type ifname }                 sysctls that we turned on
///   set      deprecated      { type ipv6_addr . mark . mark }                    addresses that we deprecated
///   map      initiations     { type ifname : counter }                           counter "initiations_1"
/// and, with rules for any traffic,
///   map      pinned4/6       { type mark : verdict }                             connections' marks : goto exit_N,
///                                                                                or choose_N
///   map      arrive4/6       { type ifname : verdict }                           "wan0" : goto arrive_N
///   set      prefix6         { type ifname . ipv6_addr; flags interval }         sources that are right on an exit
///   set      named_mark      { type mark }                                       whole marks that others' rules name
///   map      reset4/6        { type mark : verdict }                             TCP that nobody knows : goto reset
struct NftTable {
  /// Marks of WANs: chain wan_N, counters initiations_N and responses_N, elements in `wan`, `arrival`, `initiations`.
  std::map<IfName, Slot> wans;
  std::set<std::pair<IfName, Address>> addresses;
  /// Addresses of WANs and tunnels: wrong as a source wherever `addresses` does not list them. Any other source address
  /// of this host was chosen on purpose, even one that no device has (`ip route add local`).
  std::set<Address> bound;
  std::map<std::pair<IfName, Family>, Address> sources;
  /// By a policy's mark: the source of packets that are re-marked on output, an address of the WAN that the policy uses
  /// now.
  std::map<std::pair<Mark, Family>, Address> policySources;
  std::set<Slot> policies;  ///< chain policy_N; N may be a WAN's slot as well (policies of a single WAN)
  /// For packets without a mark. nullopt: the packet stays as it is.
  SharedMap<Endpoint, std::optional<Slot>> endpoints;
  /// For packets with any mark: peers with WANs of their own, and endpoints that several tunnels share.
  SharedMap<Flow, std::optional<Slot>> flows;
  std::set<std::uint16_t> flowPorts;  ///< source ports of `flows`: packets from other ports are not looked up there
  std::set<std::uint16_t> listenPorts;
  std::set<IfName> tunnels;
  std::set<Mark> foreignMarks;
  /// Marks that mean one of our tables, and whether packets with them are kept out of tunnels: not if the last resort
  /// is the main table, which may lead into one.
  std::map<Mark, bool> ownMarks;
  std::set<Sysctl> changedSysctls;
  std::map<Address, Deprecation> deprecated;  ///< by us, and what they were before
  /// Marks of connections that go where they went before.
  std::map<std::pair<Family, Mark>, PinnedWay> pinned;
  /// Devices on which new connections come in that are answered by the same exit, and its mark.
  std::map<std::pair<Family, IfName>, Slot> arrivals;
  /// Whole marks that rules of other programs name: a packet with one of them is not marked.
  std::set<Mark> namedMarks;
  /// Of IPv6 and disjoint: where the sources of an exit are, for policies that treat others in some way.
  std::set<std::pair<IfName, Prefix>> prefixes;
  /// Marks of policies with a dead exit: TCP packets in the midst of a connection that conntrack does not know are
  /// answered with a reset.
  std::set<std::pair<Family, Mark>> resetting;

  bool operator==(const NftTable&) const = default;
};

/// What the fixed part of the table depends on. A difference here rebuilds the table, in one transaction.
struct NftLayout {
  std::uint32_t markMask = 0;
  bool forward = false;
  /// Whether there are the chains at hooks that only tunnels need: every packet of the host pays for each of them.
  bool tunnels = true;
  /// False in an observed table: its fixed chains, sets or hooks are not what this version of the program makes.
  bool intact = true;
  TrafficLayout traffic{};
  bool operator==(const NftLayout&) const = default;
};

struct NftState {
  NftLayout layout;
  NftTable table;
  bool operator==(const NftState&) const = default;
};

struct State {
  std::set<Rule> rules;
  std::set<Route> routes;
  /// Tunnels whose fwmark is ours. Absent: 0 or the user's.
  std::map<IfName, Mark> tunnelMarks;
  /// Switches of nft.changedSysctls that are really on.
  std::set<Sysctl> sysctls;
  /// Addresses of nft.deprecated that are really deprecated, and by us, and until when they were preferred before.
  std::map<OwnAddress, Preferred> deprecated;
  std::optional<NftState> nft;  ///< none: there is no such table

  bool operator==(const State&) const = default;
};

}  // namespace wgsteer
