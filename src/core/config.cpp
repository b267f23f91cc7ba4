// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/config.hpp"

#include <algorithm>

namespace wgsteer {

const TunnelConfig& Config::tunnel(const IfName& interface) const {
  static const TunnelConfig kUnnamed;
  const auto found = std::ranges::find(tunnels, interface, &TunnelConfig::interface);
  return found == tunnels.end() ? kUnnamed : *found;
}

}  // namespace wgsteer
