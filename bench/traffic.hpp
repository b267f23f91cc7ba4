// SPDX-License-Identifier: GPL-2.0-or-later
// Twenty thousand packets a second over a router's WANs, observed at their destination.
#pragma once

#include <cstdint>
#include <memory>
#include <netinet/in.h>
#include <string>
#include <vector>

#include "process.hpp"
#include "raw.hpp"
#include "wans.hpp"

namespace wgsteer::bench {

/// A router with two WANs (veth), a tunnel that takes all of the main table, and the Internet behind the WANs: a second
/// namespace, which has endpointAddress(0). The traffic is that of the tunnel's socket, or of a host in a LAN, whose
/// address the router translates.
class Road {
 public:
  enum class Traffic { tunnel, lan };
  explicit Road(Traffic traffic = Traffic::tunnel);
  static constexpr const char* kLan = "10.9.0.0/24";
  const Netns& router() const { return router_; }
  const Netns& internet() const { return internet_; }

  /// Routes everything in the main table into the given tunnel. To be called when the tunnels exist.
  void tunnelTakesAll(const std::string& tunnel);
  /// Restores the main table's default routes over wan0, which the kernel removed with its link.
  void restoreMain();

  struct Outage {
    double gap = 0;         ///< us between the last arrival by wan0 and the first by wan1
    int lost = 0;           ///< packets sent in between that never arrived
    bool recovered = true;  ///< whether anything arrived by wan1 at all
  };
  /// Sends traffic for some milliseconds; in the middle, sends `event` through `cause` to the kernel of its namespace.
  Outage outage(RawSocket& cause, const Prebuilt& event);
  /// Sends until a packet arrives by wan0, at most two seconds. Of a LAN's connection, it is answered.
  void awaitFirstWan();
  /// Packets that have left, or should have left, by the router's devices with this prefix so far.
  std::int64_t sentBy(const std::string& prefix) const;

 private:
  struct Arrival {
    std::uint32_t sequence = 0;
    std::int64_t time = 0;
    int device = 0;
    sockaddr_in from{};
  };
  void addLan();
  void openSockets();
  void answer(const Arrival& arrival);
  void learnNeighbours();
  void send();
  std::vector<Arrival> arrivals();

  Traffic traffic_;
  Netns router_, internet_, host_;
  Process holder_, hostHolder_;
  std::string neighbours_;  ///< commands that add the entries
  os::Fd sender_, receiver_;
  int first_ = 0, second_ = 0;  ///< devices of the Internet
  std::uint32_t sequence_ = 0;
};

}  // namespace wgsteer::bench
