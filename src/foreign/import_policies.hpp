// SPDX-License-Identifier: GPL-2.0-or-later
// The part of an import that makes members of a policy of mwan3's.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "foreign/mwan3.hpp"

namespace wgsteer::foreign {

/// Entries of `use_wan` for the same shares of new connections that mwan3 gives to each member, in IPv4 where a WAN has
/// both families. `wans` is of mwan3's interface: of the WAN. What cannot be taken over goes to `notes`.
std::vector<std::string> importMembers(const Mwan3Policy& policy, const Mwan3& mwan3,
                                       const std::map<std::string, std::string>& wans, config::Problems& notes);

}  // namespace wgsteer::foreign
