// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/health.hpp"

#include <algorithm>

namespace wgsteer {

namespace {

/// The weight of the last round: two silent rounds reach mwan3's failure_loss of 40 %, and a single one does not.
constexpr double kNewest = 0.25;

template <class T>
void blend(T& average, T value, bool first) {
  average = first ? value : average + kNewest * (value - average);
}

std::string ofTargets(std::uint32_t count, std::uint32_t targets) {
  return std::to_string(count) + " of " + std::to_string(targets) + (targets == 1 ? " target" : " targets");
}

}  // namespace

std::string ProbeReason::toString() const {
  if (rounds == 0) return "not probed yet";
  if (blind()) return "cannot be probed";
  const std::string lasting = " for " + std::to_string(rounds) + (rounds == 1 ? " round" : " rounds");
  if (silent > 0 && poor > 0)
    return ofTargets(silent, targets) + " unanswered and " + std::to_string(poor) + " too slow or lossy" + lasting;
  if (silent > 0) return ofTargets(silent, targets) + " unanswered" + lasting;
  if (poor > 0) return ofTargets(poor, targets) + " too slow or lossy" + lasting;
  const std::uint32_t answering = targets - refused;
  return ofTargets(answering, targets) + (targets == 1 ? " answers" : " answer");
}

ProbeScore::ProbeScore(const WanConfig& config, std::size_t targets)
    : down_(config.down),
      up_(config.up),
      reliability_(config.reliability),
      keepFailureInterval_(config.keepFailureInterval),
      checkQuality_(config.checkQuality),
      failureLatency_(config.failureLatency),
      recoveryLatency_(config.recoveryLatency),
      failureLoss_(config.failureLoss),
      recoveryLoss_(config.recoveryLoss),
      interval_(config.interval),
      failureInterval_(config.failureInterval.value_or(config.interval)),
      recoveryInterval_(config.recoveryInterval.value_or(config.interval)),
      score_(config.down + config.up),
      averages_(targets) {
  reason_.targets = static_cast<std::uint32_t>(targets);
}

void ProbeScore::reset(Instant now) {
  score_ = down_ + up_;
  become(Health::unknown, now);
  reason_ = {.targets = reason_.targets};
  averages_.assign(averages_.size(), {});
}

bool ProbeScore::weigh(TargetAverage& average, const TargetRound& result) {
  const std::uint32_t sent = result.sent - result.refused;
  const double loss = sent == 0 ? 100.0 : 100.0 * (sent - result.answered) / sent;
  blend(average.loss, loss, !average.measured);
  average.measured = true;
  average.refused = false;
  average.answersNow = result.answered > 0;
  if (result.answered == 0) return false;
  blend(average.latency, result.latency, !average.answered);
  average.answered = true;
  if (!checkQuality_) return true;
  if (average.loss >= failureLoss_ || average.latency >= failureLatency_)
    average.poor = true;
  else if (average.loss <= recoveryLoss_ && average.latency <= recoveryLatency_)
    average.poor = false;
  return !average.poor;
}

Duration ProbeScore::round(std::span<const TargetRound> results, Instant now) {
  std::uint32_t well = 0;
  ProbeReason reason{.targets = reason_.targets};
  for (std::size_t i = 0; i < std::min(results.size(), averages_.size()); ++i) {
    if (results[i].sent > 0 && results[i].refused == results[i].sent) {
      averages_[i].refused = true;
      averages_[i].answersNow = false;
      ++reason.refused;
    } else if (weigh(averages_[i], results[i])) {
      ++well;
    } else {
      ++(results[i].answered == 0 ? reason.silent : reason.poor);
    }
  }
  const bool isGood = well >= std::min(reliability_, reason.targets - reason.refused);
  reason.rounds = isGood == lastGood_ && reason_.rounds > 0 ? reason_.rounds + 1 : 1;
  reason_ = reason;
  lastGood_ = isGood;
  return isGood ? good(now) : bad(now);
}

Duration ProbeScore::good(Instant now) {
  ++score_;
  const bool recovering = score_ <= up_;
  if (score_ >= up_) {
    become(Health::up, now);
    score_ = down_ + up_;
  }
  return recovering ? recoveryInterval_ : interval_;
}

Duration ProbeScore::bad(Instant now) {
  if (score_ > 0) --score_;
  if (score_ < up_) {
    score_ = 0;
    return keepFailureInterval_ ? failureInterval_ : interval_;
  }
  if (score_ == up_) {
    become(Health::down, now);
    score_ = 0;
  }
  return failureInterval_;
}

void ProbeScore::become(Health health, Instant now) {
  if (health == health_) return;
  health_ = health;
  since_ = now;
}

std::uint32_t SwitchBudget::left(Instant now) {
  while (!taken_.empty() && taken_.front() + std::chrono::minutes{1} <= now) taken_.pop_front();
  const auto taken = static_cast<std::uint32_t>(taken_.size());
  return taken >= perMinute_ ? 0 : perMinute_ - taken;
}

Instant SwitchBudget::available(std::uint32_t wanted, Instant now) {
  const std::uint32_t have = left(now);
  wanted = std::min(wanted, perMinute_);
  if (have >= wanted) return now;
  const std::size_t tooMany = taken_.size() + wanted - perMinute_;
  return taken_[tooMany - 1] + std::chrono::minutes{1};
}

Standing Damper::update(bool healthy, Instant now) {
  lookAgain_.reset();
  if (!started_) {
    started_ = true;
    well_ = healthy;
    standing_ = healthy ? Standing::up : Standing::down;
    return standing_;
  }
  if (healthy && !well_) wellSince_ = now;
  well_ = healthy;
  if (!healthy) {
    if (standing_ != Standing::down) (standing_ == Standing::up ? budget_ : heldBudget_).take(now);
    return standing_ = Standing::down;
  }
  if (standing_ == Standing::up) return standing_;
  // Two switches: going down again must not have to wait.
  const Instant mayBeUp = std::max(wellSince_ + hold_, budget_.available(2, now));
  if (mayBeUp <= now) {
    budget_.take(now);
    return standing_ = Standing::up;
  }
  lookAgain_ = mayBeUp;
  if (standing_ == Standing::held) return standing_;
  if (const Instant mayBeHeld = heldBudget_.available(2, now); mayBeHeld > now) {
    lookAgain_ = std::min(mayBeUp, mayBeHeld);
    return standing_;
  }
  heldBudget_.take(now);
  return standing_ = Standing::held;
}

}  // namespace wgsteer
