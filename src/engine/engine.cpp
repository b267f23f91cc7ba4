// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/engine.hpp"

#include <algorithm>
#include <utility>

namespace wgsteer {

namespace {

constexpr std::chrono::nanoseconds kFirstRetry = std::chrono::milliseconds{100};
constexpr std::chrono::nanoseconds kLongestRetry = std::chrono::seconds{30};

/// What a plan depends on; counters and handshake times are not among it.
bool sameForPlans(const std::map<IfName, Tunnel>& left, const std::map<IfName, Tunnel>& right) {
  const auto samePeer = [](const Peer& a, const Peer& b) {
    return a.publicKey == b.publicKey && a.endpoint == b.endpoint && a.allowedIps == b.allowedIps &&
           a.persistentKeepalive == b.persistentKeepalive;
  };
  return std::ranges::equal(left, right, [&](const auto& a, const auto& b) {
    return a.first == b.first && a.second.fwmark == b.second.fwmark && a.second.listenPort == b.second.listenPort &&
           a.second.backend == b.second.backend && std::ranges::equal(a.second.peers, b.second.peers, samePeer);
  });
}

}  // namespace

Engine::Engine(Kernel& kernel, Config config, Observer observer, Now now)
    : kernel_(kernel), config_(std::move(config)), observer_(std::move(observer)), now_(std::move(now)) {}

Status Engine::start() {
  wokenAt_ = now_();
  if (auto subscribed = kernel_.subscribe(); !subscribed) return subscribed;
  auto seen = kernel_.observe(config_.numbers);
  if (!seen) return std::unexpected(seen.error());
  picture_ = std::move(*seen);
  if (auto clear = refuseConflicts(config_); !clear) return clear;
  converge();
  return {};
}

Status Engine::refuseConflicts(const Config& config) const {
  if (config.force) return {};
  const Steering steering = steer(config, picture_.world);
  for (const Finding& finding : inspect(config, picture_.world, steering, picture_.observed))
    if (finding.severity == Severity::conflict)
      return fail(ErrorKind::refused, finding.what + "; to mend it: " + finding.fix);
  return {};
}

void Engine::onEvents() {
  wokenAt_ = now_();
  Tracked all;
  kernel_.drain([&](const Event& event) {
    const Tracked tracked = track(picture_, event);
    all.relevant |= tracked.relevant;
    all.stale |= tracked.stale;
  });
  if (!all.relevant && !all.stale.any()) return;
  ++statistics_.wakeUps;
  // What has to be read again does not hold up what is known already: a link that went down is reacted to first.
  const bool slowPath = all.stale.rtnetlink || all.stale.nft || all.stale.tunnels || all.stale.links;
  if (!slowPath) converge();
  if (all.stale.any() && reread(all.stale)) converge();
}

void Engine::onPoll() {
  wokenAt_ = now_();
  const auto before = picture_.world.tunnels;
  const auto markedBefore = picture_.observed.tunnelMarks;
  if (!reread({.tunnels = true})) return;
  if (sameForPlans(before, picture_.world.tunnels) && markedBefore == picture_.observed.tunnelMarks) return;
  ++statistics_.wakeUps;
  converge();
}

void Engine::onRetry() {
  wokenAt_ = now_();
  if (resync()) converge();
}

Status Engine::reconfigure(Config config) {
  wokenAt_ = now_();
  if (auto clear = refuseConflicts(config); !clear) return clear;
  const bool otherNumbers = config.numbers != config_.numbers;
  config_ = std::move(config);
  // Which fwmarks are ours depends on the mask.
  if (!otherNumbers || resync()) converge();
  return {};
}

Status Engine::flush() {
  wokenAt_ = now_();
  const Plan plan = diff(State{}, picture_.observed);
  if (!commit(plan)) return fail(ErrorKind::io, "flush: not everything could be removed, see the log");
  return {};
}

void Engine::converge() {
  const Steering steering = steer(config_, picture_.world);
  const Plan plan = diff(desire(config_, picture_.world, steering), picture_.observed);
  if (plan.empty()) {
    retryAfter_.reset();
  } else {
    commit(plan);
  }
  noteMoves(steering);
}

bool Engine::commit(const Plan& plan) {
  const CommitReport report = kernel_.commit(plan, config_.numbers);
  ++statistics_.plans;
  statistics_.changes += report.done;
  statistics_.failures += report.failed.size();
  statistics_.lastApply = now_() - wokenAt_;
  statistics_.worstApply = std::max(statistics_.worstApply, statistics_.lastApply);
  const DeviceName names = deviceNames(picture_.world);
  if (report.ok()) {
    settle(picture_, plan);
    retryAfter_.reset();
    if (observer_.applied) observer_.applied(plan, names);
    return true;
  }
  if (observer_.failed)
    for (const ChangeResult& result : report.failed) observer_.failed(result.change, result.status.error(), names);
  scheduleRetry();
  return false;
}

void Engine::scheduleRetry() { retryAfter_ = retryAfter_ ? std::min(*retryAfter_ * 2, kLongestRetry) : kFirstRetry; }

bool Engine::reread(const Stale& stale) {
  const Adopted past = picture_.world.adopted;
  if (stale.rtnetlink) ++statistics_.resyncs;
  const auto done = kernel_.refresh(picture_, config_.numbers, stale);
  if (!picture_.observed.nft) picture_.world.adopted = past;
  if (done) return true;
  if (observer_.trouble) observer_.trouble(done.error());
  scheduleRetry();
  return false;
}

/// The kernel, and what we alone know: gateways of links that went down, health, and our past as long as there is no
/// table.
Result<Picture> Engine::lookAnew() {
  auto seen = kernel_.observe(config_.numbers);
  if (!seen) return seen;
  World& world = seen->world;
  world.parked = picture_.world.parked;
  world.wansDown = picture_.world.wansDown;
  if (!seen->observed.nft) world.adopted = picture_.world.adopted;
  return seen;
}

bool Engine::resync() {
  ++statistics_.resyncs;
  auto seen = lookAnew();
  if (seen) {
    picture_ = std::move(*seen);
    return true;
  }
  if (observer_.trouble) observer_.trouble(seen.error());
  scheduleRetry();
  return false;
}

Result<std::vector<std::string>> Engine::pending() {
  const auto seen = lookAnew();
  if (!seen) return std::unexpected(seen.error());
  return describe(diff(desire(config_, seen->world), seen->observed), deviceNames(seen->world));
}

/// Tells of tunnels that changed their WAN or source, and makes WireGuard forget the source that it has cached: IPv6
/// would go on with the dead WAN's address until its peer speaks (Linux 6.1, send6 in drivers/net/wireguard/socket.c).
void Engine::noteMoves(const Steering& steering) {
  std::map<IfName, std::array<InUse, kFamilies.size()>> current;
  for (const TunnelView& view : steering.tunnels) {
    const PolicyView& policy = steering.policies[view.policy];
    auto& now = current[view.tunnel->name];
    bool moved = false;
    for (const Family family : kFamilies) {
      const auto at = std::to_underlying(family);
      now[at] = inUse(steering, policy, family);
      const auto known = inUse_.find(view.tunnel->name);
      if (known == inUse_.end() || known->second[at] == now[at]) continue;
      moved = true;
      ++statistics_.failovers;
      std::string why;
      for (const Wan& wan : steering.wans)
        if (wan.name == known->second[at].wan) why = wan.whyNot(family);
      if (observer_.moved) observer_.moved(view.tunnel->name, family, known->second[at], now[at], why);
    }
    if (!moved) continue;
    const auto marked = picture_.observed.tunnelMarks.find(view.tunnel->name);
    const Mark fwmark = marked == picture_.observed.tunnelMarks.end() ? view.tunnel->fwmark : marked->second;
    if (auto done = kernel_.unstick(*view.tunnel, fwmark, config_.numbers);
        !done && done.error().kind != ErrorKind::notThere)
      if (observer_.trouble) observer_.trouble(done.error());
  }
  inUse_ = std::move(current);
}

}  // namespace wgsteer
