// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/wan_verdict.hpp"

#include <algorithm>

namespace wgsteer {

namespace {

std::string because(const std::string& reason) { return reason.empty() ? "" : ": " + reason; }

std::string describe(const WanVerdict& before, const WanVerdict& now) {
  if (!now.usable) return "is down" + because(now.reason);
  if (now.by == WanVerdict::By::blind)
    return now.reason + "; it counts as up, and handshakes decide; to allow its probes: " + now.fix;
  if (before.usable && before.by == WanVerdict::By::blind) return "can be probed again" + because(now.reason);
  return (now.by == WanVerdict::By::hand ? "is up" : "is up again") + because(now.reason);
}

bool saySame(const WanVerdict& left, const WanVerdict& right) {
  return left.usable == right.usable && left.by == right.by && left.reason == right.reason;
}

}  // namespace

bool isNews(const WanVerdict& before, const WanVerdict& now) {
  const auto either = [&](WanVerdict::By by) { return before.by == by || now.by == by; };
  // A family that followed the other one now has its own command.
  return before.usable != now.usable ||
         (either(WanVerdict::By::blind) && (before.by != now.by || before.fix != now.fix)) ||
         (either(WanVerdict::By::hand) && (before.by != now.by || before.reason != now.reason));
}

bool isNews(const WanVerdicts& before, const WanVerdicts& now) {
  return std::ranges::any_of(kFamilies, [&](Family family) { return isNews(before.at(family), now.at(family)); });
}

/// Families are named if they differ: both if the WAN as a whole is down, otherwise those that changed.
std::string describe(const WanVerdicts& before, const WanVerdicts& now) {
  const WanVerdict& v4 = now.at(Family::v4);
  const WanVerdict& v6 = now.at(Family::v6);
  if (saySame(v4, v6)) {
    const Family family = isNews(before.at(Family::v4), v4) ? Family::v4 : Family::v6;
    return " " + describe(before.at(family), now.at(family));
  }
  if (!v4.usable && !v6.usable) return " is down: IPv4: " + v4.reason + "; IPv6: " + v6.reason;
  std::string text;
  for (const auto& [family, verdict] : now)
    if (isNews(before.at(family), verdict))
      text += std::string{text.empty() ? ": " : "; "} + nameOf(family) + " " + describe(before.at(family), verdict);
  return text;
}

}  // namespace wgsteer
