// SPDX-License-Identifier: GPL-2.0-or-later
// Where WireGuard in user space puts its sockets, one per device and called NAME.sock.
#pragma once

#include <array>

namespace wgsteer {

/// wireguard-go and boringtun; amneziawg-go.
inline constexpr std::array kUapiFolders{"/var/run/wireguard", "/var/run/amneziawg"};
/// These folders are created with the first tunnel.
inline constexpr const char* kUapiParent = "/var/run";

}  // namespace wgsteer
