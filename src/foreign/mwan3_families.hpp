// SPDX-License-Identifier: GPL-2.0-or-later
// In which families mwan3 passes a rule to iptables. It looks for addresses in src_ip and dest_ip by regular
// expressions (grep, without anchors) and omits the rule in a family to which one of them does not belong.
#pragma once

#include <string_view>
#include <vector>

#include "wgsteer/core/address.hpp"

#include "foreign/mwan3.hpp"

namespace wgsteer::foreign {

/// Whether mwan3 sees an address of the family somewhere in the text.
bool hasIPv4(std::string_view text);
bool hasIPv6(std::string_view text);

/// Based on `family` and the addresses alone.
std::vector<Family> familiesOf(const Mwan3Rule& rule);

}  // namespace wgsteer::foreign
