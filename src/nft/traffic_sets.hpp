// SPDX-License-Identifier: GPL-2.0-or-later
// The named sets of rules for any traffic: like those of sets.hpp, but their names follow from the configuration, and
// most hold intervals.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "wgsteer/core/traffic.hpp"

#include "nft/handles.hpp"
#include "nft/sets.hpp"

struct nlmsghdr;

namespace wgsteer::nft {

SetShape shapeOf(const TrafficSet& set);

/// An element as the kernel has it: in sets of intervals, one for where each begins and one for where it ends.
struct TrafficElement {
  std::vector<std::uint8_t> key;
  bool endsInterval = false;
  std::string chain;
};
std::vector<TrafficElement> elementsOf(const TrafficSet& set);
/// Appends the element to the list that is open in the message.
void encode(nlmsghdr* message, const TrafficElement& element);

// As text, in which equal sets are equal, whatever their order in the kernel.
std::string canonicalText(std::string_view name, const SetShape& shape);
std::string canonicalText(const TrafficElement& element);

/// What the kernel says about a set or its element. nullopt: it cannot be one of these.
std::optional<SetShape> trafficShapeOf(const nftnl_set* set);
std::optional<TrafficElement> trafficElementOf(nftnl_set_elem* element);

/// Whether a set of this name may be one of these.
bool isTrafficSetName(std::string_view name);

}  // namespace wgsteer::nft
