// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/wans.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <iterator>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "core/foreign_rules.hpp"
#include "core/source_routing.hpp"
#include "core/wan_sources.hpp"

namespace wgsteer {

namespace {

/// Devices of these kinds encapsulate packets: they are never found as WANs automatically. sit (6in4) and ip6tnl
/// (DS-Lite) are not among them, because they are many users' only uplink of a family.
constexpr std::array kVirtualUplinks{"tun", "xfrm", "vti", "vti6", "gre", "ip6gre", "ipip"};

bool mayBeFoundAsWan(const World& world, const Link& link) {
  return !link.loopback && !isTunnel(world, link) && !isVirtualUplink(link);
}

bool namesGateway(const WanConfig& wan, const NextHop& hop) {
  return hop.gateway && std::ranges::find(wan.gateway, *hop.gateway) != wan.gateway.end();
}

/// The next hops by a device, or those of one of several WANs on it: by its gateway; and by gateways that nobody names,
/// if it is the first without one, or without one of that family.
class Hops {
 public:
  explicit Hops(IfIndex device) : device_(device) {}
  Hops(IfIndex device, const Config& config, const WanConfig& wan) : device_(device), config_(&config), wan_(&wan) {}

  bool have(Family family, const NextHop& hop) const {
    if (hop.device != device_) return false;
    if (wan_ == nullptr || namesGateway(*wan_, hop)) return true;
    if (gatewayOf(*wan_, family)) return false;
    const auto rank = [](const WanConfig& each) { return std::pair{!each.gateway.empty(), &each}; };
    return std::ranges::none_of(config_->wans, [&](const WanConfig& other) {
      return other.device == wan_->device &&
             (namesGateway(other, hop) || (!gatewayOf(other, family) && rank(other) < rank(*wan_)));
    });
  }

