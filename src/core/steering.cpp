// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/steering.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <map>
#include <set>
#include <string_view>
#include <tuple>

#include "wgsteer/core/describe.hpp"
#include "wgsteer/core/follow.hpp"
#include "wgsteer/core/rendezvous.hpp"

#include "core/foreign_ways.hpp"
#include "core/host_routes.hpp"

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
  forEachDefault(routes, family, [&](const Route& route) {
    if (auto part = byDevice(route, device)) found.push_back(std::move(*part));
  });
  std::ranges::stable_sort(found, [](const Route& left, const Route& right) {
    const auto rank = [](const Route& route) {
      return std::tuple{route.table != kMainTable, route.metric, route.order, route.position.value};
    };
    return rank(left) < rank(right);
  });
  return found;
}

bool usableSource(const InterfaceAddress& own) {
  return !own.tentative && !own.linkScope && !own.address.isLinkLocal() && !own.address.isLoopback();
}

bool isOfTunnel(const World& world, const InterfaceAddress& own) {
  const Link* link = world.link(own.device);
  return link == nullptr || isTunnel(world, *link);
}

/// Whether a default route of this WAN names an address that another device has: by its `src`, wherever that address is
/// (lo, a bridge), or by the delegated prefix that it is for (`from`), of which the WAN itself has no address (netifd
/// and dhcpcd, with a LAN behind). A tunnel's address is never meant.
bool namesSource(const World& world, const std::vector<Route>& defaults, const InterfaceAddress& own) {
  return !isOfTunnel(world, own) && std::ranges::any_of(defaults, [&](const Route& route) {
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
    const bool itsOwn = own.device == wan.link->index;
    return std::tuple{!asked, !itsOwn, own.deprecated, own.address.isUniqueLocal(), !nearGateway, own.temporary};
  };
  const InterfaceAddress* chosen = nullptr;
  const auto consider = [&](const InterfaceAddress& own) {
    if (own.address.family() != family || !usableSource(own)) return;
    if (chosen == nullptr || rank(own) < rank(*chosen)) chosen = &own;
  };
  for (const InterfaceAddress& own : world.addressesOf(wan.link->index)) consider(own);
  if (best != nullptr)
    for (const InterfaceAddress& own : world.addresses)
      if (namesSource(world, known->second, own)) consider(own);
  if (chosen == nullptr) return std::nullopt;
  return chosen->address;
}

/// A WAN with a link-local address alone, and the delegated prefix on a LAN: what leaves has an address of that LAN.
/// Left to itself, the kernel takes the address that is most like the destination's, a tunnel's as well.
std::optional<Address> sourceBehind(const World& world, const std::vector<Wan>& wans) {
  const InterfaceAddress* chosen = nullptr;
  const auto isOfWan = [&](const InterfaceAddress& own) {
    return std::ranges::any_of(wans,
                               [&](const Wan& wan) { return wan.link != nullptr && wan.link->index == own.device; });
  };
  const auto rank = [](const InterfaceAddress& own) {
    return std::tuple{own.deprecated, own.address.isUniqueLocal(), own.temporary};
  };
  for (const InterfaceAddress& own : world.addresses) {
    if (own.address.family() != Family::v6 || !usableSource(own) || isOfTunnel(world, own) || isOfWan(own)) continue;
    if (chosen == nullptr || rank(own) < rank(*chosen)) chosen = &own;
  }
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
  if (const auto down = world.wansDown.find(wan.name); down != world.wansDown.end()) wan.down = down->second.why;
  // Named as a WAN or not: nothing is ever sent into a tunnel.
  if (wan.link != nullptr && isTunnel(world, *wan.link)) wan.link = nullptr;
  if (wan.link == nullptr) return;
  wan.deaf = wan.link->inVrf && !world.udpHearsVrfs;
  for (const Family family : kFamilies) {
    auto defaults = defaultsOf(world.routes, wan.link->index, family);
    if (defaults.empty()) {
      defaults = defaultsOf(world.parked, wan.link->index, family);
      std::erase_if(defaults, [&](const Route& route) { return !mayCountAgain(world, route); });
    }
    if (!defaults.empty()) wan.defaults[family] = std::move(defaults);
    if (const auto source = preferredSource(world, wan, family)) wan.source[family] = *source;
    if (const auto refused = world.refusedRoutes.find({wan.slot, family}); refused != world.refusedRoutes.end())
      wan.refused[family] = refused->second;
  }
}

/// A WAN that main prefers to all others and that has no address of its own: the prefix that a LAN has is delegated by
/// it, as far as anybody here can tell, and main sends what has an address of it that way.
bool takesSourceFromInside(const World& world, const std::vector<Wan>& wans, const Wan& wan, Family family) {
  if (family != Family::v6 || !wan.eligible(family)) return false;
  const bool preferred = std::ranges::none_of(wans, [&](const Wan& other) {
    return &other != &wan && other.eligible(family) && other.metric.at(family) < wan.metric.at(family);
  });
  if (!preferred) return false;
  const auto behind = sourceBehind(world, wans);
  return behind && !behind->isUniqueLocal();
}

/// What leaves by a WAN that has no address has whatever source the kernel finds on this host, another WAN's as well,
/// which that provider drops. A last resort: used only if no other WAN is. IPv6 comes to this whenever an address
/// is replaced, for its default routes outlive the last address (IPv4's do not).
void passOverSourceless(const World& world, std::vector<Wan>& wans) {
  for (const Family family : kFamilies) {
    const auto hasSource = [family](const Wan& wan) { return wan.eligible(family) && wan.source.contains(family); };
    const bool any = std::ranges::any_of(wans, hasSource);
    for (Wan& wan : wans) {
      if (wan.source.contains(family)) continue;
      if (any && !takesSourceFromInside(world, wans, wan, family))
        wan.sourceless.insert(family);
      else if (family == Family::v6 && wan.defaults.contains(family))
        if (const auto behind = sourceBehind(world, wans)) wan.source[family] = *behind;
    }
  }
}

/// Numbers that are free, from below.
class FreeSlots {
 public:
  FreeSlots(std::set<Slot> taken, unsigned count) : taken_(std::move(taken)), count_(count) {}
  std::optional<Slot> next() {
    for (unsigned number = 1; number < count_; ++number)
      if (const Slot slot{static_cast<std::uint8_t>(number)}; taken_.insert(slot).second) return slot;
    return std::nullopt;
  }

 private:
  std::set<Slot> taken_;
  unsigned count_;
};

std::vector<Wan> configuredWans(const Config& config, const World& world, std::vector<std::string>& problems) {
  std::vector<Wan> wans;
  FreeSlots slots{slotsOfOthers(world, config.numbers), config.numbers.slotCount() + 1};
  for (const WanConfig& wanConfig : config.wans) {
    const auto slot = slots.next();
    if (!slot) {
      problems.push_back("no mark left for WAN " + wanConfig.name + ": it is not used; widen mark_mask");
      continue;
    }
    Wan wan;
    wan.name = wanConfig.name;
    wan.device = wanConfig.device;
    wan.slot = *slot;
    wan.weight = wanConfig.weight;
    for (const Family family : kFamilies) wan.metric[family] = wanConfig.metric;
    look(world, wan);
    wans.push_back(std::move(wan));
  }
  return wans;
}

/// The lowest number that is free, else that of a device which is gone: a modem that is called differently each time it
/// is plugged in would use them all up.
std::optional<Slot> takeSlot(std::map<IfName, Slot>& slots, const std::set<Slot>& others, const World& world,
                             unsigned slotCount) {
  std::set<Slot> taken = others;
  for (const auto& [device, slot] : slots) taken.insert(slot);
  if (const auto free = FreeSlots{std::move(taken), slotCount}.next()) return free;
  const auto gone =
      std::ranges::find_if(slots, [&](const auto& known) { return world.linkNamed(known.first) == nullptr; });
  if (gone == slots.end()) return std::nullopt;
  const Slot slot = gone->second;
  slots.erase(gone);
  return slot;
}

/// Where an unmarked packet would come upon this default route: the main table's before all others, which count only
/// when main has none (UniFi, networkd's RouteTable=), and of these the one that a rule for all packets leads to.
std::optional<std::uint32_t> tableRank(const World& world, const Route& route) {
  if (route.table == kMainTable) return 0;
  std::optional<std::uint32_t> best;
  for (const Rule& rule : world.rules) {
    if (rule.action != RuleAction::lookup || rule.table != route.table || rule.family != route.family()) continue;
    const bool forAll = rule.mark.mask == 0 && !rule.source && rule.inputInterface.empty() && !rule.otherSelector;
    const std::uint32_t rank = (forAll ? 1U : 0x10000U) + std::min(rule.priority, 0xffffU);
    best = best ? std::min(*best, rank) : rank;
  }
  return best;
}

/// By which default route a device is found to be a WAN.
std::optional<std::pair<std::uint32_t, std::uint32_t>> foundBy(const World& world, IfIndex device, bool inMain) {
  std::optional<std::pair<std::uint32_t, std::uint32_t>> best;
  for (const Family family : kFamilies)
    for (const Route& route : defaultsOf(world.routes, device, family)) {
      const auto table = tableRank(world, route);
      if (!table || (*table == 0) != inMain) continue;
      const std::pair rank{*table, route.metric};
      best = best ? std::min(*best, rank) : rank;
    }
  return best;
}

/// Without a configuration: all devices with a default route in the main table, and those that once had one. A device
/// keeps its number for as long as we know of it, also over a restart, for what is in the kernel speaks of it by that
/// number.
std::map<IfName, Slot> foundSlots(const World& world, const Numbers& numbers, std::vector<std::string>& problems) {
  const unsigned slotCount = numbers.slotCount();
  const std::set<Slot> others = slotsOfOthers(world, numbers);
  std::map<IfName, Slot> slots = world.adopted.wanSlots;
  std::erase_if(slots, [&](const auto& known) {
    // A wider mask may have left higher numbers; the last one is the default policy's.
    if (known.second.value == 0 || known.second.value >= slotCount || others.contains(known.second)) return true;
    const Link* link = world.linkNamed(known.first);
    return link != nullptr && !mayBeFoundAsWan(world, *link);
  });
  std::vector<std::pair<std::pair<std::uint32_t, std::uint32_t>, IfName>> fresh;
  for (const bool inMain : {true, false}) {
    for (const auto& [index, link] : world.links) {
      if (!mayBeFoundAsWan(world, link) || slots.contains(link.name)) continue;
      if (const auto rank = foundBy(world, index, inMain)) fresh.emplace_back(*rank, link.name);
    }
    if (!fresh.empty() || !slots.empty()) break;
  }
  std::ranges::sort(fresh);
  for (const auto& [rank, device] : fresh) {
    if (const auto slot = takeSlot(slots, others, world, slotCount))
      slots.emplace(device, *slot);
    else
      problems.push_back("no mark left for WAN " + device + ": it is not used; widen mark_mask");
  }
  return slots;
}

/// Found WANs keep the main table's order per family, one more than its metrics so that 0 has a place; those that are
/// equal there come one after the other, for nobody has asked for balancing: router advertisements by what they say of
/// themselves, IPv4 routes in the order of the kernel's list.
void rankFoundWans(const World& world, std::vector<Wan>& wans) {
  for (const Family family : kFamilies) {
    std::vector<std::tuple<std::uint32_t, std::uint32_t, std::int8_t, std::int32_t, Slot, Wan*>> order;
    for (Wan& wan : wans) {
      const auto known = wan.defaults.find(family);
      if (known == wan.defaults.end()) continue;
      const Route& best = known->second.front();
      order.emplace_back(tableRank(world, best).value_or(kLanMetric), best.metric, best.order, best.position.value,
                         wan.slot, &wan);
    }
    std::ranges::sort(order);
    std::uint32_t last = 0;
    for (const auto& [table, metric, preference, position, slot, wan] : order) {
      last = std::max(table == 0 ? std::min(metric, kLanMetric - 0x1000) + 1 : 1, last + 1);
      wan->metric[family] = last;
    }
  }
}

/// Takes default routes by another gateway than the first out of a WAN's. Not those of router advertisements: the
/// kernel itself finds out which of the routers is there.
std::vector<Route> byOtherGateways(std::vector<Route>& routes) {
  constexpr std::uint8_t kByKernel = 2;
  constexpr std::uint8_t kByRouterAdvertisement = 9;
  const auto first = routes.front().hops.front().gateway;
  const TableId table = routes.front().table;
  std::vector<Route> others;
  std::erase_if(routes, [&](const Route& route) {
    const auto& gateway = route.hops.front().gateway;
    const bool advertised =
        route.protocol == kByRouterAdvertisement || (route.family() == Family::v6 && route.protocol == kByKernel);
    if (!first || !gateway || gateway == first || route.hops.size() > 1 || route.table != table ||
        !route.source.isDefault() || advertised)
      return false;
    others.push_back(route);
    return true;
  });
  return others;
}

/// A second gateway on one device (two routers in one subnet) is a WAN of its own, as long as there is a route by it:
/// it has a table, but nothing that comes in by it can be told from what comes in by the first.
void addSecondGateways(const Config& config, const World& world, std::vector<Wan>& wans) {
  std::map<std::string, Wan> seconds;
  for (Wan& wan : wans)
    for (auto& [family, routes] : wan.defaults)
      for (Route& route : byOtherGateways(routes)) {
        const std::string name = wan.name + " via " + route.hops.front().gateway->toString();
        const auto [second, fresh] = seconds.try_emplace(name, wan);
        if (fresh) {
          second->second.name = name;
          second->second.secondary = true;
          second->second.defaults = {};
        }
        second->second.defaults[family].push_back(std::move(route));
      }
  if (seconds.empty()) return;
  std::set<Slot> taken = slotsOfOthers(world, config.numbers);
  for (const Wan& wan : wans) taken.insert(wan.slot);
  for (const auto& [device, slot] : world.adopted.wanSlots) taken.insert(slot);
  // Policies, and their variants for servers, come from above.
  const std::size_t policies = 2 * (config.policies.size() + 1);
  const unsigned count = config.numbers.slotCount();
  FreeSlots slots{std::move(taken), count > policies ? count - static_cast<unsigned>(policies) : 0};
  for (auto& [name, wan] : seconds) {
    const auto slot = slots.next();
    if (!slot) continue;  // the first gateway is used, as if there were no other
    wan.slot = *slot;
    if (const auto down = world.wansDown.find(name); down != world.wansDown.end()) wan.down = down->second.why;
    wans.push_back(std::move(wan));
  }
}

std::vector<Wan> foundWans(const Config& config, const World& world, std::vector<std::string>& problems) {
  std::vector<Wan> wans;
  for (const auto& [device, slot] : foundSlots(world, config.numbers, problems)) {
    Wan wan;
    wan.name = device;
    wan.device = device;
    wan.slot = slot;
    for (const Family family : kFamilies) wan.metric[family] = kMinMetric;
    look(world, wan);
    wans.push_back(std::move(wan));
  }
  addSecondGateways(config, world, wans);
  std::ranges::sort(wans, {}, &Wan::slot);
  rankFoundWans(world, wans);
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
  PolicyBook(const Config& config, const World& world, Steering& steering)
      : config_(config),
        steering_(steering),
        others_(slotsOfOthers(world, config.numbers)),
        next_(static_cast<std::uint8_t>(config.numbers.slotCount())),
        floor_(static_cast<std::uint8_t>(
            steering.wans.empty() ? 0 : std::ranges::max(steering.wans, {}, &Wan::slot).slot.value)) {
    add(PolicyConfig{.name = std::string{kDefaultPolicy}, .members = {}, .lastResort = LastResort::unreachable}, false);
    // It is the first, which all others fall back to.
    if (steering_.policies.empty()) return;
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
    } else if (const auto slot = nextSlot()) {
      view.target = {*slot, config_.numbers.policyTable(*slot), true};
    } else {
      steering_.problems.push_back("no mark left for policy " + policy.name + (server ? " of server tunnels" : "") +
                                   ": policy " + std::string{kDefaultPolicy} + " is used instead; widen mark_mask");
      return 0;
    }
    steering_.policies.push_back(std::move(view));
    return steering_.policies.size() - 1;
  }

  std::optional<Slot> nextSlot() {
    while (next_ > floor_)
      if (const Slot slot{next_--}; !others_.contains(slot)) return slot;
    return std::nullopt;
  }

  const Config& config_;
  Steering& steering_;
  std::set<Slot> others_;
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
    // The chain sets the source of the WAN that is chosen, which has to have one.
    if (fresh)
      choice->second = preferredCandidates(steering, steering.policies[policy], choice->first.second, Need::source);
    if (choice->second.size() < 2) return;
    std::vector<Candidate> wans;
    for (const MemberView* member : choice->second) wans.push_back({steering.wans[member->wan].name, member->weight});
    view.peerWan[i] = choice->second[rendezvous(peer.publicKey, wans)]->wan;
  };
  if (all)
    for (std::size_t i = 0; i < view.tunnel->peers.size(); ++i) assign(i);
  else
    for (const auto& [i, policy] : view.peerPolicy) assign(i);
}

