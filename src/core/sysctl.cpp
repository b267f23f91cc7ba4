// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/sysctl.hpp"

#include <algorithm>

namespace wgsteer {

std::string Sysctl::name() const {
  std::string shown = device;
  std::ranges::replace(shown, '.', '/');
  switch (kind) {
    case SysctlKind::ignoreLinkdown4:
      return "net.ipv4.conf." + shown + ".ignore_routes_with_linkdown";
    case SysctlKind::ignoreLinkdown6:
      return "net.ipv6.conf." + shown + ".ignore_routes_with_linkdown";
    case SysctlKind::srcValidMark:
      return "net.ipv4.conf." + shown + ".src_valid_mark";
  }
  return {};
}

}  // namespace wgsteer
