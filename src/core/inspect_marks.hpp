// SPDX-License-Identifier: GPL-2.0-or-later
// The part of inspectFirewall() that is about any traffic: rules of other programs that overwrite our bits in the marks
// of its packets and connections.
#pragma once

#include <vector>

#include "wgsteer/core/config.hpp"
#include "wgsteer/core/firewall.hpp"
#include "wgsteer/core/inspect.hpp"
#include "wgsteer/core/state.hpp"
#include "wgsteer/core/steering.hpp"

namespace wgsteer {

std::vector<Finding> inspectMarks(const firewall::Firewall& firewall, const Config& config, const Steering& steering,
                                  const State& state);

}  // namespace wgsteer