bool isServer(Role role, const World& world, const Tunnel& tunnel, const PeerFacts& peers) {
  if (role != Role::automatic) return role == Role::server;
  return peers.likeServer.at(tunnel.name) && !callsByName(world, tunnel);
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
    if (wan == steering.wans.end() || !serves(*wan, family, Need::source)) continue;
    view.peerWan[static_cast<std::size_t>(peer - tunnel.peers.begin())] =
        static_cast<std::size_t>(wan - steering.wans.begin());
  }
}

/// Peers that main leads through a tunnel on purpose; and all, if a rule of the owner's leads the tunnel's own mark by
/// something else than a WAN.
std::map<std::size_t, std::string> leftAloneOf(const TunnelView& view, const ForeignWays& ways,
                                               const PeerFacts& peers) {
  std::map<std::size_t, std::string> alone;
  if (const auto nested = peers.nested.find(view.tunnel->name); nested != peers.nested.end())
    for (const auto& [peer, by] : nested->second) alone.emplace(peer, "main reaches it through a tunnel (" + by + ")");
  const Rule* own = view.ownersMark.value == 0 ? nullptr : wayOf(ways, view.ownersMark);
  for (std::size_t i = 0; own != nullptr && i < view.tunnel->peers.size(); ++i)
    alone.insert_or_assign(i,
                           std::string{ipCommand(own->family)} + " rule " + describe(*own) + " routes its own fwmark");
  return alone;
}

