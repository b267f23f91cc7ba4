// SPDX-License-Identifier: GPL-2.0-or-later
// Events in, plans out: keeps kernel state equal to what the configuration and the observed world require. It has no
// sockets, clock or log of its own, so that tests can drive it over a fake kernel.
//
// Threading: one thread; every method returns when the kernel has answered. Failure: a failed change is reported to the
// observer and tried again after retryAfter(); changes that do not rely on it are made at once.
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "wgsteer/core/config.hpp"
#include "wgsteer/core/connection_marks.hpp"
#include "wgsteer/core/contingency.hpp"
#include "wgsteer/core/describe.hpp"
#include "wgsteer/core/endpoint_moves.hpp"
#include "wgsteer/core/event.hpp"
#include "wgsteer/core/histogram.hpp"
#include "wgsteer/core/in_use.hpp"
#include "wgsteer/core/inspect.hpp"
#include "wgsteer/core/pending.hpp"
#include "wgsteer/core/plan.hpp"
#include "wgsteer/core/planner.hpp"
#include "wgsteer/core/refusals.hpp"
#include "wgsteer/core/stall_watch.hpp"
#include "wgsteer/core/time.hpp"
#include "wgsteer/core/track.hpp"
#include "wgsteer/kernel.hpp"

#include "engine/carrier_watch.hpp"
#include "engine/connection_culler.hpp"
#include "engine/gateway_keeper.hpp"
#include "engine/look_schedule.hpp"
#include "engine/repair_limiter.hpp"
#include "engine/source_clearer.hpp"
#include "engine/spare_connections.hpp"
#include "engine/wrong_translations.hpp"

namespace wgsteer {

struct EngineStatistics {
  std::size_t wakeUps = 0;    ///< wake-ups with at least one relevant event
  std::size_t plans = 0;      ///< plans that were not empty
  std::size_t changes = 0;    ///< changes made in the kernel
  std::size_t failures = 0;   ///< changes that the kernel refused
  std::size_t resyncs = 0;    ///< everything read again: events lost, or a change that failed
  std::size_t overruns = 0;   ///< times that the kernel had more events than the socket could hold (ENOBUFS)
  std::size_t foreseen = 0;   ///< times that the first writes for an event were prepared
  std::size_t failovers = 0;  ///< a policy's WAN changed
  std::size_t fights = 0;     ///< times that our state was deleted faster than repairs are allowed
  /// Time from the wake-up to the last change made, by its trigger.
  std::array<Histogram, kTriggerNames.size()> applied;
};

/// One relevant wake-up.
struct Occasion {
  Trigger trigger = Trigger::start;
  const std::vector<Event>& heard;  ///< the events, or the first ones if there were very many
  const Plan& plan;                 ///< empty: nothing had to be changed
  std::size_t failed = 0;           ///< changes that the kernel refused
  Duration took{};                  ///< from the wake-up to the last change made
};

class Engine {
 public:
  /// Receives everything that happens, for the log and `monitor`. Called after the kernel has been changed.
  struct Observer {
    std::function<void(const Occasion&, const DeviceName&)> occasion;
    std::function<void(const Change&, const Error&, const DeviceName&)> failed;
    std::function<void(const Move&)> moved;
    /// A peer that is known by a host name has been given another endpoint.
    std::function<void(const PeerId&, const NamedPeer&, const std::optional<Endpoint>& before, const Endpoint& now)>
        endpointMoved;
    /// A peer that does not answer was moved to another path, or answers over its usual one again.
    std::function<void(const StallNews&)> stalled;
    /// Events were lost, those of nftables or all others; what they were about has been read again.
    std::function<void(bool ofNft)> overrun;
    /// The connections that carry this mark begin anew, because their exit has died.
    ConnectionCuller::Tell culled;
    /// So many connections begin anew, because they were translated to an address of another WAN than theirs.
    WrongTranslations::Tell retranslated;
    /// Idle connections that carry this mark begin anew, because there is a better exit again.
    SpareConnections::Tell drained;
    /// An address is deprecated, or preferred again; `wan`: whose prefix it is in, empty if no WAN has it now.
    std::function<void(const SetDeprecated&, const std::string& wan, const DeviceName&)> deprecated;
    /// Another program keeps deleting our state. Called once; from here on repairs are rate-limited.
    std::function<void(const Event& last, const DeviceName&)> fight;
    std::function<void(const Error&)> trouble;
    /// The kernel state was read again; `untold`: the change that no event announced, empty if there was none.
    std::function<void(const std::string& untold, Duration took)> looked;
    /// After each plan: the WANs and tunnels that it was made from.
    std::function<void(const Steering&)> steered;
  };
  using Now = std::function<Instant()>;

