// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/engine.hpp"

namespace wgsteer {

InUse inUse(const Steering& steering, const PolicyView& policy, Family family) {
  const MemberView* best = nullptr;
  for (const MemberView& member : policy.members) {
    if (!steering.wans[member.wan].eligible(family)) continue;
    if (best == nullptr || member.metric.at(family) < best->metric.at(family)) best = &member;
  }
  if (best == nullptr) return {};
  const Wan& wan = steering.wans[best->wan];
  const auto source = wan.source.find(family);
  return {wan.name, source == wan.source.end() ? std::nullopt : std::optional{source->second}};
}

}  // namespace wgsteer
