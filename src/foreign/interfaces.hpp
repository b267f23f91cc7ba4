// SPDX-License-Identifier: GPL-2.0-or-later
// OpenWrt's logical interfaces (`wan`) and their current devices (`pppoe-wan`). netifd knows them; the init and hotplug
// scripts write them to a file.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "wgsteer/core/config.hpp"

namespace wgsteer::foreign {

/// Lines of "INTERFACE DEVICE".
inline constexpr const char* kInterfacesFile = "/var/run/wgsteer/interfaces";

using Interfaces = std::map<std::string, IfName, std::less<>>;

/// Lines that are not two words, or whose second word cannot be a device, are ignored.
Interfaces readInterfaces(std::string_view text);

/// Gives WANs that have an `interface` its device; empty while it has none. The second of two interfaces on one device
/// (wan and wan6) gets none: one WAN has both families. `src_iface` of a rule that is the name of an interface with a
/// device becomes that device.
void resolve(Config& config, const Interfaces& interfaces);

}  // namespace wgsteer::foreign
