// SPDX-License-Identifier: GPL-2.0-or-later
// What the rules for any traffic leave in conntrack's entries. When they are gone, nobody remembers what it meant, and
// the rules that may come next give the same numbers other meanings.
#pragma once

#include <cstdint>
#include <optional>

#include "wgsteer/core/state.hpp"

namespace wgsteer {

struct ConnectionMarks {
  MarkMatch marks;         ///< of connections
  std::uint32_t bits = 0;  ///< all that are ours in such a mark
  bool operator==(const ConnectionMarks&) const = default;
};

/// nullopt: this table gives connections no marks.
std::optional<ConnectionMarks> connectionMarks(const std::optional<NftState>& table);

}  // namespace wgsteer
