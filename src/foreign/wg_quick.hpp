// SPDX-License-Identifier: GPL-2.0-or-later
// The peers of a wg-quick(8) file, which is a wg(8) file with more in it.
#pragma once

#include <string_view>
#include <vector>

#include "foreign/peer_endpoint.hpp"

namespace wgsteer::foreign {

/// Peers that have an Endpoint, in their order, of the tunnel `tunnel`; `file` is left empty. Any bytes will do; of the
/// values only public keys and endpoints are looked at.
std::vector<PeerEndpoint> readWgQuick(std::string_view text, const IfName& tunnel, config::Problems& problems);

/// Whether wg-quick would make an interface of that name.
bool isWgQuickName(std::string_view name);

}  // namespace wgsteer::foreign
