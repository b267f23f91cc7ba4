// SPDX-License-Identifier: GPL-2.0-or-later
// A look from time to time finds changes that are not announced; and which routes the kernel is asked to announce.
#include <gtest/gtest.h>

#include "engine/engine.hpp"
#include "support/fake_kernel.hpp"
#include "support/worlds.hpp"

namespace wgsteer {
namespace {

using namespace test;

class LookAround : public testing::Test {
 protected:
  LookAround() {
    kernel.real.world = twoWans();
    Engine::Observer observer;
    observer.looked = [this](const std::string& untold, std::chrono::nanoseconds) { looks.push_back(untold); };
    engine = std::make_unique<Engine>(kernel, Config{}, std::move(observer), [this] { return now += readingTakes; });
    EXPECT_TRUE(engine->start());
  }
  void poll(std::chrono::nanoseconds later) {
    now += later;
    engine->poll({});
  }
  State wanted() { return desire({}, kernel.observe({})->world); }

  FakeKernel kernel;
  std::unique_ptr<Engine> engine;
  std::vector<std::string> looks;
  std::chrono::nanoseconds now = std::chrono::hours{1};
  std::chrono::nanoseconds readingTakes{};
};

TEST_F(LookAround, FindsWhatWasNotTold) {
  // As when a nexthop object that is not modelled disappears.
  kernel.real.world.routes.erase(route("0.0.0.0/0", kWan0, "192.0.2.1", 10));
  poll(std::chrono::seconds{59});
  EXPECT_TRUE(looks.empty());
  EXPECT_NE(kernel.real.observed, wanted());
  poll(std::chrono::seconds{2});
  ASSERT_EQ(looks.size(), 1U);
  EXPECT_EQ(looks[0], "ip route default via 192.0.2.1 dev wan0 table main metric 10 proto 3 is gone");
  EXPECT_EQ(kernel.real.observed, wanted());
  poll(std::chrono::seconds{61});
  EXPECT_EQ(looks.back(), "") << "it is known by now";
  EXPECT_EQ(looks.size(), 2U);
}

TEST_F(LookAround, WaitsUntilNothingElseHappens) {
  poll(std::chrono::seconds{59});
  kernel.addForeignRoute(route("10.50.0.0/16", kWan1, "198.51.100.7"));
  now += std::chrono::seconds{2};
  engine->onEvents();
  engine->poll({});
  EXPECT_TRUE(looks.empty());
  poll(std::chrono::seconds{4});
  EXPECT_EQ(looks, std::vector<std::string>{""});
}

TEST_F(LookAround, WhatIsQueuedHasBeenTold) {
  kernel.addForeignRoute(route("10.50.0.0/16", kWan1, "198.51.100.7"));
  poll(std::chrono::seconds{61});
  EXPECT_EQ(looks, std::vector<std::string>{""});
}

TEST_F(LookAround, IsRarerWhereItTakesLong) {
  readingTakes = std::chrono::seconds{2};  // between any two looks at the clock
  poll(std::chrono::seconds{61});
  ASSERT_EQ(looks.size(), 1U);
  readingTakes = {};
  poll(std::chrono::seconds{70});
  EXPECT_EQ(looks.size(), 1U);
  poll(std::chrono::seconds{100});
  EXPECT_EQ(looks.size(), 2U);
}

TEST_F(LookAround, LearnedRoutesAreThoseOfOtherDevicesThanTheWans) {
  EXPECT_EQ(kernel.real.world.interest.uplinks, (std::set{kWan0, kWan1}));
  Route learned;
  // A company's networks would be fewer.
  for (std::size_t i = 0; i <= kMaxFedRoutes; ++i) {
    learned = route("100.64." + std::to_string(i / 250) + "." + std::to_string(i % 250) + "/32", kWan0, "192.0.2.1");
    learned.protocol = 186;
    kernel.addForeignRoute(learned);
  }
  engine->onEvents();
  EXPECT_EQ(kernel.real.world.interest.leftOut, RouteInterest::LeftOut::fed);
  EXPECT_FALSE(engine->picture().world.routes.contains(learned));
  // A device that the configuration does not name is not a WAN.
  Config config;
  config.wans = {wan("lte", "wan1", 1)};
  ASSERT_TRUE(engine->reconfigure(config));
  EXPECT_EQ(kernel.real.world.interest.uplinks, std::set{kWan1});
  EXPECT_TRUE(engine->picture().world.routes.contains(learned)) << "read, for nobody had told of it";
  ASSERT_TRUE(engine->reconfigure({}));
  EXPECT_FALSE(engine->picture().world.routes.contains(learned));
}

}  // namespace
}  // namespace wgsteer
