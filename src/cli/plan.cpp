// SPDX-License-Identifier: GPL-2.0-or-later
#include <nlohmann/json.hpp>

#include "wgsteer/core/pending.hpp"

#include "cli/common.hpp"
#include "cli/verbs.hpp"
#include "control/control_client.hpp"
#include "daemon/resolve_once.hpp"
#include "log/log.hpp"
#include "os/timer.hpp"

namespace wgsteer::cli {

namespace {

/// Only a running daemon knows which WANs are unhealthy, and the gateways of links that went down. With a file named on
/// the command line, the question is about that file, so the daemon is not asked.
Result<Pending> pendingChanges(const Options& options) {
  if (options.configFile.empty()) {
    const auto reply = askDaemon("plan");
    if (reply)
      return Pending{.changes = reply->at("changes").get<std::vector<std::string>>(),
                     .notes = reply->value("notes", std::vector<std::string>{})};
    if (reply.error().kind != ErrorKind::notThere) return std::unexpected(reply.error());
  }
  log::open(LogLevel::warn);
  auto host = lookAtHost(options);
  if (!host) return std::unexpected(host.error());
  World& world = host->picture.world;
  auto resolved = resolveOnce(host->config, world);
  if (!resolved) return std::unexpected(resolved.error());
  world.named = std::move(*resolved);
  return pending(host->config, host->picture, os::wallClock());
}

}  // namespace

int plan(const Options& options) {
  const auto pending = pendingChanges(options);
  if (!pending) return report("plan", pending.error());
  if (options.json) {
    print({{"changes", pending->changes}, {"notes", pending->notes}});
  } else {
    for (const std::string& note : pending->notes) printText("# " + note + "\n");
    for (const std::string& change : pending->changes) printText(change + "\n");
  }
  return pending->changes.empty() ? kOk : kSomethingFound;
}

}  // namespace wgsteer::cli
