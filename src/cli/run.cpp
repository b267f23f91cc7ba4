// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/common.hpp"
#include "cli/verbs.hpp"
#include "engine/daemon.hpp"
#include "log/log.hpp"

namespace wgsteer::cli {

int run(const Options& options) {
  log::open(options.verbose ? LogLevel::debug : LogLevel::info);
  const LoadConfig load = [&options]() -> Result<Config> {
    auto config = configOf(options);
    if (config && options.verbose) config->logLevel = LogLevel::debug;
    return config;
  };
  auto kernel = openKernel();
  if (!kernel) return report("run", kernel.error());
  const Status done = options.once ? runOnce(**kernel, load) : runDaemon(**kernel, load);
  return done ? kOk : report("run", done.error());
}

}  // namespace wgsteer::cli
