// SPDX-License-Identifier: GPL-2.0-or-later
// The process around the engine: loop, timers, signals, control socket, log, service manager.
#pragma once

#include <cstdint>

#include "wgsteer/kernel.hpp"
#include "wgsteer/result.hpp"

#include "daemon/last_good.hpp"
#include "engine/engine.hpp"

namespace wgsteer {

enum class Ended : std::uint8_t {
  stopped,  ///< by a signal
  flushed,  ///< as requested on the control socket: nothing of ours may come back by itself
};

/// Runs until SIGTERM, SIGINT or `flush`, starting with configForStart(). Fails if it cannot start; later errors are
/// logged and retried.
Result<Ended> runDaemon(Kernel& kernel, const ConfigSource& source);

/// Converges once, using the source's configuration and the overrides by hand, and returns: `run --once`.
/// ErrorKind::alreadyThere while a daemon is running, which knows more than a single look can show.
Status runOnce(Kernel& kernel, const ConfigSource& source);

}  // namespace wgsteer
