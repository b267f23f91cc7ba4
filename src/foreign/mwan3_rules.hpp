// SPDX-License-Identifier: GPL-2.0-or-later
// What mwan3 itself makes of a rule.
#pragma once

#include "foreign/mwan3.hpp"
#include "foreign/netifd.hpp"

namespace wgsteer::foreign {

/// Reports everything in which the rule differs from what its author intended, each with its line. All of these cases
/// were seen in mwan3 2.11.16 and 2.12.2, which passes the options to iptables-restore, all rules of a family in one
/// batch. Returns whether mwan3 hands the rule over at all.
bool judge(const Mwan3Rule& rule, const Mwan3& mwan3, const Network& network, config::Problems& notes);

/// Its name in messages: "rule 'wg_endpoint'".
std::string called(const Mwan3Rule& rule);

}  // namespace wgsteer::foreign
