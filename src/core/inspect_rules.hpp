// SPDX-License-Identifier: GPL-2.0-or-later
// The part of inspect() that is about rules for any traffic: those that never match, that lead nowhere, or that leave
// out what their author may have meant.
#pragma once

#include <vector>

#include "wgsteer/core/inspect.hpp"

namespace wgsteer {

std::vector<Finding> inspectRules(const Config& config, const World& world, const Steering& steering);

}  // namespace wgsteer
