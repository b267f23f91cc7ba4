// SPDX-License-Identifier: GPL-2.0-or-later
// The one virtual seam between deciding and doing: reading the kernel, changing it, and receiving its events.
// Implemented by kernel::LinuxKernel and, in tests, by FakeKernel; one suite of tests is run over both.
//
// Threading: one thread. Ownership: the implementation owns its sockets. Cost: observe() dumps; commit() is one
// synchronous request per route, rule and mark, and one nft transaction. Failure: every method reports what it could
// not do; commit() goes on after a failed change unless that could misroute a packet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "wgsteer/core/commit_guard.hpp"
#include "wgsteer/core/counters.hpp"
#include "wgsteer/core/event.hpp"
#include "wgsteer/core/idle_watch.hpp"
#include "wgsteer/core/numbers.hpp"
#include "wgsteer/core/plan.hpp"
#include "wgsteer/core/route_interest.hpp"
#include "wgsteer/core/track.hpp"
#include "wgsteer/result.hpp"

namespace wgsteer {

struct ObserveOptions {
  bool allRoutes = false;  ///< for `explain`: every foreign route, not only those that a plan may depend on
};

struct Neighbour {
  IfIndex device;
  Address address;
  auto operator<=>(const Neighbour&) const = default;
};

class Kernel {
 public:
  using Sink = std::function<void(const Event&)>;

  Kernel() = default;
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;
  virtual ~Kernel() = default;

  /// Reads everything from scratch. The mark mask in `numbers` tells our fwmarks from foreign ones.
  virtual Result<Picture> observe(const Numbers& numbers, const ObserveOptions& options = {}) = 0;
  /// Reads again what is stale and puts it into the picture; the rest stays.
  virtual Status refresh(Picture& picture, const Numbers& numbers, const Stale& stale) = 0;

  /// Makes the changes in order, by the rules of carryOut(): a failed change affects only what relies on it.
  /// Deleting something that is already gone counts as success.
  virtual CommitReport commit(const Plan& plan, const Numbers& numbers) = 0;

  /// Prepares writes that may have to be made at once, in place of those prepared before; each list has AddRoute and
  /// DeleteRoute only. They are encoded, but nothing is sent.
  virtual void prepare(const std::vector<std::vector<Change>>& writes) = 0;
  /// Makes the changes of one list, by its index, with one request. Returns those that were made: one that fails is
  /// left to the plan that follows and does not affect the others. Deleting something that is already gone counts as
  /// made.
  virtual std::vector<Change> commitPrepared(std::size_t index) = 0;

  /// Clears the source addresses that the tunnel's WireGuard has cached for its peers; its fwmark stays what it is.
  /// Sessions are not affected. Does not wait for a process in user space: one that hangs must not delay the failover
  /// of other tunnels.
  virtual Status clearSources(const Tunnel& tunnel, Mark fwmark, const Numbers& numbers) = 0;

  /// Gives a peer a new endpoint; its session continues. No error if the peer is gone.
  virtual Status setEndpoint(const Tunnel& tunnel, const PublicKey& peer, const Endpoint& endpoint) = 0;

  /// Deletes conntrack entries of flows to these endpoints that are translated to a source other than those given, so
  /// that their next packet is translated again. For packets of hosts behind this one; our own do not need it.
  virtual Status forgetTranslations(const std::map<Endpoint, std::set<Address>>& rightSources) = 0;

  /// Deletes conntrack entries with this mark, of one family or of both, so that the next packet of each connection
  /// starts anew. Success if there are none, or no conntrack. ErrorKind::refused for a mask of 0, which would match
  /// every entry.
  virtual Status forgetConnections(MarkMatch mark, std::optional<Family> family = {}) = 0;
  /// Deletes those of them that were never answered, and returns how many. What the other side answers meanwhile may be
  /// among them.
  virtual Result<std::size_t> forgetUnanswered(MarkMatch mark, Family family) = 0;
  /// Deletes those of them that the watch finds idle. Each call is one of its looks, so it must be for this mark and
  /// family alone, and nothing is idle at the first. Flows in a flowtable are never idle.
  virtual Result<Drained> forgetIdle(MarkMatch mark, Family family, IdleWatch& watch, Instant now) = 0;
  /// Deletes those whose mark, under this mask, is a key of the map, and that are translated to one of the sources
  /// given for it. Returns how many. Dumps all entries.
  virtual Result<std::size_t> forgetTranslatedTo(std::uint32_t mask,
                                                 const std::map<Mark, std::set<Address>>& wrongSources) = 0;
  /// Clears the bits under the other mask in the marks of conntrack entries with this mark, one by one. Returns how
  /// many there were. The connections themselves go on.
  virtual Result<std::size_t> unmarkConnections(MarkMatch mark, std::uint32_t bits) = 0;
  /// The number of conntrack entries by the bits of their mark under the mask. Not counted are those that have none of
  /// these bits. Dumps all entries, so it is for people and tests.
  virtual Result<std::map<std::uint32_t, std::size_t>> connectionsByMark(std::uint32_t mask) = 0;

  /// Makes the kernel resolve the neighbour's link-layer address unless it is known, so the first packet to it does
  /// not wait for ARP or neighbour discovery (a lost first request costs a second).
  virtual Status warm(const Neighbour& neighbour) = 0;

  /// Reports the current state of links. If two links lose their carrier within a second, the second loss is announced
  /// up to a second late (net/core/link_watch.c); a query returns the truth, and since 6.8 makes the kernel act on it.
  virtual Status askLinks(const std::vector<IfIndex>& devices, const Sink& sink) = 0;

  /// One dump of counters, no elements. No entry for a WAN or rule that is not counted (yet).
  virtual Result<Counters> counters() = 0;

  /// Selects the foreign routes that matter: no others are announced or read from now on. Before the first call, the
  /// selection is guessed from the default routes that observe() finds; see World::interest.
  virtual Status listen(const RouteInterest& interest) = 0;

  /// Subscribes; from here on events are queued. Call it before observe(), so that nothing is missed in between.
  virtual Status subscribe() = 0;
  /// Descriptors to wait on for reading; empty before subscribe().
  virtual std::vector<int> descriptors() const = 0;
  /// Passes on all queued events. Our own changes are not among them.
  virtual void drain(const Sink& sink) = 0;
};

}  // namespace wgsteer
