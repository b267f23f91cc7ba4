// SPDX-License-Identifier: GPL-2.0-or-later
// Tells people what the engine does: lines in the log, and documents for those who watch (`wgsteer monitor`).
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

/// A change that failed, and why, in one line: with the names of devices, and its operation once, which errors of the
/// kernel begin with as well.
std::string describe(const Change& change, const Error& error, const DeviceName& names);

class Journal {
 public:
  /// `watched` is checked first, so that no text is built when nobody listens. Without them only the log is written.
  struct Watchers {
    std::function<bool()> watched;
    std::function<void(const nlohmann::json&)> publish;
  };
  explicit Journal(Watchers watchers = {}) : watchers_(std::move(watchers)) {}
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  /// Refers to this journal, which must outlive it.
  Engine::Observer observer();
  /// A WAN that people should hear of.
  void wan(const std::string& name, const WanVerdicts& before, const WanVerdicts& now);
  /// To be called now and then: the last of many lines that came too fast.
  void catchUp();

 private:
  void occasion(const Occasion& occasion, const DeviceName& names);
  void moved(const std::string& tunnel, Family family, const InUse& before, const InUse& now, const std::string& why);
  void endpointMoved(const PeerId& peer, const NamedPeer& named, const std::optional<Endpoint>& before,
                     const Endpoint& now);
  void stalled(const StallNews& news);
  void tell(const char* kind, const std::string& subject, const std::string& line, nlohmann::json details,
            LogLevel level = LogLevel::info);
  void overrun(bool ofNft);
  void fight(const Event& last, const DeviceName& names);
  static void looked(const std::string& untold, Duration took);
  void fail(const std::string& line);
  void publish(const char* kind, nlohmann::json what);

  /// One subject more often than that is no news. Who watches is told all the same.
  static constexpr int kBurst = 10;
  static constexpr std::chrono::seconds kRefill{2};

  Watchers watchers_;
  Throttle throttle_{kBurst, kRefill};
  std::set<std::string> said_;  ///< failures are said once until something works, however often they are tried again
};

}  // namespace wgsteer
