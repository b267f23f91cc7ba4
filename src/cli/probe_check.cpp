// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/probe_check.hpp"

#include <nlohmann/json.hpp>
#include <set>
#include <string>

namespace wgsteer::cli {

std::vector<Finding> inspectProbes(const nlohmann::json& status) {
  std::vector<Finding> findings;
  for (const auto& wan : status.at("wans")) {
    std::set<std::string> said;  // for WANs where one family follows the other
    for (const char* key : {"ipv4", "ipv6"}) {
      const auto& family = wan.at(key);
      const auto fix = family.value("fix", nlohmann::json{});
      if (!fix.is_string() || !said.insert(fix.get<std::string>()).second) continue;
      findings.push_back({Severity::problem,
                          "WAN " + wan.at("name").get<std::string>() + " " + family.at("reason").get<std::string>(),
                          fix.get<std::string>()});
    }
  }
  return findings;
}

}  // namespace wgsteer::cli
