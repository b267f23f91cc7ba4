// SPDX-License-Identifier: GPL-2.0-or-later
#include "foreign/networkd_check.hpp"

#include <filesystem>
#include <system_error>
#include <utility>

namespace wgsteer::foreign {

std::vector<Finding> inspectNetworkd(const NetworkdConf& conf, const std::string& stateFile) {
  std::error_code ignored;
  if (!std::filesystem::exists(stateFile, ignored)) return {};  // it does not run
  std::vector<Finding> findings;
  for (const auto& [key, on] : {std::pair{"ManageForeignRoutingPolicyRules", conf.managesForeignRules},
                                std::pair{"ManageForeignRoutes", conf.managesForeignRoutes}})
    if (on)
      findings.push_back(
          {Severity::advice, "systemd-networkd deletes our rules and routes whenever it starts",
           std::string{"set "} + key + "=no under [Network] in /etc/systemd/networkd.conf.d/wgsteer.conf"});
  return findings;
}

}  // namespace wgsteer::foreign
