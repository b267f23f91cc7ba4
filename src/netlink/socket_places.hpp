// SPDX-License-Identifier: GPL-2.0-or-later
// In which network namespace the kernel's tunnels have their sockets (creating_net in drivers/net/wireguard/device.c).
// The kernel has no interface that reports it, but /proc lists the UDP sockets of a namespace, including those of the
// kernel. The answer never changes while the device exists, so the list, which may be long, is read once for each.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "wgsteer/core/world.hpp"

namespace wgsteer::netlink {

/// Whether a UDP socket of our network namespace is bound to this port of any address, as WireGuard's is. nullopt:
/// unknown, because /proc/self/net/udp cannot be read.
std::optional<bool> hasUdpSocket(std::uint16_t port);

class SocketPlaces {
 public:
  /// Of a tunnel of the kernel's, by the port that it was just read to have.
  SocketPlace of(const Link& link, std::uint16_t port);
  /// Forgets devices that do not exist any more.
  void keep(const std::map<IfIndex, Link>& links);

 private:
  struct Known {
    std::uint16_t port = 0;
    SocketPlace place = SocketPlace::unknown;
    bool sure = false;
  };
  static void look(Known& known, std::uint16_t port);

  std::map<IfIndex, Known> known_;
};

}  // namespace wgsteer::netlink
