// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/stall.hpp"

#include <algorithm>
#include <utility>

namespace wgsteer {

namespace {

using std::chrono::seconds;

/// Sizes of WireGuard's messages, whitepaper section 5.4: initiation, response, a data message without data.
constexpr std::uint64_t kInitiation = 148;
constexpr std::uint64_t kResponse = 92;
constexpr std::uint64_t kKeepalive = 32;
/// The most of each that fit between two samples.
constexpr std::uint64_t kMostAtOnce = 3;

/// REJECT_AFTER_TIME, whitepaper section 6.1, plus a margin for sampling: no data is accepted after that, so if packets
/// still arrive, the peer does not receive ours.
constexpr Instant kSessionEnd = seconds{180 + 10};

/// One lost keepalive makes one handshake without data after it; several make it a pattern.
constexpr unsigned kHollowHandshakes = 3;

bool isInitiations(std::uint64_t bytes) {
  for (std::uint64_t count = 1; count <= kMostAtOnce; ++count)
    if (bytes == count * kInitiation || bytes == count * kInitiation + kKeepalive) return true;
  return false;
}

/// Whether these bytes contain nothing that has to be answered. Data messages are multiples of 16 below the MTU; two
/// keepalives cannot be told from a small one.
bool isUpkeep(std::uint64_t bytes) {
  return bytes == kKeepalive || bytes == kResponse || bytes == kResponse + kKeepalive;
}

bool isHandshakes(std::uint64_t bytes) {
  for (std::uint64_t initiations = 0; initiations <= kMostAtOnce; ++initiations)
    for (std::uint64_t responses = 0; responses <= 1; ++responses)
      if (bytes > 0 && bytes == initiations * kInitiation + responses * kResponse) return true;
  return false;
}

}  // namespace

void PeerWatch::sample(const PeerSample& sample, Instant now) {
  answered_ = handshaken_ = false;
  const std::optional<PeerSample> last = std::exchange(last_, sample);
  if (!last || sample.txBytes < last->txBytes || sample.rxBytes < last->rxBytes) {
    // The first sample, or the peer was re-created. Its session may be brand-new.
    restart();
    sessionStart_ = lastData_ = now;
    return;
  }
  handshaken_ = sample.lastHandshake != last->lastHandshake && sample.lastHandshake != WallSeconds{};
  if (handshaken_) sessionStart_ = now;
  received(sample.rxBytes - last->rxBytes, now);
  sent(sample.txBytes - last->txBytes, now);
}

void PeerWatch::received(std::uint64_t bytes, Instant now) {
  if (bytes > 0 && !isHandshakes(bytes) && now - sessionStart_ < kSessionEnd) {
    if (bytes != kKeepalive) lastData_ = now;
    restart();
    answered_ = true;
    return;
  }
  if (!handshaken_) return;
  if (dataSince_ && hollow_++ == 0) hollowSince_ = dataSince_;
  dataSince_.reset();
  handshakeSince_.reset();
  answered_ = true;
}

void PeerWatch::sent(std::uint64_t bytes, Instant now) {
  if (bytes == 0 || isUpkeep(bytes)) return;
  if (isInitiations(bytes)) {
    if (!handshakeSince_ && !answered_) handshakeSince_ = now;
    return;
  }
  lastData_ = now;
  // Within one sample it is unknown which came first, the data sent or the answer.
  const bool answeredByData = answered_ && !handshaken_;
  if (!dataSince_ && !answeredByData) dataSince_ = now;
}

std::optional<Instant> PeerWatch::unansweredSince() const {
  if (hollow_ >= kHollowHandshakes && dataSince_) return hollowSince_;
  if (dataSince_ && handshakeSince_) return std::min(*dataSince_, *handshakeSince_);
  return dataSince_ ? dataSince_ : handshakeSince_;
}

void PeerWatch::restart() {
  dataSince_.reset();
  handshakeSince_.reset();
  hollowSince_.reset();
  hollow_ = 0;
}

StallStep StallAutomaton::step(const PeerSample& sample, Ways ways, Instant now, std::uint32_t random) {
  watch_.sample(sample, now);
  if (ways.empty()) return {StallMove::none, way_};
  if (!started_) {
    started_ = true;
    way_ = ways.front();
    since_ = now;
    return {StallMove::none, way_};
  }
  if (const auto followed = follow(ways, now)) return *followed;
  const auto unanswered = watch_.unansweredSince();
  const bool stalled = unanswered && now - *unanswered >= config_.stall;
  switch (phase_) {
    case StallPhase::preferred:
      return stalled ? search(ways, now, random) : StallStep{StallMove::none, way_};
    case StallPhase::searching:
      if (watch_.answered()) works(ways, now);
      return stalled ? search(ways, now, random) : StallStep{StallMove::none, way_};
    case StallPhase::pausing:
      if (watch_.answered()) works(ways, now);
      return stalled && now >= again_ ? search(ways, now, random) : StallStep{StallMove::none, way_};
    case StallPhase::away:
      return stalled ? search(ways, now, random) : whileAway(ways, now);
    case StallPhase::trial:
      break;
  }
  return whileTrying(ways, stalled, now, random);
}

Way StallAutomaton::by(Slot wan, Ways ways) const {
  const Way same{wan, way_.address};
  return std::ranges::find(ways, same) != ways.end() ? same : *std::ranges::find(ways, wan, &Way::wan);
}

std::optional<StallStep> StallAutomaton::follow(Ways ways, Instant now) {
  // The peer roamed, or its name has other addresses: that says nothing about the WAN.
  const auto sameWan = std::ranges::find(ways, way_.wan, &Way::wan);
  if (sameWan != ways.end()) way_ = by(way_.wan, ways);
  const bool offered = std::ranges::find(ways, way_) != ways.end();
  const bool settled = phase_ == StallPhase::preferred || phase_ == StallPhase::pausing;
  if (offered && !(settled && way_.wan != ways.front().wan)) return std::nullopt;
  // No longer our choice, so no limit of ours applies.
  const StallPhase next = phase_ == StallPhase::pausing ? phase_ : StallPhase::preferred;
  way_ = by(ways.front().wan, ways);
  tried_.clear();
  watch_.restart();
  enter(next, now);
  return StallStep{StallMove::follow, way_};
}

void StallAutomaton::works(Ways ways, Instant now) {
  tried_.clear();
  rounds_ = trials_ = 0;
  const bool home = way_.wan == ways.front().wan;
  again_ = now + hold_;
  enter(home ? StallPhase::preferred : StallPhase::away, now);
}

StallStep StallAutomaton::search(Ways ways, Instant now, std::uint32_t random) {
  if (budget_.left(now) == 0) return {StallMove::none, way_};
  tried_.push_back(way_);
  const auto untried = [this](const Way& way) { return std::ranges::find(tried_, way) == tried_.end(); };
  // From the current one onwards, wrapping around: addresses of this WAN, then of the next WAN.
  const auto here = std::ranges::find(ways, way_);
  auto next = std::find_if(here, ways.end(), untried);
  if (next == ways.end()) next = std::find_if(ways.begin(), here, untried);
  if (next == ways.end() || !untried(*next)) return giveUp(ways, now, random);
  return move(next->wan == way_.wan ? StallMove::nextAddress : StallMove::nextWan, *next, StallPhase::searching, now);
}

StallStep StallAutomaton::giveUp(Ways ways, Instant now, std::uint32_t random) {
  constexpr unsigned kDoublings = 16;
  tried_.clear();
  rounds_ = std::min(rounds_ + 1, kDoublings);
  const Instant pause = std::min(config_.stall * (1U << rounds_), kMaxPause);
  // Three to five quarters.
  const Instant quarter = pause / 4;
  again_ = now + 3 * quarter + quarter * 2 / 1000 * (random % 1000);
  return move(StallMove::giveUp, ways.front(), StallPhase::pausing, now);
}

StallStep StallAutomaton::whileAway(Ways ways, Instant now) {
  const StallStep stay{StallMove::none, way_};
  if (way_.wan == ways.front().wan || now < again_) return stay;
  const bool quiet = now - watch_.lastData() >= kQuiet;
  const bool impatient = now - again_ >= (kPatience - 1) * config_.hold;
  if (!(quiet || impatient) || budget_.left(now) < 2) return stay;  // room to go there and back
  // The best one first; if that fails, those in between in turn.
  std::vector<Slot> better;
  for (const Way& way : ways) {
    if (way.wan == way_.wan) break;
    if (better.empty() || better.back() != way.wan) better.push_back(way.wan);
  }
  working_ = way_;
  return move(StallMove::tryBetter, by(better[trials_ % better.size()], ways), StallPhase::trial, now);
}

StallStep StallAutomaton::whileTrying(Ways ways, bool stalled, Instant now, std::uint32_t random) {
  if (watch_.handshaken()) {
    hold_ = config_.hold;
    works(ways, now);
  }
  if (!stalled) return {StallMove::none, way_};
  ++trials_;
  hold_ = std::min(2 * hold_, std::max(kMaxHold, config_.hold));
  if (std::ranges::find(ways, working_) == ways.end()) return search(ways, now, random);
  if (budget_.left(now) == 0) return {StallMove::none, way_};
  again_ = now + hold_;
  return move(StallMove::trialFailed, working_, StallPhase::away, now);
}

StallStep StallAutomaton::move(StallMove move, const Way& to, StallPhase phase, Instant now) {
  if (to != way_) {
    budget_.take(now);
    way_ = to;
  }
  watch_.restart();
  enter(phase, now);
  return {move, way_};
}

void StallAutomaton::enter(StallPhase phase, Instant now) {
  if (phase != phase_) since_ = now;
  phase_ = phase;
}

std::string StallAutomaton::reason(Instant now) const {
  const auto inSeconds = [](Instant duration) {
    return std::to_string(std::chrono::duration_cast<seconds>(duration).count()) + " s";
  };
  const auto unanswered = watch_.unansweredSince();
  std::string silence = unanswered ? "nothing received for " + inSeconds(now - *unanswered) : std::string{};
  switch (phase_) {
    case StallPhase::preferred:
      return silence;
    case StallPhase::searching:
      return silence.empty() ? "trying another path" : "trying another path, " + silence;
    case StallPhase::pausing:
      return "no path works" + (again_ > now ? ", next attempt in " + inSeconds(again_ - now) : std::string{});
    case StallPhase::away:
      return "no answer over any better WAN" +
             (again_ > now ? ", next attempt in " + inSeconds(again_ - now) : std::string{});
    case StallPhase::trial:
      break;
  }
  return silence.empty() ? "retrying a better WAN" : "retrying a better WAN, " + silence;
}

}  // namespace wgsteer
