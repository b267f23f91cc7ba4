// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/connection_marks.hpp"

#include <algorithm>

namespace wgsteer {

namespace {

/// A table that was made with other numbers than those that it is read with does not say which bits are ours.
std::optional<std::uint32_t> maskOf(const NftState& table) {
  if (table.layout.markMask != 0) return table.layout.markMask;
  const MarkMatch usual = Numbers{.markMask = kTrafficMarkMask}.trafficMarks();
  const bool fits = !table.table.pinned.empty() && std::ranges::all_of(table.table.pinned, [&](const auto& entry) {
    const Mark mark = entry.first.second;
    return usual.matches(mark) && (mark.value & ~kTrafficMarkMask) == 0;
  });
  return fits ? std::optional{kTrafficMarkMask} : std::nullopt;
}

}  // namespace

std::optional<ConnectionMarks> connectionMarks(const std::optional<NftState>& table) {
  if (!table || table->layout.traffic.fingerprint == 0) return std::nullopt;
  const auto mask = maskOf(*table);
  if (!mask) return std::nullopt;
  const Numbers numbers{.markMask = *mask};
  return ConnectionMarks{.marks = numbers.trafficMarks(), .bits = numbers.markMask};
}

}  // namespace wgsteer
