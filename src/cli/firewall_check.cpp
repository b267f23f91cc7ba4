// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/firewall_check.hpp"

#include <algorithm>
#include <string_view>

#include "wgsteer/core/desire.hpp"
#include "wgsteer/core/inspect_firewall.hpp"

#include "nft/foreign_chains.hpp"
#include "os/lines.hpp"

namespace wgsteer::cli {

namespace {

/// One table per line. The file exists if the kernel has legacy iptables, and is empty while nothing uses it.
void takeLegacyTables(const char* file, firewall::TableFamily family, firewall::Firewall& firewall) {
  (void)os::forEachLine(file, [&](std::string_view name) {
    if (!name.empty()) firewall.legacyTables.emplace_back(family, name);
    return true;
  });
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
  takeLegacyTables("/proc/net/ip_tables_names", firewall::TableFamily::ip, *firewall);
  takeLegacyTables("/proc/net/ip6_tables_names", firewall::TableFamily::ip6, *firewall);
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
