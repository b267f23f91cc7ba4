// SPDX-License-Identifier: GPL-2.0-or-later
// What `check` says about IPv6 sources and the WANs that they belong to.
#pragma once

#include <vector>

#include "wgsteer/core/inspect.hpp"

namespace wgsteer {

std::vector<Finding> inspectSources(const World& world, const Steering& steering);

}  // namespace wgsteer
