// SPDX-License-Identifier: GPL-2.0-or-later
// Changes and objects in the spelling of `ip`, `nft`, `wg` and `sysctl`, as far as these have one.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "wgsteer/core/event.hpp"
#include "wgsteer/core/plan.hpp"
#include "wgsteer/core/world.hpp"

namespace wgsteer {

/// The name of a device for people; "if7" when the name is not known.
using DeviceName = std::function<std::string(IfIndex)>;
/// Borrows the world.
DeviceName deviceNames(const World& world);

/// "default via 192.0.2.1 dev wan0 onlink table 1464270081 metric 1 proto 87"
std::string describe(const Route& route, const DeviceName& names);
/// "priority 70 fwmark 0x10000000/0xf0000000 lookup 1464270081 proto 87"
std::string describe(const Rule& rule);
/// "ip -6 rule priority 100 from 2001:db8::/32 lookup 7"
std::string ipRule(const Rule& rule);
/// An event for people: "ip rule deleted by port 4711: priority 70 fwmark ...", "wan0: carrier lost".
std::string describe(const Event& event, const DeviceName& names);
/// One line per change; an nft transaction gives one line for each of its parts.
std::vector<std::string> describe(const Change& change, const DeviceName& names);
std::vector<std::string> describe(const Plan& plan, const DeviceName& names);

/// Number of those lines: the count that is reported everywhere as the number of changes.
std::size_t lineCount(const Change& change);
std::size_t lineCount(const std::vector<Change>& changes);

}  // namespace wgsteer
