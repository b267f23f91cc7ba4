// SPDX-License-Identifier: GPL-2.0-or-later
// Prefixes of a WAN that cannot be used, over time: what others write, how often that is overruled, and restarts.
#include <algorithm>
#include <gtest/gtest.h>

#include "engine_fixture.hpp"

namespace wgsteer {
namespace {

using namespace test;
using namespace std::chrono_literals;

constexpr IfIndex kLan{20};
const OwnAddress kOwn{kLan, *Address::parse("2001:db8:a::1"), 64};

World withPrefixes() {
  World world = twoWans();
  world.links.emplace(kLan, link(kLan, "br-lan", "bridge"));
  for (const char* prefix : {"2001:db8:a::1/64", "2001:db8:b::1/64"}) {
    InterfaceAddress own = address(kLan, prefix);
    own.lifetimes = {.preferred = {1800}, .written = 1};
    world.addresses.insert(own);
  }
  return world;
}

Config deprecating() {
  Config config = fiberAndLte();
  config.wans[0].prefixes = {*Prefix::parse("2001:db8:a::/56")};
  config.wans[1].prefixes = {*Prefix::parse("2001:db8:b::/56")};
  for (WanConfig& wan : config.wans) wan.deprecate = true;
  return config;
}

class Deprecating : public EngineTest {
 protected:
  Deprecating() {
    kernel.real.world = withPrefixes();
    engine = makeEngine(deprecating());
  }

