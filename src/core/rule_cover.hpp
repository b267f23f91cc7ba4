// SPDX-License-Identifier: GPL-2.0-or-later
// Which rules for any traffic are never asked, because an earlier one takes all that they could match. Sets of values
// are compared, selector by selector; that several rules together may leave nothing to a later one is not looked for.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "wgsteer/core/config.hpp"

namespace wgsteer {

/// Without selectors.
bool isCatchAll(const RuleConfig& rule);

/// Whether `earlier` matches every packet that `later` matches.
bool covers(const RuleConfig& earlier, const RuleConfig& later);

/// The first rule that covers the one with this index; none if it can be reached.
std::optional<std::size_t> coverOf(const std::vector<RuleConfig>& rules, std::size_t index);

}  // namespace wgsteer
