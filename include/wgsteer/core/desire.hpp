// SPDX-License-Identifier: GPL-2.0-or-later
// The brain: what should be in the kernel, given the configuration and the world. Pure; equal inputs, equal results.
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

/// A WAN as the plan sees it: configured or found, with its slot and what it currently offers in each family.
struct Wan {
  std::string name;
  IfName device;
  Slot slot;
  FamilyMap<std::uint32_t> metric;
  std::uint32_t weight = 1;
  const Link* link = nullptr;  ///< null: the device does not exist
  /// Another gateway on the device of an earlier WAN: their incoming packets cannot be told apart.
  bool secondary = false;
  FamilyMap<std::string> down;  ///< why it must not be used, in families in which it could be
  /// Default routes by this device alone, as the world has them, best first; parked ones only if there are no others.
  FamilyMap<std::vector<Route>> defaults;
  FamilyMap<Address> source;       ///< preferred source address
  FamilyMap<std::string> refused;  ///< what the kernel said when it refused the default route in our tables
  /// Without an address to send from, while another WAN has one.
  std::set<Family> sourceless;
  bool deaf = false;  ///< packets that arrive on it reach no WireGuard socket: in a VRF, with the sysctl off
  /// Lacks nothing, and is not down.
  bool eligible(Family family) const;
  /// What it lacks by itself: a link, carrier, a gateway, an address to send from (if any WAN has one); empty: nothing.
  std::string lacks(Family family) const;
  /// Why not, in a user's words; empty when eligible.
  std::string whyNot(Family family) const;
};

/// Where packets of a tunnel or peer go: a mark and the table that it selects.
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
  bool server = false;  ///< for server tunnels: replies leave by the WAN whose address they carry
  Target target;
};

/// How the packets of a tunnel are steered.
enum class FwmarkUse : std::uint8_t {
  ours,     ///< its fwmark is the mark of its policy
  foreign,  ///< its fwmark belongs to the user, and one of our rules matches it
  none,     ///< its fwmark is not touched: nftables marks packets to some peers, others are left alone
};

struct TunnelView {
  const Tunnel* tunnel = nullptr;
  bool server = false;
  std::size_t policy = 0;  ///< index into Steering::policies
  FwmarkUse fwmark = FwmarkUse::ours;
  Mark ownersMark;  ///< the user's fwmark, 0: none; also one that was reset while the user's rule for it remains
  /// Peers with a policy that is not the tunnel's: by their index in the tunnel, an index into policies.
  std::map<std::size_t, std::size_t> peerPolicy;
  /// Peers assigned to one WAN where the policy's own table would otherwise choose, for balance or because they do not
  /// answer over another: by their index in the tunnel, an index into Steering::wans.
  std::map<std::size_t, std::size_t> peerWan;
  /// Peers that are deliberately reached by something other than a WAN: by their index, and how, for the user.
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

/// Foreign rules before main that lead to something that is neither a tunnel nor one of our WANs
/// (src/core/foreign_ways.hpp).
struct ForeignWays {
  /// The original rules, without our bits of the mark and without default routes that are not theirs. In order.
  std::vector<Rule> rules;
  std::vector<Rule> originals;  ///< of each of these
  bool tooMany = false;
};

/// The plan's intermediate result, which `status` and `check` show as well.
struct Steering {
  std::vector<Wan> wans;
  std::vector<PolicyView> policies;
  std::vector<TunnelView> tunnels;
  std::vector<Family> families;  ///< families in which anything is steered
  ForeignWays ways;
  std::vector<std::string> problems;  ///< what could not be steered as configured, for the user
  std::vector<std::string> notes;     ///< what is left alone or routed unexpectedly, and why
};

/// Mark that nftables sets on packets to each peer of a tunnel. nullopt: packets are left as they are.
struct Verdicts {
  std::optional<Slot> usual;                          ///< unless they already have a mark
  std::map<std::size_t, std::optional<Slot>> others;  ///< for single peers, by their index, whatever mark they have
  bool operator==(const Verdicts&) const = default;
};

/// Results of the last plan for peers. There can be thousands, which rarely change: while they do not, the next plan
/// reuses them. A default-constructed memory is empty.
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

  /// Starts over if the world has other tunnels. A memory belongs to one configuration.
  void recall(const Config& config, const World& world);
};

/// Borrows from `world`, which must outlive the result. `memory` holds results of earlier plans; it does not affect
/// the result.
Steering steer(const Config& config, const World& world, PlanMemory& memory);
Steering steer(const Config& config, const World& world);
/// Empty when there is nothing to steer over: without a configuration, and no WAN found yet.
State desire(const Config& config, const World& world, const Steering& steering, PlanMemory& memory);
State desire(const Config& config, const World& world, const Steering& steering);
State desire(const Config& config, const World& world);

/// Slots whose mark a foreign rule or tunnel uses as a whole (networkd's hashes, wg-quick's): never assigned.
std::set<Slot> slotsOfOthers(const World& world, const Numbers& numbers);
/// Whether a tunnel's fwmark is one that we set. One that a foreign rule names belongs to the user, even if we set it
/// first: wg-quick adopts whatever it finds.
bool isOurMark(const World& world, const Numbers& numbers, Mark mark);
/// Whether a foreign rule names exactly this mark.
bool isNamedByRule(const World& world, Mark mark);

/// What the role `automatic` means for a tunnel, see docs/how-it-works.md: a server if a peer has no endpoint or all
/// peers are single addresses; never if a peer has a default route or a keepalive.
bool looksLikeServer(const Tunnel& tunnel);

}  // namespace wgsteer
