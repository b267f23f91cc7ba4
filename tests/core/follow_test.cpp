// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/follow.hpp"

#include <gtest/gtest.h>

namespace wgsteer {
namespace {

constexpr WallSeconds kNow = fromEpoch(1'700'000'000);

Address address(const char* text) { return *Address::parse(text); }

Peer peerAt(const char* endpoint, std::int64_t handshakeAge = -1) {
  Peer peer;
  if (endpoint != nullptr) peer.endpoint = Endpoint::parse(endpoint);
  if (handshakeAge >= 0) peer.lastHandshake = kNow - std::chrono::seconds{handshakeAge};
  return peer;
}

class Follow : public testing::Test {
 protected:
  std::string betterFor(const Peer& peer) const {
    const auto better = betterEndpoint(peer, named, usable, kNow);
    return better ? better->toString() : "";
  }
  NamedPeer named{.host = "vpn.example.com",
                  .port = 51820,
                  .current = {address("203.0.113.5"), address("2001:db8::5")},
                  .leaving = {address("203.0.113.4")}};
  std::vector<Family> usable{Family::v4, Family::v6};
};

TEST_F(Follow, WhatIsInTheAnswerStays) {
  EXPECT_EQ(betterFor(peerAt("203.0.113.5:51820")), "");
  EXPECT_EQ(betterFor(peerAt("203.0.113.5:4500")), "") << "behind a port that it has roamed to";
}

TEST_F(Follow, WhatHasLeftTheAnswerIsLeftInTheSameFamily) {
  EXPECT_EQ(betterFor(peerAt("203.0.113.4:51820", 5)), "203.0.113.5:51820");
}

TEST_F(Follow, APeerThatHasRoamedAndIsAliveIsLeftAlone) {
  EXPECT_EQ(betterFor(peerAt("198.51.100.9:1234", 179)), "");
  EXPECT_EQ(betterFor(peerAt("198.51.100.9:1234", 180)), "203.0.113.5:51820");
  EXPECT_EQ(betterFor(peerAt("198.51.100.9:1234")), "203.0.113.5:51820") << "never had a handshake";
}

TEST_F(Follow, WithoutAnEndpointIpv6IsFirstAsInGetaddrinfo) {
  EXPECT_EQ(betterFor(peerAt(nullptr)), "[2001:db8::5]:51820");
}

TEST_F(Follow, AFamilyThatCannotLeaveIsTheLastChoice) {
  usable = {Family::v4};
  EXPECT_EQ(betterFor(peerAt(nullptr)), "203.0.113.5:51820");
  usable = {Family::v6};
  EXPECT_EQ(betterFor(peerAt("203.0.113.4:51820")), "[2001:db8::5]:51820");
  usable = {};
  EXPECT_NE(betterFor(peerAt(nullptr)), "") << "better than nothing";
}

TEST_F(Follow, NothingIsChangedBeforeThereIsAnAnswer) {
  named.current.clear();
  EXPECT_EQ(betterFor(peerAt(nullptr)), "");
  EXPECT_EQ(betterFor(peerAt("203.0.113.4:51820")), "");
}

TEST_F(Follow, LeavingAddressesAreSteeredToAsWell) { EXPECT_EQ(endpointsOf(named).size(), 3U); }

}  // namespace
}  // namespace wgsteer
