// SPDX-License-Identifier: GPL-2.0-or-later
// The address that packets of ours leave a WAN with.
#pragma once

#include <optional>
#include <vector>

#include "wgsteer/core/steering.hpp"

namespace wgsteer {

/// The address that the kernel would most likely choose itself, of a WAN that has its link and default routes.
std::optional<Address> preferredSource(const World& world, const Wan& wan, Family family);

/// Gives WANs without an address the one of a LAN behind, or marks them as sourceless where another WAN has one.
void passOverSourceless(const World& world, std::vector<Wan>& wans);

}  // namespace wgsteer
