// SPDX-License-Identifier: GPL-2.0-or-later
// The chains for any traffic, which only a table with such rules has.
//
// clang-format off
//   traffic         filter prerouting -147   new connections that come in by a WAN are noted, then `connections`
//   traffic_output  route  output -147       the same for what this host sends, and its ICMP errors
//   traffic_sent    filter postrouting 300   connections that a rule matched are noted by policy and exit
//   traffic_nat     nat    postrouting 99    of this host's own: a source that is wrong on the exit
//   traffic_forward filter forward 1         IPv6 with a source that is not of the exit is refused, if its policy says so
//   traffic_source  nat    postrouting 99    or translated: refuse, refuse_N, masquerade_source, translate_N
//   traffic_reset   filter forward 1         TCP in the midst of a connection that conntrack does not know, if its policy
//                                            has a dead exit and says so: reset
//   connections     noted ones go where they went; new ones ask the rules;  local: the same on output
//   rules           one statement for each rule and family;  rule_NAME: its count, and the mark of its policy
//   exit_N          the mark of an exit;  arrive_N: notes that a connection came in by it
//   leave_N         by which exit;  pin_N: the mark of the connection
//   choose_N        the mark of a policy, or of one exit of it: a sticky source's, or one's share
// clang-format on
#pragma once

#include <string>
#include <vector>

#include "wgsteer/core/numbers.hpp"
#include "wgsteer/core/traffic.hpp"

#include "nft/ruleset.hpp"

namespace wgsteer::nft {

/// In an order in which each leads only to those before it. The sets have to be there first.
std::vector<Chain> trafficChains(const Numbers& numbers, const TrafficProgram& program);
/// The names of the program's counters.
std::vector<std::string> trafficCounters(const TrafficProgram& program);

}  // namespace wgsteer::nft
