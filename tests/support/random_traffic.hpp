// SPDX-License-Identifier: GPL-2.0-or-later
// Random rules for any traffic, packets that come near to their edges, and what a list of rules means, said in the most
// simple way: one rule after the other, one selector after the other.
#pragma once

#include <vector>

#include "wgsteer/core/config.hpp"
#include "wgsteer/core/explain_traffic.hpp"

#include "support/random_world.hpp"

namespace wgsteer::test {

/// What random values are taken from. Devices without hardware addresses have none in packets either.
struct TrafficPools {
  std::vector<IfName> inputs;  ///< of LANs
  std::vector<IfName> wans;    ///< packets arrive by them as well
  std::vector<IfName> withoutMac;
  std::vector<std::string> policies;
  std::vector<Address> sources;  ///< of what this host sends, both families
};

std::vector<RuleConfig> randomRules(Random& random, const TrafficPools& pools);
/// Gives each of two WANs a prefix of hosts that packets come from, and says in some way what follows from that.
void randomTreatments(Random& random, Config& config);
FirstPacket randomPacket(Random& random, const TrafficPools& pools);

/// The first rule that is for the packet; null: none is.
const RuleConfig* ruleFor(const std::vector<RuleConfig>& rules, const FirstPacket& first);

/// All that a test's failure has to say about them.
std::string toString(const std::vector<RuleConfig>& rules);
std::string toString(const FirstPacket& first);

}  // namespace wgsteer::test
