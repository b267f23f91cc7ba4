// SPDX-License-Identifier: GPL-2.0-or-later
// Which tunnels are steered here, and whose their marks are.
#include <algorithm>
#include <utility>

#include "wgsteer/core/departed.hpp"
#include "wgsteer/core/steering.hpp"
#include "wgsteer/core/track.hpp"

namespace wgsteer {

namespace {

bool isNamedByRule(const World& world, Mark mark) {
  return std::ranges::any_of(world.rules,
                             [&](const Rule& rule) { return rule.mark == MarkMatch{mark.value, 0xffffffff}; });
}

/// The tunnel that a rule like wg-quick(8)'s is for: `not fwmark NUMBER lookup NUMBER`, with a default route by the
/// tunnel in that table.
const Tunnel* tunnelOf(const World& world, const Rule& rule) {
  if (!rule.invert || rule.mark.mask != 0xffffffff || rule.action != RuleAction::lookup ||
      rule.table.value != rule.mark.value)
    return nullptr;
  const Tunnel* found = nullptr;
  forEachDefault(world.routes, rule.family, [&](const Route& route) {
    if (route.table != rule.table || route.hops.empty()) return;
    const Link* link = world.link(route.hops.front().device);
    if (link == nullptr) return;
    if (const auto tunnel = world.tunnels.find(link->name); tunnel != world.tunnels.end()) found = &tunnel->second;
  });
  return found;
}

/// Whether a rule names the tunnel's fwmark, and not for another tunnel.
bool isItsOwners(const World& world, const Tunnel& tunnel) {
  return std::ranges::any_of(world.rules, [&](const Rule& rule) {
    if (rule.mark != MarkMatch{tunnel.fwmark.value, 0xffffffff}) return false;
    const Tunnel* meant = tunnelOf(world, rule);
    return meant == nullptr || meant->name == tunnel.name;
  });
}

/// The fwmark that a tunnel's owner wants it to have, whatever it has by now: wg-quick may have set it just before us,
/// and `wg syncconf` resets it.
void learnFromRules(World& world, const Numbers& numbers) {
  for (const Rule& rule : world.rules) {
    const Tunnel* tunnel = tunnelOf(world, rule);
    if (tunnel != nullptr && (tunnel->fwmark.value == 0 || isOurMark(world, numbers, *tunnel)))
      world.ownersMarks.insert_or_assign(tunnel->name, Mark{rule.mark.value});
  }
}

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

bool isOurMark(const World& world, const Numbers& numbers, const Tunnel& tunnel) {
  const Mark mark = tunnel.fwmark;
  const bool set = (numbers.isOurs(mark) && world.ownMarks.contains(mark)) || world.formerMarks.contains(mark);
  return set && !isItsOwners(world, tunnel);
}

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
    if (isSteeredHere(picture, name) && isOurMark(world, numbers, tunnel)) marks.emplace(name, tunnel.fwmark);
  for (const auto& [name, tunnel] : world.tunnels) {
    if (isOurMark(world, numbers, tunnel))
      marks.emplace(name, tunnel.fwmark);
    else if (tunnel.fwmark.value != 0)
      world.ownersMarks.insert_or_assign(name, tunnel.fwmark);
  }
  learnFromRules(world, numbers);
  picture.observed.tunnelMarks = std::move(marks);
  std::erase_if(world.ownersMarks, [&](const auto& owners) {
    return !world.tunnels.contains(owners.first) || !isNamedByRule(world, owners.second);
  });
}

bool sameForPlans(const std::map<IfName, Tunnel>& left, const std::map<IfName, Tunnel>& right) {
  const auto samePeer = [](const Peer& a, const Peer& b) {
    return a.publicKey == b.publicKey && a.endpoint == b.endpoint && a.allowedIps == b.allowedIps &&
           a.persistentKeepalive == b.persistentKeepalive;
  };
  return std::ranges::equal(left, right, [&](const auto& a, const auto& b) {
    return a.first == b.first && a.second.fwmark == b.second.fwmark && a.second.listenPort == b.second.listenPort &&
           a.second.backend == b.second.backend && std::ranges::equal(a.second.peers, b.second.peers, samePeer);
  });
}

void takeCounters(std::map<IfName, Tunnel>& tunnels, const std::map<IfName, Tunnel>& read) {
  for (auto& [name, tunnel] : tunnels) {
    const Tunnel& now = read.at(name);
    tunnel.socket = now.socket;
    for (std::size_t i = 0; i < tunnel.peers.size(); ++i) {
      tunnel.peers[i].lastHandshake = now.peers[i].lastHandshake;
      tunnel.peers[i].receivedBytes = now.peers[i].receivedBytes;
      tunnel.peers[i].sentBytes = now.peers[i].sentBytes;
    }
  }
}

bool sameElsewhere(const std::map<IfName, Tunnel>& left, const std::map<IfName, Tunnel>& right) {
  return std::ranges::equal(left, right, [](const auto& a, const auto& b) {
    return a.first == b.first && a.second.socket == b.second.socket;
  });
}

}  // namespace wgsteer
