// SPDX-License-Identifier: GPL-2.0-or-later
// What on this host prevents steering: conflicts with other programs, filters that drop packets, loops that remain.
// Each finding comes with its fix. The `check` verb prints them; `run` refuses to start over a conflict.
#pragma once

#include <string>
#include <vector>

#include "wgsteer/core/config.hpp"
#include "wgsteer/core/state.hpp"
#include "wgsteer/core/steering.hpp"
#include "wgsteer/core/track.hpp"

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

/// What keeps a daemon from starting; part of the findings of inspect().
std::vector<Finding> conflicts(const Config& config, const Picture& picture, const Steering& steering);

/// `planned` is the state once the plan has been carried out. `writable`: whether sysctls can be set (not in most
/// containers).
std::vector<Finding> inspect(const Config& config, const Picture& picture, const Steering& steering,
                             const State& planned, bool writable = true);

/// The findings about tunnels that cannot be read or set.
std::vector<Finding> inspectTunnels(const World& world);

}  // namespace wgsteer
