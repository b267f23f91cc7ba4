// SPDX-License-Identifier: GPL-2.0-or-later
#include <cstdio>
#include <nlohmann/json.hpp>

#include "wgsteer/core/describe.hpp"
#include "wgsteer/core/desire.hpp"

#include "cli/common.hpp"
#include "cli/verbs.hpp"

namespace wgsteer::cli {

int plan(const Options& options) {
  const auto host = lookAtHost(options);
  if (!host) return report("plan", host.error());
  const World& world = host->picture.world;
  const Plan pending = diff(desire(host->config, world), host->picture.observed);
  const auto lines = describe(pending, deviceNames(world));
  if (options.json)
    print({{"changes", lines}});
  else
    for (const std::string& line : lines) std::printf("%s\n", line.c_str());
  return pending.empty() ? kOk : kSomethingFound;
}

}  // namespace wgsteer::cli
