// SPDX-License-Identifier: GPL-2.0-or-later
#include "health/prober.hpp"

#include <algorithm>
#include <array>
#include <limits>

namespace wgsteer::health {

namespace {

/// Probes are numbered from 0.
constexpr std::uint64_t kTimer = std::numeric_limits<std::uint64_t>::max();

}  // namespace

Result<Prober> Prober::create(const WanConfig& wan, Mark mark) {
  auto poller = os::Poller::create();
  if (!poller) return std::unexpected(std::move(poller.error()));
  auto timer = os::Timer::create();
  if (!timer) return std::unexpected(std::move(timer.error()));
  if (const Status watched = poller->watch(timer->descriptor(), EPOLLIN, kTimer); !watched)
    return std::unexpected(watched.error());
  return Prober{wan, mark, std::move(*poller), std::move(*timer)};
}

Prober::Prober(const WanConfig& wan, Mark mark, os::Poller poller, os::Timer timer)
    : method_(wan.trackMethod),
      options_{.device = wan.device, .mark = mark, .size = wan.size, .maxTtl = wan.maxTtl},
      targets_(probeTargets(wan)),
      count_(wan.count),
      timeout_(wan.timeout),
      spacing_(std::min<Duration>(timeout_, std::chrono::seconds{1}) / wan.count),
      poller_(std::move(poller)),
      timer_(std::move(timer)) {}

Prober::Probe Prober::makeProbe() const {
  if (method_ == TrackMethod::dns) return DnsProbe{options_};
  if (method_ == TrackMethod::tcp) return TcpProbe{options_};
  return IcmpProbe{options_};
}

void Prober::start() {
  cancel();
  trouble_.clear();
  running_ = true;
  waves_ = 0;
  questions_.assign(targets_.size() * count_, {});
  probe_ = makeProbe();
  askAll();
}

void Prober::cancel() {
  running_ = false;
  probe_.reset();
  timer_.disarm();
}

void Prober::askAll() {
  for (std::size_t target = 0; target < targets_.size(); ++target) {
    const std::size_t number = waves_ * targets_.size() + target;
    Question& question = questions_[number];
    question.asked = os::monotonicNow();
    const Status sent = std::visit([&](auto& probe) { return probe.ask(number, targets_[target], poller_); }, *probe_);
    question.open = sent.has_value();
    question.refused = !sent && sent.error().kind == ErrorKind::refused;
    if (!sent) trouble_ = sent.error().what;
  }
  ++waves_;
  lastWave_ = os::monotonicNow();
  arm(lastWave_);
}

void Prober::arm(Instant now) {
  const Instant at = over(now) ? now : waves_ < count_ ? lastWave_ + spacing_ : lastWave_ + timeout_;
  timer_.arm(std::max(at - now, Duration{1}));
}

bool Prober::over(Instant now) const {
  if (waves_ < count_) return false;
  return now - lastWave_ >= timeout_ || std::ranges::none_of(questions_, &Question::open);
}

std::optional<std::vector<TargetRound>> Prober::ready() {
  std::array<epoll_event, 32> events{};
  for (const epoll_event& event : poller_.ready(events)) {
    if (event.data.u64 == kTimer)
      timer_.acknowledge();
    else if (running_)
      collect(static_cast<std::size_t>(event.data.u64));
  }
  if (!running_) return std::nullopt;
  const Instant now = os::monotonicNow();
  if (over(now)) return finish();
  if (waves_ < count_ && now - lastWave_ >= spacing_) askAll();
  return std::nullopt;
}

void Prober::collect(std::size_t question) {
  std::vector<Reply> replies;
  std::visit([&](auto& probe) { probe.collect(question, replies); }, *probe_);
  const Instant now = os::monotonicNow();
  for (const Reply& reply : replies) {
    Question& asked = questions_[reply.question];
    if (!asked.open) continue;  // a duplicate
    asked.open = false;
    asked.latency = now - asked.asked;
    asked.answered = reply.answered && asked.latency <= timeout_;
    if (reply.refused) noteRefusal(reply.question);
  }
}

void Prober::noteRefusal(std::size_t question) {
  questions_[question].refused = true;
  trouble_ = "send to " + targets_[question % targets_.size()].address.toString() + ": blocked by this host";
}

std::vector<TargetRound> Prober::finish() {
  std::vector<TargetRound> results(targets_.size());
  for (std::size_t number = 0; number < questions_.size(); ++number) {
    if (questions_[number].open && std::visit([&](const auto& probe) { return probe.wasRefused(number); }, *probe_))
      noteRefusal(number);
    TargetRound& result = results[number % targets_.size()];
    ++result.sent;
    if (questions_[number].refused) ++result.refused;
    if (!questions_[number].answered) continue;
    ++result.answered;
    result.latency += questions_[number].latency;
  }
  for (TargetRound& result : results)
    if (result.answered > 0) result.latency /= result.answered;
  cancel();
  return results;
}

}  // namespace wgsteer::health
