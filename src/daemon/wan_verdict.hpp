// SPDX-License-Identifier: GPL-2.0-or-later
// The verdict on a WAN beyond what the kernel says about it: by whom and why, and how people are informed.
#pragma once

#include <cstdint>
#include <string>

#include "wgsteer/core/family_map.hpp"

namespace wgsteer {

/// The verdict on a WAN in one family, and why.
struct WanVerdict {
  enum class By : std::uint8_t {
    link,  ///< there is no verdict beyond that
    hand,
    probes,
    blind,  ///< this host itself blocks the probes, so they say nothing
    flapping,
    mwan3,
  };
  bool usable = true;
  By by = By::link;
  std::string reason{};  ///< empty with By::link
  std::string fix{};     ///< By::blind: a command that allows them
  bool operator==(const WanVerdict&) const = default;
};

/// Always has both families.
using WanVerdicts = FamilyMap<WanVerdict>;
inline WanVerdicts inBoth(const WanVerdict& verdict) { return {{Family::v4, verdict}, {Family::v6, verdict}}; }

/// Whether the change should be reported.
bool isNews(const WanVerdict& before, const WanVerdict& now);
bool isNews(const WanVerdicts& before, const WanVerdicts& now);

/// The text after the WAN's name: " is down: by hand", ": IPv4 is down: 1 of 1 target unanswered for 3 rounds".
std::string describe(const WanVerdicts& before, const WanVerdicts& now);

}  // namespace wgsteer
