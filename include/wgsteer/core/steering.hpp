// SPDX-License-Identifier: GPL-2.0-or-later
// First half of the plan: which WANs there are, which policies cover them, and which policy each tunnel and peer gets.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "wgsteer/core/config.hpp"
#include "wgsteer/core/family_map.hpp"
#include "wgsteer/core/route.hpp"
#include "wgsteer/core/traffic.hpp"
#include "wgsteer/core/world.hpp"

namespace wgsteer {

/// What a WAN can lack by itself.
enum class Lack : std::uint8_t {
  nothing,
  device,
  link,  ///< it is down
  carrier,
  route,    ///< no default route
  consent,  ///< the kernel rejects its default route in our tables
  hearing,  ///< packets that arrive on it reach no WireGuard socket
  source,   ///< no address to send from, while another WAN has one
};

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
  bool metered = false;
  /// Of IPv6: those that were delegated by this WAN as far as is known, disjoint. Also while it is down.
  std::vector<Prefix> prefixes;
  bool sourceRouting = false;   ///< packets from these leave by it
  bool deprecate = false;       ///< this host's addresses in these are deprecated while it cannot be used in IPv6
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
  Lack lack(Family family) const;
  /// Why it is not eligible, in a user's words; empty if it is.
  std::string whyNot(Family family) const;
  /// Whether one of its default routes of the family is by this router; by none: false.
  bool isBehind(const std::optional<Address>& gateway, Family family) const;
};

/// Where the packets of a tunnel or peer go: a mark and the table that it selects.
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
  Failback failback = Failback::keep;
  std::chrono::seconds drainAfter{0};
  bool reset = false;
  Balance balance = Balance::connection;
  ForeignSource foreignSource = ForeignSource::none;
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
  bool refusesMark = false;  ///< it cannot be set, so nftables has to mark all its packets
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

/// Foreign rules before main that lead to something that is neither a tunnel nor one of our WANs, and so are repeated
/// for our packets (src/core/honoured_rules.hpp).
struct HonouredRules {
  /// Copies in order, without our bits of the mark and without default routes that are not theirs.
  std::vector<Rule> rules;
  std::vector<Rule> originals;  ///< the original of each
  bool tooMany = false;
};

/// The plan's intermediate result, which `status` and `check` show as well.
struct Steering {
  std::vector<Wan> wans;
  std::vector<PolicyView> policies;
  std::vector<TunnelView> tunnels;
  std::vector<Family> families;  ///< families in which anything is steered
  HonouredRules honoured;
  std::optional<TrafficSteering> traffic;  ///< none: there are no rules for any traffic
  std::vector<std::string> problems;       ///< what could not be steered as configured, for the user
  std::vector<std::string> notes;          ///< what is left alone or routed unexpectedly, and why
};

/// What a WAN must have now to be a candidate.
enum class Need : std::uint8_t {
  route,   ///< a default route that may be used: all that a routing table asks for
  source,  ///< and an address to send from, for packets whose source we set before the route is chosen
};
bool serves(const Wan& wan, Family family, Need need = Need::route);
/// Whether any WAN leads to the Internet in this family, usable or not.
bool isOffered(const Steering& steering, Family family);
/// Whether `link`, of the world from which the steering was made, is the device of a WAN.
bool isWan(const Steering& steering, const Link& link);
/// The first WAN that has the address in one of its prefixes; null: none.
const Wan* wanDelegating(const Steering& steering, const Address& address);
/// The WANs that can serve the policy in a family now, best metric first, otherwise in the policy's order: the one
/// answer to this question, for tables, sources, what is in use, balance and stalled peers.
std::vector<const MemberView*> candidates(const Steering& steering, const PolicyView& policy, Family family,
                                          Need need = Need::route);
/// The first of these, with all that share its metric.
std::vector<const MemberView*> preferredCandidates(const Steering& steering, const PolicyView& policy, Family family,
                                                   Need need = Need::route);

/// Of all policies that rules use, and of earlier configurations.
std::vector<PinnedExit> pinnedExits(const Steering& steering);

/// An exit by its WAN's name, in one family.
using ExitName = std::pair<std::string, Family>;

/// Sources to which connections on an exit may be translated, and cannot rightly be.
struct Translations {
  std::set<Address> wrong;
  std::set<Address> right;
};

/// By the mark that connections on these exits carry; with the address that the exit had before it got another one.
/// Addresses of other WANs are wrong: masquerading takes one for the whole life of a connection that begins while the
/// exit has no address that can be used, such as an IPv6 address under duplicate address detection
/// (nf_nat_masquerade_ipv6(), 6.18).
std::map<Mark, Translations> translationsOf(const Steering& steering, const World& world, const Numbers& numbers,
                                            const std::map<ExitName, std::optional<Address>>& exits);
/// The exits of rules' policies on which connections stay although there are better ones.
std::vector<SpareExit> spareExits(const Config& config, const Steering& steering);

/// Specific routes, of main or of a table that every packet is looked up in before it, that lead into tunnels, and
/// those that lead elsewhere and overlap with one of them: where a packet that matches both goes depends on both.
struct TunnelRoutes {
  std::vector<Route> into;
  std::vector<Route> rivals;
  bool operator==(const TunnelRoutes&) const = default;
};

/// Facts that depend on the peers alone. There can be thousands of peers, and they rarely change.
struct PeerFacts {
  /// Whether a tunnel looks like a server's (looksLikeServer()).
  std::map<IfName, bool> likeServer;
  /// Peers with policies of their own, by their index in the tunnel, and these.
  std::map<IfName, std::map<std::size_t, std::string>> pinned;
  TunnelRoutes routes;
  /// Peers that are left alone because these lead them into a tunnel: by their index in the tunnel, and how.
  std::map<IfName, std::map<std::size_t, std::string>> nested;
};
PeerFacts peerFacts(const Config& config, const World& world);

/// Borrows from `world`, which must outlive the result.
Steering steer(const Config& config, const World& world, const PeerFacts& peers);
Steering steer(const Config& config, const World& world);

/// Slots whose mark a foreign rule or tunnel uses as a whole (networkd's hashes, wg-quick's): never assigned.
std::set<Slot> slotsOfOthers(const World& world, const Numbers& numbers);
/// Whether the tunnel's fwmark is one that we set: it has, or had, a meaning by us. One that a foreign rule names
/// belongs to the rule's owner, even if we set it first, because wg-quick(8) adopts whatever it finds on its device;
/// other tunnels may have it from us all the same.
bool isOurMark(const World& world, const Numbers& numbers, const Tunnel& tunnel);

/// What the role `automatic` means for a tunnel, see docs/how-it-works.md: a server if a peer has no endpoint or all
/// peers are single addresses; never if a peer has a default route or a keepalive.
bool looksLikeServer(const Tunnel& tunnel);

}  // namespace wgsteer
