// SPDX-License-Identifier: GPL-2.0-or-later
// What on this host stands in the way of steering: collisions with neighbours, filters that drop, loops that remain.
// Each finding comes with what to do about it. The `check` verb prints them; `run` refuses to start over a conflict.
#pragma once

#include <string>
#include <vector>

#include "wgsteer/core/config.hpp"
#include "wgsteer/core/state.hpp"
#include "wgsteer/core/steering.hpp"
#include "wgsteer/core/world.hpp"

namespace wgsteer {

enum class Severity : std::uint8_t {
  conflict,  ///< steering and another program would interfere: refused unless `force`
  problem,   ///< something that was configured does not work
  advice,    ///< works, but could be better
};

struct Finding {
  Severity severity = Severity::problem;
  std::string what;
  std::string fix;
};

/// What keeps a daemon from starting; part of what inspect() says.
std::vector<Finding> conflicts(const Config& config, const World& world, const Steering& steering);

/// `planned` is what is installed once everything is as it is to be; without `writable`, but for sysctls (containers).
std::vector<Finding> inspect(const Config& config, const World& world, const Steering& steering, const State& planned,
                             bool writable = true);

/// Of these, tunnels that cannot be read or set.
std::vector<Finding> inspectTunnels(const World& world);

}  // namespace wgsteer
