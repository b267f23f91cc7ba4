// SPDX-License-Identifier: GPL-2.0-or-later
// The source address with which our packets leave a WAN.
#pragma once

#include <optional>
#include <vector>

#include "wgsteer/core/steering.hpp"

namespace wgsteer {

/// An address that is right on no WAN.
bool isOfTunnel(const World& world, const InterfaceAddress& own);

/// Whether a WAN's device has an address in it. For such there are rules of ours, which take part in failovers.
bool hasAddressIn(const World& world, const std::vector<Wan>& wans, const Prefix& prefix);

/// Whose of several WANs on one device an address is: of one that sends from it, of one whose router is in its network,
/// else of the first. Null if no WAN is on the device.
const Wan* wanOf(const std::vector<Wan>& wans, const InterfaceAddress& own);

/// The address that the kernel would most likely choose itself, of a WAN that has its link and default routes.
std::optional<Address> preferredSource(const World& world, const Wan& wan, Family family);

/// Gives WANs without an address one of a LAN behind this host, or marks them as sourceless if another WAN has one.
void passOverSourceless(const World& world, std::vector<Wan>& wans);

}  // namespace wgsteer
