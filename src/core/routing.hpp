// SPDX-License-Identifier: GPL-2.0-or-later
// What fib_rules_lookup() and fib_table_lookup() do with a packet, sent by this host or forwarded. No flow hashing: the
// first next hop that is alive is used. No socket is bound to a device.
#pragma once

#include <optional>
#include <vector>

#include "wgsteer/core/describe.hpp"
#include "wgsteer/core/explain.hpp"
#include "wgsteer/core/state.hpp"
#include "wgsteer/core/world.hpp"

namespace wgsteer {

struct Lookup {
  Outcome outcome = Outcome::noRoute;
  std::optional<Route> route;
  std::optional<NextHop> hop;
  const Rule* rule = nullptr;  ///< that led to it; null: none did
};

/// Borrows the state and the world.
class Routing {
 public:
  Routing(const State& state, const World& world);

  Lookup lookup(const Packet& packet, std::vector<WalkStep>& steps) const;
  /// The route's preferred source, else our table's source for the device, else the device's first usable address.
  std::optional<Address> sourceFor(const Lookup& found, Family family) const;
  /// What nftables calls `fib daddr type local`, and one of local, broadcast, anycast and multicast.
  bool isLocal(const Packet& packet) const;
  bool isForUsOrMany(const Packet& packet) const;
  const DeviceName& names() const { return names_; }

 private:
  bool matches(const Rule& rule, const Packet& packet) const;
  bool leadsSomewhere(const Rule& jump) const;
  Lookup act(const Rule& rule, const Packet& packet) const;
  std::optional<NextHop> livingHop(const Route& route) const;
  Lookup inTable(const Rule& rule, const Packet& packet) const;
  const Route* bestIn(TableId table, const Packet& packet) const;
  std::optional<Route> routeOfType(const Packet& packet) const;
  std::string result(const Lookup& found) const;

  const State& state_;
  const World& world_;
  DeviceName names_;
  std::vector<const Rule*> rules_;
  std::vector<const Route*> routes_;
};

}  // namespace wgsteer
