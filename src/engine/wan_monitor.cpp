// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/wan_monitor.hpp"

#include <algorithm>

#include "log/log.hpp"

namespace wgsteer {

namespace {

constexpr const char* kRunDirectory = "/var/run";

bool isProbed(const WanConfig& wan) {
  return !wan.trackIp.empty() && wan.trackMethod != TrackMethod::none && wan.trackMethod != TrackMethod::mwan3;
}

/// mwan3 knows its interfaces by netifd's names.
const std::string& mwan3Name(const WanConfig& wan) { return wan.interface.empty() ? wan.name : wan.interface; }

}  // namespace

void WanMonitor::clear() {
  for (const auto& wan : probed_) {
    loop_.unwatch(wan->prober.descriptor());
    loop_.unwatch(wan->next.descriptor());
  }
  probed_.clear();
  if (mwan3_) loop_.unwatch(mwan3_->descriptor());
  mwan3_.reset();
}

Status WanMonitor::watch(const Config& config, const Steering& steering) {
  std::map<std::string, Mark> marks;
  for (const Wan& wan : steering.wans) marks.emplace(wan.name, Mark{config.numbers.mark(wan.slot).value});
  if (config.wans == wans_ && marks == marks_) return {};
  clear();
  wans_ = config.wans;
  marks_ = std::move(marks);
  for (const WanConfig& wan : wans_) {
    if (!isProbed(wan) || !marks_.contains(wan.name)) continue;
    if (auto added = add(wan, marks_.at(wan.name)); !added) return added;
  }
  if (std::ranges::find(wans_, TrackMethod::mwan3, &WanConfig::trackMethod) != wans_.end()) {
    auto opened = health::Mwan3Watch::create(kRunDirectory, [this](const std::string&, Health) { decide(); });
    if (!opened) return std::unexpected(opened.error());
    mwan3_ = std::move(*opened);
    if (auto watched = loop_.watch(mwan3_->descriptor(), [this] { mwan3_->ready(); }); !watched) return watched;
  }
  decide();
  return {};
}

Status WanMonitor::add(const WanConfig& wan, Mark mark) {
  auto prober = health::Prober::create(wan, mark);
  if (!prober) return std::unexpected(prober.error());
  auto timer = os::Timer::create();
  if (!timer) return std::unexpected(timer.error());
  const std::size_t targets = prober->targets();
  probed_.push_back(
      std::make_unique<Probed>(Probed{wan, std::move(*prober), ProbeScore{wan, targets}, Damper{}, std::move(*timer)}));
  Probed& added = *probed_.back();
  if (auto watched = loop_.watch(added.prober.descriptor(), [this, &added] { finish(added); }); !watched)
    return watched;
  return loop_.watch(added.next.descriptor(), [this, &added] { begin(added); });
}

void WanMonitor::begin(Probed& wan) {
  wan.next.acknowledge();
  wan.started = os::monotonicNow();
  wan.prober.start();
  finish(wan);
}

void WanMonitor::finish(Probed& wan) {
  const auto results = wan.prober.ready();
  if (!results) return;
  if (wan.prober.trouble() != wan.trouble && !wan.prober.trouble().empty())
    log::warn("WAN " + wan.config.name + ": " + wan.prober.trouble());
  wan.trouble = wan.prober.trouble();
  const auto now = os::monotonicNow();
  const Instant period = wan.score.round(*results, now);
  wan.next.arm(std::max<Instant>(wan.started + period - now, std::chrono::milliseconds{1}));
  wan.damper.update(wan.score.health() != Health::down, now);
  decide();
}

void WanMonitor::linksChanged(const World& world) {
  for (const auto& wan : probed_) {
    const Link* link = world.linkNamed(wan->config.device);
    const bool linked = link != nullptr && link->up && link->carrier;
    if (linked == std::exchange(wan->linked, linked)) continue;
    wan->prober.cancel();
    wan->score.reset(os::monotonicNow());
    wan->next.disarm();
    if (linked) begin(*wan);
  }
  decide();
}

/// A WAN that flaps is used when there is no other.
void WanMonitor::decide() {
  std::map<std::string, std::string> down;
  std::map<std::string, std::string> held;
  for (const auto& wan : probed_) {
    if (!wan->linked || wan->score.health() == Health::unknown) continue;
    if (wan->damper.standing() == Standing::down) down.emplace(wan->config.name, wan->score.reason().toString());
    if (wan->damper.standing() == Standing::held) held.emplace(wan->config.name, "goes up and down too often");
  }
  for (const WanConfig& wan : wans_)
    if (wan.trackMethod == TrackMethod::mwan3 && mwan3_ && mwan3_->of(mwan3Name(wan)) == Health::down)
      down.emplace(wan.name, "mwan3 says offline");
  if (down.size() + held.size() < wans_.size()) down.merge(held);
  for (const auto& [name, why] : down)
    if (!down_.contains(name)) log::info("WAN " + name + " is down: " + why);
  for (const auto& [name, why] : down_)
    if (!down.contains(name)) log::info("WAN " + name + " is up again");
  const bool same = std::ranges::equal(
      down, down_, {}, [](const auto& item) { return item.first; }, [](const auto& item) { return item.first; });
  if (same) return;
  down_ = std::move(down);
  changed_(down_);
}

}  // namespace wgsteer