  bool isDeprecated() { return std::ranges::find(kernel.real.world.addresses, kOwn, ownAddress)->deprecated; }
  Preferred preferred() {
    return std::ranges::find(kernel.real.world.addresses, kOwn, ownAddress)->lifetimes.preferred;
  }
};

TEST_F(Deprecating, FollowsTheWanAndItsOwnEchoes) {
  ASSERT_TRUE(engine->start());
  EXPECT_FALSE(isDeprecated());
  engine->setWansDown({{"fiber", "silent"}});
  EXPECT_TRUE(isDeprecated());
  engine->onEvents();
  EXPECT_NE(present().nft->table.deprecated.at(kOwn.address).written, 0U);
  const auto writes = kernel.writes;
  engine->onEvents();
  engine->poll({});
  EXPECT_EQ(kernel.writes, writes);
  EXPECT_FALSE(engine->retryAfter());
  engine->setWansDown({});
  EXPECT_FALSE(isDeprecated());
  EXPECT_EQ(preferred(), Preferred{1800});
  engine->onEvents();
  EXPECT_EQ(present(), wanted());
}

TEST_F(Deprecating, WhoeverMakesItPreferredIsOverruledOnceASecond) {
  ASSERT_TRUE(engine->start());
  engine->setWansDown({{"fiber", "silent"}});
  engine->onEvents();
  now += 3s;
  // A renewal.
  kernel.writeLifetimes(kOwn, Preferred{900});
  engine->onEvents();
  EXPECT_TRUE(isDeprecated()) << "at once";
  EXPECT_EQ(present().nft->table.deprecated.at(kOwn.address).preferred, Preferred{900});
  // A fight.
  for (int round = 0; round < 5; ++round) {
    engine->onEvents();
    now += 100ms;
    kernel.writeLifetimes(kOwn, Preferred{901});
    engine->onEvents();
    EXPECT_FALSE(isDeprecated()) << round;
    ASSERT_TRUE(engine->retryAfter());
    EXPECT_EQ(*engine->retryAfter(), 900ms);
    const auto writes = kernel.writes;
    engine->onRetry();
    EXPECT_EQ(kernel.writes, writes) << "not before its time";
    now += *engine->retryAfter();
    engine->onRetry();
    EXPECT_TRUE(isDeprecated());
  }
  engine->onEvents();
  EXPECT_FALSE(engine->retryAfter());
  engine->setWansDown({});
  EXPECT_EQ(preferred(), Preferred{901});
}

TEST_F(Deprecating, WhatOthersDeprecateSinceIsTheirs) {
  ASSERT_TRUE(engine->start());
  engine->setWansDown({{"fiber", "silent"}});
  engine->onEvents();
  kernel.writeLifetimes(kOwn, std::nullopt);
  engine->onEvents();
  EXPECT_TRUE(present().nft->table.deprecated.empty());
  engine->setWansDown({});
  EXPECT_TRUE(isDeprecated());
  EXPECT_TRUE(engine->flush());
  EXPECT_TRUE(isDeprecated());
}

TEST_F(Deprecating, AFlushAndAnotherConfigurationPutItBack) {
  for (const bool flushes : {true, false}) {
    ASSERT_TRUE(engine->start({{"fiber", "silent"}}));
    engine->onEvents();
    EXPECT_TRUE(isDeprecated());
    if (flushes) {
      EXPECT_TRUE(engine->flush());
    } else {
      Config other = deprecating();
      other.wans[0].deprecate = false;
      EXPECT_TRUE(engine->reconfigure(other));
    }
    EXPECT_FALSE(isDeprecated());
    EXPECT_EQ(preferred(), Preferred{1800});
    engine = makeEngine(deprecating());
  }
}

TEST_F(Deprecating, ATableThatSomebodyFlushesIsMadeAgainWithTheRecord) {
  ASSERT_TRUE(engine->start({{"fiber", "silent"}}));
  engine->onEvents();
  kernel.someoneFlushesNft();
  engine->onEvents();
  engine->onEvents();
  EXPECT_TRUE(isDeprecated());
  EXPECT_EQ(present().nft->table.deprecated.at(kOwn.address).preferred, Preferred{1800});
  engine->setWansDown({});
  EXPECT_EQ(preferred(), Preferred{1800});
}

TEST_F(Deprecating, AnAddressThatIsRefusedIsTriedAgain) {
  ASSERT_TRUE(engine->start());
  kernel.refuses = [](const Change& change) { return std::holds_alternative<SetDeprecated>(change); };
  engine->setWansDown({{"fiber", "silent"}});
  EXPECT_FALSE(isDeprecated());
  EXPECT_EQ(failures.size(), 1U);
  EXPECT_TRUE(present().nft->table.deprecated.empty());
  ASSERT_TRUE(engine->retryAfter());
  kernel.refuses = {};
  now += *engine->retryAfter();
  engine->onRetry();
  EXPECT_TRUE(isDeprecated());
}

/// Whenever it is killed, the next one puts back what was, or keeps it as long as the WAN is dead.
TEST_F(Deprecating, KilledAfterAnyWriteTheNextOneKnows) {
  for (const bool wasDead : {false, true})
    for (const bool isDead : {false, true})
      for (std::size_t after = 0; after < 60; ++after) {
        FakeKernel fresh;
        fresh.real.world = withPrefixes();
        const WansDown dead{{"fiber", "silent"}};
        const auto clock = [] { return std::chrono::seconds{1}; };
        Engine killed{fresh, deprecating(), {}, clock};
        ASSERT_TRUE(killed.start(wasDead ? dead : WansDown{}));
        killed.onEvents();
        fresh.dieAfter(after);
        killed.setWansDown(wasDead ? WansDown{} : dead);
        killed.onEvents();
        fresh.heal();
        Engine next{fresh, deprecating(), {}, clock};
        ASSERT_TRUE(next.start(isDead ? dead : WansDown{}));
        next.onEvents();
        const auto own = std::ranges::find(fresh.real.world.addresses, kOwn, ownAddress);
        ASSERT_EQ(own->deprecated, isDead) << after;
        if (!isDead) {
          ASSERT_EQ(own->lifetimes.preferred, Preferred{1800}) << after;
        }
        ASSERT_TRUE(next.flush());
        ASSERT_FALSE(std::ranges::find(fresh.real.world.addresses, kOwn, ownAddress)->deprecated) << after;
      }
}

}  // namespace
}  // namespace wgsteer
