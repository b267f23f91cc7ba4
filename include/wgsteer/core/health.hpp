// SPDX-License-Identifier: GPL-2.0-or-later
// Whether a WAN works: what rounds of probes say (mwan3's score), and how often that may be acted on.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "wgsteer/core/config.hpp"
#include "wgsteer/core/time.hpp"

namespace wgsteer {

enum class Health : std::uint8_t {
  unknown,  ///< not probed often enough to tell: used like one that is up
  up,
  down,
};

/// The result of one target in one round.
struct TargetRound {
  std::uint32_t sent = 0;
  std::uint32_t answered = 0;
  Milliseconds latency{};     ///< mean of those answered
  std::uint32_t refused = 0;  ///< probes that this host itself blocked: they say nothing about the WAN
  bool operator==(const TargetRound&) const = default;
};

/// Exponentially weighted: the last round makes a quarter.
struct TargetAverage {
  Milliseconds latency{};
  double loss = 0;          ///< percent
  bool measured = false;    ///< false: no round yet
  bool answered = false;    ///< whether latency has ever been measured
  bool answersNow = false;  ///< anything in the last round
  bool refused = false;     ///< this host blocked all probes of the last round
  bool poor = false;        ///< beyond a failure threshold and not yet within both recovery thresholds
};

/// Why a WAN has the health that it has.
struct ProbeReason {
  std::uint32_t targets = 0;
  std::uint32_t silent = 0;   ///< targets without any answer in the last round
  std::uint32_t poor = 0;     ///< targets that answered, but too late or too seldom
  std::uint32_t refused = 0;  ///< targets whose probes this host blocks
  std::uint32_t rounds = 0;   ///< number of rounds in a row that were as good or as bad as the last
  bool operator==(const ProbeReason&) const = default;
  /// No address could be probed.
  bool blind() const { return refused > 0 && refused == targets; }
  /// "2 of 3 targets unanswered for 3 rounds", "3 of 3 targets answer", "not probed yet", "cannot be probed".
  std::string toString() const;
};

/// mwan3track's score. It starts at down + up. A round is good when at least `reliability` targets are; a bad one
/// subtracts one, and at `up` the WAN goes down and the score drops to 0; a good one adds one, and at `up` the WAN
/// comes up and the score returns to its maximum. So it takes `down` bad or `up` good rounds in a row.
///
/// A target whose probes this host blocks does not count; the others decide, all of them if `reliability` asks for more
/// than there are. If none can be probed, the round counts as good: such a WAN stays in use.
///
/// Unlike mwan3 with check_quality, thresholds are compared with averages, not with single rounds; and a target between
/// them stays what it was, where mwan3 counts it as failed.
class ProbeScore {
 public:
  /// Copies what it needs. `targets` is the number of results in a round.
  ProbeScore(const WanConfig& config, std::size_t targets);

  /// Takes a finished round; results in the order of the targets, missing ones count as silence. Returns the time from
  /// the start of this round to the start of the next. Counted from the end, as mwan3 does, it would take `timeout`
  /// longer for each round to notice a dead WAN.
  Duration round(std::span<const TargetRound> results, Instant now);
  /// As if never probed, for example after its device went away.
  void reset(Instant now);

  Health health() const { return health_; }
  /// When the health last changed; nullopt while it has been unknown from the start.
  std::optional<Instant> since() const { return since_; }
  std::uint32_t score() const { return score_; }
  const ProbeReason& reason() const { return reason_; }
  const std::vector<TargetAverage>& averages() const { return averages_; }

 private:
  bool weigh(TargetAverage& average, const TargetRound& result);
  Duration good(Instant now);
  Duration bad(Instant now);
  void become(Health health, Instant now);

  std::uint32_t down_;
  std::uint32_t up_;
  std::uint32_t reliability_;
  bool keepFailureInterval_;
  bool checkQuality_;
  Milliseconds failureLatency_;
  Milliseconds recoveryLatency_;
  double failureLoss_;
  double recoveryLoss_;
  Duration interval_;
  Duration failureInterval_;
  Duration recoveryInterval_;

  std::uint32_t score_;
  Health health_ = Health::unknown;
  std::optional<Instant> since_;
  bool lastGood_ = false;
  ProbeReason reason_;
  std::vector<TargetAverage> averages_;
};

/// Limits the number of switches within any one minute.
class SwitchBudget {
 public:
  explicit SwitchBudget(std::uint32_t perMinute) : perMinute_(perMinute) {}
  std::uint32_t left(Instant now);
  void take(Instant now) { taken_.push_back(now); }
  /// When at least `wanted` (at most all of them) will be left.
  Instant available(std::uint32_t wanted, Instant now);

 private:
  std::uint32_t perMinute_;
  std::deque<Instant> taken_;
};

inline constexpr std::uint32_t kSwitchesPerMinute = 6;

enum class Standing : std::uint8_t {
  up,
  held,  ///< works, but went up and down too often: used only when no WAN is up
  down,
};

/// Keeps a flapping WAN from moving tunnels back and forth. Going down always takes effect at once; coming up waits
/// until the WAN has been healthy for `hold` and the budget has room both for that and for the next time it goes down.
/// Changes between held and down have another budget of the same size, because tunnels move between held WANs when none
/// is up.
class Damper {
 public:
  /// `perMinute`: at least 2.
  explicit Damper(Duration hold = {}, std::uint32_t perMinute = kSwitchesPerMinute)
      : hold_(hold), budget_(perMinute), heldBudget_(perMinute) {}

  /// The result of the first call is used as it is.
  Standing update(bool healthy, Instant now);
  Standing standing() const { return standing_; }
  /// While healthy but not up: when update() may change its mind without any news.
  std::optional<Instant> lookAgain() const { return lookAgain_; }

 private:
  Duration hold_;
  SwitchBudget budget_;
  SwitchBudget heldBudget_;
  bool started_ = false;
  bool well_ = false;
  Standing standing_ = Standing::down;
  Instant wellSince_{};
  std::optional<Instant> lookAgain_;
};

}  // namespace wgsteer
