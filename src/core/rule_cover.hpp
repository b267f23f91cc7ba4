// SPDX-License-Identifier: GPL-2.0-or-later
// Which rules for any traffic never match: because an earlier one takes all that they could match, or because no
// packet has a value that they allow. Sets of values are compared, selector by selector; that several rules together
// may leave nothing to a later one is not looked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "wgsteer/core/config.hpp"

namespace wgsteer {

/// Without selectors.
bool isCatchAll(const RuleConfig& rule);

/// What a selector leaves of the values that packets may have.
enum class Leaves : std::uint8_t {
  something,
  groups,  ///< only multicast and broadcast: nobody's own address, and no rule sees packets to it
  nothing,
};
/// Of the addresses of one family.
Leaves leavesOf(const Selector<Prefix>& selector, Family family);
Leaves leavesOf(const Selector<MacAddress>& selector);
Leaves leavesOf(const Selector<PortRange>& selector);
/// Of the numbers from 0 to `last`.
Leaves leavesOf(const Selector<std::uint8_t>& selector, std::uint8_t last);

/// What the rule can match: only forwarded packets come from a device or a neighbour.
Origin originOf(const RuleConfig& rule);

/// Whether `earlier` matches every packet that `later` matches.
bool covers(const RuleConfig& earlier, const RuleConfig& later);

/// The first rule that covers the one with this index; none if it can be reached.
std::optional<std::size_t> coverOf(const std::vector<RuleConfig>& rules, std::size_t index);

}  // namespace wgsteer
