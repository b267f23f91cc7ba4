// SPDX-License-Identifier: GPL-2.0-or-later
// The peers of a WireGuard profile of NetworkManager: nm-settings-keyfile(5), in the syntax of GLib's key files.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "foreign/peer_endpoint.hpp"

namespace wgsteer::foreign {

struct NmProfile {
  std::string uuid;                 ///< in lower case; empty: NetworkManager derives it from the file name
  std::vector<PeerEndpoint> peers;  ///< those with an endpoint; none if the profile is of another type
};

/// Accepts any bytes; only names, types and endpoints are read. `file` is left empty.
NmProfile readNmProfile(std::string_view text, config::Problems& problems);

}  // namespace wgsteer::foreign
