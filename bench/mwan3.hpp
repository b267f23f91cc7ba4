// SPDX-License-Identifier: GPL-2.0-or-later
// What mwan3 2.12.2 makes of rules, written anew: chains of iptables-nft, tables and ip rules. IPv4 only.
#pragma once

#include <span>
#include <string>

#include "process.hpp"

namespace wgsteer::bench {

/// What one rule tests; empty or 0: nothing.
struct SimpleRule {
  std::string name, source, destination;
  std::uint16_t udpPort = 0;  ///< of the destination
  bool first = true;          ///< by wan0 as long as it can be used, or by wan1
};

bool canHaveMwan3Chains();
/// For a gateway with two WANs and a LAN, as in gateway.hpp.
void addMwan3Chains(const Netns& netns, std::span<const SimpleRule> rules);

}  // namespace wgsteer::bench
