// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/source_clearer.hpp"

#include <utility>

namespace wgsteer {

Status SourceClearer::clear(const Tunnel& tunnel, const Picture& picture, const Numbers& numbers) {
  const auto marked = picture.observed.tunnelMarks.find(tunnel.name);
  const Mark fwmark = marked == picture.observed.tunnelMarks.end() ? tunnel.fwmark : marked->second;
  auto done = kernel_.clearSources(tunnel, fwmark, numbers);
  if (!done && done.error().kind == ErrorKind::notThere) return {};
  return done;
}

void SourceClearer::clearLater(const Tunnel& tunnel) {
  if (tunnel.backend == TunnelBackend::userspace) late_[tunnel.name] = kPolls;
}

Status SourceClearer::clearLateOnes(const Picture& picture, const Numbers& numbers) {
  Status outcome;
  for (auto& [name, polls] : late_) {
    const auto tunnel = picture.world.tunnels.find(name);
    if (tunnel != picture.world.tunnels.end())
      if (auto done = clear(tunnel->second, picture, numbers); !done) outcome = std::move(done);
    --polls;
  }
  std::erase_if(late_, [](const auto& entry) { return entry.second == 0; });
  return outcome;
}

}  // namespace wgsteer