TunnelView viewOf(const Config& config, const World& world, const Tunnel& tunnel, const ForeignWays& ways,
                  PolicyBook& book, const PeerFacts& peers) {
  const auto configured = std::ranges::find(config.tunnels, tunnel.name, &TunnelConfig::interface);
  const TunnelConfig asked = configured == config.tunnels.end() ? TunnelConfig{} : *configured;

  TunnelView view;
  view.tunnel = &tunnel;
  view.server = isServer(asked.role, world, tunnel, peers);
  view.policy = book.find(asked.policy, view.server);
  const bool ours = tunnel.fwmark.value == 0 || isOurMark(world, config.numbers, tunnel.fwmark);
  const auto lost = world.ownersMarks.find(tunnel.name);
  view.ownersMark = !ours ? tunnel.fwmark : lost != world.ownersMarks.end() ? lost->second : Mark{};
  // Who has named WANs for a tunnel or peer means these.
  if (asked.policy == kDefaultPolicy) view.leftAlone = leftAloneOf(view, ways, peers);
  if (const auto pinned = peers.pinned.find(tunnel.name); pinned != peers.pinned.end())
    for (const auto& [peer, name] : pinned->second) {
      const std::size_t policy = book.find(name, view.server);
      if (policy != view.policy) view.peerPolicy.emplace(peer, policy);
      view.leftAlone.erase(peer);
    }
  view.fwmark = !view.leftAlone.empty()      ? FwmarkUse::none
                : view.ownersMark.value != 0 ? FwmarkUse::foreign
                                             : FwmarkUse::ours;
  return view;
}

}  // namespace

