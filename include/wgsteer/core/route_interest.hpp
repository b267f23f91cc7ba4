// SPDX-License-Identifier: GPL-2.0-or-later
// Which foreign routes are worth knowing. A plan depends on default routes and on the specific routes of the main
// table, and of tables that other programs' rules look up: LAN prefixes, static routes, what inside routers announce,
// and company networks behind one of the uplinks. It does not depend on the million routes that a border router learns
// from its providers: all of them leave by a WAN, as the default route does.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "wgsteer/core/route.hpp"

namespace wgsteer {

/// How many specific routes are kept per family. Beyond that, those learned by a routing protocol are left out.
inline constexpr std::size_t kMaxSpecificRoutes = 4096;
/// How many of these may be learned from routers on WANs: room for a company's networks, and a full feed is recognised
/// early.
inline constexpr std::size_t kMaxFedRoutes = 1024;

/// Whether a routing protocol added it (BGP, OSPF, Babel ...), rather than the kernel, a person, a DHCP client or a
/// router advertisement. src/netlink/route_filter.cpp tests the same in BPF.
bool isLearned(std::uint8_t protocol);

/// A foreign route other than a default route, of a type and origin that a plan may depend on.
bool isSpecific(const Route& route);
/// Foreign tables, other than main, that rules look up. Ours are always wanted.
std::set<TableId> tablesOf(const std::set<Rule>& rules);

struct RouteInterest {
  /// What is left out when there are too many: first routes learned from a WAN's router, then all learned routes, then
  /// also static routes via a WAN's router.
  enum class LeftOut : std::uint8_t { nothing, fed, learned, byUplinks };

  std::set<IfIndex> uplinks;   ///< devices of the WANs
  std::set<TableId> tables{};  ///< whose specific routes are wanted in addition to main's
  LeftOut leftOut = LeftOut::nothing;

  /// Default routes and all routes in our tables are always wanted.
  bool wants(const Route& route) const;
  /// Learned from a router on a WAN.
  bool isFed(const Route& route) const;
  bool operator==(const RouteInterest&) const = default;
};

/// Takes the foreign routes of a dump one by one, in any order, and keeps only a few, however many there are.
class RouteSieve {
 public:
  /// Keeps routes of main and these tables. Without an interest, while the WANs are not known yet, narrow() has to
  /// follow.
  explicit RouteSieve(std::optional<RouteInterest> interest, std::set<TableId> tables = {})
      : interest_(std::move(interest)), tables_(std::move(tables)) {
    if (interest_) interest_->tables = tables_;
  }

  void take(Route&& route);
  /// Starts over for one family, whose dump was interrupted.
  void restart(Family family) { families_[std::to_underlying(family)] = {}; }

  /// Devices that have a default route in any table: a guess at which are WANs.
  std::set<IfIndex> devicesOfDefaults() const;
  /// False if wanted routes may have been dropped already: start again with this interest.
  bool narrow(const RouteInterest& interest);

  struct Kept {
    std::set<Route> routes;
    bool tooMany = false;  ///< not all that are wanted could be kept
    RouteInterest::LeftOut leftOut = RouteInterest::LeftOut::nothing;
  };
  /// At most kMaxSpecificRoutes per family, on-link ones before others.
  Kept finish();

 private:
  enum class Rank : std::uint8_t { always, onLink, made, byUplink, learned, fed };
  struct Alike {
    std::vector<Route> routes;
    bool whole = true;  ///< false: there were more than there is room for
  };
  using OfFamily = std::array<Alike, 6>;
  Rank rankOf(const Route& route) const;
  static void finish(OfFamily& family, Kept& kept);

  std::optional<RouteInterest> interest_;
  std::set<TableId> tables_;
  std::array<OfFamily, 2> families_;
};

}  // namespace wgsteer
