// SPDX-License-Identifier: GPL-2.0-or-later
// Random worlds, configurations and leftovers of earlier runs, from a seed: WGSTEER_SEED=N replays one.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "wgsteer/core/config.hpp"
#include "wgsteer/core/state.hpp"
#include "wgsteer/core/world.hpp"

namespace wgsteer::test {

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  /// 0 .. below-1
  unsigned number(unsigned below) { return static_cast<unsigned>(engine_() % below); }
  bool chance(unsigned percent) { return number(100) < percent; }
  std::mt19937_64& engine() { return engine_; }

 private:
  std::mt19937_64 engine_;
};

/// WANs in all conditions, LANs, tunnels that hold default routes or halves, peers inside each other's ranges and in
/// the subnets of WANs and LANs, the kernel's own rules, foreign rules and routes.
World randomWorld(Random& random);
/// No configuration at all, or WANs, policies and pins that fit the world.
Config randomConfig(Random& random, const World& world);
/// Part of what another configuration or layout would have left.
State randomLeftovers(Random& random, const World& world);

/// Seeds of a property test: only that of WGSTEER_SEED, or 1 .. count.
std::vector<std::uint64_t> seeds(std::uint64_t count);

}  // namespace wgsteer::test
