// SPDX-License-Identifier: GPL-2.0-or-later
// First half of the plan: which WANs there are, which policies over them, and which of these each tunnel and peer gets.
#include <algorithm>
#include <array>
#include <map>
#include <string_view>
#include <tuple>

#include "wgsteer/core/desire.hpp"
#include "wgsteer/core/rendezvous.hpp"

namespace wgsteer {

namespace {

/// Devices of these kinds carry packets inside others: never a WAN that is found by itself. sit (6in4) and ip6tnl
/// (DS-Lite) are not among them, for they are many people's only uplink of a family.
constexpr std::array kVirtualUplinks{"tun", "xfrm", "vti", "vti6", "gre", "ip6gre", "ipip"};

bool mayBeFoundAsWan(const World& world, const Link& link) {
  return !link.loopback && !isTunnel(world, link) &&
         std::ranges::none_of(kVirtualUplinks, [&](const char* kind) { return link.kind == kind; });
}

/// The part of a default route that leaves by one device, if any.
std::optional<Route> byDevice(const Route& route, IfIndex device) {
  if (!route.destination.isDefault() || route.type != RouteType::unicast || isOurTable(route.table))
    return std::nullopt;
  Route part = route;
  std::erase_if(part.hops, [&](const NextHop& hop) { return hop.device != device; });
  if (part.hops.empty()) return std::nullopt;
  return part;
}

std::vector<Route> defaultsOf(const std::set<Route>& routes, IfIndex device, Family family) {
  std::vector<Route> found;
  for (const Route& route : routes)
    if (route.family() == family)
      if (auto part = byDevice(route, device)) found.push_back(std::move(*part));
  std::ranges::stable_sort(found, [](const Route& left, const Route& right) {
    const auto rank = [](const Route& route) { return std::tuple{route.table != kMainTable, route.metric}; };
    return rank(left) < rank(right);
  });
  return found;
}

bool usableSource(const InterfaceAddress& own) {
  return !own.tentative && !own.linkScope && !own.address.isLinkLocal() && !own.address.isLoopback();
}

/// Whether a default route of this WAN names an address that another device has: by its `src`, or by the delegated
/// prefix that it is for (`from`), of which the WAN itself has no address (netifd and dhcpcd, with a LAN behind).
bool namesSource(const std::vector<Route>& defaults, const InterfaceAddress& own) {
  return std::ranges::any_of(defaults, [&](const Route& route) {
    return route.preferredSource == own.address || (!route.source.isDefault() && route.source.contains(own.address));
  });
}

/// The address that the kernel would most likely choose itself: the route's own, else one in the gateway's prefix, a
/// preferred one before a deprecated, a global before a unique local, a stable before a temporary.
std::optional<Address> preferredSource(const World& world, const Wan& wan, Family family) {
  const auto known = wan.defaults.find(family);
  const Route* best = known == wan.defaults.end() || known->second.empty() ? nullptr : &known->second.front();
  const auto rank = [&](const InterfaceAddress& own) {
    const bool asked = best != nullptr && best->preferredSource == own.address;
    const bool nearGateway = best != nullptr && best->hops.front().gateway &&
                             Prefix{own.address, own.prefixLength}.contains(*best->hops.front().gateway);
    return std::tuple{!asked, own.deprecated, own.address.isUniqueLocal(), !nearGateway, own.temporary};
  };
  const InterfaceAddress* chosen = nullptr;
  const auto consider = [&](const InterfaceAddress& own) {
    if (own.address.family() != family || !usableSource(own)) return;
    if (chosen == nullptr || rank(own) < rank(*chosen)) chosen = &own;
  };
  for (const InterfaceAddress& own : world.addressesOf(wan.link->index)) consider(own);
  if (chosen == nullptr && best != nullptr)
    for (const InterfaceAddress& own : world.addresses)
      if (namesSource(known->second, own)) consider(own);
  if (chosen == nullptr) return std::nullopt;
  return chosen->address;
}

/// Whether a parked default route could be there again: its device still (or again) has an address that its gateway is
/// reached by. With the link down the addresses stay; when they go (a lease that ran out), nothing leads there.
bool mayCountAgain(const World& world, const Route& route) {
  return std::ranges::all_of(route.hops, [&](const NextHop& hop) {
    return std::ranges::any_of(world.addressesOf(hop.device), [&](const InterfaceAddress& own) {
      if (own.address.family() != route.family()) return false;
      return !hop.gateway || hop.onlink || hop.gateway->family() != route.family() ||
             Prefix{own.peer.value_or(own.address), own.prefixLength}.contains(*hop.gateway);
    });
  });
}

/// Fills in what the world says about the WAN's device.
void look(const World& world, Wan& wan) {
  wan.link = world.linkNamed(wan.device);
  if (const auto down = world.wansDown.find(wan.name); down != world.wansDown.end()) wan.down = down->second;
  // Named as a WAN or not: nothing is ever sent into a tunnel.
  if (wan.link != nullptr && isTunnel(world, *wan.link)) wan.link = nullptr;
  if (wan.link == nullptr) return;
  for (const Family family : kFamilies) {
    auto defaults = defaultsOf(world.routes, wan.link->index, family);
    if (defaults.empty()) {
      defaults = defaultsOf(world.parked, wan.link->index, family);
      std::erase_if(defaults, [&](const Route& route) { return !mayCountAgain(world, route); });
    }
    if (!defaults.empty()) wan.defaults[family] = std::move(defaults);
    if (const auto source = preferredSource(world, wan, family)) wan.source[family] = *source;
  }
}

/// What leaves by a WAN that has no address has whatever source the kernel finds on this host, another WAN's as well,
/// which that provider drops. Better than no way at all, but not than another. IPv6 comes to this whenever an address
/// is replaced, for its default routes outlive the last address (IPv4's do not).
void passOverSourceless(std::vector<Wan>& wans) {
  for (const Family family : kFamilies) {
    const auto hasSource = [family](const Wan& wan) { return wan.eligible(family) && wan.source.contains(family); };
    if (std::ranges::none_of(wans, hasSource)) continue;
    for (Wan& wan : wans)
      if (!wan.source.contains(family)) wan.sourceless.insert(family);
  }
}

std::vector<Wan> configuredWans(const Config& config, const World& world) {
  std::vector<Wan> wans;
  for (const WanConfig& wanConfig : config.wans) {
    Wan wan;
    wan.name = wanConfig.name;
    wan.device = wanConfig.device;
    wan.slot = Slot{static_cast<std::uint8_t>(wans.size() + 1)};
    wan.weight = wanConfig.weight;
    for (const Family family : kFamilies) wan.metric[family] = wanConfig.metric;
    look(world, wan);
    wans.push_back(std::move(wan));
  }
  return wans;
}

/// The lowest number that is free, else that of a device which is gone: a modem that is called differently each time it
/// is plugged in would use them all up.
std::optional<Slot> takeSlot(std::map<IfName, Slot>& slots, const World& world, unsigned slotCount) {
  for (unsigned number = 1; number < slotCount; ++number) {
    const Slot slot{static_cast<std::uint8_t>(number)};
    if (std::ranges::none_of(slots, [&](const auto& known) { return known.second == slot; })) return slot;
  }
  const auto gone =
      std::ranges::find_if(slots, [&](const auto& known) { return world.linkNamed(known.first) == nullptr; });
  if (gone == slots.end()) return std::nullopt;
  const Slot slot = gone->second;
  slots.erase(gone);
  return slot;
}

/// Without a configuration: all devices with a default route in the main table, and those that once had one. A device
/// keeps its number for as long as we know of it, also over a restart, for what is in the kernel speaks of it by that
/// number.
std::map<IfName, Slot> foundSlots(const World& world, unsigned slotCount, std::vector<std::string>& problems) {
  std::map<IfName, Slot> slots = world.adopted.wanSlots;
  std::erase_if(slots, [&](const auto& known) {
    // A wider mask may have left higher numbers; the last one is the default policy's.
    if (known.second.value == 0 || known.second.value >= slotCount) return true;
    const Link* link = world.linkNamed(known.first);
    return link != nullptr && !mayBeFoundAsWan(world, *link);
  });
  std::vector<std::pair<std::uint32_t, IfName>> fresh;
  for (const auto& [index, link] : world.links) {
    if (!mayBeFoundAsWan(world, link) || slots.contains(link.name)) continue;
    for (const Family family : kFamilies) {
      const auto defaults = defaultsOf(world.routes, index, family);
      if (defaults.empty() || defaults.front().table != kMainTable) continue;
      fresh.emplace_back(defaults.front().metric, link.name);
      break;
    }
  }
  std::ranges::sort(fresh);
  for (const auto& [metric, device] : fresh) {
    if (const auto slot = takeSlot(slots, world, slotCount))
      slots.emplace(device, *slot);
    else
      problems.push_back("no mark is left for WAN " + device + ": widen mark_mask; it is not used");
  }
  return slots;
}

/// Found WANs keep the main table's order per family, one more than its metrics so that 0 has a place; those that are
/// equal there (two router advertisements) come one after the other, for nobody has asked for balancing.
void rankFoundWans(std::vector<Wan>& wans) {
  for (const Family family : kFamilies) {
    std::vector<std::pair<std::uint32_t, Wan*>> order;
    for (Wan& wan : wans) {
      const auto known = wan.defaults.find(family);
      const std::uint32_t metric = known == wan.defaults.end() ? 0 : known->second.front().metric;
      order.emplace_back(std::min(metric, kLanMetric - 0x1000) + 1, &wan);
    }
    std::ranges::stable_sort(order, {}, [](const auto& entry) { return std::pair{entry.first, entry.second->slot}; });
    std::uint32_t last = 0;
    for (auto& [metric, wan] : order) {
      if (!wan->defaults.contains(family)) continue;
      last = std::max(metric, last + 1);
      wan->metric[family] = last;
    }
  }
}

std::vector<Wan> foundWans(const Config& config, const World& world, std::vector<std::string>& problems) {
  std::vector<Wan> wans;
  for (const auto& [device, slot] : foundSlots(world, config.numbers.slotCount(), problems)) {
    Wan wan;
    wan.name = device;
    wan.device = device;
    wan.slot = slot;
    for (const Family family : kFamilies) wan.metric[family] = kMinMetric;
    look(world, wan);
    wans.push_back(std::move(wan));
  }
  std::ranges::sort(wans, {}, &Wan::slot);
  rankFoundWans(wans);
  return wans;
}

std::vector<MemberView> members(const PolicyConfig& policy, const std::vector<Wan>& wans) {
  std::vector<MemberView> views;
  if (policy.members.empty()) {
    for (std::size_t i = 0; i < wans.size(); ++i) views.push_back({i, wans[i].metric, wans[i].weight});
    return views;
  }
  for (const PolicyMember& member : policy.members) {
    const auto wan = std::ranges::find(wans, member.wan, &Wan::name);
    if (wan == wans.end()) continue;  // the validator has refused that
    views.push_back({static_cast<std::size_t>(wan - wans.begin()),
                     {{Family::v4, member.metric}, {Family::v6, member.metric}},
                     member.weight});
  }
  return views;
}

/// Gives out policies' numbers, counted downward from the last so that WANs can be added without moving them.
class PolicyBook {
 public:
  PolicyBook(const Config& config, Steering& steering)
      : config_(config),
        steering_(steering),
        next_(static_cast<std::uint8_t>(config.numbers.slotCount())),
        floor_(static_cast<std::uint8_t>(
            steering.wans.empty() ? 0 : std::ranges::max(steering.wans, {}, &Wan::slot).slot.value)) {
    add(PolicyConfig{.name = std::string{kDefaultPolicy}, .members = {}, .lastResort = LastResort::unreachable}, false);
    for (const PolicyConfig& policy : config.policies) add(policy, false);
  }

