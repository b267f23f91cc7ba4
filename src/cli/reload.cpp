// SPDX-License-Identifier: GPL-2.0-or-later
#include <nlohmann/json.hpp>

#include "cli/common.hpp"
#include "cli/verbs.hpp"
#include "control/control_client.hpp"

namespace wgsteer::cli {

int reload(const Options&) {
  const auto reply = askDaemon("reload");
  return reply ? kOk : report("reload", reply.error());
}

}  // namespace wgsteer::cli
