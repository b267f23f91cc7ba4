// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/connection_culler.hpp"

#include <utility>

namespace wgsteer {

void ConnectionCuller::dead(MarkMatch mark, std::optional<Family> family, const std::string& why) {
  schedule_.dead(mark, why, family);
}

void ConnectionCuller::alive(MarkMatch mark, std::optional<Family> family) { schedule_.alive(mark, family); }

void ConnectionCuller::cull(Instant now, const Tell& tell, const Report& report) {
  for (const CullSchedule::Cull& cull : schedule_.take(now)) {
    const Status done = kernel_.forgetConnections(cull.mark, cull.family);
    if (done) {
      trouble_.clear();
      if (!cull.again && tell) tell(cull.mark, cull.why);
      continue;
    }
    if (done.error().kind != ErrorKind::refused) schedule_.dead(cull.mark, cull.why, cull.family);
    if (const std::string text = done.error().toString(); std::exchange(trouble_, text) != text) report(done.error());
  }
}

}  // namespace wgsteer
