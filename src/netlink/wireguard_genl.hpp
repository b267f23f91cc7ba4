// SPDX-License-Identifier: GPL-2.0-or-later
// The kernel's WireGuard: generic netlink family "wireguard", linux/wireguard.h, drivers/net/wireguard/netlink.c.
// AmneziaWG has a family of its own with the same commands.
//
// Cost: WG_CMD_GET_DEVICE is linear in peers: 336 bytes for one, 188 for each further one.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "wgsteer/core/world.hpp"

#include "netlink/request_socket.hpp"

namespace wgsteer::netlink {

/// Adds the contents of one message of a WG_CMD_GET_DEVICE answer. A large device spans several messages, and so may a
/// single peer, which then continues under the same key. Sort the peers when everything is read. False if a part of it
/// is malformed; the others are added.
bool decodeDevice(Bytes attributes, Tunnel& tunnel);

class WireGuardGenl {
 public:
  /// `kind` is that of the link, which is also the name of the family. notThere if the device is gone, or if a device
  /// with its name is not a tunnel.
  Result<Tunnel> read(const IfName& device, const std::string& kind);
  Status setFwmark(const IfName& device, const std::string& kind, Mark fwmark);
  /// Only for an existing peer; none is created.
  Status setEndpoint(const IfName& device, const std::string& kind, const PublicKey& peer, const Endpoint& endpoint);

 private:
  Status open();
  Result<std::uint16_t> familyId(const std::string& kind);
  Status withFamily(const std::string& kind, const std::function<Status(std::uint16_t)>& request);
  Status readOnce(const IfName& device, std::uint16_t family, Tunnel& tunnel);
  Result<Tunnel> readWhole(const IfName& device, std::uint16_t family);

  std::optional<RequestSocket> socket_;
  std::map<std::string, std::uint16_t> families_;  ///< by kind; learned when a device of it is first seen
};

}  // namespace wgsteer::netlink
