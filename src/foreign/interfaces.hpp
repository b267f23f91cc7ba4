// SPDX-License-Identifier: GPL-2.0-or-later
// OpenWrt's logical interfaces (`wan`) and the devices that they are at the moment (`pppoe-wan`). netifd knows; the
// init and hotplug scripts write down what it says.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "wgsteer/core/config.hpp"

namespace wgsteer::foreign {

/// Lines of "INTERFACE DEVICE".
inline constexpr const char* kInterfacesFile = "/var/run/wgsteer/interfaces";

using Interfaces = std::map<std::string, IfName, std::less<>>;

/// Lines that are not two words, or whose second cannot be a device, are passed over.
Interfaces readInterfaces(std::string_view text);

/// Gives WANs that have an `interface` its device; empty while it has none. The second of two interfaces of one device
/// (wan and wan6) gets none: one WAN has both families.
void resolve(Config& config, const Interfaces& interfaces);

}  // namespace wgsteer::foreign
