// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/flush.hpp"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "wgsteer/core/describe.hpp"

#include "cli/common.hpp"
#include "cli/verbs.hpp"
#include "control/control_client.hpp"
#include "log/log.hpp"
#include "log/printable.hpp"

namespace wgsteer::cli {

namespace {

/// `flush` must work with any configuration, even a broken one: only its numbers matter, or else the defaults.
Config numbersOf(const Options& options) { return configOf(options).value_or(Config{}); }

Status flushKernel(const Options& options) {
  auto kernel = openKernel();
  if (!kernel) return std::unexpected(kernel.error());
  const Config config = numbersOf(options);
  auto picture = (*kernel)->observe(config.numbers);
  if (!picture) return std::unexpected(picture.error());
  const DeviceName names = deviceNames(picture->world);
  const Flushed flushed = wgsteer::flush(**kernel, *picture, config.numbers);
  for (const std::string& line : describe(flushed.plan, names)) log::debug(line);
  return flushed.status(names);
}

/// The daemon has stopped; whether it is started again depends on its service manager.
void sayHowToComeBack(const nlohmann::json& reply) {
  const std::string unit = log::printable(reply.value("unit", std::string{}));
  if (!unit.empty())
    std::printf(
        "all state removed, %s stopped; to start it again: systemctl start %s (the next boot does so, too, unless the "
        "service is disabled)\n",
        unit.c_str(), unit.c_str());
  else if (reply.value("manager", std::string{}) == "procd")
    std::puts("all state removed, but procd restarts the daemon; to stop it for good: /etc/init.d/wgsteer stop");
  else
    std::puts("all state removed, daemon stopped; to start it again: wgsteer run");
}

}  // namespace

int flush(const Options& options) {
  log::open(options.verbose ? LogLevel::debug : LogLevel::warn);
  const auto asked = askDaemon("flush");
  if (!asked && asked.error().kind != ErrorKind::notThere) return report("flush", asked.error());
  // Even after the daemon has done it, to remove what it did not know of. Members of the group can only ask the daemon.
  const Status done = flushKernel(options);
  if (!done && !(asked && lacksRight(done.error()))) return report("flush", done.error());
  if (asked) sayHowToComeBack(*asked);
  return kOk;
}

}  // namespace wgsteer::cli
