// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/stall_watch.hpp"

#include <algorithm>
#include <gtest/gtest.h>

#include "wgsteer/core/desire.hpp"

#include "support/worlds.hpp"

namespace wgsteer {
namespace {

using std::chrono::seconds;
using test::key;

/// Two WANs, and wg0 with one peer to which data is sent each second; `answers` says whether its answers arrive.
class StallWatchTest : public ::testing::Test {
 protected:
  StallWatchTest() { config_.tunnels = {{.interface = "wg0", .role = Role::client}}; }

  Peer& peer(std::size_t index = 0) { return world_.tunnels.edit().at("wg0").peers[index]; }
  PeerId id(std::size_t index = 0) { return {"wg0", world_.tunnels.at("wg0").peers[index].publicKey}; }

  /// Lets this many seconds pass; returns the news.
  std::vector<StallNews> pass(int count, bool answers, std::size_t index = 0) {
    std::vector<StallNews> news;
    for (int i = 0; i < count; ++i) {
      ++now_;
      peer(index).sentBytes += 128;
      if (answers) peer(index).receivedBytes += 128;
      StallOutcome outcome = watch_.look(config_, world_, seconds{now_}, fromEpoch(1'000'000 + now_));
      world_.stalled = std::move(outcome.stalled);
      for (const StallNews& one : outcome.news) {
        news.push_back(one);
        for (Peer& each : world_.tunnels.edit().at("wg0").peers)
          if (each.publicKey == one.peer.key) each.endpoint->address = one.address;
      }
    }
    return news;
  }

  std::string wanOf(std::size_t index = 0) {
    const Steering steering = steer(config_, world_);
    const auto wan = steering.tunnels.front().wanOf(index);
    return wan ? steering.wans[*wan].name : "";
  }

  World world_ = test::twoWans();
  Config config_;
  StallWatch watch_;
  int now_ = 0;
};

TEST_F(StallWatchTest, SaysNothingOfPeersThatAnswer) {
  EXPECT_TRUE(pass(100, true).empty());
  EXPECT_TRUE(world_.stalled.empty());
}

TEST_F(StallWatchTest, SendsASilentPeerByTheNextWan) {
  pass(5, true);
  const auto news = pass(25, false);
  ASSERT_EQ(news.size(), 1U);
  EXPECT_EQ(news.front().move, StallMove::nextWan);
  EXPECT_EQ(describe(news.front()).substr(0, 21), "nothing received for ") << describe(news.front());
  EXPECT_EQ(wanOf(), "wan1");
  const Stalled& stalled = world_.stalled.at(id());
  EXPECT_EQ(stalled.wan, "wan1");
  EXPECT_GE(stalled.since, fromEpoch(1'000'020));
  EXPECT_LE(stalled.since, fromEpoch(1'000'030));
}

TEST_F(StallWatchTest, MarksOnlyItsOwnEndpoint) {
  world_.tunnels.edit().at("wg0").peers.push_back(test::peer(200, "203.0.113.77:51820"));
  const Endpoint silent = *peer(0).endpoint;
  const auto before = desire(config_, world_).nft->table.endpoints;
  pass(25, false);
  const auto after = desire(config_, world_).nft->table.endpoints;
  EXPECT_NE(before.at(silent), after.at(silent));
  EXPECT_EQ(after.at(silent), Slot{2});
  EXPECT_EQ(before.at(*peer(1).endpoint), after.at(*peer(1).endpoint));
}

TEST_F(StallWatchTest, TriesAllAddressesOfAWanFirst) {
  const Address other = *Address::parse("203.0.113.99");
  const Address first = peer().endpoint->address;
  world_.named.edit()[id()] = {.host = "vpn.example", .port = 51820, .current = {first, other}, .leaving = {}};
  auto news = pass(25, false);
  ASSERT_EQ(news.size(), 1U);
  EXPECT_EQ(news.front().move, StallMove::nextAddress);
  EXPECT_EQ(news.front().address, other);
  EXPECT_EQ(wanOf(), "") << "its WAN is still the usual one";
  news = pass(22, false);
  ASSERT_EQ(news.size(), 1U);
  EXPECT_EQ(news.front().move, StallMove::nextWan);
}

TEST_F(StallWatchTest, AWanThatCannotBeUsedIsNotKept) {
  pass(25, false);
  ASSERT_EQ(wanOf(), "wan1");
  world_.links.at(test::kWan1).carrier = false;
  EXPECT_EQ(wanOf(), "") << "at once, by the policy";
  pass(1, true);
  EXPECT_TRUE(world_.stalled.empty());
}

TEST_F(StallWatchTest, GivesUpAndSaysSo) {
  std::vector<StallNews> news = pass(60, false);
  ASSERT_EQ(news.size(), 2U);
  EXPECT_EQ(news.back().move, StallMove::giveUp);
  EXPECT_EQ(wanOf(), "");
  EXPECT_EQ(world_.stalled.at(id()).why.substr(0, 13), "no path works");
  news = pass(1, true);
  ASSERT_EQ(news.size(), 1U);
  EXPECT_EQ(news.front().move, StallMove::none) << "told once that it answers";
  EXPECT_TRUE(world_.stalled.empty());
}

TEST_F(StallWatchTest, OfEqualWansOneIsGivenToItForGood) {
  config_.wans = {{.name = "wan0", .device = "wan0", .metric = 1}, {.name = "wan1", .device = "wan1", .metric = 1}};
  pass(5, true);
  EXPECT_EQ(wanOf(), "") << "the kernel chooses";
  pass(60, false);
  EXPECT_EQ(wanOf(), "wan0") << "the first is named, or the kernel's choice may be the dead one again";
  pass(60, true);
  EXPECT_EQ(wanOf(), "wan0");
  EXPECT_EQ(world_.stalled.at(id()).why, "does not answer over every WAN of this metric");
}

TEST_F(StallWatchTest, RoamsWithoutLosingItsWan) {
  pass(25, false);
  ASSERT_EQ(wanOf(), "wan1");
  peer().endpoint = Endpoint::parse("203.0.113.200:51820");
  pass(3, true);
  EXPECT_EQ(wanOf(), "wan1");
}

TEST_F(StallWatchTest, GivesUpAtTheAddressWhereItBegan) {
  const Address first = peer().endpoint->address;
  world_.named.edit()[id()] = {
      .host = "vpn.example", .port = 51820, .current = {*Address::parse("203.0.113.99"), first}, .leaving = {}};
  pass(5, true);
  const auto news = pass(120, false);
  const auto gaveUp = std::ranges::find(news, StallMove::giveUp, &StallNews::move);
  ASSERT_NE(gaveUp, news.end());
  EXPECT_EQ(gaveUp->address, first);
}

TEST_F(StallWatchTest, CanBeTurnedOff) {
  config_.tunnels.front().stall = std::chrono::seconds{0};
  EXPECT_TRUE(pass(60, false).empty());
}

TEST_F(StallWatchTest, LeavesServersAlone) {
  config_.tunnels.front().role = Role::server;
  EXPECT_TRUE(pass(60, false).empty());
}

}  // namespace
}  // namespace wgsteer
