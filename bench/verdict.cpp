// SPDX-License-Identifier: GPL-2.0-or-later
// From the verdict that a WAN is dead to the last write that follows from it: routes, the chosen source in nftables,
// WireGuard's cached sources, resolving the next gateway. Against the same writes alone.
#include <fcntl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <memory>
#include <optional>
#include <unistd.h>

#include "wgsteer/core/desire.hpp"

#include "benchmarks.hpp"
#include "daemon/journal.hpp"
#include "engine/engine.hpp"
#include "kernel/linux_kernel.hpp"
#include "log/log.hpp"
#include "netlink/wire.hpp"
#include "os/timer.hpp"
#include "raw_writes.hpp"

namespace wgsteer::bench {

namespace {

const WansDown kDead{{wanName(0), "1 of 1 target unanswered for 3 rounds"}};

/// Writes the log to a file, like a daemon.
void logToFile() {
  log::open(LogLevel::info);
  const int file = ::open("/run/verdict.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  need(file >= 0 && ::dup2(file, STDERR_FILENO) >= 0, "/run/verdict.log");
}

Prebuilt warming(int device, const std::string& gateway) {
  netlink::Message message{RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK};
  auto& header = message.extra<ndmsg>();
  header.ndm_family = AF_INET;
  header.ndm_ifindex = device;
  header.ndm_flags = NTF_USE;
  message.bytes(NDA_DST, Address::parse(gateway)->bytes());
  const auto bytes = message.finished();
  const auto* data = reinterpret_cast<const char*>(bytes.data());
  return {data, data + bytes.size()};
}

/// An engine that has converged, and next to it the writes of the same two changes, made beforehand.
class Arm {
 public:
  Arm(const Config& config, const std::string& prefix, bool raw) : raw_(raw), tunnel_(prefix + "0") {
    addWans(netns_, 2);
    tunnels_ = startTunnels(netns_, {.prefix = prefix, .count = 1, .peers = 1});
    netns_.inside([&] {
      auto opened = kernel::LinuxKernel::open();
      if (!opened) die(opened.error().toString());
      kernel_ = std::move(*opened);
      Engine::Observer observer = journal_.observer();
      // This is the first report after the last write.
      observer.occasion = [this, tell = observer.occasion](const Occasion& occasion, const DeviceName& names) {
        written_ = now();
        tell(occasion, names);
      };
      engine_.emplace(*kernel_, config, std::move(observer), os::monotonicNow);
      if (const auto started = engine_->start(); !started) die(started.error().toString());
      engine_->imagine();
    });
    if (raw) prepare();
  }

  /// Microseconds.
  double measure() {
    double time = 0;
    netns_.inside([&] {
      const std::int64_t begin = now();
      raw_ ? down_->make() : engine_->setWansDown(kDead);
      time = static_cast<double>((raw_ ? now() : written_) - begin) / 1000;
      raw_ ? up_->make() : engine_->setWansDown({});
      // As the daemon does when nothing has happened for a while; the control's messages are prepared as well.
      engine_->imagine();
    });
    return time;
  }

 private:
  void prepare() {
    Picture well = engine_->picture();
    Picture dead = well;
    dead.world.wansDown = kDead;
    const State wanted[] = {desire(engine_->config(), well.world), desire(engine_->config(), dead.world)};
    const int devices[] = {deviceIndex(netns_, wanName(0)), deviceIndex(netns_, wanName(1))};
    // As WireGuardUapi::clearSources() has it: another mark of the same meaning, and back.
    const std::uint32_t mark = wanted[0].tunnelMarks.at(tunnel_).value;
    const std::string clearing =
        "set=1\nfwmark=" + std::to_string(mark | 1) + "\nfwmark=" + std::to_string(mark) + "\n\n";
    netns_.inside([&] {
      down_.emplace(diff(wanted[1], wanted[0]), engine_->config().numbers);
      up_.emplace(diff(wanted[0], wanted[1]), engine_->config().numbers);
    });
    for (auto* writes : {&*down_, &*up_}) {
      writes->add(tunnel_, clearing);
      if (writes == &*up_) writes->add(warming(devices[0], wanGateway(0)));
      writes->add(warming(devices[1], wanGateway(1)));
    }
  }

  bool raw_;
  std::string tunnel_;
  Netns netns_;
  Process tunnels_;
  Journal journal_;
  std::int64_t written_ = 0;
  std::unique_ptr<kernel::LinuxKernel> kernel_;
  std::optional<Engine> engine_;
  std::optional<RawWrites> down_, up_;
};

/// With a rule that sends a LAN by both WANs.
Config withRule() {
  Config config = configuration(2);
  config.numbers.markMask = kTrafficMarkMask;
  RuleConfig rule;
  rule.name = "lan";
  rule.source.any = {*Prefix::parse("10.9.0.0/16")};
  rule.policy = kDefaultPolicy;
  config.rules.push_back(rule);
  return config;
}

Row fromVerdict(const Options& options, const Config& config, const std::string& name, double target) {
  const std::string prefix = config.rules.empty() ? "" : "rule";
  std::vector<std::unique_ptr<Arm>> arms;
  arms.push_back(std::make_unique<Arm>(config, prefix + "verdict", false));
  for (const char* which : {"raw", "other"}) arms.push_back(std::make_unique<Arm>(config, prefix + which, true));
  std::vector<Series> all(arms.size(), Series(static_cast<std::size_t>(options.repetitions())));
  for (std::size_t repetition = 0; repetition < all.front().size(); ++repetition)
    for (int i = 0; i < options.count(500, 20); ++i)
      for (const std::size_t who : shuffled(arms.size())) {
        pause(800, 1500);
        all[who][repetition].push_back(arms[who]->measure());
      }
  return compare(name, "us", all[0], all[1], all[2], target);
}

}  // namespace

std::vector<Row> verdict(const Options& options) {
  logToFile();
  // Everything on one CPU, like the daemon; changing CPUs each time would be part of the result.
  pinTo(reactorCpu());
  return {fromVerdict(options, configuration(2), "probe verdict to the last write, p50", 1.15),
          fromVerdict(options, withRule(), "probe verdict to the last write, with a rule, p50", 1.3)};
}

}  // namespace wgsteer::bench