  Engine(Kernel& kernel, Config config, Observer observer, Now now);

  /// Subscribes, reads everything and converges. Fails if the kernel cannot be read, or with ErrorKind::refused if the
  /// marks or tables of another program conflict (unless `force`); nothing has been changed then. `wansDown`: as in
  /// setWansDown(), respected from the first plan on.
  Status start(WansDown wansDown = {});
  /// Processes queued events, plans once, and commits. To be called whenever a descriptor of the kernel is readable.
  void onEvents();
  /// Reads tunnels again: roaming, ports, marks and handshakes are not announced. Gives peers that have gone back to an
  /// address which their name no longer has their new endpoint again (packets that were still under way from the old
  /// one make WireGuard roam), and sends peers that do not answer by another path. Once a minute, when nothing else
  /// happens, also reads what normally is announced, because the kernel makes some changes silently.
  void poll(WallSeconds wallClock);
  /// Queries the carriers of the WANs, when carrierCheckAfter() has passed.
  void onCarrierCheck();
  /// The current addresses of peers' host names, if they have changed, and peers that no longer have one: packets to
  /// all addresses are steered, then peers are given new endpoints (unless their tunnel's update_endpoint is off).
  void setNamed(std::map<PeerId, NamedPeer> changed, const std::set<PeerId>& gone, WallSeconds wallClock);
  /// Imagines what may happen next and prepares the first writes for it (core/contingency.hpp). To be called when there
  /// is nothing else to do, while imaginationIsDue().
  void imagine();
  bool imaginationIsDue() const { return !imagined_; }
  /// When cullAfter() has passed: deletes connections of exits that have died or are not the best.
  void onCull();
  /// Sets the WANs that are up but must not be used, and why.
  void setWansDown(WansDown down);
  /// Sends peers that do not answer over the given WANs, to the given addresses.
  void divert(StallOutcome outcome);
  /// When retryAfter() has passed: reads everything again and converges.
  void onRetry();
  /// Switches to a new configuration; on a conflict the old one stays.
  Status reconfigure(Config config);
  /// Removes everything that is ours.
  Status flush();

  /// What would change now: compares the actual kernel state, read again, with the plan.
  Result<Pending> pending(WallSeconds wallClock);

  /// When to call onRetry(); nullopt while all is well.
  std::optional<Duration> retryAfter() const;

  /// When to call onCarrierCheck(); nullopt while the carriers are stable.
  std::optional<Duration> carrierCheckAfter() const;

  /// When to call onCull(); nullopt if no connections have to be deleted.
  std::optional<Duration> cullAfter() const;

  const Config& config() const { return config_; }
  const Picture& picture() const { return picture_; }
  const EngineStatistics& statistics() const { return statistics_; }
  /// Borrows the picture, which the next event changes.
  Steering steering() { return planner_.steer(config_, picture_.world); }

