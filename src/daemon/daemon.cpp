// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/daemon.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <unistd.h>

#include "wgsteer/core/uapi_folders.hpp"

#include "control/control_name.hpp"
#include "control/control_server.hpp"
#include "daemon/deadline.hpp"
#include "daemon/journal.hpp"
#include "daemon/name_follower.hpp"
#include "daemon/resolve_once.hpp"
#include "daemon/status.hpp"
#include "daemon/wan_monitor.hpp"
#include "daemon/wan_request.hpp"
#include "log/log.hpp"
#include "os/directory_watches.hpp"
#include "os/event_loop.hpp"
#include "os/memory.hpp"
#include "os/service_manager.hpp"
#include "os/service_notify.hpp"
#include "os/signals.hpp"
#include "os/timer.hpp"

namespace wgsteer {

namespace {

/// Tunnels announce nothing, so they are read every second; if that is expensive, using at most a twentieth of a
/// processor. CPU time, not elapsed time: after a read during which this process was stopped, the next would be far
/// off.
constexpr Duration kPollPeriod = std::chrono::seconds{1};
constexpr Duration kMaxPollPeriod = std::chrono::seconds{10};
constexpr int kPollShare = 20;
/// The first one after the start, which needs most.
constexpr unsigned kPollsUntilTrim = 60;

/// Contingencies are prepared once nothing has happened for this long, using at most a twentieth of a processor: a
/// burst of events must not pay for them.
constexpr Duration kImagineAfter = std::chrono::milliseconds{1};
constexpr Duration kMaxImagineAfter = std::chrono::seconds{1};
constexpr int kImagineShare = 20;

struct Timers {
  os::Timer poll;
  os::Timer retry;
  os::Timer carrier;
  os::Timer cull;
  os::Timer quiet;

  static Result<Timers> create() {
    std::array<Result<os::Timer>, 5> timers{os::Timer::create(), os::Timer::create(), os::Timer::create(),
                                            os::Timer::create(), os::Timer::create()};
    for (const auto& timer : timers)
      if (!timer) return std::unexpected(timer.error());
    return Timers{std::move(*timers[0]), std::move(*timers[1]), std::move(*timers[2]), std::move(*timers[3]),
                  std::move(*timers[4])};
  }
};

class Daemon {
 public:
  Daemon(Kernel& kernel, const ConfigSource& source, LastGood lastGood, StartConfig start, os::EventLoop loop,
         Timers timers, os::Signals signals, ControlServer control)
      : kernel_(kernel),
        source_(source),
        lastGood_(std::move(lastGood)),
        loop_(std::move(loop)),
        timers_(std::move(timers)),
        signals_(std::move(signals)),
        control_(std::move(control)),
        engine_(kernel, std::move(start.loaded.config), observer(), os::monotonicNow),
        startText_(std::move(start.loaded.text)) {
    if (start.refused) lastReload_ = {.at = startedAt_, .atStart = true, .error = start.refused->toString()};
  }

  Result<Ended> run() {
    // Before anything else: a WAN that was disabled by hand must not be used even for a moment.
    if (const auto loaded = overrides_.load(); !loaded) log::error(loaded.error().toString());
    if (auto started = engine_.start(overrides_.down()); !started) return std::unexpected(started.error());
    if (auto wired = wire(); !wired) return std::unexpected(wired.error());
    announce();
    keep(startText_);
    const auto ended = loop_.run();
    os::serviceNotify("STOPPING=1");
    if (flushed_) return Ended::flushed;
    if (engine_.config().onExit == OnExit::flush) {
      if (auto flushed = engine_.flush(); !flushed) return std::unexpected(flushed.error());
    }
    if (!ended) return std::unexpected(ended.error());
    return Ended::stopped;
  }

 private:
  Engine::Observer observer() {
    Engine::Observer observer = journal_.observer();
    observer.steered = [this](const Steering& steering) {
      history_.update(steering, os::wallClock());
      queryMark_ = queryMark(engine_.config(), steering);
      tellNews(steering);
      wans_.look(steering);
    };
    return observer;
  }

  Status wire() {
    for (const int descriptor : kernel_.descriptors())
      if (auto done = loop_.watch(descriptor, [this] { kernelReady_ = true; }); !done) return done;
    const std::pair<int, os::EventLoop::Handler> others[] = {
        {timers_.poll.descriptor(), [this] { onPollTimer(); }},
        {timers_.retry.descriptor(), [this] { retry_.expire(); }},
        {timers_.carrier.descriptor(), [this] { carrier_.expire(); }},
        {timers_.cull.descriptor(), [this] { cull_.expire(); }},
        {timers_.quiet.descriptor(), [this] { onQuietTimer(); }},
        {signals_.descriptor(), [this] { onSignals(); }},
    };
    for (const auto& [descriptor, handler] : others)
      if (auto done = loop_.watch(descriptor, handler); !done) return done;
    // Handlers only record what is ready: everything is drained first, then there is a single plan.
    loop_.afterEach([this] { onWakeUp(); });
    retry_.arm(engine_.retryAfter());
    cull_.arm(engine_.cullAfter());
    timers_.poll.arm(kPollPeriod);
    timers_.quiet.arm(kImagineAfter);
    watchUapiFolders();
    if (auto followed = followNames(); !followed) return followed;
    watchWans();
    return control_.serve(loop_, [this](const nlohmann::json& request) { return answer(request); });
  }

