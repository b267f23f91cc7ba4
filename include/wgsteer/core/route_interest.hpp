// SPDX-License-Identifier: GPL-2.0-or-later
// Which foreign routes are worth knowing. A plan depends on default routes and on the specific routes of the main
// table, and of tables that other people's rules look up: LAN prefixes, static routes, what inside routers announce,
// and the networks of a company that one of its uplinks leads to. It does not depend on the million of routes that a
// border router has learned from its providers: all of them leave by a WAN, as the default route does.
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

/// Specific routes that are kept of each family. Beyond it those go that a routing protocol has learned.
inline constexpr std::size_t kMaxSpecificRoutes = 4096;
/// Of these, learned from routers out there: a company's networks have room, a full feed is seen for what it is early.
inline constexpr std::size_t kMaxFedRoutes = 1024;

/// Whether a routing protocol has made it (BGP, OSPF, Babel ...), rather than the kernel, a person, a DHCP client or a
/// router advertisement. src/netlink/route_filter.cpp says the same in BPF.
bool isLearned(std::uint8_t protocol);

/// Somebody else's, and no default route: one that a plan may depend on by its type and origin.
bool isSpecific(const Route& route);
/// Tables of others that rules look up beside main: ours are always wanted.
std::set<TableId> tablesOf(const std::set<Rule>& rules);

struct RouteInterest {
  /// When there are too many: first those that were learned from a WAN's router, then all that were learned; then those
  /// as well that somebody has led by a WAN's router.
  enum class LeftOut : std::uint8_t { nothing, fed, learned, byUplinks };

  std::set<IfIndex> uplinks;   ///< devices of the WANs
  std::set<TableId> tables{};  ///< whose specific routes are wanted, beside main's
  LeftOut leftOut = LeftOut::nothing;

  /// Default routes and all in our tables are wanted always.
  bool wants(const Route& route) const;
  /// Learned from a router out there.
  bool isFed(const Route& route) const;
  bool operator==(const RouteInterest&) const = default;
};

/// Takes the foreign routes of a dump one by one, in whatever order they come, and keeps few however many there are.
class RouteSieve {
 public:
  /// Of main and these tables. Without an interest, because nobody has said yet which the WANs are, narrow() has to
  /// follow.
  explicit RouteSieve(std::optional<RouteInterest> interest, std::set<TableId> tables = {})
      : interest_(std::move(interest)), tables_(std::move(tables)) {
    if (interest_) interest_->tables = tables_;
  }

  void take(Route&& route);
  /// Of one family: a dump that was interrupted begins again.
  void restart(Family family) { families_[std::to_underlying(family)] = {}; }

  /// Devices that have a default route in any table: a guess which the WANs are.
  std::set<IfIndex> devicesOfDefaults() const;
  /// False when routes that are wanted may have been lost meanwhile: to be begun anew with this interest.
  bool narrow(const RouteInterest& interest);

  struct Kept {
    std::set<Route> routes;
    bool tooMany = false;  ///< not all that are wanted could be kept
    RouteInterest::LeftOut leftOut = RouteInterest::LeftOut::nothing;
  };
  /// No more than kMaxSpecificRoutes in a family, on-link ones before others.
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
