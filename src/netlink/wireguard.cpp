// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/wireguard.hpp"

#include <optional>

namespace wgsteer::netlink {

namespace {

/// Errors of one device that the others must not suffer from: what was last known of it serves on.
bool isItsOwn(const Error& error, TunnelBackend backend) {
  if (error.kind == ErrorKind::busy) return true;
  return backend == TunnelBackend::userspace &&
         (error.kind == ErrorKind::malformed || error.kind == ErrorKind::refused);
}

}  // namespace

Result<std::map<IfName, Tunnel>> WireGuard::observe(const std::map<IfIndex, Link>& links) {
  std::map<IfName, Tunnel> tunnels;
  std::map<IfName, std::string> kinds;
  for (const auto& [index, link] : links) {
    const bool inKernel = link.kind == "wireguard" || link.kind == "amneziawg";
    // Implementations in user space are tun devices.
    if (!inKernel && link.kind != "tun") continue;
    if (inKernel) kinds.emplace(link.name, link.kind);
    auto tunnel = inKernel ? genl_.read(link.name, link.kind) : uapi_.read(link.name);
    if (tunnel) {
      tunnels.emplace(link.name, std::move(*tunnel));
      continue;
    }
    const Error& error = tunnel.error();
    if (error.kind == ErrorKind::notThere) continue;
    const auto backend = inKernel ? TunnelBackend::kernel : TunnelBackend::userspace;
    const auto known = last_.find(link.name);
    const bool usable = known != last_.end() && known->second.backend == backend;
    // The kernel knows what it does not tell us now: ask again rather than leave that tunnel without protection.
    if (!isItsOwn(error, backend) || (inKernel && !usable)) return std::unexpected(error);
    if (usable) tunnels.emplace(link.name, known->second);
  }
  last_ = tunnels;
  kinds_ = std::move(kinds);
  return tunnels;
}

Status WireGuard::setFwmark(const Tunnel& tunnel, Mark fwmark) {
  const auto kind = kinds_.find(tunnel.name);
  Status done = tunnel.backend == TunnelBackend::userspace
                    ? uapi_.setFwmark(tunnel.name, fwmark)
                    : genl_.setFwmark(tunnel.name, kind == kinds_.end() ? "wireguard" : kind->second, fwmark);
  // What was last known must not be what it was before.
  if (const auto known = last_.find(tunnel.name); done && known != last_.end()) known->second.fwmark = fwmark;
  return done;
}

Status WireGuard::setEndpoint(const Tunnel& tunnel, const PublicKey& peer, const Endpoint& endpoint) {
  if (tunnel.backend == TunnelBackend::userspace) return uapi_.setEndpoint(tunnel.name, peer, endpoint);
  const auto kind = kinds_.find(tunnel.name);
  return genl_.setEndpoint(tunnel.name, kind == kinds_.end() ? "wireguard" : kind->second, peer, endpoint);
}

Status WireGuard::unstick(const Tunnel& tunnel, Mark fwmark, const Numbers& numbers) {
  if (tunnel.backend == TunnelBackend::kernel) return setFwmark(tunnel, fwmark);
  constexpr std::uint32_t kSpareBit = 1;
  const bool spare = numbers.isOurs(fwmark) && (numbers.markMask & kSpareBit) == 0;
  return uapi_.unstick(tunnel.name, fwmark, spare ? std::optional{Mark{fwmark.value | kSpareBit}} : std::nullopt,
                       tunnel.listenPort);
}

}  // namespace wgsteer::netlink
