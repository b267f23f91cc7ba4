// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/resolve_once.hpp"

#include <algorithm>

#include "daemon/name_follower.hpp"
#include "log/log.hpp"
#include "os/directory_watches.hpp"
#include "os/event_loop.hpp"
#include "os/timer.hpp"

namespace wgsteer {

namespace {

/// For the first of two attempts per server.
constexpr std::chrono::milliseconds kTimeout{500};

}  // namespace

Result<std::map<PeerId, NamedPeer>> resolveOnce(const Config& config, const World& world) {
  auto loop = os::EventLoop::create();
  if (!loop) return std::unexpected(loop.error());
  auto limit = os::Timer::create();
  if (!limit) return std::unexpected(limit.error());
  if (auto watched = loop->watch(limit->descriptor(), [&] { loop->stop(); }); !watched)
    return std::unexpected(watched.error());
  const Steering steering = steer(config, world);
  std::map<PeerId, NamedPeer> resolved;
  os::DirectoryWatches directories{*loop};
  auto follower = NameFollower::create(*loop, directories,
                                       {.changed =
                                            [&](NamesChanged news) {
                                              for (auto& [peer, named] : news.peers)
                                                resolved.insert_or_assign(peer, std::move(named));
                                            },
                                        .isOwn = [&](const Address& address) { return isOwn(world, address); },
                                        .wanServers = [&] { return serversOfWans(config, steering); },
                                        .folders = {},
                                        .timeout = kTimeout});
  if (!follower) return std::unexpected(follower.error());
  (*follower)->follow(config, queryMark(config, steering));
  loop->afterEach([&] {
    (*follower)->publish();
    if ((*follower)->unanswered().empty()) loop->stop();
  });
  limit->arm(kResolveAtMost);
  if (!(*follower)->unanswered().empty())
    if (auto ran = loop->run(); !ran) return std::unexpected(ran.error());
  for (const std::string& host : (*follower)->unanswered())
    log::warn(host + ": no answer in " + std::to_string(kResolveAtMost.count()) + " s");
  return resolved;
}

}  // namespace wgsteer
