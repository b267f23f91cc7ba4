// SPDX-License-Identifier: GPL-2.0-or-later
// The text protocol of https://www.wireguard.com/xplatform/.
#pragma once

#include <string>
#include <string_view>

#include "wgsteer/core/world.hpp"
#include "wgsteer/result.hpp"

namespace wgsteer::netlink {

/// The answer to "get=1". Lines with keys other than public ones are skipped, and so are unknown lines.
Result<Tunnel> parseUapi(std::string_view answer, const IfName& device);

/// The answer to "set=1". `what` names the request.
Status parseUapiOutcome(std::string_view answer, const std::string& what);

}  // namespace wgsteer::netlink
