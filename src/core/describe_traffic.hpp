// SPDX-License-Identifier: GPL-2.0-or-later
// What changes mean that are about rules for any traffic: their elements are marks and chains, which say nothing to
// people. Only rules and devices are known here, so these are named.
#pragma once

#include <string>

#include "wgsteer/core/plan.hpp"

namespace wgsteer {

/// What a new table has for rules; empty without rules.
std::string trafficComment(const NftLayout& layout);
/// What follows from the change; empty if it is not about rules.
std::string trafficComment(const NftOp& op, const NftTransaction& of);

}  // namespace wgsteer
