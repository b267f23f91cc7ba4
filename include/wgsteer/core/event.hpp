// SPDX-License-Identifier: GPL-2.0-or-later
// What the kernel announces, decoded. Foreign objects and ours alike: whoever folds them in tells them apart.
#pragma once

#include <cstdint>
#include <variant>

#include "wgsteer/core/route.hpp"
#include "wgsteer/core/world.hpp"

namespace wgsteer {

struct LinkChanged {
  Link link;
};
struct LinkGone {
  IfIndex index;
};
struct AddressAdded {
  InterfaceAddress address;
};
struct AddressGone {
  InterfaceAddress address;
};
struct RouteAdded {
  Route route;
  bool replaced = false;  ///< NLM_F_REPLACE: whatever had the same key is gone
};
struct RouteGone {
  Route route;
};
struct RuleAdded {
  Rule rule;
};
struct RuleGone {
  Rule rule;
};
/// Our nft table was touched by somebody else.
struct NftChanged {};
/// A device's switches changed (RTM_NEWNETCONF); IfIndex 0: those of "all".
struct SysctlsChanged {
  IfIndex device;
};
/// A WireGuard device appeared, vanished or was found changed by a poll.
struct TunnelsChanged {};
/// Events were lost (ENOBUFS, truncation): everything has to be read anew.
struct Overrun {};

using Event = std::variant<LinkChanged, LinkGone, AddressAdded, AddressGone, RouteAdded, RouteGone, RuleAdded, RuleGone,
                           NftChanged, SysctlsChanged, TunnelsChanged, Overrun>;

}  // namespace wgsteer
