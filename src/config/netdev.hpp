// SPDX-License-Identifier: GPL-2.0-or-later
// The peers of a WireGuard device of systemd-networkd: systemd.netdev(5), in the syntax of systemd.syntax(7).
#pragma once

#include <string_view>
#include <vector>

#include "config/peer_endpoint.hpp"

namespace wgsteer::config {

/// Peers that have an Endpoint, in their order; none if the device is of another kind. `file` is left empty. As
/// networkd, and unlike wg-quick, it minds the case of names and knows comments only at the beginning of a line.
std::vector<PeerEndpoint> readNetdev(std::string_view text, Problems& problems);

}  // namespace wgsteer::config
