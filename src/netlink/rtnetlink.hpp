// SPDX-License-Identifier: GPL-2.0-or-later
// Requests and events of rtnetlink(7) in our values.
//
// Cost: one synchronous write is 2-8 us; a dump of one of our tables a few us; a dump of a main table with a million
// routes half a second (the kernel cannot filter by prefix length), so it is done at start and after lost events only.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "wgsteer/core/event.hpp"
#include "wgsteer/core/explain.hpp"
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
  /// All tables, or one. `keep` decides what of a large table is worth remembering.
  Result<std::set<Route>> routes(Family family, std::optional<TableId> table,
                                 const std::function<bool(const Route&)>& keep);
  /// Each route of all tables, or of one; `restart` before the first one, and again when the dump was interrupted.
  Status eachRoute(Family family, std::optional<TableId> table, const std::function<void()>& restart,
                   const std::function<void(Route&&)>& take);
  /// By id; empty on kernels that have no such objects.
  Result<std::map<std::uint32_t, Nexthop>> nexthops();
  Result<std::set<Rule>> rules(Family family);

  /// Without `replace`, something with the same key is an error (alreadyThere).
  Status addRoute(const Route& route, bool replace);
  /// Of this protocol only. Gone already is done.
  Status deleteRoute(const Route& route);
  /// Done as well when exactly this rule is there.
  Status addRule(const Rule& rule);
  Status deleteRule(const Rule& rule);

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
  /// From here on nothing of a foreign route that is not wanted; before, of all that a plan may depend on.
  Status listen(const RouteInterest& interest);
  int eventDescriptor() const { return events_ ? events_->descriptor() : -1; }
  /// Everything that is queued, but for what we did ourselves, and for foreign routes that are not wanted.
  void drain(const std::function<void(const Event&)>& sink);

  /// Has every request made (after its answer) and every announcement read told as a line, for debugging. Costs nothing
  /// when it is not set.
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

/// The event that a notification means; none for those of no concern.
std::optional<Event> decodeEvent(const nlmsghdr* message);

}  // namespace wgsteer::netlink
