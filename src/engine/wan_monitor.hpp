// SPDX-License-Identifier: GPL-2.0-or-later
// Tells which WANs are up but not to be used: by hand, by probes of our own, or by what mwan3 says.
//
// Threading: one thread, that of the loop. Failure: a probe that cannot be sent counts as not answered; why is said
// once in the log.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "wgsteer/core/config.hpp"
#include "wgsteer/core/desire.hpp"
#include "wgsteer/core/health.hpp"
#include "wgsteer/core/world.hpp"
#include "wgsteer/result.hpp"

#include "engine/wan_facts.hpp"
#include "engine/wan_overrides.hpp"
#include "health/mwan3_watch.hpp"
#include "health/prober.hpp"
#include "os/event_loop.hpp"
#include "os/timer.hpp"

namespace wgsteer {

class WanMonitor {
 public:
  struct Told {
    /// Of every change: WANs that are not to be used, by name, and why.
    std::function<void(const std::map<std::string, std::string>& down)> changed;
    /// Of each WAN that changed, once, after `changed`: for people.
    std::function<void(const std::string& name, const WanVerdict& verdict)> verdict;
  };

  /// `byHand` counts more than all else; overridesChanged() is to be called when it has changed.
  WanMonitor(os::EventLoop& loop, const WanOverrides::ByName& byHand, Told told)
      : loop_(loop), byHand_(byHand), told_(std::move(told)) {}
  WanMonitor(const WanMonitor&) = delete;
  WanMonitor& operator=(const WanMonitor&) = delete;
  ~WanMonitor() { clear(); }

  /// Watches the WANs of this configuration from now on; each with its own mark, as the steering has it.
  Status watch(const Config& config, const Steering& steering);
  /// A WAN without a link is not asked, and is trusted anew when its link is back, as mwan3 does at ifup.
  void linksChanged(const World& world);
  void overridesChanged() { decide(); }

  /// By name, of WANs of the configuration and of those decided about by hand.
  const std::map<std::string, WanVerdict>& verdicts() const { return verdicts_; }
  /// What probes have measured, by the WAN's name.
  std::map<std::string, std::vector<ProbedTarget>> targets() const;

 private:
  struct Probed {
    WanConfig config;
    health::Prober prober;
    ProbeScore score;
    Damper damper;
    os::Timer next;
    Instant started{};
    bool linked = false;
    std::string trouble{};  ///< said last
  };

  Status add(const WanConfig& wan, Mark mark);
  void begin(Probed& wan);
  void finish(Probed& wan);
  WanVerdict probedVerdict(const Probed& wan) const;
  WanVerdict verdictOf(const std::string& name) const;
  std::map<std::string, WanVerdict> verdictsNow() const;
  void decide();
  void clear();

  os::EventLoop& loop_;
  const WanOverrides::ByName& byHand_;
  Told told_;
  std::vector<WanConfig> wans_;
  std::map<std::string, Mark> marks_;  ///< of the WANs, by name
  std::vector<std::unique_ptr<Probed>> probed_;
  std::optional<health::Mwan3Watch> mwan3_;
  std::map<std::string, WanVerdict> verdicts_;
  std::map<std::string, std::string> down_;  ///< as told last: why each went down
};

}  // namespace wgsteer
