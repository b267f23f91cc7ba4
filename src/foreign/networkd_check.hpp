// SPDX-License-Identifier: GPL-2.0-or-later
// When it starts, systemd-networkd deletes rules and routes that it does not know, unless configured not to:
// networkd.conf(5).
#pragma once

#include <string>
#include <vector>

#include "wgsteer/core/inspect.hpp"

#include "foreign/networkd_conf.hpp"

namespace wgsteer::foreign {

/// `stateFile` exists while networkd runs.
std::vector<Finding> inspectNetworkd(const NetworkdConf& conf = readNetworkdConf(),
                                     const std::string& stateFile = "/run/systemd/netif/state");

}  // namespace wgsteer::foreign
