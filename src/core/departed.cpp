// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/departed.hpp"

#include <utility>

#include "wgsteer/core/follow.hpp"

namespace wgsteer {

namespace {

/// Longer than a restart takes. Until then, WireGuard packets without a mark from this host to such an endpoint still
/// leave by a WAN, whoever sends them.
constexpr Duration kDepartedFor = std::chrono::seconds{10};

}  // namespace

void noteDeparture(Picture& picture, const Tunnel& gone) {
  if (!picture.observed.nft) return;
  World& world = picture.world;
  const auto& table = picture.observed.nft->table.endpoints;
  Departed departed;
  const auto keep = [&](const Endpoint& endpoint) {
    if (const auto known = table.find(endpoint); known != table.end() && known->second)
      departed.endpoints.emplace(endpoint, *known->second);
  };
  for (const Peer& peer : gone.peers) {
    if (peer.endpoint) keep(*peer.endpoint);
    if (const auto named = world.named.find({gone.name, peer.publicKey}); named != world.named.end())
      for (const Endpoint& endpoint : endpointsOf(named->second)) keep(endpoint);
  }
  // One that is made in several steps has no peers at first, and may go again before it has.
  if (!departed.endpoints.empty()) world.departed.insert_or_assign(gone.name, std::move(departed));
}

void noteDepartures(Picture& picture, const SharedMap<IfName, Tunnel>& before) {
  if (before.same(picture.world.tunnels)) return;
  for (const auto& [name, tunnel] : before)
    if (!picture.world.tunnels.contains(name)) noteDeparture(picture, tunnel);
}

bool forgetDeparted(World& world, Instant now) {
  for (auto& [name, departed] : world.departed)
    if (!departed.until) departed.until = now + kDepartedFor;
  return std::erase_if(world.departed, [&](const auto& entry) { return *entry.second.until <= now; }) > 0;
}

}  // namespace wgsteer
