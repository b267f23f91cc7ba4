// SPDX-License-Identifier: GPL-2.0-or-later
// A start on an empty kernel until everything is installed, against the same writes alone: prepared messages, sent one
// after the other by a program without any logic.

#include "wgsteer/core/desire.hpp"

#include "benchmarks.hpp"
#include "kernel/linux_kernel.hpp"
#include "raw_writes.hpp"

namespace wgsteer::bench {

namespace {

struct Size {
  int wans, tunnels, peers;
};

class Arm {
 public:
  Arm(const Options& options, const Size& size, const std::string& prefix, bool raw)
      : options_(options), size_(size), raw_(raw) {
    addWans(netns_, size.wans);
    tunnels_ = startTunnels(netns_, {.prefix = prefix, .count = size.tunnels, .peers = size.peers});
  }

  /// Milliseconds.
  double measure() {
    const double time = raw_ ? measureRaw() : measureDaemon();
    Process flush(netns_, [&] { exec({options_.daemon, "flush", "-c", writeConfiguration(size_.wans)}); });
    flush.await();
    return time;
  }

 private:
  double measureDaemon() {
    const std::int64_t begin = now();
    const Process daemon = startDaemon(netns_, options_, size_.wans);
    return static_cast<double>(now() - begin) / 1e6;
  }

  double measureRaw() {
    double time = 0;
    netns_.inside([&] {
      auto kernel = kernel::LinuxKernel::open();
      if (!kernel) die(kernel.error().toString());
      const auto seen = (*kernel)->observe(Numbers{});
      if (!seen) die(seen.error().toString());
      RawWrites writes(diff(desire(configuration(size_.wans), seen->world), seen->observed));
      pinTo(reactorCpu());  // on the daemon's CPU
      const std::int64_t begin = now();
      writes.make();
      time = static_cast<double>(now() - begin) / 1e6;
      pinTo(driverCpu());
    });
    return time;
  }

  const Options& options_;
  Size size_;
  bool raw_;
  Netns netns_;
  Process tunnels_;
};

}  // namespace

std::vector<Row> start(const Options& options) {
  const Size size{8, options.count(100, 10), 100};
  std::vector<Arm> arms;
  arms.reserve(3);
  arms.emplace_back(options, size, "start", false);
  arms.emplace_back(options, size, "raw", true);
  arms.emplace_back(options, size, "other", true);
  std::vector<Series> all(arms.size(), Series(static_cast<std::size_t>(options.repetitions())));
  for (std::size_t repetition = 0; repetition < all.front().size(); ++repetition)
    for (int i = 0; i < options.count(30, 2); ++i)
      for (const std::size_t who : shuffled(arms.size())) {
        pause(20'000, 30'000);
        all[who][repetition].push_back(arms[who].measure());
      }
  const std::string name = "start: 8 WANs, " + std::to_string(size.tunnels) + " tunnels, " +
                           std::to_string(size.tunnels * size.peers) + " endpoints";
  return {compare(name, "ms", all[0], all[1], all[2], 2.5)};
}

}  // namespace wgsteer::bench
