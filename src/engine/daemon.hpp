// SPDX-License-Identifier: GPL-2.0-or-later
// The engine in its surroundings: loop, timers, signals, control socket, log, service manager.
#pragma once

#include <functional>
#include <memory>

#include "wgsteer/core/config.hpp"
#include "wgsteer/engine.hpp"
#include "wgsteer/kernel.hpp"
#include "wgsteer/result.hpp"

namespace wgsteer {

/// Reads the configuration; called at start and for every reload.
using LoadConfig = std::function<Result<Config>()>;

/// Runs until SIGTERM or SIGINT. Fails if it cannot start; later troubles are logged and tried again.
Status runDaemon(Kernel& kernel, const LoadConfig& load);

/// Converges once, by the decisions made by hand, and returns: `run --once`. ErrorKind::alreadyThere while a daemon
/// runs, which knows more than can be seen at once.
Status runOnce(Kernel& kernel, const LoadConfig& load);

}  // namespace wgsteer
