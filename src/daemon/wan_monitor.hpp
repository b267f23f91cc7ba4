// SPDX-License-Identifier: GPL-2.0-or-later
// Tells which WANs are up but not to be used, each family for itself: by hand, by probes of our own, or by what mwan3
// says. A family that nobody judges follows the other one.
//
// Threading: one thread, that of the loop. Failure: a probe that cannot be sent counts as not answered, unless it is
// this host that does not let it out; a WAN that cannot be watched (no descriptor is left) is used until it can. Why is
// said once in the log.
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
    /// Of every change: WANs that are not to be used, and why.
    std::function<void(const WansDown& down)> changed;
    /// Of each WAN that changed, once, after `changed`: for people.
    std::function<void(const std::string& name, const WanVerdicts& before, const WanVerdicts& now)> verdict;
  };

  /// `byHand` counts more than all else; overridesChanged() is to be called when it has changed.
  WanMonitor(os::EventLoop& loop, os::DirectoryWatches& directories, const WanOverrides::ByName& byHand, Told told)
      : loop_(loop), directories_(directories), byHand_(byHand), told_(std::move(told)) {}
  WanMonitor(const WanMonitor&) = delete;
  WanMonitor& operator=(const WanMonitor&) = delete;
  ~WanMonitor() { clear(); }

  /// Watches the WANs of this configuration from now on; each with its own mark, as the steering has it.
  void watch(const Config& config, const Steering& steering);
  /// To be called now and then: what could not be watched is tried again.
  void retry();
  /// What WANs have by themselves. May be told while a plan is made: actOnLook() acts.
  void look(const Steering& steering);
  /// A WAN without a link is not asked, and is trusted anew when its link is back, as mwan3 does at ifup. A family that
  /// has no default route or address is not asked either, if the other one is.
  void actOnLook();
  void overridesChanged() { decide(); }

  /// By name, of WANs of the configuration and of those decided about by hand.
  const std::map<std::string, WanVerdicts>& verdicts() const { return verdicts_; }
  /// What probes have measured, by the WAN's name.
  std::map<std::string, std::vector<ProbedTarget>> targets() const;

 private:
  /// The targets of one family, and what they say.
  struct Judge {
    WanConfig config;  ///< with those targets alone
    Family family;
    bool alone;  ///< the other family has no targets: this one's verdict is that of both
    health::Prober prober;
    ProbeScore score;
    Damper damper;
    os::Timer next;
    Instant started{};
    bool linked = false;
    bool asking = false;
    std::string trouble{};  ///< said last
  };
  struct Seen {
    bool linked = false;
    FamilyMap<bool> offers;  ///< lacks nothing in this family
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
  std::vector<std::shared_ptr<Judge>> judges_;  ///< a handler that ends one holds it for as long as it runs
  std::unique_ptr<health::Mwan3Watch> mwan3_;
  std::map<std::string, std::string> missing_;  ///< what could not be watched, and why, as said last
  std::map<std::string, WanVerdicts> verdicts_;
  WansDown down_;  ///< as told last: why each went down
};

}  // namespace wgsteer
