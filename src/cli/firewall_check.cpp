// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/firewall_check.hpp"

#include <algorithm>
#include <string>

#include "wgsteer/core/desire.hpp"
#include "wgsteer/core/inspect_firewall.hpp"

#include "nft/foreign_chains.hpp"
#include "os/read_file.hpp"

namespace wgsteer::cli {

namespace {

/// One table per line. The file exists if the kernel has legacy iptables, and is empty while nothing uses it.
void takeLegacyTables(const char* file, const std::string& family, std::vector<std::string>& tables) {
  const auto names = os::readFile(file);
  if (!names) return;
  for (std::size_t at = 0; at < names->size();) {
    const std::size_t end = std::min(names->find('\n', at), names->size());
    if (end > at) tables.push_back(family + names->substr(at, end - at));
    at = end + 1;
  }
}

Finding unread(const Error& error) {
  return {Severity::advice, "cannot read the firewall: " + error.toString(),
          "run wgsteer check again, or look through nft list ruleset for rules that change or test marks"};
}

}  // namespace

std::vector<Finding> inspectFirewall(const Host& host) {
  std::vector<Finding> findings = inspectUnknownTunnels(host.picture.world, steer(host.config, host.picture.world));
  auto firewall = nft::readForeignChains();
  if (!firewall) {
    findings.push_back(unread(firewall.error()));
    firewall = firewall::Firewall{};
  }
  takeLegacyTables("/proc/net/ip_tables_names", "ip ", firewall->legacyTables);
  takeLegacyTables("/proc/net/ip6_tables_names", "ip6 ", firewall->legacyTables);
  World world = host.picture.world;
  // A reverse path filter, if there is one, looks up more than default routes.
  if (asksRoutes(*firewall, world)) {
    const auto all = host.kernel->observe(host.config.numbers, {.allRoutes = true});
    if (!all) findings.push_back(unread(all.error()));
    if (all) world.routes = all->world.routes;
  }
  const Steering steering = steer(host.config, world);
  std::ranges::move(
      wgsteer::inspectFirewall(*firewall, host.config, world, steering, desire(host.config, world, steering)),
      std::back_inserter(findings));
  return findings;
}

}  // namespace wgsteer::cli
