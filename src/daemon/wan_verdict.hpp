// SPDX-License-Identifier: GPL-2.0-or-later
// What a WAN is held for beyond what the kernel says of it, by whom and why; and how people are told.
#pragma once

#include <cstdint>
#include <string>

#include "wgsteer/core/family_map.hpp"

namespace wgsteer {

/// What a WAN is held for in one family, and why.
struct WanVerdict {
  enum class By : std::uint8_t {
    link,  ///< nobody says anything beyond that
    hand,
    probes,
    blind,  ///< probes that this host itself does not let out: they say nothing
    flapping,
    mwan3,
  };
  bool usable = true;
  By by = By::link;
  std::string reason{};  ///< empty with By::link
  std::string fix{};     ///< By::blind: a command that lets them out
  bool operator==(const WanVerdict&) const = default;
};

/// Has both families.
using WanVerdicts = FamilyMap<WanVerdict>;
inline WanVerdicts inBoth(const WanVerdict& verdict) { return {{Family::v4, verdict}, {Family::v6, verdict}}; }

/// Whether people should hear of it.
bool isNews(const WanVerdict& before, const WanVerdict& now);
bool isNews(const WanVerdicts& before, const WanVerdicts& now);

/// What goes behind the WAN's name: " is down: by hand", ": IPv4 is down: 1 of 1 target unanswered for 3 rounds".
std::string describe(const WanVerdicts& before, const WanVerdicts& now);

}  // namespace wgsteer
