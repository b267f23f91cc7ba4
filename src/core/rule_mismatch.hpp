// SPDX-License-Identifier: GPL-2.0-or-later
// Why a rule is not for a packet, in the words of the configuration.
#pragma once

#include <string>

#include "wgsteer/core/config.hpp"
#include "wgsteer/core/explain_traffic.hpp"

namespace wgsteer {

/// The first option that does not fit, in the order of the manual; empty: the rule is for this packet.
std::string mismatch(const RuleConfig& rule, const FirstPacket& first);

}  // namespace wgsteer
