// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/follow.hpp"

#include <algorithm>

namespace wgsteer {

namespace {

/// Reject-After-Time of the WireGuard whitepaper, 6.1: an older session is dead.
constexpr std::chrono::seconds kSessionLifetime{180};

bool contains(const std::vector<Address>& addresses, const Address& address) {
  return std::ranges::find(addresses, address) != addresses.end();
}

bool isAlive(const Peer& peer, WallSeconds now) {
  return peer.lastHandshake != WallSeconds{} && now - peer.lastHandshake < kSessionLifetime;
}

}  // namespace

std::vector<Endpoint> endpointsOf(const NamedPeer& named) {
  std::vector<Endpoint> endpoints;
  for (const auto* addresses : {&named.current, &named.leaving})
    for (const Address& address : *addresses) endpoints.push_back({address, named.port});
  return endpoints;
}

std::optional<Endpoint> betterEndpoint(const Peer& peer, const NamedPeer& named, const std::vector<Family>& usable,
                                       WallSeconds now) {
  if (named.current.empty()) return std::nullopt;
  const auto& present = peer.endpoint;
  if (present && contains(named.current, present->address)) return std::nullopt;
  if (present && !contains(named.leaving, present->address) && isAlive(peer, now)) return std::nullopt;
  const auto rank = [&](const Address& address) {
    const bool canLeave = std::ranges::find(usable, address.family()) != usable.end();
    const bool sameFamily = present && present->address.family() == address.family();
    return (canLeave ? 0 : 4) + (sameFamily ? 0 : 2) + (address.family() == Family::v6 ? 0 : 1);
  };
  return Endpoint{*std::ranges::min_element(named.current, {}, rank), named.port};
}

}  // namespace wgsteer
