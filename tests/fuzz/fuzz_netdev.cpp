// SPDX-License-Identifier: GPL-2.0-or-later
// Any bytes as a file with peers: usable endpoints, and errors that never quote a key.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "wgsteer/core/address.hpp"

#include "config/values.hpp"
#include "foreign/netdev.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace wgsteer;
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  config::Problems problems;
  for (const foreign::PeerEndpoint& peer : foreign::readNetdev(text, problems)) {
    if (peer.tunnel.empty() || peer.tunnel.size() > kMaxIfNameLength || peer.port == 0 || peer.line == 0) std::abort();
    const bool numeric = Address::parse(std::string_view{peer.host}.substr(0, peer.host.find('%'))).has_value();
    if (numeric != peer.numeric || !(numeric || config::isHostName(peer.host))) std::abort();
  }
  // Fifty lines and a last one; a device name is the most that a line quotes from the file.
  if (problems.toString("fuzz").size() > 51UL * 200) std::abort();
  return 0;
}
