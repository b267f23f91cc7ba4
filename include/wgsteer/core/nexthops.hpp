// SPDX-License-Identifier: GPL-2.0-or-later
// Routes that take their hops from a nexthop object (ip-nexthop(8)). With net.ipv4.nexthop_compat_mode=0 they carry
// only the object's id, and replacing an object moves all of its routes without announcing them. Objects disappear
// silently with their link or its carrier, and their routes with them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "wgsteer/core/world.hpp"

namespace wgsteer {

/// Gives a route the hops of its object. A route without an object, or with an unknown one, stays as it is.
void resolve(const std::map<std::uint32_t, Nexthop>& nexthops, Route& route);

/// Each of these returns whether a route in the world has changed.
bool changeNexthop(World& world, std::uint32_t id, Nexthop nexthop);
bool removeNexthop(World& world, std::uint32_t id);
/// For a device that went down, lost its carrier or is gone. `park`: its default routes are parked, since it may come
/// back.
bool removeNexthopsOf(World& world, IfIndex device, bool park);

}  // namespace wgsteer
