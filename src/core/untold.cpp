// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/untold.hpp"

#include <set>

#include "wgsteer/core/describe.hpp"

namespace wgsteer {

namespace {

template <class T, class Describe>
std::optional<std::string> firstDifference(const std::set<T>& told, const std::set<T>& seen, Describe&& text) {
  if (told == seen) return std::nullopt;
  for (const T& one : seen)
    if (!told.contains(one)) return text(one) + " appeared";
  for (const T& one : told)
    if (!seen.contains(one)) return text(one) + " is gone";
  return std::nullopt;
}

}  // namespace

std::optional<std::string> untold(const Picture& told, const Picture& seen) {
  const DeviceName names = deviceNames(seen.world);
  const auto route = [&](const Route& one) {
    return std::string{ipCommand(one.family())} + " route " + describe(one, names);
  };
  const auto rule = [](const Rule& one) { return ipRule(one); };
  const auto address = [&](const InterfaceAddress& own) {
    return "address " + own.address.toString() + " dev " + names(own.device);
  };
  for (auto difference : {firstDifference(told.world.addresses, seen.world.addresses, address),
                          firstDifference(told.world.routes, seen.world.routes, route),
                          firstDifference(told.observed.routes, seen.observed.routes, route),
                          firstDifference(told.world.rules, seen.world.rules, rule),
                          firstDifference(told.observed.rules, seen.observed.rules, rule)})
    if (difference) return difference;
  for (const auto& [index, link] : seen.world.links)
    if (const Link* known = told.world.link(index); known == nullptr || *known != link)
      return "link " + link.name + " changed";
  if (told.world.links.size() != seen.world.links.size()) return "a link is gone";
  if (told.world.udpHearsVrfs != seen.world.udpHearsVrfs) return "net.ipv4.udp_l3mdev_accept changed";
  if (told.world.nexthops != seen.world.nexthops) return "a nexthop object changed";
  return std::nullopt;
}

}  // namespace wgsteer