 private:
  IfIndex device_;
  const Config* config_ = nullptr;
  const WanConfig* wan_ = nullptr;  ///< null: all by the device
};

/// The part of a default route that leaves by these, if any.
std::optional<Route> partBy(const Hops& hops, const Route& route) {
  if (!route.destination.isDefault() || route.type != RouteType::unicast || isOurTable(route.table))
    return std::nullopt;
  Route part = route;
  std::erase_if(part.hops, [&](const NextHop& hop) { return !hops.have(route.family(), hop); });
  if (part.hops.empty()) return std::nullopt;
  return part;
}

std::vector<Route> defaultsBy(const Hops& hops, const std::set<Route>& routes, Family family) {
  std::vector<Route> found;
  forEachDefault(routes, family, [&](const Route& route) {
    if (auto part = partBy(hops, route)) found.push_back(std::move(*part));
  });
  std::ranges::stable_sort(found, [](const Route& left, const Route& right) {
    const auto rank = [](const Route& route) {
      return std::tuple{route.table != kMainTable, route.metric, route.order, route.position.value};
    };
    return rank(left) < rank(right);
  });
  return found;
}

/// Whether a parked default route could be used again: its device still (or again) has an address through which its
/// gateway is reached. Addresses stay while the link is down; once they are gone (an expired lease), nothing leads
/// there.
bool mayCountAgain(const World& world, const Route& route) {
  return std::ranges::all_of(route.hops, [&](const NextHop& hop) {
    return std::ranges::any_of(world.addressesOf(hop.device), [&](const InterfaceAddress& own) {
      if (own.address.family() != route.family()) return false;
      return !hop.gateway || hop.onlink || hop.gateway->family() != route.family() ||
             Prefix{own.peer.value_or(own.address), own.prefixLength}.contains(*hop.gateway);
    });
  });
}

/// By a gateway that was named, and that the device has a prefix for; nobody else needs to have a route by it.
std::optional<Route> defaultByName(const World& world, IfIndex device, const Address& gateway) {
  Route route;
  route.table = kMainTable;
  route.destination = route.source = Prefix::any(gateway.family());
  route.hops = {NextHop{.device = device, .gateway = gateway}};
  if (!mayCountAgain(world, route)) return std::nullopt;
  return route;
}

std::vector<Route> defaultsOf(const World& world, const Hops& hops, IfIndex device, const WanConfig* config,
                              Family family) {
  auto defaults = defaultsBy(hops, world.routes, family);
  if (defaults.empty()) {
    defaults = defaultsBy(hops, world.parked, family);
    std::erase_if(defaults, [&](const Route& route) { return !mayCountAgain(world, route); });
  }
  const auto named = config == nullptr ? std::nullopt : gatewayOf(*config, family);
  if (defaults.empty() && named)
    if (auto route = defaultByName(world, device, *named)) defaults.push_back(std::move(*route));
  return defaults;
}

/// Of source-specific default routes, as netifd and dhcpcd make them from what a provider delegates. Those that went
/// with the link count: the hosts behind still have addresses of that prefix.
std::vector<Prefix> delegatedBy(const World& world, const Hops& hops) {
  std::vector<Prefix> found;
  for (const auto* routes : {&world.routes, &world.parked}) {
    for (const Route& route : defaultsBy(hops, *routes, Family::v6))
      if (route.table == kMainTable && !route.source.isDefault()) found.push_back(route.source);
    if (!found.empty()) break;
  }
  return found;
}

/// As administrators and dhcpcd's hooks say it: `from PREFIX lookup TABLE`, whose default route is by the WAN alone. As
/// the source-specific route that it amounts to.
std::vector<Route> routedBy(const World& world, IfIndex device) {
  std::vector<Route> found;
  for (const Rule& rule : world.rules) {
    if (rule.family != Family::v6 || !selectsBySourceAlone(rule)) continue;
    if (rule.source->length() == 0 || rule.source->length() > 64 || rule.source->address().isLinkLocal()) continue;
    const Route* route = defaultIn(world, rule.table, Family::v6);
    if (route == nullptr || route->hops.empty() ||
        !std::ranges::all_of(route->hops, [&](const NextHop& hop) { return hop.device == device; }))
      continue;
    found.push_back(*route);
    found.back().source = *rule.source;
  }
  return found;
}

/// Fills in what the world says about the WAN's device.
void look(const Config& config, const World& world, Wan& wan, const WanConfig* wanConfig = nullptr) {
  if (wanConfig != nullptr) wan.prefixes = wanConfig->prefixes;
  wan.link = world.linkNamed(wan.device);
  if (const auto down = world.wansDown.find(wan.name); down != world.wansDown.end()) wan.down = down->second.why;
  // Even if it is named as a WAN: nothing is ever sent into a tunnel.
  if (wan.link != nullptr && isTunnel(world, *wan.link)) wan.link = nullptr;
  if (wan.link == nullptr) return;
  wan.deaf = wan.link->inVrf && !world.udpHearsVrfs;
  const Hops hops = wanConfig == nullptr ? Hops{wan.link->index} : Hops{wan.link->index, config, *wanConfig};
  std::ranges::copy(delegatedBy(world, hops), std::back_inserter(wan.prefixes));
  // Without rules for any traffic, those rules have their effect by themselves.
  const bool needed = wan.prefixes.empty() && !config.rules.empty();
  const auto bySource = needed ? routedBy(world, wan.link->index) : std::vector<Route>{};
  for (const Route& route : bySource) wan.prefixes.push_back(route.source);
  wan.prefixes = disjoint(std::move(wan.prefixes));
  for (const Family family : kFamilies) {
    auto defaults = defaultsOf(world, hops, wan.link->index, wanConfig, family);
    if (!defaults.empty() && family == Family::v6) std::ranges::copy(bySource, std::back_inserter(defaults));
    if (!defaults.empty()) wan.defaults[family] = std::move(defaults);
    if (const auto source = preferredSource(world, wan, family)) wan.source[family] = *source;
    if (const auto refused = world.refusedRoutes.find({wan.slot, family}); refused != world.refusedRoutes.end())
      wan.refused[family] = refused->second;
  }
}

/// Hands out free slots, from the lowest up.
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

/// Behind another router on the device of an earlier WAN.
bool isSecondary(const Config& config, const WanConfig& wan) {
  const auto isBefore = [&](const WanConfig& other) { return &other < &wan && other.device == wan.device; };
  return !wan.device.empty() && std::ranges::any_of(config.wans, isBefore) &&
         std::ranges::all_of(config.wans,
                             [&](const WanConfig& other) { return !isBefore(other) || canShareDevice(other, wan); });
}

/// The slots that our state in the kernel has for devices of these WANs. Packets are on their way by the tables and
/// marks of these slots: if a WAN that is added before another took over its slot, connections would change sides while
/// the tables are rewritten. Only the lower half: policies take theirs from above.
std::map<IfName, Slot> keptSlots(const Config& config, const World& world, const std::set<Slot>& others) {
  std::map<IfName, Slot> kept;
  for (const WanConfig& wan : config.wans) {
    const auto known = world.adopted.wanSlots.find(wan.device);
    if (known == world.adopted.wanSlots.end() || others.contains(known->second)) continue;
    if (known->second.value == 0 || known->second.value > config.numbers.slotCount() / 2) continue;
    if (std::ranges::count(config.wans, wan.device, &WanConfig::device) == 1) kept.insert(*known);
  }
  return kept;
}

std::vector<Wan> configuredWans(const Config& config, const World& world, std::vector<std::string>& problems) {
  std::vector<Wan> wans;
  std::set<Slot> taken = slotsOfOthers(world, config.numbers);
  const std::map<IfName, Slot> kept = keptSlots(config, world, taken);
  for (const auto& [device, slot] : kept) taken.insert(slot);
  FreeSlots slots{std::move(taken), config.numbers.slotCount() + 1};
  for (const WanConfig& wanConfig : config.wans) {
    const auto known = kept.find(wanConfig.device);
    const auto slot = known == kept.end() ? slots.next() : std::optional{known->second};
    if (!slot) {
      problems.push_back("no mark left for WAN " + wanConfig.name + ": it is not used; widen mark_mask");
      continue;
    }
    Wan wan;
    wan.name = wanConfig.name;
    wan.device = wanConfig.device;
    wan.slot = *slot;
    wan.weight = wanConfig.weight;
    wan.metered = wanConfig.metered;
    wan.sourceRouting = wanConfig.sourceRouting;
    wan.deprecate = wanConfig.deprecate;
    for (const Family family : kFamilies) wan.metric[family] = wanConfig.metric;
    wan.secondary = isSecondary(config, wanConfig);
    look(config, world, wan, &wanConfig);
    wans.push_back(std::move(wan));
  }
  return wans;
}

/// The lowest free slot, or else that of a device that is gone: a modem with a new name each time it is plugged in
/// would otherwise use them all up.
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

/// Ranks from here on are of tables that only some packets are looked up in.
constexpr std::uint32_t kNotForAll = 0x10000;

/// The rank at which an unmarked packet would find this default route: the main table's before all others, which count
/// only if main has none (UniFi, networkd's RouteTable=), and of these the ones to which a rule for all packets leads.
std::optional<std::uint32_t> tableRank(const World& world, const Route& route) {
  if (route.table == kMainTable) return 0;
  std::optional<std::uint32_t> best;
  for (const Rule& rule : world.rules) {
    if (rule.action != RuleAction::lookup || rule.table != route.table || rule.family != route.family()) continue;
    const bool forAll = takesEverythingWith(rule, Mark{});
    const std::uint32_t rank = (forAll ? 1U : kNotForAll) + std::min(rule.priority, kNotForAll - 2);
    best = best ? std::min(*best, rank) : rank;
  }
  return best;
}

using FoundRank = std::pair<std::uint32_t, std::uint32_t>;

/// The rank and metric of the default route by which a device is found to be a WAN.
std::optional<FoundRank> foundBy(const World& world, IfIndex device, Family family, bool inMain) {
  std::optional<FoundRank> best;
  for (const Route& route : defaultsBy(Hops{device}, world.routes, family)) {
    const auto table = tableRank(world, route);
    if (!table || (*table == 0) != inMain) continue;
    const FoundRank rank{*table, route.metric};
    best = best ? std::min(*best, rank) : rank;
  }
  return best;
}

std::map<IfName, FoundRank> foundIn(const World& world, Family family, bool inMain) {
  std::map<IfName, FoundRank> found;
  for (const auto& [index, link] : world.links)
    if (mayBeFoundAsWan(world, link))
      if (const auto rank = foundBy(world, index, family, inMain)) found.emplace(link.name, *rank);
  return found;
}

/// The devices with a default route in main or, in a family in which main has none, in other tables: only in those that
/// every packet is looked up in, if main has defaults of the other family or WANs are known. Main may have lost its
/// defaults for a moment, but where it has none, that is where this host itself goes.
std::map<IfName, FoundRank> foundDevices(const World& world, const std::map<IfName, Slot>& known) {
  FamilyMap<std::map<IfName, FoundRank>> found;
  for (const Family family : kFamilies) found[family] = foundIn(world, family, true);
  const bool mainIsUsed = std::ranges::any_of(found, [](const auto& entry) { return !entry.second.empty(); });
  std::map<IfName, FoundRank> all;
  for (auto& [family, devices] : found) {
    if (devices.empty()) {
      devices = foundIn(world, family, false);
      if (mainIsUsed || !known.empty())
        std::erase_if(devices, [](const auto& entry) { return entry.second.first >= kNotForAll; });
    }
    for (const auto& [device, rank] : devices) {
      const auto [entry, fresh] = all.emplace(device, rank);
      if (!fresh) entry->second = std::min(entry->second, rank);
    }
  }
  return all;
}

/// Without a configuration: all devices with a default route, and those that once had one. A device keeps its slot as
/// long as it is known, even over a restart, because our state in the kernel refers to it by that slot.
std::map<IfName, Slot> foundSlots(const World& world, const Numbers& numbers, std::vector<std::string>& problems) {
  const unsigned slotCount = numbers.slotCount();
  const std::set<Slot> others = slotsOfOthers(world, numbers);
  std::map<IfName, Slot> slots = world.adopted.wanSlots;
  std::erase_if(slots, [&](const auto& known) {
    // A wider mask may have left higher slots; the last one belongs to the default policy.
    if (known.second.value == 0 || known.second.value >= slotCount || others.contains(known.second)) return true;
    const Link* link = world.linkNamed(known.first);
    return link != nullptr && !mayBeFoundAsWan(world, *link);
  });
  std::set<std::pair<FoundRank, IfName>> order;
  for (const auto& [device, rank] : foundDevices(world, slots))
    if (!slots.contains(device)) order.emplace(rank, device);
  for (const auto& [rank, device] : order) {
    if (const auto slot = takeSlot(slots, others, world, slotCount))
      slots.emplace(device, *slot);
    else
      problems.push_back("no mark left for WAN " + device + ": it is not used; widen mark_mask");
  }
  return slots;
}

/// Found WANs keep the main table's order per family, one more than its metrics so that 0 has a place; those with equal
/// metrics are ranked one after the other, because nobody has asked for balancing: router advertisements by their
/// router preference, IPv4 routes in the order of the kernel's list.
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
      last = std::max(table == 0 ? std::min(metric, kHighestCopiedMetric) + 1 : 1, last + 1);
      wan->metric[family] = last;
    }
  }
}

