// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/contingency.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "wgsteer/core/numbers.hpp"

namespace wgsteer {

namespace {

/// Collects what may happen, WAN by WAN.
class Imagination {
 public:
  explicit Imagination(const World& world) : world_(world) {}

  void add(const Wan& wan) {
    if (wan.link == nullptr) return;
    if (!wan.secondary) addDevice(wan);
    addVerdict(wan.name);
  }

  std::vector<Occurrence> take() { return std::move(occurrences_); }

 private:
  void note(Occurrence occurrence) {
    if (occurrences_.size() < kMaxContingencies) occurrences_.push_back(std::move(occurrence));
  }

  void addDevice(const Wan& wan) {
    addLinks(*wan.link);
    for (const Family family : kFamilies) {
      addRoutes(wan, family);
      addAddresses(wan, family);
    }
  }

  /// Up without a carrier, as when a cable is pulled; and down, which also drops the carrier.
  void addLinks(const Link& link) {
    constexpr std::array<std::pair<bool, bool>, 3> kStates{{{true, true}, {true, false}, {false, false}}};
    for (const auto& [up, carrier] : kStates) {
      Link imagined = link;
      imagined.up = up;
      imagined.carrier = carrier;
      if (imagined != link) note(LinkChanged{std::move(imagined)});
    }
  }

  /// The only default route by the device is deleted, or a missing one comes back as it was.
  void addRoutes(const Wan& wan, Family family) {
    const auto isByIt = [&](const Route& route) {
      return route.family() == family && route.destination.isDefault() && route.type == RouteType::unicast &&
             std::ranges::any_of(route.hops, [&](const NextHop& hop) { return hop.device == wan.link->index; });
    };
    const auto present = std::ranges::find_if(world_.routes, isByIt);
    if (present == world_.routes.end()) {
      for (const Route& route : world_.parked)
        if (isByIt(route)) note(RouteAdded{.route = route});
    } else if (std::find_if(std::next(present), world_.routes.end(), isByIt) == world_.routes.end()) {
      note(RouteGone{.route = *present});
    }
  }

  void addAddresses(const Wan& wan, Family family) {
    for (const InterfaceAddress& own : world_.addressesOf(wan.link->index))
      if (own.address.family() == family && !own.address.isLinkLocal()) note(AddressGone{own});
  }

  void addVerdict(const std::string& wan) {
    Verdict verdict{world_.wansDown};
    if (verdict.down.erase(wan) == 0) verdict.down.emplace(wan, WanDown{"imagined"});
    note(std::move(verdict));
  }

  const World& world_;
  std::vector<Occurrence> occurrences_;
};

/// The picture after it; nullopt if that cannot be known without reading the kernel again.
std::optional<Picture> after(const Picture& picture, const Occurrence& occurrence) {
  Picture imagined = picture;
  if (const auto* verdict = std::get_if<Verdict>(&occurrence)) {
    imagined.world.wansDown = verdict->down;
    return imagined;
  }
  const Tracked tracked = track(imagined, std::get<Event>(occurrence));
  // What the engine would read before it plans. It reads our own routes afterwards.
  const Stale& stale = tracked.stale;
  if (!tracked.relevant || stale.rtnetlink || stale.nft || stale.tunnels || stale.links) return std::nullopt;
  return imagined;
}

bool isRoute(const Change& change) {
  return std::holds_alternative<AddRoute>(change) || std::holds_alternative<DeleteRoute>(change);
}

bool isSame(const Event& imagined, const Event& real) {
  if (imagined.index() != real.index()) return false;
  if (const auto* link = std::get_if<LinkChanged>(&imagined)) return link->link == std::get<LinkChanged>(real).link;
  if (const auto* address = std::get_if<AddressGone>(&imagined))
    return address->address == std::get<AddressGone>(real).address;
  if (const auto* route = std::get_if<RouteGone>(&imagined)) return route->route == std::get<RouteGone>(real).route;
  const auto* route = std::get_if<RouteAdded>(&imagined);
  return route != nullptr && route->route == std::get<RouteAdded>(real).route;
}

/// The reasons are only for people: a plan depends only on which families of which WANs are down.
bool isSame(const WansDown& imagined, const WansDown& real) {
  return std::ranges::equal(imagined, real, [](const auto& left, const auto& right) {
    return left.first == right.first &&
           std::ranges::equal(
               left.second.why, right.second.why, {}, [](const auto& entry) { return entry.first; },
               [](const auto& entry) { return entry.first; });
  });
}

}  // namespace

std::vector<Occurrence> imaginable(const World& world, const Steering& steering) {
  Imagination imagination{world};
  for (const Wan& wan : steering.wans) imagination.add(wan);
  return imagination.take();
}

std::vector<Change> firstRoutes(const Plan& plan) {
  const auto end = std::ranges::find_if_not(plan.changes, isRoute);
  return {plan.changes.begin(), end};
}

std::vector<Contingency> contingencies(const Config& config, const Picture& picture, Planner& planner,
                                       const std::function<Plan(Plan)>& withhold) {
  std::vector<Contingency> made;
  if (picture.world.routes.size() > kMaxRoutesToImagine) return made;
  const Steering present = planner.steer(config, picture.world);
  const auto verdicts = verdictsOf(present);
  for (Occurrence& occurrence : imaginable(picture.world, present)) {
    const auto imagined = after(picture, occurrence);
    if (!imagined) continue;
    const Steering steering = planner.steer(config, imagined->world);
    // Do not process thousands of peers for something that may never happen, nor spoil the planner's cache of them.
    if (steering.families != present.families || verdictsOf(steering) != verdicts) continue;
    const Plan plan = withhold(diff(planner.desire(config, imagined->world, steering), imagined->observed));
    auto writes = firstRoutes(plan);
    if (!writes.empty()) made.push_back({std::move(occurrence), std::move(writes)});
  }
  return made;
}

std::optional<std::size_t> find(std::span<const Contingency> contingencies, const Event& event) {
  for (std::size_t i = 0; i < contingencies.size(); ++i) {
    const auto* imagined = std::get_if<Event>(&contingencies[i].occurrence);
    if (imagined != nullptr && isSame(*imagined, event)) return i;
  }
  return std::nullopt;
}

std::optional<std::size_t> find(std::span<const Contingency> contingencies, const WansDown& down) {
  for (std::size_t i = 0; i < contingencies.size(); ++i) {
    const auto* imagined = std::get_if<Verdict>(&contingencies[i].occurrence);
    if (imagined != nullptr && isSame(imagined->down, down)) return i;
  }
  return std::nullopt;
}

}  // namespace wgsteer
