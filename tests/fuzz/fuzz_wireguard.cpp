// SPDX-License-Identifier: GPL-2.0-or-later
// Any bytes as the attributes by which the kernel describes a WireGuard device.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "netlink/wireguard_genl.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Aligned, as a buffer that recv(2) fills is.
  const std::vector<std::uint8_t> bytes(data, data + size);
  wgsteer::Tunnel tunnel;
  (void)wgsteer::netlink::decodeDevice(bytes, tunnel);
  for (const wgsteer::Peer& peer : tunnel.peers)
    for (const wgsteer::Prefix& prefix : peer.allowedIps)
      if (prefix.length() > wgsteer::bitsOf(prefix.family())) std::abort();
  return 0;
}