/// Removes default routes via a gateway other than the first from a WAN's routes. Not those of router advertisements:
/// the kernel itself finds out which of the routers is reachable.
std::vector<Route> byOtherGateways(std::vector<Route>& routes) {
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
/// it has a table, but packets that arrive through it cannot be told from those of the first.
void addSecondGateways(const Config& config, const World& world, std::vector<Wan>& wans,
                       std::vector<std::string>& problems) {
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
  // Policies and their server variants use the highest slots.
  const std::size_t policies = 2 * (config.policies.size() + 1);
  const unsigned count = config.numbers.slotCount();
  FreeSlots slots{std::move(taken), count > policies ? count - static_cast<unsigned>(policies) : 0};
  for (auto& [name, wan] : seconds) {
    const auto slot = slots.next();
    if (!slot) {
      problems.push_back("no mark left for WAN " + name + ": only the device's first gateway is used; widen mark_mask");
      continue;
    }
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
    look(config, world, wan);
    wans.push_back(std::move(wan));
  }
  addSecondGateways(config, world, wans, problems);
  std::ranges::sort(wans, {}, &Wan::slot);
  rankFoundWans(world, wans);
  return wans;
}

}  // namespace

const Route* defaultIn(const World& world, TableId table, Family family) {
  const Route* best = nullptr;
  for (const Route& route : routesFrom(world.routes, table, Prefix::any(family))) {
    if (route.table != table || route.destination.length() > 0) break;
    if (route.family() == family && (best == nullptr || takesPrecedence(route, *best))) best = &route;
  }
  return best;
}

