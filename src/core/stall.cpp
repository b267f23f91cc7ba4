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

StallStep StallAutomaton::step(const PeerSample& sample, Paths paths, Instant now, std::uint32_t random) {
  watch_.sample(sample, now);
  if (paths.empty()) return {StallMove::none, path_};
  if (!started_) {
    started_ = true;
    path_ = paths.front();
    since_ = now;
    return {StallMove::none, path_};
  }
  if (const auto followed = follow(paths, now)) return *followed;
  const auto unanswered = watch_.unansweredSince();
  const bool stalled = unanswered && now - *unanswered >= config_.stall;
  switch (phase_) {
    case StallPhase::preferred:
      return stalled ? search(paths, now, random) : StallStep{StallMove::none, path_};
    case StallPhase::searching:
      if (watch_.answered()) works(paths, now);
      return stalled ? search(paths, now, random) : StallStep{StallMove::none, path_};
    case StallPhase::pausing:
      if (watch_.answered()) works(paths, now);
      return stalled && now >= again_ ? search(paths, now, random) : StallStep{StallMove::none, path_};
    case StallPhase::away:
      return stalled ? search(paths, now, random) : whileAway(paths, now);
    case StallPhase::trial:
      break;
  }
  return whileTrying(paths, stalled, now, random);
}

Path StallAutomaton::by(Slot wan, Paths paths) const {
  const Path same{wan, path_.address};
  return std::ranges::find(paths, same) != paths.end() ? same : *std::ranges::find(paths, wan, &Path::wan);
}

std::optional<StallStep> StallAutomaton::follow(Paths paths, Instant now) {
  // The peer roamed, or its name has other addresses: that says nothing about the WAN.
  const auto sameWan = std::ranges::find(paths, path_.wan, &Path::wan);
  if (sameWan != paths.end()) path_ = by(path_.wan, paths);
  const bool offered = std::ranges::find(paths, path_) != paths.end();
  const bool settled = phase_ == StallPhase::preferred || phase_ == StallPhase::pausing;
  if (offered && !(settled && path_.wan != paths.front().wan)) return std::nullopt;
  // No longer our choice, so no limit of ours applies.
  const StallPhase next = phase_ == StallPhase::pausing ? phase_ : StallPhase::preferred;
  path_ = by(paths.front().wan, paths);
  tried_.clear();
  watch_.restart();
  enter(next, now);
  return StallStep{StallMove::follow, path_};
}

void StallAutomaton::works(Paths paths, Instant now) {
  tried_.clear();
  rounds_ = trials_ = 0;
  const bool home = path_.wan == paths.front().wan;
  again_ = now + hold_;
  enter(home ? StallPhase::preferred : StallPhase::away, now);
}

StallStep StallAutomaton::search(Paths paths, Instant now, std::uint32_t random) {
  if (budget_.left(now) == 0) return {StallMove::none, path_};
  tried_.push_back(path_);
  const auto untried = [this](const Path& path) { return std::ranges::find(tried_, path) == tried_.end(); };
  // From the current one onwards, wrapping around: addresses of this WAN, then of the next WAN.
  const auto here = std::ranges::find(paths, path_);
  auto next = std::find_if(here, paths.end(), untried);
  if (next == paths.end()) next = std::find_if(paths.begin(), here, untried);
  if (next == paths.end() || !untried(*next)) return giveUp(paths, now, random);
  return move(next->wan == path_.wan ? StallMove::nextAddress : StallMove::nextWan, *next, StallPhase::searching, now);
}

StallStep StallAutomaton::giveUp(Paths paths, Instant now, std::uint32_t random) {
  constexpr unsigned kDoublings = 16;
  tried_.clear();
  rounds_ = std::min(rounds_ + 1, kDoublings);
  const Instant pause = std::min(config_.stall * (1U << rounds_), kMaxPause);
  // Three to five quarters.
  const Instant quarter = pause / 4;
  again_ = now + 3 * quarter + quarter * 2 / 1000 * (random % 1000);
  return move(StallMove::giveUp, paths.front(), StallPhase::pausing, now);
}

StallStep StallAutomaton::whileAway(Paths paths, Instant now) {
  const StallStep stay{StallMove::none, path_};
  if (path_.wan == paths.front().wan || now < again_) return stay;
  const bool quiet = now - watch_.lastData() >= kQuiet;
  const bool impatient = now - again_ >= (kPatience - 1) * config_.hold;
  if (!(quiet || impatient) || budget_.left(now) < 2) return stay;  // room to go there and back
  // The best one first; if that fails, those in between in turn.
  std::vector<Slot> better;
  for (const Path& path : paths) {
    if (path.wan == path_.wan) break;
    if (better.empty() || better.back() != path.wan) better.push_back(path.wan);
  }
  working_ = path_;
  return move(StallMove::tryBetter, by(better[trials_ % better.size()], paths), StallPhase::trial, now);
}

StallStep StallAutomaton::whileTrying(Paths paths, bool stalled, Instant now, std::uint32_t random) {
  if (watch_.handshaken()) {
    hold_ = config_.hold;
    works(paths, now);
  }
  if (!stalled) return {StallMove::none, path_};
  ++trials_;
  hold_ = std::min(2 * hold_, std::max(kMaxHold, config_.hold));
  if (std::ranges::find(paths, working_) == paths.end()) return search(paths, now, random);
  if (budget_.left(now) == 0) return {StallMove::none, path_};
  again_ = now + hold_;
  return move(StallMove::trialFailed, working_, StallPhase::away, now);
}

StallStep StallAutomaton::move(StallMove move, const Path& to, StallPhase phase, Instant now) {
  if (to != path_) {
    budget_.take(now);
    path_ = to;
  }
  watch_.restart();
  enter(phase, now);
  return {move, path_};
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
