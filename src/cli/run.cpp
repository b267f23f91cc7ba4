// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/common.hpp"
#include "cli/verbs.hpp"
#include "daemon/daemon.hpp"
#include "log/log.hpp"

namespace wgsteer::cli {

namespace {

int convergeOnce(Kernel& kernel, const LoadConfig& load) {
  const Status done = wgsteer::runOnce(kernel, load);
  return done ? kOk : report("run", done.error());
}

int stay(Kernel& kernel, const LoadConfig& load) {
  const auto ended = wgsteer::runDaemon(kernel, load);
  if (!ended) return report("run", ended.error());
  return *ended == Ended::flushed ? kFlushed : kOk;
}

}  // namespace

int run(const Options& options) {
  log::open(options.verbose ? LogLevel::debug : LogLevel::info);
  const LoadConfig load = [&options]() -> Result<Config> {
    auto config = configOf(options);
    if (config && options.verbose) config->logLevel = LogLevel::debug;
    return config;
  };
  auto kernel = openKernel();
  if (!kernel) return report("run", kernel.error());
  return options.once ? convergeOnce(**kernel, load) : stay(**kernel, load);
}

}  // namespace wgsteer::cli
