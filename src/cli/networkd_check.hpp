// SPDX-License-Identifier: GPL-2.0-or-later
// When it starts, systemd-networkd deletes rules and routes that it does not know, unless configured not to:
// networkd.conf(5).
#pragma once

#include <vector>

#include "wgsteer/core/inspect.hpp"

namespace wgsteer::cli {

std::vector<Finding> inspectNetworkd();

}  // namespace wgsteer::cli
