// SPDX-License-Identifier: GPL-2.0-or-later
// The peers of a wg-quick(8) file, which extends the format of wg(8).
#pragma once

#include <string_view>
#include <vector>

#include "foreign/peer_endpoint.hpp"

namespace wgsteer::foreign {

/// Peers of `tunnel` that have an Endpoint, in order; `file` is left empty. Accepts any bytes; only public keys and
/// endpoints are read.
std::vector<PeerEndpoint> readWgQuick(std::string_view text, const IfName& tunnel, config::Problems& problems);

/// Whether wg-quick would create an interface with that name.
bool isWgQuickName(std::string_view name);

}  // namespace wgsteer::foreign
