// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/connection_marks.hpp"

namespace wgsteer {

std::optional<ConnectionMarks> connectionMarks(const std::optional<NftState>& table) {
  if (!table || table->layout.traffic.fingerprint == 0) return std::nullopt;
  const Numbers numbers{.markMask = table->layout.markMask};
  return ConnectionMarks{.marks = numbers.trafficMarks(), .bits = numbers.markMask};
}

}  // namespace wgsteer
