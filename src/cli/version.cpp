// SPDX-License-Identifier: GPL-2.0-or-later
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/common.hpp"
#include "cli/verbs.hpp"

namespace wgsteer::cli {

int version(const Options& options) {
  if (options.json)
    print({{"version", WGSTEER_VERSION}});
  else
    std::printf("wgsteer %s\n", WGSTEER_VERSION);
  return kOk;
}

}  // namespace wgsteer::cli
