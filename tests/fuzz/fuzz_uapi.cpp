// SPDX-License-Identifier: GPL-2.0-or-later
// Any bytes as the answer of a user-space WireGuard: a Tunnel, or an error that does not quote them.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "netlink/uapi_text.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const auto tunnel = wgsteer::netlink::parseUapi(text, "fuzz");
  if (!tunnel) {
    // A number and its meaning are the most that an error quotes from the answer.
    constexpr std::size_t kLongest = 120;
    if (tunnel.error().what.empty() || tunnel.error().what.size() > kLongest) std::abort();
    return 0;
  }
  if (!std::ranges::is_sorted(tunnel->peers, {}, &wgsteer::Peer::publicKey)) std::abort();
  for (const wgsteer::Peer& peer : tunnel->peers)
    for (const wgsteer::Prefix& prefix : peer.allowedIps)
      if (prefix.length() > wgsteer::bitsOf(prefix.family())) std::abort();
  return 0;
}
