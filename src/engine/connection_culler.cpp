// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/connection_culler.hpp"

#include <utility>

namespace wgsteer {

void ConnectionCuller::dead(const std::vector<MarkMatch>& marks, const std::string& why) {
  for (const MarkMatch mark : marks) schedule_.dead(mark, why);
}

void ConnectionCuller::alive(const std::vector<MarkMatch>& marks) {
  for (const MarkMatch mark : marks) schedule_.alive(mark);
}

void ConnectionCuller::cull(Instant now, const Tell& tell, const Report& report) {
  for (const CullSchedule::Cull& cull : schedule_.take(now)) {
    const Status done = kernel_.forgetConnections(cull.mark);
    if (done) {
      trouble_.clear();
      if (!cull.again && tell) tell(cull.mark, cull.why);
      continue;
    }
    if (done.error().kind != ErrorKind::refused) schedule_.dead(cull.mark, cull.why);
    if (const std::string text = done.error().toString(); std::exchange(trouble_, text) != text) report(done.error());
  }
}

}  // namespace wgsteer
