// SPDX-License-Identifier: GPL-2.0-or-later
// An engine over the fake kernel, and everything that it has reported.
#pragma once

#include <gtest/gtest.h>

#include "wgsteer/core/explain.hpp"

#include "engine/engine.hpp"
#include "support/fake_kernel.hpp"
#include "support/worlds.hpp"

namespace wgsteer::test {

class EngineTest : public testing::Test {
 protected:
  EngineTest() {
    kernel.real.world = twoWans();
    engine = makeEngine({});
  }

  std::unique_ptr<Engine> makeEngine(Config config) {
    Engine::Observer observer;
    observer.moved = [this](const Move& move) {
      if (move.family == Family::v4) moves.push_back(move.tunnel + " " + move.now.wan + " " + move.why);
    };
    observer.failed = [this](const Change&, const Error& error, const DeviceName&) { failures.push_back(error.what); };
    observer.trouble = [this](const Error& error) { troubles.push_back(error.what); };
    observer.fight = [this](const Event& last, const DeviceName& names) { fights.push_back(describe(last, names)); };
    observer.retranslated = [this](std::size_t count) { retranslated.push_back(count); };
    observer.overrun = [this](bool ofNft) { overruns.push_back(ofNft); };
    observer.occasion = [this](const Occasion& occasion, const DeviceName&) {
      occasions.emplace_back(occasion.trigger, occasion.plan.changes.size());
    };
    return std::make_unique<Engine>(kernel, std::move(config), std::move(observer), [this] { return now; });
  }

  std::string wayOf(const Endpoint& endpoint) {
    const Picture seen = *kernel.observe({});
    return explain(seen.observed, seen.world, outerPacket(seen.observed, seen.world.tunnels.at("wg0"), endpoint))
        .device;
  }

  State wanted() { return desire(engine->config(), kernel.observe({})->world); }
  State present() { return kernel.observe({})->observed; }

  FakeKernel kernel;
  std::unique_ptr<Engine> engine;
  std::vector<std::string> moves;
  std::vector<std::string> failures;
  std::vector<std::string> troubles;
  std::vector<std::string> fights;
  std::vector<bool> overruns;
  std::vector<std::size_t> retranslated;
  std::vector<std::pair<Trigger, std::size_t>> occasions;
  std::chrono::nanoseconds now = std::chrono::hours{1};
};

}  // namespace wgsteer::test
