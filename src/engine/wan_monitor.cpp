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

constexpr const char* kFlaps = "goes up and down too often";

/// Whether people should hear of it.
bool differs(const WanVerdict& before, const WanVerdict& now) {
  const bool byHand = before.by == WanVerdict::By::hand || now.by == WanVerdict::By::hand;
  return before.usable != now.usable || (byHand && (before.by != now.by || before.reason != now.reason));
}

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

std::map<std::string, std::vector<ProbedTarget>> WanMonitor::targets() const {
  std::map<std::string, std::vector<ProbedTarget>> all;
  for (const auto& wan : probed_)
    for (std::size_t i = 0; i < wan->score.averages().size(); ++i)
      all[wan->config.name].push_back({wan->config.trackIp[i], wan->score.averages()[i]});
  return all;
}

WanVerdict WanMonitor::probedVerdict(const Probed& wan) const {
  if (!wan.linked) return {};
  const std::string reason = wan.score.reason().toString();
  if (wan.score.health() == Health::unknown || wan.damper.standing() == Standing::up)
    return {.usable = true, .by = WanVerdict::By::probes, .reason = reason};
  if (wan.score.health() == Health::down) return {.usable = false, .by = WanVerdict::By::probes, .reason = reason};
  const bool held = wan.damper.standing() == Standing::held;
  return {.usable = false, .by = held ? WanVerdict::By::flapping : WanVerdict::By::probes, .reason = kFlaps};
}

WanVerdict WanMonitor::verdictOf(const std::string& name) const {
  if (const auto hand = byHand_.find(name); hand != byHand_.end())
    return {.usable = hand->second.up, .by = WanVerdict::By::hand, .reason = hand->second.toString()};
  const auto probed = std::ranges::find(probed_, name, [](const auto& wan) { return wan->config.name; });
  if (probed != probed_.end()) return probedVerdict(**probed);
  const auto wan = std::ranges::find(wans_, name, &WanConfig::name);
  if (!mwan3_ || wan == wans_.end() || wan->trackMethod != TrackMethod::mwan3) return {};
  const Health said = mwan3_->of(mwan3Name(*wan));
  if (said == Health::unknown) return {};
  return {.usable = said == Health::up,
          .by = WanVerdict::By::mwan3,
          .reason = said == Health::up ? "mwan3 says online" : "mwan3 says offline"};
}

std::map<std::string, WanVerdict> WanMonitor::verdictsNow() const {
  std::map<std::string, WanVerdict> verdicts;
  for (const WanConfig& wan : wans_) verdicts.emplace(wan.name, verdictOf(wan.name));
  for (const auto& [name, decision] : byHand_) verdicts.emplace(name, verdictOf(name));
  // A WAN that flaps is used when there is no other.
  const bool other = std::ranges::any_of(wans_, [&](const WanConfig& wan) { return verdicts.at(wan.name).usable; });
  for (auto& [name, verdict] : verdicts)
    if (verdict.by == WanVerdict::By::flapping && !other) verdict.usable = true;
  return verdicts;
}

void WanMonitor::decide() {
  const auto before = std::exchange(verdicts_, verdictsNow());
  std::map<std::string, std::string> down;
  std::vector<std::string> differ;
  for (const auto& [name, verdict] : verdicts_) {
    const auto known = before.find(name);
    const WanVerdict was = known == before.end() ? WanVerdict{} : known->second;
    if (differs(was, verdict)) differ.push_back(name);
    if (verdict.usable) continue;
    // Rounds are counted on, but that is nothing to plan for.
    const auto said = down_.find(name);
    const bool same = said != down_.end() && was.by == verdict.by && verdict.by != WanVerdict::By::hand;
    down.emplace(name, same ? said->second : verdict.reason);
  }
  // Somebody who decided about a WAN that is no longer ours has taken it back.
  for (const auto& [name, was] : before)
    if (!verdicts_.contains(name) && differs(was, {})) differ.push_back(name);
  if (down != down_) {
    down_ = std::move(down);
    told_.changed(down_);
  }
  for (const std::string& name : differ) {
    const auto known = verdicts_.find(name);
    told_.verdict(name, known == verdicts_.end() ? WanVerdict{} : known->second);
  }
}

}  // namespace wgsteer