  Status followNames() {
    auto follower = NameFollower::create(
        loop_, directories_,
        {.changed = [this](NamesChanged news) { engine_.setNamed(std::move(news.peers), news.gone, os::wallClock()); },
         .isOwn = [this](const Address& address) { return isOwn(engine_.picture().world, address); },
         .wanServers = [this] { return serversOfWans(engine_.config(), engine_.steering()); },
         .folders = {}});
    if (!follower) return std::unexpected(follower.error());
    names_ = std::move(*follower);
    names_->follow(engine_.config(), queryMark_);
    plansNoticed_ = engine_.statistics().plans;
    return {};
  }

  void watchWans() {
    wans_.watch(engine_.config(), engine_.steering());
    wans_.actOnLook();
  }

  /// Retries what could not be obtained: descriptors, inotify, the name of the control socket.
  void retryWhatIsMissing() {
    directories_.renew();
    if (directories_.trouble() != inotifyTrouble_) {
      inotifyTrouble_ = directories_.trouble();
      if (inotifyTrouble_.empty())
        log::info("inotify works again");
      else
        log::warn(inotifyTrouble_ + "; checking files every few seconds until inotify works again");
    }
    names_->retry();
    wans_.retry();
    if (control_.takeOwnName()) log::info("listening as @wgsteer, which has been released");
  }

  void announce() {
    const Steering steering = engine_.steering();
    std::string wans;
    for (const Wan& wan : steering.wans) wans += (wans.empty() ? "" : ", ") + wan.name;
    log::info("steering " + std::to_string(steering.tunnels.size()) + " tunnels over " +
              (wans.empty() ? "no WAN yet" : wans));
    os::serviceNotify("READY=1");
  }

  /// Logs what cannot be steered as configured or is left alone: when it begins, and again if it had ended in between.
  void tellNews(const Steering& steering) {
    std::set<std::string> current;
    for (const std::string& problem : steering.problems)
      if (current.insert(problem).second && !told_.contains(problem)) log::warn(problem);
    for (const std::string& note : steering.notes)
      if (current.insert(note).second && !told_.contains(note)) log::info(note);
    told_ = std::move(current);
  }

  void onWakeUp() {
    // A plan would put back what has just been removed.
    if (flushed_) return;
    if (kernelReady_) engine_.onEvents();
    if (quiet_ && !kernelReady_) imagine();
    if (pollDue_) poll();
    if (retry_.isDue()) engine_.onRetry();
    if (carrier_.isDue()) engine_.onCarrierCheck();
    if (cull_.isDue()) engine_.onCull();
    if (reloadDue_) (void)reload();  // it logs the outcome
    wans_.actOnLook();
    noticeNetwork();
    publishNames();
    retry_.arm(engine_.retryAfter());
    if (kernelReady_ || carrier_.isDue()) carrier_.armOnce(engine_.carrierCheckAfter());
    cull_.arm(engine_.cullAfter());
    if (engine_.imaginationIsDue()) timers_.quiet.arm(imagineAfter_);
    for (Deadline* each : {&retry_, &carrier_, &cull_}) each->done();
    kernelReady_ = pollDue_ = reloadDue_ = quiet_ = false;
  }

  void poll() {
    if (watchdogWanted_) os::serviceNotify("WATCHDOG=1");
    const auto workedBefore = os::processorTime();
    engine_.poll(os::wallClock());
    timers_.poll.arm(std::clamp(kPollShare * (os::processorTime() - workedBefore), kPollPeriod, kMaxPollPeriod));
    if (polls_++ % kPollsUntilTrim == 0) os::returnUnusedMemory();
  }

  /// If the world and our state have changed, name servers may be reached differently.
  void noticeNetwork() {
    const std::size_t plans = engine_.statistics().plans;
    if (std::exchange(plansNoticed_, plans) == plans) return;
    names_->networkChanged(queryMark_);
  }

  /// Plans caused by answers do not change how servers are reached: pending queries need not be repeated.
  void publishNames() {
    names_->publish();
    plansNoticed_ = engine_.statistics().plans;
  }