std::set<Slot> slotsOfOthers(const World& world, const Numbers& numbers) {
  std::set<Slot> slots;
  const auto take = [&](std::uint32_t mark) {
    const std::uint32_t number = (mark & numbers.markMask) >> std::countr_zero(numbers.markMask);
    if (number != 0 && number <= numbers.slotCount()) slots.insert(Slot{static_cast<std::uint8_t>(number)});
  };
  for (const Rule& rule : world.rules)
    if (rule.mark.mask == 0xffffffff) take(rule.mark.value);
  for (const auto& [name, tunnel] : world.tunnels)
    if (!isOurMark(world, numbers, tunnel.fwmark)) take(tunnel.fwmark.value);
  return slots;
}

bool isOurMark(const World& world, const Numbers& numbers, Mark mark) {
  const bool set = (numbers.isOurs(mark) && world.ownMarks.contains(mark)) || world.formerMarks.contains(mark);
  return set && !isNamedByRule(world, mark);
}

bool isNamedByRule(const World& world, Mark mark) {
  return std::ranges::any_of(world.rules,
                             [&](const Rule& rule) { return rule.mark == MarkMatch{mark.value, 0xffffffff}; });
}

bool serves(const Wan& wan, Family family, Need need) {
  return wan.eligible(family) && (need == Need::route || wan.source.contains(family));
}

