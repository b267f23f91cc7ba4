// SPDX-License-Identifier: GPL-2.0-or-later
// Deprecated prefixes (`deprecate` of a WAN): hosts behind this one take another source address as soon as the router
// advertisement says that the prefix of theirs is not preferred any more, and that is made from this host's address on
// the link (odhcpd, radvd, dnsmasq).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "wgsteer/core/steering.hpp"

namespace wgsteer {

/// Whether we have deprecated it, and nobody else has written its lifetimes since.
bool isDeprecatedByUs(const World& world, const InterfaceAddress& own);
/// Whether it is deprecated by somebody else, or its time is up: ours has no bearing on what this host sends from.
bool isDeprecatedByOthers(const World& world, const InterfaceAddress& own);

/// The addresses that are to be deprecated now, and what they were before. Here alone it is decided.
std::map<OwnAddress, Deprecation> addressesToDeprecate(const World& world, const Steering& steering);

/// The addresses that would be, if this WAN died and another one could be used.
std::vector<OwnAddress> addressesBehind(const World& world, const Steering& steering, const Wan& wan);

}  // namespace wgsteer
