// SPDX-License-Identifier: GPL-2.0-or-later
// Any bytes as a profile with peers: usable endpoints, and errors that never quote a key.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "wgsteer/core/address.hpp"

#include "config/values.hpp"
#include "foreign/nm_profile.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace wgsteer;
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  config::Problems problems;
  for (const foreign::PeerEndpoint& peer : foreign::readNmProfile(text, problems).peers) {
    if (peer.tunnel.empty() || peer.tunnel.size() > kMaxIfNameLength || peer.port == 0 || peer.line == 0) std::abort();
    const bool numeric = Address::parse(std::string_view{peer.host}.substr(0, peer.host.find('%'))).has_value();
    if (numeric != peer.numeric || !(numeric || config::isHostName(peer.host))) std::abort();
  }
  // One line for each peer with an error, without its value.
  if (problems.toString("fuzz").size() > 200 * (size / sizeof "[wireguard-peer.]" + 1)) std::abort();
  return 0;
}
