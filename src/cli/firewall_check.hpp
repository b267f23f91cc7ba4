// SPDX-License-Identifier: GPL-2.0-or-later
// The netfilter chains of other programs and what they do to WireGuard's packets and to marks of any traffic;
// read only by `check`.
#pragma once

#include <vector>

#include "wgsteer/core/inspect.hpp"

#include "cli/common.hpp"

namespace wgsteer::cli {

std::vector<Finding> inspectFirewall(const Host& host);

}  // namespace wgsteer::cli
