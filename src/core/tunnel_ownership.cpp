// SPDX-License-Identifier: GPL-2.0-or-later
// Which tunnels are steered here, and whose their marks are.
#include <utility>

#include "wgsteer/core/departed.hpp"
#include "wgsteer/core/steering.hpp"
#include "wgsteer/core/track.hpp"

namespace wgsteer {

namespace {

/// Whether it was steered here until now: our state in the kernel still names it.
bool isSteeredHere(const Picture& picture, const IfName& tunnel) {
  return picture.observed.tunnelMarks.contains(tunnel) ||
         (picture.observed.nft && picture.observed.nft->table.tunnels.contains(tunnel));
}

/// Where the socket is cannot be told while the device is down. Then a mark of our kind that we have not set is taken
/// for that of a daemon in another namespace.
bool isSentElsewhere(const Picture& picture, const Numbers& numbers, const Tunnel& tunnel) {
  if (tunnel.socket != SocketPlace::unknown) return tunnel.socket == SocketPlace::elsewhere;
  return numbers.isOurs(tunnel.fwmark) && !isSteeredHere(picture, tunnel.name);
}

void divide(Picture& picture, const Numbers& numbers, SharedMap<IfName, Tunnel> tunnels) {
  std::map<IfName, Tunnel> elsewhere;
  for (const auto& [name, tunnel] : tunnels)
    if (isSentElsewhere(picture, numbers, tunnel)) elsewhere.emplace(name, tunnel);
  for (const auto& [name, tunnel] : elsewhere) tunnels.edit().erase(name);
  picture.world.tunnels = std::move(tunnels);
  picture.world.tunnelsElsewhere = std::move(elsewhere);
}

}  // namespace

SharedMap<IfName, Tunnel> allTunnels(const World& world) {
  SharedMap<IfName, Tunnel> all = world.tunnels;
  if (!world.tunnelsElsewhere.empty()) all.edit().insert(world.tunnelsElsewhere.begin(), world.tunnelsElsewhere.end());
  return all;
}

void takeTunnels(Picture& picture, const Numbers& numbers, SharedMap<IfName, Tunnel> tunnels) {
  World& world = picture.world;
  const auto before = world.tunnels;
  divide(picture, numbers, std::move(tunnels));
  noteDepartures(picture, before);
  world.formerMarks.clear();
  if (picture.observed.nft)
    for (const auto& [mark, keptOut] : picture.observed.nft->table.ownMarks) world.ownMarks.insert(mark);
  for (const Rule& rule : picture.observed.rules)
    if (rule.mark.mask == numbers.markMask && rule.mark.value != 0)
      world.ownMarks.insert(Mark{rule.mark.value});
    else if (rule.mark.mask != numbers.markMask && rule.mark.mask != 0xffffffff && rule.mark.value != 0)
      world.formerMarks.insert(Mark{rule.mark.value});
  std::map<IfName, Mark> marks;
  // What we gave one before its device was up, and it could be told.
  for (const auto& [name, tunnel] : world.tunnelsElsewhere)
    if (isSteeredHere(picture, name) && isOurMark(world, numbers, tunnel.fwmark)) marks.emplace(name, tunnel.fwmark);
  for (const auto& [name, tunnel] : world.tunnels) {
    if (isOurMark(world, numbers, tunnel.fwmark))
      marks.emplace(name, tunnel.fwmark);
    else if (tunnel.fwmark.value != 0)
      world.ownersMarks.insert_or_assign(name, tunnel.fwmark);
  }
  picture.observed.tunnelMarks = std::move(marks);
  std::erase_if(world.ownersMarks, [&](const auto& owners) {
    return !world.tunnels.contains(owners.first) || !isNamedByRule(world, owners.second);
  });
}

}  // namespace wgsteer
