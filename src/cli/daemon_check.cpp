// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/daemon_check.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "wgsteer/core/steering.hpp"

namespace wgsteer::cli {

namespace {

void learnFromWan(const nlohmann::json& document, const std::vector<Wan>& wans, World& world) {
  const auto wan = std::ranges::find(wans, document.at("name").get<std::string>(), &Wan::name);
  if (wan == wans.end()) return;
  for (const Family family : kFamilies)
    // A daemon of another version may not say.
    if (const auto refused = document.at(keyOf(family)).value("refused", nlohmann::json{}); refused.is_string())
      world.refusedRoutes.emplace(std::pair{wan->slot, family}, refused.get<std::string>());
}

std::vector<Finding> inspectProbes(const nlohmann::json& wan) {
  std::vector<Finding> findings;
  std::set<std::string> said;  // for WANs where one family follows the other
  for (const Family key : kFamilies) {
    const auto& family = wan.at(keyOf(key));
    const auto fix = family.value("fix", nlohmann::json{});
    if (!fix.is_string() || !said.insert(fix.get<std::string>()).second) continue;
    findings.push_back({Severity::problem,
                        "WAN " + wan.at("name").get<std::string>() + " " + family.at("reason").get<std::string>(),
                        fix.get<std::string>()});
  }
  return findings;
}

}  // namespace

void learnFrom(const nlohmann::json& status, const Config& config, World& world) {
  const Steering steering = steer(config, world);
  for (const auto& wan : status.at("wans")) learnFromWan(wan, steering.wans, world);
  for (const auto& [tunnel, why] : status.value("tunnel_troubles", std::map<std::string, std::string>{}))
    world.tunnelTroubles.emplace(tunnel, why);
}

std::vector<Finding> inspectDaemon(const nlohmann::json& status, bool writable) {
  std::vector<Finding> findings;
  for (const auto& wan : status.at("wans")) std::ranges::move(inspectProbes(wan), std::back_inserter(findings));
  if (const auto pending = status.value("pending", std::size_t{0}); writable && pending > 0)
    findings.push_back({Severity::advice,
                        "the daemon has not made all changes that it plans: " + std::to_string(pending) + " pending",
                        "wgsteer plan shows them, the log the reason; ignore this if none are pending any more"});
  return findings;
}

}  // namespace wgsteer::cli