  void imagine() {
    const auto workedBefore = os::processorTime();
    engine_.imagine();
    imagineAfter_ = std::clamp(kImagineShare * (os::processorTime() - workedBefore), kImagineAfter, kMaxImagineAfter);
  }

  /// The timer is armed again at each wake-up, so it expires when there has been none.
  void onQuietTimer() {
    timers_.quiet.acknowledge();
    quiet_ = true;
  }

  void onPollTimer() {
    timers_.poll.acknowledge();
    retryWhatIsMissing();
    journal_.catchUp();
    pollDue_ = true;
  }

  /// A tunnel in user space is recognised by its socket; the folders may be created with the first tunnel.
  void watchUapiFolders() {
    for (const char* folder : kUapiFolders)
      uapi_.push_back(directories_.add(folder, [this](const auto&) { pollDue_ = true; }));
    uapi_.push_back(directories_.add(kUapiParent, [this](const os::DirectoryWatches::Names& names) {
      const bool concerns = std::ranges::any_of(kUapiFolders, [&](std::string_view folder) {
        return names.contains(std::string{folder.substr(folder.rfind('/') + 1)});
      });
      if (!concerns) return;
      directories_.renew();
      pollDue_ = true;
    }));
  }

  void onSignals() {
    while (const auto number = signals_.next()) {
      if (*number == SIGHUP)
        reloadDue_ = true;
      else
        loop_.stop();
    }
  }

  Status reload() {
    os::serviceNotify(
        "RELOADING=1\nMONOTONIC_USEC=" +
        std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(os::monotonicNow()).count()));
    Status done = takeOver();
    lastReload_ = {.at = os::wallClock(), .error = {}};
    if (!done) lastReload_->error = done.error().toString();
    if (done)
      log::info("configuration reloaded");
    else
      log::error(done.error().toString() + "; the previous configuration stays in use");
    os::serviceNotify("READY=1");
    return done;
  }

  Status takeOver() {
    auto loaded = loadConfig(source_);
    if (!loaded) return std::unexpected(loaded.error());
    const LogLevel level = loaded->config.logLevel;
    if (auto done = engine_.reconfigure(std::move(loaded->config)); !done) return done;
    log::setLevel(level);
    names_->follow(engine_.config(), queryMark_);
    watchWans();
    keep(loaded->text);
    return {};
  }

  /// Keeps the configuration in use, for a start with a broken file.
  void keep(std::string_view text) {
    if (const Status kept = lastGood_.keep(text); !kept)
      log::warn("cannot keep a copy of this configuration for a start with a broken file: " + kept.error().toString());
  }

  nlohmann::json answer(const nlohmann::json& whole) {
    if (flushed_) return {{"error", "wgsteer has been flushed and is stopping"}};
    const std::string request = whole.at("request");
    if (request == "status") return status();
    if (request == "reload") {
      const Status done = reload();
      if (done) return {{"ok", true}};
      return {{"error", done.error().toString()}};
    }
    if (request == "plan") {
      const auto pending = engine_.pending(os::wallClock());
      if (pending) return {{"ok", true}, {"changes", pending->changes}, {"notes", pending->notes}};
      return {{"error", pending.error().toString()}};
    }
    if (request == "wan") return setByHand(whole);
    if (request == "flush") return flushAndStop();
    return {{"error", "unknown request, known: status, plan, monitor, wan, reload, flush"}};
  }

  /// Connections on exits are counted by whoever asks, because reading all of them would hold up a failover.
  nlohmann::json status() {
    const Counters counters = kernel_.counters().value_or(Counters{});
    return {{"ok", true},
            {"status", statusDocument(engine_.config(), engine_.picture(), facts(counters.handshakes), counters.rules,
                                      os::wallClock())}};
  }

  /// First the kernel, then the disk.
  nlohmann::json setByHand(const nlohmann::json& request) {
    std::set<std::string> known;
    for (const Wan& wan : engine_.steering().wans) known.insert(wan.name);
    for (const auto& [name, decision] : overrides_.all()) known.insert(name);
    const auto asked = readWanRequest(request, known);
    if (!asked) return {{"error", asked.error().toString()}};
    const Status remembered = overrides_.set(asked->name, asked->decision, [this] { wans_.overridesChanged(); });
    if (remembered) return {{"ok", true}};
    const std::string warning = "this override is lost when the daemon stops: " + remembered.error().toString();
    log::warn("WAN " + asked->name + " by hand: " + warning);
    return {{"ok", true}, {"warning", warning}};
  }

  /// As long as the daemon runs, it would put back what is removed, so it stops as well.
  nlohmann::json flushAndStop() {
    log::info("flushing, as requested on the control socket");
    flushed_ = true;
    loop_.stop();
    if (const auto flushed = engine_.flush(); !flushed)
      return {{"error", flushed.error().toString() + "; the daemon is stopping, run flush again to remove the rest"}};
    const os::ServiceManager by = os::serviceManager();
    return {{"ok", true}, {"manager", by.name}, {"unit", by.unit}};
  }

