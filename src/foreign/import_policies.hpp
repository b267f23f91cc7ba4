// SPDX-License-Identifier: GPL-2.0-or-later
// The part of an import that converts the members of an mwan3 policy.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "foreign/mwan3.hpp"

namespace wgsteer::foreign {

/// Entries of `use_wan` for the same shares of new connections that mwan3 gives to each member, in IPv4 where a WAN has
/// both families. `wans` maps names of mwan3's interfaces to names of WANs. What cannot be converted goes to `notes`.
std::vector<std::string> importMembers(const Mwan3Policy& policy, const Mwan3& mwan3,
                                       const std::map<std::string, std::string>& wans, config::Problems& notes);

}  // namespace wgsteer::foreign
