// SPDX-License-Identifier: GPL-2.0-or-later
// Folds events into what is known of the kernel, so that one event costs one small update and no dump.
#pragma once

#include "wgsteer/core/event.hpp"
#include "wgsteer/core/numbers.hpp"
#include "wgsteer/core/plan.hpp"
#include "wgsteer/core/state.hpp"
#include "wgsteer/core/world.hpp"

namespace wgsteer {

/// Parts of the kernel's state that must be read again, because an event says that they changed but not how.
struct Stale {
  bool rtnetlink = false;  ///< links, addresses, routes, rules, and what depends on them
  bool network = false;    ///< the same without what depends on them (tunnels, nft)
  bool ownRoutes = false;  ///< our tables alone
  bool links = false;      ///< for their switches
  bool nft = false;
  bool tunnels = false;
  bool any() const { return rtnetlink || network || ownRoutes || links || nft || tunnels; }
  Stale& operator|=(const Stale& other) {
    rtnetlink |= other.rtnetlink;
    network |= other.network;
    ownRoutes |= other.ownRoutes;
    links |= other.links;
    nft |= other.nft;
    tunnels |= other.tunnels;
    return *this;
  }
};

/// What the engine believes the kernel to be.
struct Picture {
  World world;
  State observed;
};

struct Tracked {
  bool relevant = false;  ///< something changed that a plan may depend on
  bool carrier = false;   ///< a device lost or gained its carrier
  bool damage = false;    ///< another program deleted something of ours: restore it, but rate-limited
  Stale stale{};
};

/// The kernel (6.18 and before) removes IPv4 routes without announcing it when their link goes down, their device
/// vanishes or the last address goes, and routes of both families with their nexthop object: that is modelled here.
/// Default routes that went with their link or device are parked.
Tracked track(Picture& picture, const Event& event);

/// Sysctls that we turned on, by the names that their devices have now.
std::set<Sysctl> underPresentNames(const World& world, const std::set<Sysctl>& sysctls);
/// Those that our table records and that are really on.
std::set<Sysctl> sysctlsThatAreOn(const Picture& picture);
/// Addresses that our table records and that are deprecated, unless another program has written their lifetimes since.
std::map<OwnAddress, Preferred> deprecatedByUs(const World& world);
/// The same for everything that our table records about earlier runs.
void adopt(World& world, const NftState& nft);

/// The tunnels as they were just read, against the rules and the table of `picture`: which of them are steered here,
/// which of their marks are ours, and which are their owners'.
void takeTunnels(Picture& picture, const Numbers& numbers, SharedMap<IfName, Tunnel> tunnels);

/// Whether two readings are the same to a plan, which depends neither on counters nor on handshake times.
bool sameForPlans(const std::map<IfName, Tunnel>& left, const std::map<IfName, Tunnel>& right);
/// Takes over what else there is in a reading for which the above holds.
void takeCounters(std::map<IfName, Tunnel>& tunnels, const std::map<IfName, Tunnel>& read);
/// Whether the same tunnels are left alone because their packets are sent in another namespace, or may be.
bool sameElsewhere(const std::map<IfName, Tunnel>& left, const std::map<IfName, Tunnel>& right);

/// All of them, as takeTunnels() was given them.
SharedMap<IfName, Tunnel> allTunnels(const World& world);

/// Records the effect of a plan that was carried out completely; `reached` is the state that it was made for.
void settle(Picture& picture, const Plan& plan, State reached);
/// The same for a plan of which only these changes were made.
void settle(Picture& picture, const std::vector<Change>& made);

}  // namespace wgsteer