std::vector<const MemberView*> candidates(const Steering& steering, const PolicyView& policy, Family family,
                                          Need need) {
  std::vector<const MemberView*> able;
  for (const MemberView& member : policy.members)
    if (serves(steering.wans[member.wan], family, need)) able.push_back(&member);
  std::ranges::stable_sort(able, {}, [family](const MemberView* member) { return member->metric.at(family); });
  return able;
}

std::vector<const MemberView*> preferredCandidates(const Steering& steering, const PolicyView& policy, Family family,
                                                   Need need) {
  auto able = candidates(steering, policy, family, need);
  const auto worse = std::ranges::find_if(
      able, [&](const MemberView* member) { return member->metric.at(family) != able.front()->metric.at(family); });
  able.erase(worse, able.end());
  return able;
}

bool Wan::eligible(Family family) const { return whyNot(family).empty(); }

std::string Wan::whyNot(Family family) const {
  std::string lacking = lacks(family);
  if (!lacking.empty() || !down.contains(family)) return lacking;
  return down.at(family);
}

std::string Wan::lacks(Family family) const {
  if (link == nullptr) return "no such device";
  if (!link->up) return "link down";
  if (!link->carrier) return "no carrier";
  if (!defaults.contains(family)) return "no default route";
  if (const auto refusal = refused.find(family); refusal != refused.end())
    return "the kernel rejects its default route: " + refusal->second;
  if (deaf) return "in a VRF while net.ipv4.udp_l3mdev_accept is 0";
  if (sourceless.contains(family)) return "no address";
  return {};
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

namespace {

std::map<IfName, std::map<std::size_t, std::string>> pinnedPeers(const Config& config, const World& world) {
  std::map<IfName, std::map<std::size_t, std::string>> pinned;
  for (const PeerConfig& own : config.peers) {
    const auto tunnel = world.tunnels.find(own.tunnel);
    if (tunnel == world.tunnels.end() || !own.policy) continue;
    const auto& peers = tunnel->second.peers;
    const auto peer = std::ranges::lower_bound(peers, own.publicKey, {}, &Peer::publicKey);
    if (peer == peers.end() || peer->publicKey != own.publicKey) continue;
    pinned[own.tunnel].emplace(static_cast<std::size_t>(peer - peers.begin()), *own.policy);
  }
  return pinned;
}

}  // namespace

PeerFacts peerFacts(const Config& config, const World& world) {
  PeerFacts facts;
  facts.pinned = pinnedPeers(config, world);
  facts.intoTunnels = routesIntoTunnels(world);
  for (const auto& [name, tunnel] : world.tunnels) facts.likeServer.emplace(name, looksLikeServer(tunnel));
  if (facts.intoTunnels.empty()) return facts;
  facts.rivals = rivalsOf(world, facts.intoTunnels);
  facts.nested = nestedPeers(world, facts.intoTunnels, facts.rivals);
  return facts;
}

namespace {

/// A family is left alone in which there is no WAN, but main leads to the Internet by something else that is no tunnel:
/// a translator of IPv4 over IPv6 (464XLAT), a router in the LAN. Closing it would cut off what was reached before.
bool isSteered(const World& world, const Steering& steering, Family family) {
  if (std::ranges::any_of(steering.wans, [&](const Wan& wan) { return wan.defaults.contains(family); })) return true;
  if (tunnelHasTheWorld(world, family)) return true;
  const Route* best = nullptr;
  for (const Route& route : world.routes)
    if (route.family() == family && route.table == kMainTable && route.destination.isDefault() &&
        route.source.isDefault() && (best == nullptr || route.metric < best->metric))
      best = &route;
  return best == nullptr || best->type != RouteType::unicast ||
         !allHops(world, *best, [&](const Link& link) { return link.up && !isTunnel(world, link); });
}

void noteFamilies(const World& world, Steering& steering) {
  for (const Family family : kFamilies) {
    // A kernel that was started without IPv6 refuses its rules.
    const bool exists = family == Family::v4 ||
                        std::ranges::any_of(world.links, [](const auto& entry) { return entry.second.hasIpv6; });
    if (!exists) continue;
    if (isSteered(world, steering, family))
      steering.families.push_back(family);
    else if (!steering.wans.empty())
      steering.notes.push_back(
          std::string{family == Family::v4 ? "IPv4" : "IPv6"} +
          " is left alone: no WAN has a default route for it, but another device does; to use that device, name it "
          "in a [[wan]] section");
  }
}

void noteRoutes(const World& world, Steering& steering) {
  using LeftOut = RouteInterest::LeftOut;
  if (!world.tooManyRoutes) return;
  const auto tell = [](const std::string& which) { return "too many specific routes to follow: " + which; };
  const std::string otherwise = "; a peer reached by one of them leaves by the WANs of its policy: name these for it";
  if (world.leftOut == LeftOut::fed)
    steering.notes.push_back(tell("those learned from routers on WANs are not (more than " +
                                  std::to_string(kMaxFedRoutes) + ")" + otherwise));
  else if (world.leftOut == LeftOut::nothing)
    steering.problems.push_back(
        tell("some are not (more than " + std::to_string(kMaxSpecificRoutes) + ")" + otherwise));
  else
    steering.problems.push_back(tell(std::string{"those of routing protocols"} +
                                     (world.leftOut == LeftOut::byUplinks ? ", and by routers on WANs," : "") +
                                     " are not (more than " + std::to_string(kMaxSpecificRoutes) + ")" + otherwise));
}

void noteWays(const Config& config, const World& world, Steering& steering) {
  for (const Rule& rule : steering.ways.originals)
    if (rule.table != kMainTable)
      steering.notes.push_back(std::string{ipCommand(rule.family)} + " rule " + describe(rule) +
                               " is honoured: it does not lead to a WAN");
  for (const Rule& rule : waysNotUnderstood(world, config.numbers, steering.wans))
    steering.notes.push_back(std::string{ipCommand(rule.family)} + " rule " + describe(rule) +
                             " is ignored: it leads to something that is not a WAN, but what else it depends on is not "
                             "understood; if it is for a tunnel's packets, name that uplink in a [[wan]] section");
  if (steering.ways.tooMany)
    steering.problems.push_back("more than " + std::to_string(kMaxForeignWays) +
                                " rules of other programs lead to destinations other than WANs: the rest are ignored");
}

void noteLeftAlone(const TunnelView& view, Steering& steering) {
  for (const auto& [peer, by] : view.leftAlone)
    steering.notes.push_back(view.tunnel->name + ": peer " + view.tunnel->peers[peer].publicKey.toString() +
                             " is left alone: " + by);
}

}  // namespace

Steering steer(const Config& config, const World& world) { return steer(config, world, peerFacts(config, world)); }

Steering steer(const Config& config, const World& world, const PeerFacts& peers) {
  Steering steering;
  steering.wans = config.wans.empty() ? foundWans(config, world, steering.problems)
                                      : configuredWans(config, world, steering.problems);
  passOverSourceless(world, steering.wans);
  noteFamilies(world, steering);
  steering.ways = foreignWays(world, config.numbers, steering.wans);
  noteWays(config, world, steering);
  noteRoutes(world, steering);
  PolicyBook book{config, world, steering};
  if (steering.policies.empty()) {
    steering.problems.push_back("nothing is steered: other programs use every mark in mark_mask " +
                                hex(config.numbers.markMask));
    return steering;
  }
  for (const auto& [name, tunnel] : world.tunnels) {
    const auto configured = std::ranges::find(config.tunnels, name, &TunnelConfig::interface);
    if (configured != config.tunnels.end() && !configured->enabled) continue;
    steering.tunnels.push_back(viewOf(config, world, tunnel, steering.ways, book, peers));
    shareOut(config, steering, steering.tunnels.back());
    divert(world, steering, steering.tunnels.back());
    noteLeftAlone(steering.tunnels.back(), steering);
  }
  return steering;
}

}  // namespace wgsteer
