// SPDX-License-Identifier: GPL-2.0-or-later
#include <nlohmann/json.hpp>

#include "wgsteer/core/describe.hpp"

#include "cli/common.hpp"
#include "cli/verbs.hpp"
#include "engine/control_client.hpp"
#include "log/log.hpp"

namespace wgsteer::cli {

namespace {

/// `flush` must work with any configuration, also a broken one: only the numbers matter, and without them the defaults.
Config numbersOf(const Options& options) { return configOf(options).value_or(Config{}); }

Status flushKernel(const Options& options) {
  auto kernel = openKernel();
  if (!kernel) return std::unexpected(kernel.error());
  const Config config = numbersOf(options);
  auto picture = (*kernel)->observe(config.numbers);
  if (!picture) return std::unexpected(picture.error());
  const Plan plan = diff(State{}, picture->observed);
  const DeviceName names = deviceNames(picture->world);
  for (const std::string& line : describe(plan, names)) log::debug(line);
  const CommitReport result = (*kernel)->commit(plan, config.numbers);
  if (result.ok()) return {};
  const ChangeResult& first = result.failed.front();
  return fail(ErrorKind::io, describe(first.change, names).front() + ": " + first.status.error().toString());
}

}  // namespace

int flush(const Options& options) {
  log::open(options.verbose ? LogLevel::debug : LogLevel::warn);
  const auto asked = askDaemon("flush");
  if (!asked && asked.error().kind != ErrorKind::notThere) return report("flush", asked.error());
  // Also after a daemon has done it: what it did not know of goes as well.
  const Status done = flushKernel(options);
  return done ? kOk : report("flush", done.error());
}

}  // namespace wgsteer::cli
