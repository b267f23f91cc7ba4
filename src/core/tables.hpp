// SPDX-License-Identifier: GPL-2.0-or-later
// The routes of our tables: for each WAN and each policy, default routes by metric, main's specific routes, and a
// closing route.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "wgsteer/core/steering.hpp"

namespace wgsteer {

/// Borrows its inputs.
class Tables {
 public:
  Tables(const Config& config, const World& world, const Steering& steering);

  void addWanTable(const Wan& wan, Family family, TableId table);
  void addPolicyTable(const PolicyView& policy, Family family, TableId table);
  /// What leads to the Internet by the WAN, and nothing else: where it leads nowhere, the next rule decides.
  void addMemberTable(const Wan& wan, Family family, TableId table);
  /// Returns everything that was added.
  std::set<Route> take() { return std::move(routes_); }

 private:
  void addRoute(Route route);
  void addOnLink(const Link& link, Family family, TableId table, std::uint32_t metric);
  void addOnLink(const Route& route, TableId table, std::uint32_t metric);
  std::optional<Address> sourceOn(IfIndex device, const Address& source) const;
  void noteInside();
  bool isInside(const Link& link) const;
  bool isWan(const Link& link) const;
  bool isBehindPointToPointWan(const Route& route) const;
  bool isNetifdsHostRoute(const Route& route) const;
  void addInside(Family family, TableId table, const std::set<std::size_t>& members);
  void addGatewayed(const Route& route, TableId table, std::uint32_t metric);
  void addWithGateways(Route route);
  static std::uint32_t metricAsInMain(const Route& route);
  static bool works(const Wan& wan, Family family);
  const Wan* wanOf(const NextHop& hop, Family family) const;
  void addRoutesBy(const std::set<const Wan*>& wans, Family family, TableId table);
  void addSourceSpecific(const std::vector<Route>& defaults, TableId table, std::uint32_t metric);
  Route plainDefault(const Wan& wan, Family family, TableId table, std::uint32_t metric) const;
  bool has(IfIndex device, const Address& address) const;
  void addGroup(const std::vector<const MemberView*>& group, Family family, TableId table, std::uint32_t metric);

  const Config& config_;
  const World& world_;
  const Steering& steering_;
  std::set<Route> routes_;
  // Main's specific routes, sorted by what they lead to, and in main's order.
  std::vector<const Link*> lans_;
  std::map<std::pair<IfIndex, Family>, std::vector<const Route*>> onLink_;
  std::vector<const Route*> lanRoutes_;  ///< those of all LANs
  std::vector<const Route*> byRouters_;
  std::vector<const Route*> byWans_;
  std::vector<const Route*> endings_;                  ///< they refuse, or lead on behind main
  std::map<IfIndex, std::vector<const Wan*>> wansOn_;  ///< a device, the first one first
};

}  // namespace wgsteer
