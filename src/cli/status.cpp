// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/status.hpp"

#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <poll.h>

#include "cli/common.hpp"
#include "cli/status_text.hpp"
#include "cli/verbs.hpp"
#include "engine/control_client.hpp"
#include "os/signals.hpp"
#include "os/timer.hpp"

namespace wgsteer::cli {

namespace {

/// From the daemon when it runs, from the kernel when it does not.
Result<nlohmann::json> currentStatus(const Options& options) {
  auto reply = askDaemon("status");
  if (reply) return (*reply)["status"];
  if (reply.error().kind != ErrorKind::notThere) return std::unexpected(reply.error());
  const auto host = lookAtHost(options);
  if (!host) return std::unexpected(host.error());
  return statusDocument(host->config, host->picture, std::nullopt, os::wallClockSeconds());
}

int show(const Options& options) {
  const auto document = currentStatus(options);
  if (!document) return report("status", document.error());
  if (options.json)
    print(*document);
  else
    std::fputs(statusText(*document).c_str(), stdout);
  std::fflush(stdout);
  return kOk;
}

}  // namespace

int status(const Options& options) {
  if (!options.watch) return show(options);
  auto signals = os::Signals::create({SIGINT, SIGTERM});
  if (!signals) return report("status", signals.error());
  pollfd interrupted{.fd = signals->descriptor(), .events = POLLIN, .revents = 0};
  while (true) {
    if (colourWanted() && !options.json) std::fputs("\033[H\033[2J", stdout);
    if (const int code = show(options); code != kOk) return code;
    if (::poll(&interrupted, 1, 1000) > 0) return kOk;
  }
}

}  // namespace wgsteer::cli
