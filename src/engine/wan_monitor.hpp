// SPDX-License-Identifier: GPL-2.0-or-later
// Tells which of the configured WANs are up but do not work: by probes of our own, or by what mwan3 says.
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

#include "health/mwan3_watch.hpp"
#include "health/prober.hpp"
#include "os/event_loop.hpp"
#include "os/timer.hpp"

namespace wgsteer {

class WanMonitor {
 public:
  /// Told of every change: WANs that are not to be used, by name, and why.
  using Changed = std::function<void(const std::map<std::string, std::string>& down)>;

  WanMonitor(os::EventLoop& loop, Changed changed) : loop_(loop), changed_(std::move(changed)) {}
  WanMonitor(const WanMonitor&) = delete;
  WanMonitor& operator=(const WanMonitor&) = delete;
  ~WanMonitor() { clear(); }

  /// Watches the WANs of this configuration from now on; each with its own mark, as the steering has it.
  Status watch(const Config& config, const Steering& steering);
  /// A WAN without a link is not asked, and is trusted anew when its link is back, as mwan3 does at ifup.
  void linksChanged(const World& world);

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
  void decide();
  void clear();

  os::EventLoop& loop_;
  Changed changed_;
  std::vector<WanConfig> wans_;
  std::map<std::string, Mark> marks_;  ///< of the WANs, by name
  std::vector<std::unique_ptr<Probed>> probed_;
  std::optional<health::Mwan3Watch> mwan3_;
  std::map<std::string, std::string> down_;
};

}  // namespace wgsteer
