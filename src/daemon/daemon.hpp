// SPDX-License-Identifier: GPL-2.0-or-later
// The engine in its surroundings: loop, timers, signals, control socket, log, service manager.
#pragma once

#include <cstdint>

#include "wgsteer/kernel.hpp"
#include "wgsteer/result.hpp"

#include "daemon/last_good.hpp"
#include "engine/engine.hpp"

namespace wgsteer {

enum class Ended : std::uint8_t {
  stopped,  ///< by a signal
  flushed,  ///< as asked on the control socket: nothing of ours is to come back by itself
};

/// Runs until SIGTERM, SIGINT or `flush`, at first by configForStart(). Fails if it cannot start; later troubles are
/// logged and tried again.
Result<Ended> runDaemon(Kernel& kernel, const ConfigSource& source);

/// Converges once, by what the source has and the decisions made by hand, and returns: `run --once`.
/// ErrorKind::alreadyThere while a daemon runs, which knows more than can be seen at once.
Status runOnce(Kernel& kernel, const ConfigSource& source);

}  // namespace wgsteer