  /// Index of the policy; the server variant of one is made when it is first asked for.
  std::size_t find(std::string_view name, bool server) {
    const auto& known = steering_.policies;
    const auto is = [&](const PolicyView& view, bool role) { return view.name == name && view.server == role; };
    for (std::size_t i = 0; i < known.size(); ++i)
      if (is(known[i], server)) return i;
    if (server) {
      for (const PolicyConfig& policy : config_.policies)
        if (policy.name == name) return add(policy, true);
      return add(
          PolicyConfig{.name = std::string{kDefaultPolicy}, .members = {}, .lastResort = LastResort::unreachable},
          true);
    }
    return 0;
  }

 private:
  std::size_t add(const PolicyConfig& policy, bool server) {
    PolicyView view{.name = policy.name,
                    .members = members(policy, steering_.wans),
                    .lastResort = policy.lastResort,
                    .server = server,
                    .target = {}};
    // Found WANs come and go: a policy over them is never "of a single WAN", or its mark would change with their
    // number.
    const bool single =
        view.members.size() == 1 && policy.lastResort == LastResort::unreachable && !server && !config_.wans.empty();
    if (single) {
      const Slot slot = steering_.wans[view.members.front().wan].slot;
      view.target = {slot, config_.numbers.wanTable(slot), false};
    } else if (next_ > floor_) {
      const Slot slot{next_--};
      view.target = {slot, config_.numbers.policyTable(slot), true};
    } else {
      steering_.problems.push_back("no mark is left for policy " + policy.name + (server ? " of server tunnels" : "") +
                                   ": widen mark_mask; policy " + std::string{kDefaultPolicy} + " is used");
      return 0;
    }
    steering_.policies.push_back(std::move(view));
    return steering_.policies.size() - 1;
  }

