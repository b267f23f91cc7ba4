// SPDX-License-Identifier: GPL-2.0-or-later
// The one virtual seam between what is decided and what is done: reading the kernel, changing it, hearing of changes.
// Implemented by kernel::LinuxKernel and, in tests, by FakeKernel; one suite of tests is run over both.
//
// Threading: one thread. Ownership: the implementation owns its sockets. Cost: observe() dumps; commit() is one
// synchronous request per route, rule and mark, and one nft transaction. Failure: every method says what it could not
// do; commit() goes on after a failed change unless going on could send a packet the wrong way.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <vector>

#include "wgsteer/core/commit_guard.hpp"
#include "wgsteer/core/event.hpp"
#include "wgsteer/core/handshake_counts.hpp"
#include "wgsteer/core/numbers.hpp"
#include "wgsteer/core/plan.hpp"
#include "wgsteer/core/route_interest.hpp"
#include "wgsteer/core/track.hpp"
#include "wgsteer/result.hpp"

namespace wgsteer {

struct ObserveOptions {
  bool allRoutes = false;  ///< for `explain`: every foreign route, not those alone that a plan may depend on
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

  /// Everything, from scratch. `markMask` tells a tunnel's fwmark of ours from a foreign one.
  virtual Result<Picture> observe(const Numbers& numbers, const ObserveOptions& options = {}) = 0;
  /// Reads again what is stale and puts it into the picture; the rest stays.
  virtual Status refresh(Picture& picture, const Numbers& numbers, const Stale& stale) = 0;

  /// Makes the changes in their order, as carryOut() has it: a change that fails costs what relies on it and nothing
  /// else. A delete of what is gone is done, not failed.
  virtual CommitReport commit(const Plan& plan, const Numbers& numbers) = 0;

  /// Clears the source addresses that the tunnel's WireGuard has cached for its peers; its fwmark stays what it is.
  /// Sessions are not touched. A process in user space is asked, but not waited for: one that hangs must not hold up
  /// the others' failover.
  virtual Status unstick(const Tunnel& tunnel, Mark fwmark, const Numbers& numbers) = 0;

  /// Where WireGuard reaches a peer from now on; the session goes on. No error when the peer is gone.
  virtual Status setEndpoint(const Tunnel& tunnel, const PublicKey& peer, const Endpoint& endpoint) = 0;

  /// Has connection tracking forget flows to these endpoints that are translated to another source than those given, so
  /// that the next packet is translated anew. For packets of hosts behind this one: what is sent here is right without.
  virtual Status forgetTranslations(const std::map<Endpoint, std::set<Address>>& rightSources) = 0;

  /// Has the kernel ask for the neighbour's link-layer address unless it knows it, so that the first packet to it does
  /// not wait for ARP or neighbour discovery (a lost first request costs a second).
  virtual Status warm(const Neighbour& neighbour) = 0;

  /// Hands on links as they are now. A loss of carrier within a second of any other one's is announced up to a second
  /// late (net/core/link_watch.c); asking tells the truth, and from 6.8 on makes the kernel act on it.
  virtual Status askLinks(const std::vector<IfIndex>& devices, const Sink& sink) = 0;

  /// By the WAN's number; one dump, none of the elements. Nothing of a WAN that is not counted (yet).
  virtual Result<HandshakesByWan> handshakes() = 0;

  /// Which foreign routes are worth knowing: no others are announced or read from now on. Before the first time, that
  /// is guessed from the default routes that observe() finds; see World::interest.
  virtual Status listen(const RouteInterest& interest) = 0;

  /// Subscribes; from here on changes are queued. Before observe(), so that nothing is missed in between.
  virtual Status subscribe() = 0;
  /// Descriptors to wait on for reading; empty before subscribe().
  virtual std::vector<int> descriptors() const = 0;
  /// Hands on everything that is queued, until there is no more. Own changes are not among it.
  virtual void drain(const Sink& sink) = 0;
};

}  // namespace wgsteer
