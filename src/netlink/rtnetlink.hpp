// SPDX-License-Identifier: GPL-2.0-or-later
// Requests and events of rtnetlink(7) in terms of our values.
//
// Cost: one synchronous write is 2-8 us; a dump of one of our tables a few us; a dump of a main table with a million
// routes half a second (the kernel cannot filter by prefix length), so it is done only at start and after lost events.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "wgsteer/core/event.hpp"
#include "wgsteer/core/explain.hpp"
#include "wgsteer/core/plan.hpp"
#include "wgsteer/core/route.hpp"
#include "wgsteer/core/route_interest.hpp"
#include "wgsteer/core/world.hpp"
#include "wgsteer/kernel.hpp"

#include "netlink/event_socket.hpp"
#include "netlink/prepared_routes.hpp"
#include "netlink/request_socket.hpp"

namespace wgsteer::netlink {

class Rtnetlink {
 public:
  static Result<Rtnetlink> open();

  Result<std::map<IfIndex, Link>> links();
  Result<std::set<InterfaceAddress>> addresses();
  /// All tables, or one. `keep` decides which routes of a large table to keep.
  Result<std::set<Route>> routes(Family family, std::optional<TableId> table,
                                 const std::function<bool(const Route&)>& keep);
  /// Passes on each route of all tables, or of one; calls `restart` before the first one, and again if the dump was
  /// interrupted.
  Status eachRoute(Family family, std::optional<TableId> table, const std::function<void()>& restart,
                   const std::function<void(Route&&)>& take);
  /// By id; empty on kernels without nexthop objects.
  Result<std::map<std::uint32_t, Nexthop>> nexthops();
  Result<std::set<Rule>> rules(Family family);

  /// Without `replace`, an existing route with the same key is an error (alreadyThere).
  Status addRoute(const Route& route, bool replace);
  /// Deletes only a route with this protocol. One that is already gone counts as deleted.
  Status deleteRoute(const Route& route);
  /// Succeeds also if exactly this rule exists.
  Status addRule(const Rule& rule);
  Status deleteRule(const Rule& rule);

  /// Reads the address as it is and writes it back with the other preferred lifetime. Of one that is as wanted already,
  /// or that another program has made preferred meanwhile, nothing is written.
  Status setDeprecated(const SetDeprecated& set);

  /// See Kernel::commitPrepared().
  std::vector<Change> commit(PreparedRoutes& prepared);

  /// See Kernel::warm().
  Status warm(const Neighbour& neighbour);
  /// One link as it is now.
  Result<Link> link(IfIndex index);

  /// What the kernel's FIB says (RTM_GETROUTE): device and source, without the nft output chain.
  struct Found {
    IfIndex device;
    std::optional<Address> gateway;
    std::optional<Address> source;
  };
  Result<Found> lookup(const Packet& packet);

  Status subscribe();
  /// From here on only wanted foreign routes are announced; before, all that a plan may depend on.
  Status listen(const RouteInterest& interest);
  int eventDescriptor() const { return events_ ? events_->descriptor() : -1; }
  /// Passes on everything queued, except our own changes and foreign routes that are not wanted.
  void drain(const std::function<void(const Event&)>& sink);

  /// Reports every request (after its answer) and every announcement as a line, for debugging. Costs nothing if not
  /// set.
  using Trace = std::function<void(const std::string& line)>;
  void traceTo(Trace trace) { trace_ = std::move(trace); }

 private:
  bool isFixed(const Neighbour& neighbour);
  explicit Rtnetlink(RequestSocket requests) : requests_(std::move(requests)) {}

  Status change(Message& message, const std::function<std::string()>& what);

  RequestSocket requests_;
  std::optional<EventSocket> events_;
  RouteInterest interest_;
  Trace trace_;
};

/// The event for a notification; nullopt for irrelevant ones.
std::optional<Event> decodeEvent(const nlmsghdr* message);

}  // namespace wgsteer::netlink
