// SPDX-License-Identifier: GPL-2.0-or-later
// What the daemon costs while nothing happens: memory, and being woken up.
#include <unistd.h>

#include "benchmarks.hpp"

namespace wgsteer::bench {

namespace {

Process startBare(const Netns& netns, const Options& options) {
  Process bare(netns, [&] { exec({options.bare}); });
  ::usleep(200'000);  // it does not report when it is ready
  return bare;
}

}  // namespace

std::vector<Row> idle(const Options& options) {
  const Netns netns;
  addWans(netns, 2);
  const auto repetitions = static_cast<std::size_t>(options.repetitions());
  Series resident(repetitions), control[2] = {Series(repetitions), Series(repetitions)};
  Samples wakeUps, own;
  for (std::size_t repetition = 0; repetition < repetitions; ++repetition) {
    const Process daemon = startDaemon(netns, options, 2);
    const Process bare[2] = {startBare(netns, options), startBare(netns, options)};
    ::usleep(500'000);
    const std::int64_t before = daemon.voluntarySwitches();
    const int seconds = options.count(10, 3);
    ::sleep(static_cast<unsigned>(seconds));
    const std::int64_t after = daemon.voluntarySwitches();
    // Without the one poll of WireGuard per second, which is required even of a daemon without peers.
    wakeUps.push_back(static_cast<double>(after - before - seconds) / seconds);
    resident[repetition].push_back(static_cast<double>(daemon.resident()));
    own.push_back(static_cast<double>(daemon.privately()));
    for (std::size_t i = 0; i < 2; ++i) control[i][repetition].push_back(static_cast<double>(bare[i].resident()));
  }
  Row memory = compare("resident memory", "KiB", resident, control[0], control[1], 3);
  Row woken = atMost("idle wake-ups beyond the poll of each second", "1/s", median(wakeUps), 0.15);
  woken.note = "the target value is 0; a count over 10 s may include one poll more or less at its edges";
  return {memory, atMost("private memory", "KiB", median(own), 1536), woken};
}

}  // namespace wgsteer::bench
