// SPDX-License-Identifier: GPL-2.0-or-later
// Decides from its counters whether a WireGuard peer answers, and which path to try next if it does not. One automaton
// per peer: a peer that is switched off affects no other.
//
// WireGuard answers every data packet within 10 s, if only with an empty one (whitepaper, section 6.5); 15 s after data
// without an answer it starts a handshake, and again every 5 s for 90 s. Empty packets (keepalives) are not answered.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "wgsteer/core/address.hpp"
#include "wgsteer/core/health.hpp"
#include "wgsteer/core/ids.hpp"
#include "wgsteer/core/time.hpp"

namespace wgsteer {

/// WireGuard's counters for a peer: all messages, with WireGuard's own headers but without those of IP and UDP.
struct PeerSample {
  std::uint64_t txBytes = 0;
  std::uint64_t rxBytes = 0;
  WallSeconds lastHandshake{};  ///< the epoch: none; only compared for change
};

/// Computes from samples since when a peer owes an answer. Sample it more often than the peer sends keepalives.
class PeerWatch {
 public:
  void sample(const PeerSample& sample, Instant now);
  /// Since when an answer is due; nullopt if all is well or nothing was sent.
  std::optional<Instant> unansweredSince() const;
  /// The last sample showed that the peer's packets arrive here and ours arrive there.
  bool answered() const { return answered_; }
  /// The last sample showed a new handshake: proof that the current path works in both directions.
  bool handshaken() const { return handshaken_; }
  /// When data was last sent or received, or the first sample taken.
  Instant lastData() const { return lastData_; }
  /// Starts over on another path: silence on the last one says nothing about this one.
  void restart();

 private:
  void sent(std::uint64_t bytes, Instant now);
  void received(std::uint64_t bytes, Instant now);

  std::optional<PeerSample> last_;
  Instant sessionStart_{};
  Instant lastData_{};
  std::optional<Instant> dataSince_;       ///< data without an answer
  std::optional<Instant> handshakeSince_;  ///< handshake initiations without a session
  std::optional<Instant> hollowSince_;     ///< like dataSince_, if only handshakes have arrived since
  unsigned hollow_ = 0;                    ///< number of these handshakes
  bool answered_ = false;
  bool handshaken_ = false;
};

/// A path to a peer: over which WAN, to which of its addresses.
struct Path {
  Slot wan;
  Address address;
  auto operator<=>(const Path&) const = default;
};

enum class StallMove : std::uint8_t {
  none,
  nextAddress,  ///< another address of the peer over the same WAN
  nextWan,      ///< another WAN
  giveUp,       ///< all paths tried: back to the first, and another round later
  tryBetter,    ///< back to a better WAN, to see whether it works now
  trialFailed,  ///< it does not: back to the one that did
  follow,       ///< the current path is no longer offered, or a better WAN is, with nothing against it
};

struct StallStep {
  StallMove move = StallMove::none;
  Path path;  ///< to be used from now on
};

struct StallConfig {
  Duration stall{};  ///< these two as in TunnelConfig
  Duration hold{};
  std::uint32_t movesPerMinute = kSwitchesPerMinute;
  bool operator==(const StallConfig&) const = default;
};

/// hold and the pause between rounds double each time without success, up to these.
inline constexpr Duration kMaxHold = std::chrono::minutes{30};
inline constexpr Duration kMaxPause = std::chrono::minutes{10};
/// A trial waits for a moment without data for this long.
inline constexpr Duration kQuiet = std::chrono::seconds{5};
/// A tunnel that is never quiet gets its trial after this many times `hold`.
inline constexpr int kPatience = 10;

enum class StallPhase : std::uint8_t {
  preferred,  ///< on the preferred WAN, which works as far as is known
  searching,  ///< moved, no answer yet
  pausing,    ///< all paths failed; on the first one until the next round
  away,       ///< on another WAN, where it works
  trial,      ///< on a better WAN than that, not proven yet
};

class StallAutomaton {
 public:
  explicit StallAutomaton(const StallConfig& config)
      : config_(config), budget_(config.movesPerMinute), hold_(config.hold) {}

  /// `paths`: the usable ones, best first, all addresses of the first WAN before those of the second. Without any,
  /// nothing happens. `random`: any 32 bits, so that peers of one WAN do not move in step.
  StallStep step(const PeerSample& sample, std::span<const Path> paths, Instant now, std::uint32_t random);

  StallPhase phase() const { return phase_; }
  /// When the phase was entered.
  Instant since() const { return since_; }
  const Path& path() const { return path_; }
  /// "nothing received for 23 s", "no path works, next attempt in 57 s", "retrying a better WAN".
  std::string reason(Instant now) const;

 private:
  using Paths = std::span<const Path>;
  std::optional<StallStep> follow(Paths paths, Instant now);
  StallStep search(Paths paths, Instant now, std::uint32_t random);
  StallStep giveUp(Paths paths, Instant now, std::uint32_t random);
  StallStep whileAway(Paths paths, Instant now);
  StallStep whileTrying(Paths paths, bool stalled, Instant now, std::uint32_t random);
  void works(Paths paths, Instant now);
  StallStep move(StallMove move, const Path& to, StallPhase phase, Instant now);
  void enter(StallPhase phase, Instant now);
  /// The path over that WAN, to the same address if that is offered.
  Path by(Slot wan, Paths paths) const;

  StallConfig config_;
  PeerWatch watch_;
  SwitchBudget budget_;
  bool started_ = false;
  StallPhase phase_ = StallPhase::preferred;
  Instant since_{};
  Path path_;
  std::vector<Path> tried_;  ///< in this round
  Path working_;             ///< where to go back to when a trial fails
  Duration hold_;
  unsigned rounds_ = 0;  ///< without success
  unsigned trials_ = 0;  ///< without success
  Instant again_{};      ///< while pausing or away: when to try again
};

}  // namespace wgsteer