  const Config& config_;
  Steering& steering_;
  std::uint8_t next_;
  std::uint8_t floor_;
};

/// Whoever has a host name is called by us, even if its endpoint is not known yet.
bool callsByName(const World& world, const Tunnel& tunnel) {
  for (auto named = world.named.lower_bound({tunnel.name, {}});
       named != world.named.end() && named->first.tunnel == tunnel.name; ++named)
    if (std::ranges::binary_search(tunnel.peers, named->first.key, {}, &Peer::publicKey)) return true;
  return false;
}

/// The WANs of the policy that are used now and share a metric, if there is a choice: none, or several.
std::vector<const MemberView*> equals(const Steering& steering, const PolicyView& policy, Family family) {
  std::vector<const MemberView*> best;
  for (const MemberView& member : policy.members) {
    const Wan& wan = steering.wans[member.wan];
    if (!wan.eligible(family) || !wan.source.contains(family)) continue;
    const std::uint32_t metric = member.metric.at(family);
    if (!best.empty() && metric > best.front()->metric.at(family)) continue;
    if (!best.empty() && metric < best.front()->metric.at(family)) best.clear();
    best.push_back(&member);
  }
  if (best.size() < 2) best.clear();
  return best;
}

/// Peers that are marked in nft, one by one, among WANs of equal metric: the kernel chooses by flow and after the
/// source has been set, so that it would take the other WAN's way as often as not. The rest may do so if the user wants
/// it.
void shareOut(const Config& config, const Steering& steering, TunnelView& view) {
  if (view.server) return;  // whose replies leave by the WAN that they came in on
  const auto configured = std::ranges::find(config.tunnels, view.tunnel->name, &TunnelConfig::interface);
  const bool all = configured != config.tunnels.end() && configured->balance;
  std::map<std::pair<std::size_t, Family>, std::vector<const MemberView*>> choices;
  const auto assign = [&](std::size_t i) {
    const Peer& peer = view.tunnel->peers[i];
    const std::size_t policy = view.policyOf(i);
    if (!peer.endpoint) return;
    const auto [choice, fresh] = choices.try_emplace({policy, peer.endpoint->address.family()});
    if (fresh) choice->second = equals(steering, steering.policies[policy], choice->first.second);
    if (choice->second.empty()) return;
    std::vector<Candidate> candidates;
    for (const MemberView* member : choice->second)
      candidates.push_back({steering.wans[member->wan].name, member->weight});
    view.peerWan[i] = choice->second[rendezvous(peer.publicKey, candidates)]->wan;
  };
  if (all)
    for (std::size_t i = 0; i < view.tunnel->peers.size(); ++i) assign(i);
  else
    for (const auto& [i, policy] : view.peerPolicy) assign(i);
}

bool isServer(Role role, const World& world, const Tunnel& tunnel, PlanMemory& memory) {
  if (role != Role::automatic) return role == Role::server;
  const auto [likeServer, unknown] = memory.likeServer.try_emplace(tunnel.name);
  if (unknown) likeServer->second = looksLikeServer(tunnel);
  return likeServer->second && !callsByName(world, tunnel);
}

/// A peer that does not answer by its usual WAN is given another one, while that can be used.
void divert(const World& world, const Steering& steering, TunnelView& view) {
  const Tunnel& tunnel = *view.tunnel;
  for (auto entry = world.stalled.lower_bound({tunnel.name, {}});
       entry != world.stalled.end() && entry->first.tunnel == tunnel.name; ++entry) {
    const auto peer = std::ranges::lower_bound(tunnel.peers, entry->first.key, {}, &Peer::publicKey);
    const auto wan = std::ranges::find(steering.wans, entry->second.wan, &Wan::name);
    if (peer == tunnel.peers.end() || peer->publicKey != entry->first.key || !peer->endpoint) continue;
    const Family family = peer->endpoint->address.family();
    if (wan == steering.wans.end() || !wan->eligible(family) || !wan->source.contains(family)) continue;
    view.peerWan[static_cast<std::size_t>(peer - tunnel.peers.begin())] =
        static_cast<std::size_t>(wan - steering.wans.begin());
  }
}

TunnelView viewOf(const Config& config, const World& world, const Tunnel& tunnel, PolicyBook& book,
                  PlanMemory& memory) {
  const auto configured = std::ranges::find(config.tunnels, tunnel.name, &TunnelConfig::interface);
  const TunnelConfig asked = configured == config.tunnels.end() ? TunnelConfig{} : *configured;

  TunnelView view;
  view.tunnel = &tunnel;
  view.server = isServer(asked.role, world, tunnel, memory);
  view.policy = book.find(asked.policy, view.server);
  view.ownsFwmark = tunnel.fwmark.value == 0 || config.numbers.isOurs(tunnel.fwmark);
  if (const auto pinned = memory.pinned.find(tunnel.name); pinned != memory.pinned.end())
    for (const auto& [peer, name] : pinned->second) {
      const std::size_t policy = book.find(name, view.server);
      if (policy != view.policy) view.peerPolicy.emplace(peer, policy);
    }
  return view;
}

}  // namespace

bool Wan::eligible(Family family) const { return whyNot(family).empty(); }

std::string Wan::whyNot(Family family) const {
  if (link == nullptr) return "no such device";
  if (!link->up) return "link down";
  if (!link->carrier) return "no carrier";
  if (!defaults.contains(family)) return "no default route";
  if (sourceless.contains(family)) return "no address";
  return down;
}

bool looksLikeServer(const Tunnel& tunnel) {
  const auto isHost = [](const Prefix& prefix) { return prefix.length() == bitsOf(prefix.family()); };
  const auto clientLike = [](const Peer& peer) {
    // /0, or halves of it: this peer is somebody's way to the Internet.
    return peer.persistentKeepalive != 0 ||
           std::ranges::any_of(peer.allowedIps, [](const Prefix& prefix) { return prefix.length() <= 1; });
  };
  if (tunnel.peers.empty() || std::ranges::any_of(tunnel.peers, clientLike)) return false;
  return std::ranges::any_of(tunnel.peers, [](const Peer& peer) { return !peer.endpoint; }) ||
         std::ranges::all_of(tunnel.peers,
                             [&](const Peer& peer) { return std::ranges::all_of(peer.allowedIps, isHost); });
}

void PlanMemory::recall(const Config& config, const World& world) {
  if (tunnels.same(world.tunnels) && named.same(world.named)) return;
  *this = {};
  tunnels = world.tunnels;
  named = world.named;
  for (const PeerConfig& own : config.peers) {
    const auto tunnel = tunnels.find(own.tunnel);
    if (tunnel == tunnels.end() || !own.policy) continue;
    const auto& peers = tunnel->second.peers;
    const auto peer = std::ranges::lower_bound(peers, own.publicKey, {}, &Peer::publicKey);
    if (peer == peers.end() || peer->publicKey != own.publicKey) continue;
    pinned[own.tunnel].emplace(static_cast<std::size_t>(peer - peers.begin()), *own.policy);
  }
}

Steering steer(const Config& config, const World& world) {
  PlanMemory none;
  return steer(config, world, none);
}

Steering steer(const Config& config, const World& world, PlanMemory& memory) {
  memory.recall(config, world);
  Steering steering;
  steering.wans = config.wans.empty() ? foundWans(config, world, steering.problems) : configuredWans(config, world);
  passOverSourceless(steering.wans);
  PolicyBook book{config, steering};
  for (const auto& [name, tunnel] : world.tunnels) {
    const auto configured = std::ranges::find(config.tunnels, name, &TunnelConfig::interface);
    if (configured != config.tunnels.end() && !configured->enabled) continue;
    steering.tunnels.push_back(viewOf(config, world, tunnel, book, memory));
    shareOut(config, steering, steering.tunnels.back());
    divert(world, steering, steering.tunnels.back());
  }
  return steering;
}

}  // namespace wgsteer
