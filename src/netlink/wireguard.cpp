// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/wireguard.hpp"

namespace wgsteer::netlink {

Result<std::map<IfName, Tunnel>> WireGuard::observe(const std::map<IfIndex, Link>& links) {
  std::map<IfName, Tunnel> tunnels;
  for (const auto& [index, link] : links) {
    const bool inKernel = link.kind == "wireguard" || link.kind == "amneziawg";
    // Implementations in user space are tun devices.
    if (!inKernel && link.kind != "tun") continue;
    auto tunnel = inKernel ? genl_.read(link.name, link.kind) : uapi_.read(link.name);
    if (!tunnel && tunnel.error().kind == ErrorKind::busy && last_.contains(link.name)) tunnel = last_.at(link.name);
    if (tunnel)
      tunnels.emplace(link.name, std::move(*tunnel));
    else if (tunnel.error().kind != ErrorKind::notThere && tunnel.error().kind != ErrorKind::busy)
      return std::unexpected(tunnel.error());
  }
  last_ = tunnels;
  return tunnels;
}

Status WireGuard::setFwmark(const Tunnel& tunnel, Mark fwmark) {
  if (tunnel.backend == TunnelBackend::userspace) return uapi_.setFwmark(tunnel.name, fwmark);
  return genl_.setFwmark(tunnel.name, fwmark);
}

}  // namespace wgsteer::netlink
