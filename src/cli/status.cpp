// SPDX-License-Identifier: GPL-2.0-or-later
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/common.hpp"
#include "cli/status_text.hpp"
#include "cli/verbs.hpp"
#include "cli/watch.hpp"

namespace wgsteer::cli {

namespace {

void show(const nlohmann::json& document, const Options& options) {
  if (options.json)
    options.watch ? printLine(document) : print(document);
  else
    printText(statusText(document, outputWidth()));
}

Status watch(const Options& options) {
  const bool redraw = colourWanted() && !options.json;
  return watchStatus({.fetch = [&] { return currentStatus(options); },
                      .show =
                          [&](const nlohmann::json& document) {
                            if (redraw) std::fputs("\033[H\033[2J", stdout);
                            show(document, options);
                            return std::fflush(stdout) == 0;
                          },
                      .ticks = redraw});
}

}  // namespace

int status(const Options& options) {
  if (options.watch) {
    const auto watched = watch(options);
    return watched ? kOk : report("status", watched.error());
  }
  auto document = currentStatus(options);
  if (!document) return report("status", document.error());
  countConnections(*document);
  show(*document, options);
  return kOk;
}

}  // namespace wgsteer::cli
