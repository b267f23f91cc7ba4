// SPDX-License-Identifier: GPL-2.0-or-later
// The peers of a WireGuard profile of NetworkManager: nm-settings-keyfile(5), in the syntax of GLib's key files.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "foreign/peer_endpoint.hpp"

namespace wgsteer::foreign {

struct NmProfile {
  std::string uuid;                 ///< in lower case; empty: NetworkManager makes it from the name of the file
  std::vector<PeerEndpoint> peers;  ///< that have an endpoint; none if the profile is of another type
};

/// Any bytes will do; of the values only names, types and endpoints are looked at. `file` is left empty.
NmProfile readNmProfile(std::string_view text, config::Problems& problems);

}  // namespace wgsteer::foreign
