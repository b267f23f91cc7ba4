// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/departed.hpp"

#include <gtest/gtest.h>

#include "wgsteer/core/desire.hpp"

#include "support/worlds.hpp"

namespace wgsteer {
namespace {

using namespace test;

class DepartedTest : public testing::Test {
 protected:
  DepartedTest() {
    picture.world = twoWans();
    converge();
  }

  void converge() {
    const State desired = desire({}, picture.world);
    settle(picture, diff(desired, picture.observed), desired);
  }
  bool isMarked() const { return picture.observed.nft->table.endpoints.contains(kServer4); }

  Picture picture;
};

TEST_F(DepartedTest, AnEndpointStaysInTheTableUntilItsTunnelMayBeBack) {
  track(picture, LinkGone{kTunnel});
  converge();
  EXPECT_TRUE(isMarked());
  EXPECT_FALSE(picture.observed.nft->table.tunnels.contains("wg0"));
  EXPECT_FALSE(forgetDeparted(picture.world, std::chrono::seconds{100})) << "it is counted from here";
  EXPECT_FALSE(forgetDeparted(picture.world, std::chrono::seconds{109}));
  converge();
  EXPECT_TRUE(isMarked());
  EXPECT_TRUE(forgetDeparted(picture.world, std::chrono::seconds{110}));
  converge();
  EXPECT_FALSE(isMarked());
}

/// The socket of a process in user space is gone before its device.
TEST_F(DepartedTest, ATunnelThatCanNoLongerBeFoundHasDepartedAsWell) {
  takeTunnels(picture, {}, {});
  converge();
  EXPECT_TRUE(isMarked());
  track(picture, LinkGone{kTunnel});
  converge();
  EXPECT_TRUE(isMarked());
}

TEST_F(DepartedTest, OneThatIsBackWithoutItsPeersAndGoesAgainIsStillExpected) {
  const Link link = picture.world.links.at(kTunnel);
  Tunnel bare = picture.world.tunnels.at("wg0");
  bare.peers.clear();
  track(picture, LinkGone{kTunnel});
  converge();
  track(picture, LinkChanged{link});
  takeTunnels(picture, {}, SharedMap<IfName, Tunnel>{{"wg0", bare}});
  converge();
  EXPECT_TRUE(isMarked());
  track(picture, LinkGone{kTunnel});
  converge();
  EXPECT_TRUE(isMarked());
}

/// It is back, and its server is now reached through another tunnel, on purpose.
TEST_F(DepartedTest, WhoeverHasTheEndpointNowDecidesAboutIt) {
  const Tunnel inner = picture.world.tunnels.at("wg0");
  Tunnel outer = inner;
  outer.name = "wg1";
  outer.peers = {peer(2, "198.18.0.1:51820")};
  outer.peers.front().allowedIps = {*Prefix::parse("203.0.113.0/24")};
  const Link link = picture.world.links.at(kTunnel);
  track(picture, LinkGone{kTunnel});
  track(picture, LinkChanged{link});
  track(picture, LinkChanged{test::link(IfIndex{10}, "wg1", "wireguard")});
  track(picture, RouteAdded{.route = route("203.0.113.0/24", IfIndex{10})});
  takeTunnels(picture, {}, SharedMap<IfName, Tunnel>{{"wg0", inner}, {"wg1", outer}});
  ASSERT_EQ(steer({}, picture.world).tunnels.front().leftAlone.size(), 1U);
  ASSERT_TRUE(picture.world.departed.contains("wg0"));
  converge();
  EXPECT_FALSE(isMarked());
}

TEST_F(DepartedTest, AMarkWithoutAMeaningIsNotGiven) {
  track(picture, LinkGone{kTunnel});
  picture.world.departed.at("wg0").endpoints.at(kServer4) = Slot{7};
  converge();
  EXPECT_FALSE(isMarked());
}

}  // namespace
}  // namespace wgsteer
