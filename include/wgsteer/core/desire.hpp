// SPDX-License-Identifier: GPL-2.0-or-later
// The brain: what shall be in the kernel, given the configuration and the world. Pure; equal inputs give equal results.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "wgsteer/core/config.hpp"
#include "wgsteer/core/family_map.hpp"
#include "wgsteer/core/state.hpp"
#include "wgsteer/core/world.hpp"

namespace wgsteer {

/// A WAN as the plan sees it: configured or found, with its number and what it offers per family now.
struct Wan {
  std::string name;
  IfName device;
  Slot slot;
  FamilyMap<std::uint32_t> metric;
  std::uint32_t weight = 1;
  const Link* link = nullptr;  ///< none: the device is not there
  /// Another gateway on the device of a WAN that stands before it: what comes in cannot be told apart.
  bool secondary = false;
  FamilyMap<std::string> down;  ///< why it is not to be used, in families in which it could be
  /// Default routes by this device alone, as the world has them, best first; parked ones only if there are no others.
  FamilyMap<std::vector<Route>> defaults;
  FamilyMap<Address> source;       ///< preferred source address
  FamilyMap<std::string> refused;  ///< what the kernel said when it refused the default route in our tables
  /// Without an address to send from, while another WAN has one.
  std::set<Family> sourceless;
  bool deaf = false;  ///< what comes in by it reaches no socket of WireGuard's: in a VRF, and the sysctl is off
  /// Lacks nothing and is not down.
  bool eligible(Family family) const;
  /// What it lacks by itself: a link, carrier, a gateway, an address to send from (if any WAN has one); empty: nothing.
  std::string lacks(Family family) const;
  /// Why not, in a user's words; empty when eligible.
  std::string whyNot(Family family) const;
};

/// Where packets of a tunnel or peer go: a mark and the table that it stands for.
struct Target {
  Slot slot;
  TableId table;
  bool ownTable = true;  ///< false: a single WAN's table serves
  auto operator<=>(const Target&) const = default;
};

/// One WAN in a policy, resolved. Metrics differ by family when they come from the main table's own.
struct MemberView {
  std::size_t wan = 0;  ///< index into Steering::wans
  FamilyMap<std::uint32_t> metric;
  std::uint32_t weight = 1;
};

struct PolicyView {
  std::string name;
  std::vector<MemberView> members;
  LastResort lastResort = LastResort::unreachable;
  bool server = false;  ///< its marks mean server tunnels: replies leave by the WAN whose address they carry
  Target target;
};

/// By what the packets of a tunnel are steered.
enum class FwmarkUse : std::uint8_t {
  ours,     ///< its fwmark is the mark of its policy
  foreign,  ///< its fwmark is the owner's, and a rule of ours gives that a meaning
  none,     ///< its fwmark is left as it is: nftables marks packets to single peers, others are left alone
};

struct TunnelView {
  const Tunnel* tunnel = nullptr;
  bool server = false;
  std::size_t policy = 0;  ///< index into Steering::policies
  FwmarkUse fwmark = FwmarkUse::ours;
  Mark ownersMark;  ///< 0: none; which it has, or had until somebody reset it and left the owner's rule
  /// Peers with a policy that is not the tunnel's: by their index in the tunnel, an index into policies.
  std::map<std::size_t, std::size_t> peerPolicy;
  /// Peers that are given to one WAN where otherwise the policy's own table would choose, for balance or because they
  /// do not answer by another: by their index in the tunnel, an index into Steering::wans.
  std::map<std::size_t, std::size_t> peerWan;
  /// Peers that are reached on purpose by something that is no WAN: by their index, and how, in a user's words.
  std::map<std::size_t, std::string> leftAlone;

  std::size_t policyOf(std::size_t peer) const {
    const auto own = peerPolicy.find(peer);
    return own == peerPolicy.end() ? policy : own->second;
  }
  std::optional<std::size_t> wanOf(std::size_t peer) const {
    const auto own = peerWan.find(peer);
    return own == peerWan.end() ? std::nullopt : std::optional{own->second};
  }
};

/// What other people's rules lead, before main has its say, to something that is neither a tunnel nor one of our WANs
/// (src/core/foreign_ways.hpp).
struct ForeignWays {
  /// As somebody else made them, but for what of a mark is ours, and for defaults that are none of theirs. In order.
  std::vector<Rule> rules;
  std::vector<Rule> originals;  ///< of each of these
  bool tooMany = false;
};

/// The plan's intermediate result, which `status` and `check` show as well.
struct Steering {
  std::vector<Wan> wans;
  std::vector<PolicyView> policies;
  std::vector<TunnelView> tunnels;
  std::vector<Family> families;  ///< in which anything is steered at all
  ForeignWays ways;
  std::vector<std::string> problems;  ///< what could not be steered as asked, in a user's words
  std::vector<std::string> notes;     ///< what is left alone, or goes another way than one might expect, and why
};

/// Which marks nft gives to packets of a tunnel. Without a verdict packets are left as they are.
struct Verdicts {
  std::optional<Slot> usual;                          ///< unless somebody else has marked them
  std::map<std::size_t, std::optional<Slot>> others;  ///< of single peers, by their index, whatever mark they have
  bool operator==(const Verdicts&) const = default;
};

/// What the last plan came to for peers. There can be thousands, which rarely change: while they do not, the next plan
/// takes it over. The default is a memory of nothing.
struct PlanMemory {
  SharedMap<IfName, Tunnel> tunnels;  ///< for which all of this is true
  SharedMap<PeerId, NamedPeer> named;
  std::map<IfName, bool> likeServer;                            ///< what looksLikeServer() said
  std::map<IfName, std::map<std::size_t, std::string>> pinned;  ///< peers with policies of their own, and these
  /// Routes of the main table that lead into tunnels, and the peers that are left alone because of them.
  std::vector<Route> intoTunnels;
  std::map<IfName, std::map<std::size_t, std::string>> nested;
  std::map<IfName, Verdicts> verdicts;
  std::vector<Family> families;
  SharedMap<Endpoint, std::optional<Slot>> endpoints;  ///< of all of these
  SharedMap<Flow, std::optional<Slot>> flows;

  /// Begins anew when the world has other tunnels. One memory is for one configuration.
  void recall(const Config& config, const World& world);
};

/// Borrows from `world`: it must outlive the result. `memory` is of earlier plans, and makes no difference to the
/// result.
Steering steer(const Config& config, const World& world, PlanMemory& memory);
Steering steer(const Config& config, const World& world);
/// Empty when there is nothing to steer over: without a configuration, and no WAN found yet.
State desire(const Config& config, const World& world, const Steering& steering, PlanMemory& memory);
State desire(const Config& config, const World& world, const Steering& steering);
State desire(const Config& config, const World& world);

/// Slots whose mark somebody else's rule or tunnel uses as a whole (networkd's hashes, wg-quick's): never ours.
std::set<Slot> slotsOfOthers(const World& world, const Numbers& numbers);
/// Whether a tunnel's fwmark is one that we set. One that somebody else's rule names is its owner's, also if we set it
/// first: wg-quick takes whatever it finds for its own.
bool isOurMark(const World& world, const Numbers& numbers, Mark mark);
/// Whether somebody else's rule names exactly this mark.
bool isNamedByRule(const World& world, Mark mark);

/// What the role `automatic` means for a tunnel: see docs/how-it-works.md. It is taken for a server when a peer of
/// it has no endpoint, or all its peers are single addresses; never when a peer has a default route or a keepalive.
bool looksLikeServer(const Tunnel& tunnel);

}  // namespace wgsteer
