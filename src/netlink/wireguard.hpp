// SPDX-License-Identifier: GPL-2.0-or-later
// WireGuard tunnels, in the kernel (generic netlink) and in user space (the cross-platform UAPI socket), behind one
// interface. Private and preshared keys pass through the buffers of both; they are never decoded, and the buffers are
// wiped.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "wgsteer/core/numbers.hpp"
#include "wgsteer/core/world.hpp"
#include "wgsteer/result.hpp"

#include "netlink/wireguard_genl.hpp"
#include "netlink/wireguard_uapi.hpp"

namespace wgsteer::netlink {

class WireGuard {
 public:
  /// Where user-space implementations listen; another one in tests.
  explicit WireGuard(std::string uapiDirectory = kUapiDirectory) : uapi_(std::move(uapiDirectory)) {}

  /// All tunnels among the links. One that vanishes meanwhile is not among them. One whose process does not answer, or
  /// answers nonsense, is what it was last time, and nothing if it never answered: it must not hide the others.
  Result<std::map<IfName, Tunnel>> observe(const std::map<IfIndex, Link>& links);
  Status setFwmark(const Tunnel& tunnel, Mark fwmark);
  /// The session goes on. A peer that is not there (any more) is no error, and is not made.
  Status setEndpoint(const Tunnel& tunnel, const PublicKey& peer, const Endpoint& endpoint);
  /// Makes it forget the sources that it has cached for its peers. The kernel's does when its fwmark is set, also to
  /// what it is; for others see WireGuardUapi.
  Status unstick(const Tunnel& tunnel, Mark fwmark, const Numbers& numbers);

 private:
  WireGuardGenl genl_;
  WireGuardUapi uapi_;
  std::map<IfName, Tunnel> last_;
  std::map<IfName, std::string> kinds_;  ///< of the kernel's tunnels seen last: each kind has a family of its own
};

}  // namespace wgsteer::netlink
