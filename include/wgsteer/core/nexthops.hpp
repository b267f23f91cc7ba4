// SPDX-License-Identifier: GPL-2.0-or-later
// What routes with a nexthop object (ip-nexthop(8)) come to. With net.ipv4.nexthop_compat_mode=0 they say nothing but
// the object's id, and an object that is replaced moves all of its routes without a word about them. Objects go away
// silently with their link or its carrier, and take their routes along.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "wgsteer/core/world.hpp"

namespace wgsteer {

/// Gives a route the hops that its object has. Without an object, or with one that is not known, it stays as it is.
void resolve(const std::map<std::uint32_t, Nexthop>& nexthops, Route& route);

/// Each of these says whether a route in the world is another one now.
bool changeNexthop(World& world, std::uint32_t id, Nexthop nexthop);
bool removeNexthop(World& world, std::uint32_t id);
/// Of a device that went down, lost its carrier or is gone. Default routes by it are parked when it may come back.
bool removeNexthopsOf(World& world, IfIndex device, bool park);

}  // namespace wgsteer
