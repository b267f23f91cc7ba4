// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/common.hpp"
#include "cli/verbs.hpp"
#include "daemon/daemon.hpp"
#include "log/log.hpp"

namespace wgsteer::cli {

namespace {

int convergeOnce(Kernel& kernel, const ConfigSource& source) {
  const Status done = wgsteer::runOnce(kernel, source);
  return done ? kOk : report("run", done.error());
}

int stay(Kernel& kernel, const ConfigSource& source) {
  const auto ended = wgsteer::runDaemon(kernel, source);
  if (!ended) return report("run", ended.error());
  return *ended == Ended::flushed ? kFlushed : kOk;
}

}  // namespace

int run(const Options& options) {
  log::open(options.verbose ? LogLevel::debug : LogLevel::info);
  const ConfigSource source = configSource(options);
  auto kernel = openKernel();
  if (!kernel) return report("run", kernel.error());
  return options.once ? convergeOnce(**kernel, source) : stay(**kernel, source);
}

}  // namespace wgsteer::cli
