// SPDX-License-Identifier: GPL-2.0-or-later
// Reports what the engine does: lines in the log, and documents for watchers (`wgsteer monitor`).
#pragma once

#include <chrono>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>

#include "daemon/throttle.hpp"
#include "daemon/wan_facts.hpp"
#include "engine/engine.hpp"

namespace wgsteer {

class Journal {
 public:
  /// `watched` is checked first, so that no text is built when nobody listens. Without watchers only the log is
  /// written.
  struct Watchers {
    std::function<bool()> watched;
    std::function<void(const nlohmann::json&)> publish;
  };
  explicit Journal(Watchers watchers = {}) : watchers_(std::move(watchers)) {}
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  /// Refers to this journal, which must outlive it.
  Engine::Observer observer();
  /// Reports a change of a WAN.
  void wan(const std::string& name, const WanVerdicts& before, const WanVerdicts& now);
  /// To be called from time to time: writes the last of many lines that came too fast.
  void catchUp();

 private:
  void occasion(const Occasion& occasion, const DeviceName& names);
  void moved(const Move& move);
  void endpointMoved(const PeerId& peer, const NamedPeer& named, const std::optional<Endpoint>& before,
                     const Endpoint& now);
  void stalled(const StallNews& news);
  void deprecated(const SetDeprecated& set, const std::string& wan, const DeviceName& names);
  void tell(const char* kind, const std::string& subject, const std::string& line, nlohmann::json details,
            LogLevel level = LogLevel::info);
  void overrun(bool ofNft);
  void fight(const Event& last, const DeviceName& names);
  static void looked(const std::string& untold, Duration took);
  void fail(const std::string& line);
  void publish(const char* kind, nlohmann::json what);

  /// The most lines about one subject in a burst. Watchers get all of them.
  static constexpr int kBurst = 10;
  static constexpr std::chrono::seconds kRefill{2};

  Watchers watchers_;
  Throttle throttle_{kBurst, kRefill};
  std::set<std::string> said_;  ///< failures are logged once until something works, however often they are retried
};

}  // namespace wgsteer
