// SPDX-License-Identifier: GPL-2.0-or-later
// The first writes for an event are prepared before it happens.
#include <gtest/gtest.h>

#include "engine/engine.hpp"
#include "support/fake_kernel.hpp"
#include "support/worlds.hpp"

namespace wgsteer {
namespace {

using namespace test;

class Foresight : public testing::Test {
 protected:
  Foresight() {
    kernel.real.world = twoWans();
    kernel.refuses = [this](const Change& change) {
      tried.push_back(change);
      return false;
    };
    Engine::Observer observer;
    observer.occasion = [this](const Occasion& occasion, const DeviceName&) {
      told = occasion.plan.changes;
      toldHeldBack = occasion.plan.heldBack.size();
    };
    engine = std::make_unique<Engine>(kernel, Config{}, std::move(observer), [this] { return now; });
    EXPECT_TRUE(engine->start());
    engine->imagine();
    tried.clear();
  }

  State wanted() {
    World world = kernel.observe({})->world;
    world.wansDown = engine->picture().world.wansDown;
    return desire(engine->config(), world);
  }
  State present() { return kernel.observe({})->observed; }
  std::size_t foreseen() const { return engine->statistics().foreseen; }

  FakeKernel kernel;
  std::unique_ptr<Engine> engine;
  std::vector<Change> tried;  ///< writes, in the order in which they came to the kernel
  std::vector<Change> told;
  std::size_t toldHeldBack = 0;
  std::chrono::nanoseconds now = std::chrono::hours{1};
};

TEST_F(Foresight, WhatWasImaginedIsWrittenAndToldAsThePlanWouldBe) {
  const State before = present();
  kernel.carrier("wan0", false);
  engine->onEvents();
  EXPECT_EQ(foreseen(), 1U);
  EXPECT_EQ(present(), wanted());
  ASSERT_FALSE(tried.empty());
  EXPECT_TRUE(std::holds_alternative<DeleteRoute>(tried.front()));
  EXPECT_EQ(tried, diff(wanted(), before).changes);
  EXPECT_EQ(told, tried);
}

TEST_F(Foresight, TheReturnIsImaginedAsWell) {
  kernel.carrier("wan0", false);
  engine->onEvents();
  EXPECT_TRUE(engine->imaginationIsDue());
  engine->imagine();
  EXPECT_FALSE(engine->imaginationIsDue());
  kernel.carrier("wan0", true);
  engine->onEvents();
  EXPECT_EQ(foreseen(), 2U);
  EXPECT_EQ(present(), wanted());
}

TEST_F(Foresight, AVerdictIsAnEventLikeAnother) {
  engine->setWansDown({{"wan0", "no answer for 3 s"}});
  EXPECT_EQ(foreseen(), 1U);
  EXPECT_EQ(present(), wanted());
  engine->imagine();
  engine->setWansDown({});
  EXPECT_EQ(foreseen(), 2U);
  EXPECT_EQ(present(), wanted());
}

TEST_F(Foresight, WhatWasImaginedOfAnotherPictureIsNeverWritten) {
  kernel.carrier("wan1", false);
  kernel.carrier("wan0", false);
  engine->onEvents();
  EXPECT_EQ(foreseen(), 1U) << "the second event came to a picture that the first had changed";
  EXPECT_EQ(present(), wanted());
  kernel.carrier("wan0", true);
  engine->onEvents();
  EXPECT_EQ(foreseen(), 1U) << "nothing has been imagined since";
  EXPECT_EQ(present(), wanted());
}

TEST_F(Foresight, AWriteThatFailsIsLeftToThePlan) {
  kernel.carrier("wan0", false);
  kernel.failWrite(0, ErrorKind::io);
  engine->onEvents();
  EXPECT_EQ(foreseen(), 1U);
  EXPECT_EQ(present(), wanted());
  EXPECT_EQ(engine->statistics().failures, 0U);
}

TEST_F(Foresight, WhatIsHeldBackIsToldWithIt) {
  kernel.refuses = [](const Change& change) { return std::holds_alternative<DeleteRoute>(change); };
  kernel.carrier("wan0", false);
  engine->onEvents();
  kernel.carrier("wan1", false);
  engine->onEvents();
  EXPECT_GT(toldHeldBack, 0U);
}

TEST_F(Foresight, WhatIsRefusedAgainIsToldOnce) {
  kernel.refuses = [](const Change& change) { return std::holds_alternative<DeleteRoute>(change); };
  kernel.carrier("wan0", false);
  engine->onEvents();
  EXPECT_EQ(foreseen(), 1U);
  EXPECT_GT(engine->statistics().failures, 0U);
  kernel.heal();
  now += std::chrono::seconds{1};
  engine->onRetry();
  EXPECT_EQ(present(), wanted());
}

}  // namespace
}  // namespace wgsteer
