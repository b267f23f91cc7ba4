// SPDX-License-Identifier: GPL-2.0-or-later
// Decides which WANs are up but must not be used, separately for each family: by hand, by our own probes, or by mwan3's
// verdict. A family without a judge follows the other one.
//
// Threading: one thread, that of the loop. Failure: a probe that cannot be sent counts as not answered, unless this
// host itself blocks it; a WAN that cannot be watched (no descriptors left) is used until it can be. The reason is
// logged once.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "wgsteer/core/config.hpp"
#include "wgsteer/core/health.hpp"
#include "wgsteer/core/steering.hpp"
#include "wgsteer/core/world.hpp"
#include "wgsteer/result.hpp"

#include "daemon/wan_facts.hpp"
#include "daemon/wan_overrides.hpp"
#include "health/mwan3_watch.hpp"
#include "health/prober.hpp"
#include "os/directory_watches.hpp"
#include "os/event_loop.hpp"
#include "os/timer.hpp"

namespace wgsteer {

class WanMonitor {
 public:
  struct Told {
    /// Called on every change, with the WANs that must not be used, and why.
    std::function<void(const WansDown& down)> changed;
    /// Called once for each WAN that changed, after `changed`: for people.
    std::function<void(const std::string& name, const WanVerdicts& before, const WanVerdicts& now)> verdict;
  };

  /// `byHand` overrides everything else; call overridesChanged() when it has changed.
  WanMonitor(os::EventLoop& loop, os::DirectoryWatches& directories, const WanOverrides::ByName& byHand, Told told)
      : loop_(loop), directories_(directories), byHand_(byHand), told_(std::move(told)) {}
  WanMonitor(const WanMonitor&) = delete;
  WanMonitor& operator=(const WanMonitor&) = delete;
  ~WanMonitor() { clear(); }

  /// Watches the WANs of this configuration from now on; each with its own mark from the steering.
  void watch(const Config& config, const Steering& steering);
  /// To be called from time to time: retries what could not be watched.
  void retry();
  /// Records what the WANs offer. May be called during planning; actOnLook() acts on it.
  void look(const Steering& steering);
  /// A WAN without a link is not probed, and is trusted again when its link is back, as in mwan3 at ifup. A family
  /// without a default route or address is not probed either, if the other one is.
  void actOnLook();
  void overridesChanged() { decide(); }

  /// By name, for WANs of the configuration and those with an override.
  const std::map<std::string, WanVerdicts>& verdicts() const { return verdicts_; }
  /// What probes have measured, by the WAN's name.
  std::map<std::string, std::vector<ProbedTarget>> targets() const;

 private:
  /// Judges one family by its targets.
  struct Judge {
    WanConfig config;  ///< with only those targets
    Family family;
    bool alone;  ///< the other family has no targets: this verdict applies to both
    health::Prober prober;
    ProbeScore score;
    Damper damper;
    os::Timer next;
    Instant started{};
    bool linked = false;
    bool asking = false;
    std::string trouble{};  ///< last logged
  };
  struct Seen {
    bool linked = false;
    FamilyMap<bool> offers;  ///< whether it lacks nothing in this family
    bool operator==(const Seen&) const = default;
  };

  void addMissing();
  Status add(const WanConfig& wan, Family family);
  Status addMwan3();
  void say(const std::string& subject, const Status& done);
  void begin(Judge& judge);
  void finish(Judge& judge);
  bool offers(const std::string& wan, Family family) const;
  const Judge* judgeOf(const std::string& wan, Family family) const;
  WanVerdict verdictOf(const Judge& judge) const;
  WanVerdict mwan3Verdict(const WanConfig& wan, Family family) const;
  WanVerdict verdictOf(const std::string& name, Family family) const;
  std::map<std::string, WanVerdicts> verdictsNow() const;
  WansDown downNow(const std::map<std::string, WanVerdicts>& before) const;
  void decide();
  void clear();

  os::EventLoop& loop_;
  os::DirectoryWatches& directories_;
  const WanOverrides::ByName& byHand_;
  Told told_;
  std::vector<WanConfig> wans_;
  std::map<std::string, Mark> marks_;  ///< of the WANs, by name
  std::uint32_t markMask_ = 0;
  std::map<std::string, Seen> seen_;            ///< of the WANs, by name
  bool looked_ = false;                         ///< since actOnLook()
  std::vector<std::shared_ptr<Judge>> judges_;  ///< a handler that removes one holds it while it runs
  std::unique_ptr<health::Mwan3Watch> mwan3_;
  std::map<std::string, std::string> missing_;  ///< what could not be watched, and why, as last logged
  std::map<std::string, WanVerdicts> verdicts_;
  WansDown down_;  ///< as last reported: why each went down
};

}  // namespace wgsteer
