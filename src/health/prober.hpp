// SPDX-License-Identifier: GPL-2.0-or-later
// Rounds of probes over one WAN, whether or not it is in use: bound to its device, with its mark.
//
// Sockets live for one round. So a device that vanished and came back with another index is found again by its name,
// and an answer to an earlier round finds no socket. Whatever cannot be sent counts as unanswered, except that what
// this host blocks counts as blocked.
//
// Threading: one thread. Everything is behind one descriptor, for the caller's loop.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "wgsteer/core/health.hpp"
#include "wgsteer/result.hpp"

#include "health/dns_probe.hpp"
#include "health/icmp_probe.hpp"
#include "health/tcp_probe.hpp"
#include "os/poller.hpp"
#include "os/timer.hpp"

namespace wgsteer::health {

class Prober {
 public:
  /// `wan.trackMethod` is icmp, dns or tcp. `mark`: the WAN's own.
  static Result<Prober> create(const WanConfig& wan, Mark mark);

  std::size_t targets() const { return targets_.size(); }
  /// Readable when ready() has something to do.
  int descriptor() const { return poller_.descriptor(); }
  /// Begins a round and abandons one in progress. It ends when every probe is answered or cannot be any more, at the
  /// latest `timeout` after its last probe. The probes to a target are spread over `timeout`, or over one second if
  /// that is shorter.
  void start();
  /// Abandons the round in progress, if any.
  void cancel();
  bool running() const { return running_; }
  /// Processes what has arrived. Once the round is over, returns the results in the order of the targets, once; then
  /// start() may be called.
  std::optional<std::vector<TargetRound>> ready();
  /// What went wrong on our side in this round or the last: "bind to device wwan0: No such device". Empty if nothing.
  const std::string& trouble() const { return trouble_; }

 private:
  struct Question {
    bool open = false;
    bool answered = false;
    bool refused = false;
    Instant asked{};
    Duration latency{};
  };
  using Probe = std::variant<IcmpProbe, DnsProbe, TcpProbe>;

  Prober(const WanConfig& wan, Mark mark, os::Poller poller, os::Timer timer);
  Probe makeProbe() const;
  void askAll();
  void collect(std::size_t question);
  void arm(Instant now);
  bool over(Instant now) const;
  void noteRefusal(std::size_t question);
  std::vector<TargetRound> finish();

  TrackMethod method_;
  ProbeOptions options_;
  std::vector<Endpoint> targets_;
  std::uint32_t count_;
  Duration timeout_;
  Duration spacing_;
  os::Poller poller_;
  os::Timer timer_;

  bool running_ = false;
  std::optional<Probe> probe_;
  std::uint32_t waves_ = 0;  ///< one probe to each target
  Instant lastWave_{};
  std::vector<Question> questions_;
  std::string trouble_;
};

}  // namespace wgsteer::health
