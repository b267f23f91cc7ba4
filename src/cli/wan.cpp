// SPDX-License-Identifier: GPL-2.0-or-later
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/common.hpp"
#include "cli/verbs.hpp"
#include "control/control_client.hpp"
#include "log/printable.hpp"

namespace wgsteer::cli {

int wan(const Options& options) {
  const std::string& name = options.arguments[0];
  const std::string& use = options.arguments[1];
  if (use != "up" && use != "down" && use != "auto") {
    std::fprintf(stderr, "wgsteer wan: expected up, down or auto, not %s\nTry: wgsteer wan --help\n", use.c_str());
    return kUsage;
  }
  const auto reply = askDaemon("wan", {{"name", name}, {"use", use}, {"reason", options.reason}});
  if (!reply) return report("wan", reply.error());
  if (reply->contains("warning"))
    std::fprintf(stderr, "wgsteer wan: %s\n", log::printable(reply->value("warning", std::string{})).c_str());
  return kOk;
}

}  // namespace wgsteer::cli
