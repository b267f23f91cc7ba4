// SPDX-License-Identifier: GPL-2.0-or-later
#include <utility>

#include "daemon/wan_facts.hpp"

namespace wgsteer {

void WanHistory::update(const Steering& steering, WallSeconds now) {
  std::map<std::string, State> states;
  std::map<std::string, Times> times;
  for (const Wan& wan : steering.wans) {
    const auto known = states_.find(wan.name);
    const bool isNew = known == states_.end();
    State& state = states[wan.name];
    Times& time = times[wan.name] = isNew ? Times{} : times_.at(wan.name);
    for (const Family family : kFamilies) {
      const auto at = std::to_underlying(family);
      state.upInFamily[at] = wan.eligible(family);
      state.up = state.up || state.upInFamily[at];
      if (isNew || known->second.upInFamily[at] != state.upInFamily[at]) time.sinceInFamily[at] = now;
    }
    if (isNew || known->second.up != state.up) time.since = now;
  }
  states_ = std::move(states);
  times_ = std::move(times);
}

}  // namespace wgsteer