bool isVirtualUplink(const Link& link) {
  return std::ranges::any_of(kVirtualUplinks, [&](const char* kind) { return link.kind == kind; });
}

std::vector<Wan> wansOf(const Config& config, const World& world, std::vector<std::string>& problems) {
  std::vector<Wan> wans =
      config.wans.empty() ? foundWans(config, world, problems) : configuredWans(config, world, problems);
  passOverSourceless(world, wans);
  return wans;
}

std::optional<Address> gatewayOf(const WanConfig& wan, Family family) {
  const auto found = std::ranges::find(wan.gateway, family, &Address::family);
  return found == wan.gateway.end() ? std::nullopt : std::optional{*found};
}

bool canShareDevice(const WanConfig& left, const WanConfig& right) {
  bool differ = false;
  for (const Family family : kFamilies) {
    const auto one = gatewayOf(left, family);
    const auto other = gatewayOf(right, family);
    if (one && one == other) return false;
    differ |= one != other;
  }
  return differ;
}

std::set<Slot> slotsOfOthers(const World& world, const Numbers& numbers) {
  std::set<Slot> slots;
  const auto take = [&](std::uint32_t mark) {
    if (const auto slot = numbers.slotIn(mark)) slots.insert(*slot);
  };
  for (const Rule& rule : world.rules)
    if (rule.mark.mask == 0xffffffff) take(rule.mark.value);
  for (const auto& [name, tunnel] : world.tunnels)
    if (!isOurMark(world, numbers, tunnel)) take(tunnel.fwmark.value);
  return slots;
}

}  // namespace wgsteer