 private:
  using Source = std::function<void(const Kernel::Sink&)>;
  struct Committed {
    CommitReport report;
    Duration took{};
  };
  Status refuseConflicts(const Config& config) const;
  void wake(Trigger trigger);
  /// What was imagined of the picture as it is. Nothing is freed on the way of an event: imagine() does that.
  std::span<const Contingency> foreseen() const {
    return imagined_ ? std::span<const Contingency>{contingencies_} : std::span<const Contingency>{};
  }
  bool actAhead(std::optional<std::size_t> contingency);
  void digest(const Source& source);
  /// `damage`: the last event, if all were about something of ours that another program deleted.
  void react(const Tracked& all, const std::optional<Event>& damage);
  bool mayRepair(const Event& last);
  bool isWan(const Event& event) const;
  void pollTunnels();
  void followNames(WallSeconds wallClock);
  bool timeToLook() const;
  void lookAround();
  void converge();
  bool convergeOnce();
  bool attend(const Steering& steering);
  Committed commit(const Plan& plan, State desired);
  bool lookInto(const CommitReport& report);
  void tell(const Plan& plan, const Committed& committed);
  bool reread(const Stale& stale);
  void tellTunnelTroubles(const std::map<IfName, std::string>& before) const;
  bool resync();
  Result<Picture> lookAnew();
  std::vector<Move> noteMoves(const Steering& steering);
  void clearSources(const Tunnel& tunnel);
  bool isInTable(const EndpointMove& move) const;
  bool moveEndpoint(const IfName& tunnel, std::size_t peer, const Endpoint& to);
  void forgetTranslations(const Steering& steering, const TunnelView& view);
  using Pinned = std::map<std::pair<Family, Mark>, PinnedWay>;
  Pinned pinned() const;
  void paceDeprecations();
  void tellDeprecated(const std::vector<Change>& made, const Steering& steering);
  void cullConnections(const Pinned& before, const Steering& steering);
  void unmark(const std::optional<ConnectionMarks>& before);
  std::map<ExitName, std::optional<Address>> noteExitSources(const Steering& steering);
  void keepGateways(const Steering& steering);
  void report(const Error& error) const;
  void failedToRead(const Error& error);

  Kernel& kernel_;
  Config config_;
  Observer observer_;
  Now now_;
  Picture picture_;
  Planner planner_;
  EngineStatistics statistics_;
  InUseTracker inUse_;
  /// A route may have been missing for an unknown time: packets may have used another WAN, and WireGuard in user space
  /// stays there (its sockets are sticky) for as long as that one answers.
  bool strayed_ = false;
  bool endpointsMoved_ = false;  ///< the previous ones may still be in our table
  Refusals refusals_;
  LookSchedule looks_;
  Instant wokenAt_{};
  Instant heardAt_{};   ///< the last relevant event
  Instant lookedAt_{};  ///< when everything was last read
  static constexpr Duration kLookPeriod = std::chrono::seconds{60};
  Duration lookPeriod_ = kLookPeriod;
  Trigger trigger_ = Trigger::start;
  std::vector<Event> heard_;
  std::vector<Contingency> contingencies_;  ///< for the picture at the time that they were imagined
  bool imagined_ = false;                   ///< the picture has not changed since
  std::vector<Change> ahead_;               ///< prepared writes made in this wake-up, before the plan
  RepairLimiter repairs_;
  CarrierWatch carrierWatch_;
  SourceClearer sources_{kernel_};
  /// The last address of each exit, by the WAN's name: of connections there, it is the translated source.
  std::map<ExitName, Address> exitSources_;
  std::set<ExitName> sourced_;  ///< those that have had it ever since
  GatewayKeeper gateways_;
  /// When we last deprecated an address. Whoever makes it preferred again is overruled once a second at most.
  std::map<Address, Instant> deprecatedAt_;
  std::optional<Instant> deprecateAgain_;
  ConnectionCuller culler_{kernel_};
  WrongTranslations translations_{kernel_};
  SpareConnections spare_{kernel_};
  StallWatch stalls_;
};

}  // namespace wgsteer