  DaemonFacts facts(const HandshakesByWan& handshakes) {
    return {.pid = getpid(),
            .startedAt = startedAt_,
            .lastReload = lastReload_,
            .statistics = engine_.statistics(),
            .wans = {.times = history_.all(),
                     .verdicts = wans_.verdicts(),
                     .targets = wans_.targets(),
                     .handshakes = handshakes}};
  }

  Kernel& kernel_;
  const ConfigSource& source_;
  const LastGood lastGood_;
  os::EventLoop loop_;
  Timers timers_;
  os::Signals signals_;
  os::DirectoryWatches directories_{loop_};
  std::string inotifyTrouble_;
  std::vector<os::DirectoryWatches::Watch> uapi_;
  ControlServer control_;
  Journal journal_{{.watched = [this] { return control_.watched(); },
                    .publish = [this](const nlohmann::json& document) { control_.publish(document); }}};
  WanHistory history_;
  std::set<std::string> told_;
  Mark queryMark_;  ///< of name server queries, by the last plan
  Engine engine_;
  const std::string startText_;
  std::unique_ptr<NameFollower> names_;
  WanOverrides overrides_;
  WanMonitor wans_{loop_,
                   directories_,
                   overrides_.all(),
                   {.changed = [this](const WansDown& down) { engine_.setWansDown(down); },
                    .verdict = [this](const std::string& name, const WanVerdicts& before,
                                      const WanVerdicts& now) { journal_.wan(name, before, now); }}};
  std::size_t plansNoticed_ = 0;
  WallSeconds startedAt_ = os::wallClock();
  std::optional<LastReload> lastReload_;
  Deadline retry_{timers_.retry};
  Deadline carrier_{timers_.carrier};
  Deadline cull_{timers_.cull};
  const bool watchdogWanted_ = os::watchdogWanted();
  bool kernelReady_ = false;
  bool pollDue_ = false;
  bool reloadDue_ = false;
  bool quiet_ = false;
  unsigned polls_ = 0;  ///< since the start
  Duration imagineAfter_ = kImagineAfter;
  bool flushed_ = false;
};

}  // namespace

Result<Ended> runDaemon(Kernel& kernel, const ConfigSource& source) {
  LastGood lastGood{source.file};
  auto start = configForStart(source, lastGood);
  if (!start) return std::unexpected(start.error());
  if (start->refused) {
    log::error(start->refused->toString());
    log::warn(start->instead + " is used; correct the file, then run `wgsteer reload`");
  }
  log::setLevel(start->loaded.config.logLevel);
  auto control = ControlServer::open(ControlAccess::ofGroup(kControlGroup));
  if (!control) return std::unexpected(control.error());
  if (!control->isUnderOwnName())
    log::warn("control socket @wgsteer is held by a user other than root; this daemon listens as @" + control->name() +
              " until it is released");
  auto signals = os::Signals::create({SIGTERM, SIGINT, SIGHUP});
  if (!signals) return std::unexpected(signals.error());
  auto loop = os::EventLoop::create();
  if (!loop) return std::unexpected(loop.error());
  auto timers = Timers::create();
  if (!timers) return std::unexpected(timers.error());
  Daemon daemon{kernel,
                source,
                std::move(lastGood),
                std::move(*start),
                std::move(*loop),
                std::move(*timers),
                std::move(*signals),
                std::move(*control)};
  return daemon.run();
}

Status runOnce(Kernel& kernel, const ConfigSource& source) {
  if (const auto daemon = connectToDaemon(); daemon || daemon.error().kind == ErrorKind::busy)
    return fail(
        ErrorKind::alreadyThere,
        "wgsteer is already running in this network namespace and does all that --once would; use wgsteer reload to "
        "reload its configuration");
  auto loaded = loadConfig(source);
  if (!loaded) return std::unexpected(loaded.error());
  log::setLevel(loaded->config.logLevel);
  Journal journal;
  Engine engine{kernel, std::move(loaded->config), journal.observer(), os::monotonicNow};
  WanOverrides byHand;
  if (const auto known = byHand.load(); !known) log::error(known.error().toString());
  if (auto started = engine.start(byHand.down()); !started) return started;
  auto resolved = resolveOnce(engine.config(), engine.picture().world);
  if (!resolved) return std::unexpected(resolved.error());
  engine.setNamed(std::move(*resolved), {}, os::wallClock());
  // Addresses that we have deprecated are announced, and the table is to record when that was.
  engine.onEvents();
  if (engine.retryAfter()) return fail(ErrorKind::io, "some changes failed, see above");
  return {};
}

}  // namespace wgsteer
