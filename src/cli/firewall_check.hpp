// SPDX-License-Identifier: GPL-2.0-or-later
// Other people's netfilter chains, and what they do to WireGuard's packets: read for `check` alone.
#pragma once

#include <vector>

#include "wgsteer/core/inspect.hpp"

#include "cli/common.hpp"

namespace wgsteer::cli {

std::vector<Finding> inspectFirewall(const Host& host);

}  // namespace wgsteer::cli
