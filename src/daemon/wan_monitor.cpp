// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/wan_monitor.hpp"

#include <algorithm>
#include <utility>

#include "log/log.hpp"

namespace wgsteer {

namespace {

constexpr const char* kRunDirectory = "/var/run";
constexpr const char* kFlaps = "flapping";

bool isProbed(const WanConfig& wan) {
  return !wan.trackIp.empty() && wan.trackMethod != TrackMethod::none && wan.trackMethod != TrackMethod::mwan3;
}

Family other(Family family) { return family == Family::v4 ? Family::v6 : Family::v4; }

WanConfig withTargetsOf(Family family, WanConfig wan) {
  std::erase_if(wan.trackIp, [&](const Endpoint& target) { return target.address.family() != family; });
  return wan;
}

/// mwan3 knows its interfaces by netifd's names; wan and wan6 are two of them. The second is used if mwan3 has it.
std::string mwan3Name(const health::Mwan3Watch& mwan3, const WanConfig& wan, Family family) {
  const std::string& own = wan.interface.empty() ? wan.name : wan.interface;
  if (family == Family::v4) return own;
  if (mwan3.all().contains(wan.ipv6Interface)) return wan.ipv6Interface;
  for (const std::string_view suffix : kIpv6Suffixes)
    if (const std::string name = own + std::string{suffix}; mwan3.all().contains(name)) return name;
  return own;
}

/// A WAN about which nothing is known counts as up.
WanVerdicts verdictsIn(const std::map<std::string, WanVerdicts>& all, const std::string& name) {
  const auto known = all.find(name);
  return known == all.end() ? inBoth({}) : known->second;
}

}  // namespace

void WanMonitor::clear() {
  for (const auto& judge : judges_) {
    loop_.unwatch(judge->prober.descriptor());
    loop_.unwatch(judge->next.descriptor());
  }
  judges_.clear();
  mwan3_.reset();
  missing_.clear();
}

void WanMonitor::watch(const Config& config, const Steering& steering) {
  look(steering);
  std::map<std::string, Mark> marks;
  for (const Wan& wan : steering.wans) marks.emplace(wan.name, config.numbers.markOf(wan.slot));
  if (config.wans == wans_ && marks == marks_ && config.numbers.markMask == markMask_) return;
  clear();
  wans_ = config.wans;
  marks_ = std::move(marks);
  markMask_ = config.numbers.markMask;
  looked_ = true;
  addMissing();
  decide();
}

void WanMonitor::retry() {
  if (missing_.empty()) return;
  addMissing();
  looked_ = true;
  actOnLook();
}

void WanMonitor::addMissing() {
  for (const WanConfig& wan : wans_) {
    if (!isProbed(wan) || !marks_.contains(wan.name)) continue;
    for (const Family family : kFamilies) {
      if (judgeOf(wan.name, family) != nullptr || withTargetsOf(family, wan).trackIp.empty()) continue;
      say("probes of WAN " + wan.name + (family == Family::v4 ? " (IPv4)" : " (IPv6)"), add(wan, family));
    }
  }
  if (!mwan3_ && std::ranges::find(wans_, TrackMethod::mwan3, &WanConfig::trackMethod) != wans_.end())
    say("mwan3's state", addMwan3());
}

void WanMonitor::say(const std::string& subject, const Status& done) {
  if (done) {
    if (missing_.erase(subject) > 0) log::info(subject + ": working again");
    return;
  }
  std::string& said = missing_[subject];
  if (std::exchange(said, done.error().toString()) != said)
    log::warn(subject + ": " + said + "; only the link counts until this works");
}

Status WanMonitor::addMwan3() {
  auto opened =
      health::Mwan3Watch::create(loop_, directories_, kRunDirectory, [this](const std::string&, Health) { decide(); });
  if (!opened) return std::unexpected(opened.error());
  mwan3_ = std::move(*opened);
  return {};
}

Status WanMonitor::add(const WanConfig& wan, Family family) {
  WanConfig config = withTargetsOf(family, wan);
  auto prober = health::Prober::create(config, marks_.at(wan.name));
  if (!prober) return std::unexpected(prober.error());
  auto timer = os::Timer::create();
  if (!timer) return std::unexpected(timer.error());
  const bool alone = withTargetsOf(other(family), wan).trackIp.empty();
  ProbeScore score{config, prober->targets()};
  const auto added = std::make_shared<Judge>(
      Judge{std::move(config), family, alone, std::move(*prober), std::move(score), Damper{}, std::move(*timer)});
  if (auto watched = loop_.watch(added->prober.descriptor(), [this, added] { finish(*added); }); !watched)
    return watched;
  if (auto watched = loop_.watch(added->next.descriptor(), [this, added] { begin(*added); }); !watched) {
    loop_.unwatch(added->prober.descriptor());
    return watched;
  }
  judges_.push_back(added);
  return {};
}

void WanMonitor::begin(Judge& judge) {
  judge.next.acknowledge();
  judge.started = os::monotonicNow();
  judge.prober.start();
  finish(judge);
}

/// Acting on the verdict may destroy this very judge, so that comes last.
void WanMonitor::finish(Judge& judge) {
  const auto results = judge.prober.ready();
  if (!results) return;
  const auto now = os::monotonicNow();
  const Duration period = judge.score.round(*results, now);
  // If no target can be probed, the verdict itself says so.
  if (const std::string& trouble = judge.prober.trouble();
      trouble != judge.trouble && !trouble.empty() && !judge.score.reason().blind())
    log::warn("WAN " + judge.config.name + ": " + trouble);
  judge.trouble = judge.prober.trouble();
  judge.next.arm(std::max<Instant>(judge.started + period - now, std::chrono::milliseconds{1}));
  judge.damper.update(judge.score.health() != Health::down, now);
  decide();
}

void WanMonitor::look(const Steering& steering) {
  std::map<std::string, Seen> seen;
  for (const Wan& wan : steering.wans) {
    Seen& one = seen[wan.name];
    one.linked = wan.link != nullptr && wan.link->up && wan.link->carrier;
    for (const Family family : kFamilies) one.offers[family] = wan.lack(family) == Lack::nothing;
  }
  looked_ |= seen != seen_;
  seen_ = std::move(seen);
}

bool WanMonitor::offers(const std::string& wan, Family family) const {
  const auto seen = seen_.find(wan);
  return seen != seen_.end() && seen->second.offers.at(family);
}

void WanMonitor::actOnLook() {
  if (!std::exchange(looked_, false)) return;
  const auto all = judges_;
  std::vector<Judge*> fresh;
  for (const auto& judge : all) {
    const auto seen = seen_.find(judge->config.name);
    const bool linked = seen != seen_.end() && seen->second.linked;
    if (linked != std::exchange(judge->linked, linked)) {
      judge->score.reset(os::monotonicNow());
      judge->asking = false;
      judge->prober.cancel();
      judge->next.disarm();
    }
    const bool asking = linked && (judge->alone || offers(judge->config.name, judge->family));
    if (asking == std::exchange(judge->asking, asking)) continue;
    judge->prober.cancel();
    judge->next.disarm();
    if (asking) fresh.push_back(judge.get());
  }
  // A round may be over at once; a family must not follow the verdict of another one if both are about to be probed.
  for (Judge* judge : fresh) begin(*judge);
  decide();
}

std::map<std::string, std::vector<ProbedTarget>> WanMonitor::targets() const {
  std::map<std::string, std::vector<ProbedTarget>> all;
  for (const WanConfig& wan : wans_) {
    FamilyMap<std::size_t> next;
    for (const Endpoint& target : wan.trackIp) {
      const Family family = target.address.family();
      if (const Judge* judge = judgeOf(wan.name, family))
        all[wan.name].push_back({target, judge->score.averages()[next[family]++]});
    }
  }
  return all;
}

const WanMonitor::Judge* WanMonitor::judgeOf(const std::string& wan, Family family) const {
  const auto found = std::ranges::find_if(
      judges_, [&](const auto& judge) { return judge->config.name == wan && judge->family == family; });
  return found == judges_.end() ? nullptr : found->get();
}

WanVerdict WanMonitor::verdictOf(const Judge& judge) const {
  const ProbeReason& reason = judge.score.reason();
  WanVerdict verdict{.usable = true, .by = WanVerdict::By::probes, .reason = reason.toString()};
  if (reason.blind()) {
    verdict.by = WanVerdict::By::blind;
    verdict.reason += ": " + judge.trouble;
    verdict.fix = std::string{judge.family == Family::v4 ? "iptables" : "ip6tables"} + " -I OUTPUT -m mark --mark " +
                  hex(marks_.at(judge.config.name).value) + "/" + hex(markMask_) + " -j ACCEPT";
  }
  if (judge.score.health() == Health::unknown || judge.damper.standing() == Standing::up) return verdict;
  verdict.usable = false;
  if (judge.score.health() == Health::down) return verdict;
  const bool held = judge.damper.standing() == Standing::held;
  return {.usable = false, .by = held ? WanVerdict::By::flapping : WanVerdict::By::probes, .reason = kFlaps};
}

WanVerdict WanMonitor::mwan3Verdict(const WanConfig& wan, Family family) const {
  const Health said = mwan3_->of(mwan3Name(*mwan3_, wan, family));
  if (said == Health::unknown) return {};
  return {.usable = said == Health::up,
          .by = WanVerdict::By::mwan3,
          .reason = said == Health::up ? "mwan3 reports it online" : "mwan3 reports it offline"};
}

WanVerdict WanMonitor::verdictOf(const std::string& name, Family family) const {
  if (const auto hand = byHand_.find(name); hand != byHand_.end())
    return {.usable = hand->second.up, .by = WanVerdict::By::hand, .reason = hand->second.toString()};
  for (const Family asked : {family, other(family)})
    if (const Judge* judge = judgeOf(name, asked); judge != nullptr && judge->asking) return verdictOf(*judge);
  const auto wan = std::ranges::find(wans_, name, &WanConfig::name);
  if (!mwan3_ || wan == wans_.end() || wan->trackMethod != TrackMethod::mwan3) return {};
  return mwan3Verdict(*wan, family);
}

std::map<std::string, WanVerdicts> WanMonitor::verdictsNow() const {
  std::map<std::string, WanVerdicts> verdicts;
  for (const Family family : kFamilies) {
    for (const WanConfig& wan : wans_) verdicts[wan.name][family] = verdictOf(wan.name, family);
    for (const auto& [name, decision] : byHand_) verdicts[name][family] = verdictOf(name, family);
    // A flapping WAN is used if there is no other.
    const bool another = std::ranges::any_of(wans_, [&](const WanConfig& wan) {
      return verdicts.at(wan.name).at(family).usable && offers(wan.name, family);
    });
    for (auto& [name, ofBoth] : verdicts)
      if (WanVerdict& verdict = ofBoth[family]; verdict.by == WanVerdict::By::flapping && !another)
        verdict.usable = true;
  }
  return verdicts;
}

WansDown WanMonitor::downNow(const std::map<std::string, WanVerdicts>& before) const {
  WansDown down;
  for (const auto& [name, verdicts] : verdicts_)
    for (const auto& [family, verdict] : verdicts) {
      if (verdict.usable) continue;
      // The number of rounds in the reason has changed, but that needs no plan.
      const auto said = down_.find(name);
      const bool same = said != down_.end() && said->second.why.contains(family) &&
                        verdictsIn(before, name).at(family).by == verdict.by && verdict.by != WanVerdict::By::hand;
      down[name].why[family] = same ? said->second.why.at(family) : verdict.reason;
    }
  return down;
}

void WanMonitor::decide() {
  const auto before = std::exchange(verdicts_, verdictsNow());
  const auto now = verdicts_;
  if (WansDown down = downNow(before); down != down_) {
    down_ = std::move(down);
    // The callback may lead to another decision.
    told_.changed(WansDown{down_});
  }
  for (const auto& [name, is] : now)
    if (const WanVerdicts was = verdictsIn(before, name); isNews(was, is)) told_.verdict(name, was, is);
  // An override of a WAN that is no longer ours has been taken back.
  for (const auto& [name, was] : before)
    if (!now.contains(name) && isNews(was, inBoth({}))) told_.verdict(name, was, inBoth({}));
}

}  // namespace wgsteer
