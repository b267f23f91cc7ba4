// SPDX-License-Identifier: GPL-2.0-or-later
// The three per-device switches that steering may need on, see Documentation/networking/ip-sysctl.rst of the kernel.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "wgsteer/core/ids.hpp"

namespace wgsteer {

enum class SysctlKind : std::uint8_t {
  ignoreLinkdown4,  ///< net.ipv4.conf.DEV.ignore_routes_with_linkdown: without it the kernel keeps using a WAN without
                    ///< a carrier
  ignoreLinkdown6,  ///< net.ipv6.conf.DEV.ignore_routes_with_linkdown
  srcValidMark,     ///< net.ipv4.conf.DEV.src_valid_mark: strict rp_filter then looks routes up with the packet's mark
};

/// A switch that is on (1) because we turned it on; off again (0) when we give it back.
struct Sysctl {
  SysctlKind kind = SysctlKind::ignoreLinkdown4;
  IfName device;
  /// "net.ipv4.conf.wan0.src_valid_mark". A dot in a device name becomes a slash, as sysctl(8) has it.
  std::string name() const;
  auto operator<=>(const Sysctl&) const = default;
};

}  // namespace wgsteer
