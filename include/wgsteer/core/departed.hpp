// SPDX-License-Identifier: GPL-2.0-or-later
// Endpoints of tunnels that have gone. Most tunnels that go come back at once (`wg-quick down; wg-quick up`, netifd's
// `ifup`), and nothing announces what they are configured with: their first packet may be earlier than the daemon, and
// it has no mark yet. So what the table says about their endpoints stays for a while.
#pragma once

#include "wgsteer/core/time.hpp"
#include "wgsteer/core/track.hpp"

namespace wgsteer {

/// To be called when a tunnel is no longer there, while the table still has its endpoints.
void noteDeparture(Picture& picture, const Tunnel& gone);
/// For all that were there before and are not in the picture.
void noteDepartures(Picture& picture, const SharedMap<IfName, Tunnel>& before);

/// Forgets what has departed kDepartedFor before, as seen by calls of this. True if a plan depends on it.
bool forgetDeparted(World& world, Instant now);

}  // namespace wgsteer
