// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/nexthops.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace wgsteer {

namespace {

/// The members' hops, each with its share; a group has no groups in it.
std::vector<NextHop> hopsOf(const std::map<std::uint32_t, Nexthop>& nexthops, const Nexthop& nexthop) {
  std::vector<NextHop> hops = nexthop.hops;
  for (const Nexthop::Member& member : nexthop.members) {
    const auto known = nexthops.find(member.id);
    if (known == nexthops.end()) continue;
    for (NextHop hop : known->second.hops) {
      hop.weight = member.weight;
      hops.push_back(hop);
    }
  }
  // As the kernel announces it: a single hop has no share.
  if (hops.size() == 1) hops.front().weight = 1;
  std::ranges::sort(hops);
  return hops;
}

/// Changes the world's routes, and parks default routes of devices that may come back.
class Routes {
 public:
  Routes(World& world, std::optional<IfIndex> parked) : world_(world), parked_(parked) {}

  /// Gives routes with this object its current hops, or removes them with it.
  void follow(std::uint32_t id) {
    const auto object = world_.nexthops.find(id);
    for (const Route& before : taken(id)) {
      Route now = before;
      resolve(world_.nexthops, now);
      const bool stays = object != world_.nexthops.end() && (!now.hops.empty() || now.type != RouteType::unicast);
      if (now != before || !stays) {
        changed_ = true;
        park(before);
      }
      if (stays) world_.routes.insert(std::move(now));
    }
  }

  void remove(std::uint32_t id) {
    if (world_.nexthops.erase(id) == 0) return;
    follow(id);
    std::vector<std::uint32_t> groups;
    for (auto& [group, nexthop] : world_.nexthops)
      if (std::erase_if(nexthop.members, [&](const Nexthop::Member& member) { return member.id == id; }) > 0)
        groups.push_back(group);
    for (const std::uint32_t group : groups) {
      if (world_.nexthops.at(group).members.empty())
        remove(group);
      else
        follow(group);
    }
  }

  bool changed() const { return changed_; }

 private:
  std::vector<Route> taken(std::uint32_t id) {
    std::vector<Route> routes;
    std::erase_if(world_.routes, [&](const Route& route) {
      if (route.nexthop.value != id) return false;
      routes.push_back(route);
      return true;
    });
    return routes;
  }

  void park(const Route& lost) {
    if (!parked_ || !lost.destination.isDefault()) return;
    Route part = lost;
    part.nexthop = {};
    std::erase_if(part.hops, [&](const NextHop& hop) { return hop.device != *parked_; });
    if (!part.hops.empty()) world_.parked.insert(std::move(part));
  }

  World& world_;
  std::optional<IfIndex> parked_;
  bool changed_ = false;
};

}  // namespace

void resolve(const std::map<std::uint32_t, Nexthop>& nexthops, Route& route) {
  if (route.nexthop.value == 0) return;
  const auto known = nexthops.find(route.nexthop.value);
  if (known == nexthops.end()) return;
  route.hops = hopsOf(nexthops, known->second);
  if (known->second.blackhole)
    route.type = RouteType::blackhole;
  else if (route.type == RouteType::blackhole)
    route.type = RouteType::unicast;
}

bool changeNexthop(World& world, std::uint32_t id, Nexthop nexthop) {
  const auto known = world.nexthops.find(id);
  if (known != world.nexthops.end() && known->second == nexthop) return false;
  world.nexthops.insert_or_assign(id, std::move(nexthop));
  Routes routes{world, std::nullopt};
  routes.follow(id);
  for (const auto& [group, object] : world.nexthops)
    if (std::ranges::find(object.members, id, &Nexthop::Member::id) != object.members.end()) routes.follow(group);
  return routes.changed();
}

bool removeNexthop(World& world, std::uint32_t id) {
  Routes routes{world, std::nullopt};
  routes.remove(id);
  return routes.changed();
}

bool removeNexthopsOf(World& world, IfIndex device, bool park) {
  std::vector<std::uint32_t> lost;
  for (const auto& [id, nexthop] : world.nexthops)
    if (std::ranges::find(nexthop.hops, device, &NextHop::device) != nexthop.hops.end()) lost.push_back(id);
  Routes routes{world, park ? std::optional{device} : std::nullopt};
  for (const std::uint32_t id : lost) routes.remove(id);
  return routes.changed();
}

}  // namespace wgsteer
