// SPDX-License-Identifier: GPL-2.0-or-later
// What becomes of a rule in mwan3 itself, and whether it was meant for WireGuard's own packets.
#pragma once

#include "foreign/mwan3.hpp"
#include "foreign/netifd.hpp"

namespace wgsteer::foreign {

/// Everything about the rule that is not as its author thought: each with its line. All of them were seen in mwan3
/// 2.11.16 and 2.12.2, which hands the options to iptables-restore, all rules of a family in one batch.
void judge(const Mwan3Rule& rule, const Mwan3& mwan3, const Network& network, config::Problems& notes);

/// How messages call it: "rule 'wg_endpoint'".
std::string called(const Mwan3Rule& rule);

/// It is about UDP to what the peer's endpoint is, as far as that can be told without asking DNS.
bool isForEndpoint(const Mwan3Rule& rule, const NetifdPeer& peer);

/// It is about UDP from the port that the tunnel listens on: answers of a server.
bool isForAnswers(const Mwan3Rule& rule, const NetifdInterface& tunnel);

/// It is for what comes from some hosts or by some interface, which the router's own packets do not.
bool namesSource(const Mwan3Rule& rule);

}  // namespace wgsteer::foreign
