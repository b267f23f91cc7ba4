// SPDX-License-Identifier: GPL-2.0-or-later
// WireGuard tunnels, in the kernel (generic netlink) and in user space (the cross-platform UAPI socket), behind one
// interface. Private and preshared keys pass through the buffers of both; they are never decoded, and the buffers are wiped.
#pragma once

#include <map>

#include "netlink/wireguard_genl.hpp"
#include "netlink/wireguard_uapi.hpp"
#include "wgsteer/core/world.hpp"
#include "wgsteer/result.hpp"

namespace wgsteer::netlink {

class WireGuard {
 public:
  /// Where user-space implementations listen; another one in tests.
  explicit WireGuard(std::string uapiDirectory = kUapiDirectory) : uapi_(std::move(uapiDirectory)) {}

  /// All tunnels among the links. One that vanishes meanwhile is not among them; one whose process does not answer in time
  /// is what it was last time.
  Result<std::map<IfName, Tunnel>> observe(const std::map<IfIndex, Link>& links);
  /// Also with the mark that it has: that clears the cached source addresses of all peers.
  Status setFwmark(const Tunnel& tunnel, Mark fwmark);

 private:
  WireGuardGenl genl_;
  WireGuardUapi uapi_;
  std::map<IfName, Tunnel> last_;
};

}  // namespace wgsteer::netlink
