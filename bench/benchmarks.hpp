// SPDX-License-Identifier: GPL-2.0-or-later
// Every benchmark; README.md says what their numbers mean.
#pragma once

#include <vector>

#include "stats.hpp"
#include "wans.hpp"

namespace wgsteer::bench {

std::vector<Row> reaction(const Options& options);
/// Reaction with 100 000 endpoints in the set.
std::vector<Row> many(const Options& options);
std::vector<Row> elements(const Options& options);
std::vector<Row> repair(const Options& options);

std::vector<Row> flood(const Options& options);
std::vector<Row> packets(const Options& options);
/// Connections through a gateway, with rules for any traffic.
std::vector<Row> connections(const Options& options);
std::vector<Row> failover(const Options& options);
/// Failover with 100 000 endpoints in the set.
std::vector<Row> crowd(const Options& options);
std::vector<Row> start(const Options& options);
std::vector<Row> dns(const Options& options);
/// Ten thousand peers in a hundred tunnels.
std::vector<Row> peers(const Options& options);
std::vector<Row> idle(const Options& options);
std::vector<Row> probes(const Options& options);
std::vector<Row> verdict(const Options& options);

/// 0 .. count - 1 in random order: the order within a turn must not matter.
std::vector<std::size_t> shuffled(std::size_t count);
/// Sleeps for a random time between these limits, so that nothing synchronises with a timer.
void pause(int leastMicroseconds, int mostMicroseconds);

}  // namespace wgsteer::bench
