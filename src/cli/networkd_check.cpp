// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/networkd_check.hpp"

#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "foreign/networkd_conf.hpp"

namespace wgsteer::cli {

std::vector<Finding> inspectNetworkd() {
  std::error_code ignored;
  if (!std::filesystem::exists("/run/systemd/netif/state", ignored)) return {};  // it does not run
  const foreign::NetworkdConf conf = foreign::readNetworkdConf();
  std::vector<Finding> findings;
  for (const auto& [key, on] : {std::pair{"ManageForeignRoutingPolicyRules", conf.managesForeignRules},
                                std::pair{"ManageForeignRoutes", conf.managesForeignRoutes}})
    if (on)
      findings.push_back(
          {Severity::advice, "systemd-networkd deletes our rules and routes whenever it starts",
           std::string{"set "} + key + "=no under [Network] in /etc/systemd/networkd.conf.d/wgsteer.conf"});
  return findings;
}

}  // namespace wgsteer::cli
