// SPDX-License-Identifier: GPL-2.0-or-later
// Which UDP sockets are this network namespace's, and what follows for the kernel's tunnels.
#include "netlink/socket_places.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <vector>

#include "os/fd.hpp"
#include "support/netns.hpp"

namespace wgsteer::netlink {
namespace {

constexpr std::uint16_t kPort = 51820;

class SocketPlacesTest : public wgsteer::test::OwnNetwork {
 protected:
  static os::Fd listenOn(std::uint16_t port, const char* address = "0.0.0.0") {
    os::Fd socket{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    sockaddr_in own{};
    own.sin_family = AF_INET;
    own.sin_port = htons(port);
    ::inet_pton(AF_INET, address, &own.sin_addr);
    EXPECT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own), 0);
    return socket;
  }
  static Link tunnel(bool up) {
    Link link;
    link.index = {7};
    link.name = "wg0";
    link.kind = "wireguard";
    link.up = up;
    return link;
  }
  SocketPlaces places_;
};

TEST_F(SocketPlacesTest, FindsASocketAmongMany) {
  std::vector<os::Fd> others;
  for (std::uint16_t port = 20000; port < 20300; ++port) others.push_back(listenOn(port));
  EXPECT_EQ(hasUdpSocket(kPort), false);
  const auto socket = listenOn(kPort);
  EXPECT_EQ(hasUdpSocket(kPort), true);
}

TEST_F(SocketPlacesTest, ThoseOfAnotherNamespaceAreNotOurs) {
  const auto there = listenOn(kPort);
  ASSERT_EQ(wgsteer::test::enterOwnNetwork(), "");
  EXPECT_EQ(hasUdpSocket(kPort), false);
  EXPECT_EQ(places_.of(tunnel(true), kPort), SocketPlace::elsewhere);
}

TEST_F(SocketPlacesTest, WireGuardIsBoundToNoAddress) {
  const auto resolver = listenOn(kPort, "127.0.0.1");
  EXPECT_EQ(hasUdpSocket(kPort), false);
}

TEST_F(SocketPlacesTest, OfADeviceThatWasNeverUpNothingIsKnown) {
  EXPECT_EQ(places_.of(tunnel(false), kPort), SocketPlace::unknown);
  const auto socket = listenOn(kPort);
  EXPECT_EQ(places_.of(tunnel(false), kPort), SocketPlace::unknown) << "it may be anybody's";
}

TEST_F(SocketPlacesTest, ADeviceKeepsItsPlaceWhileItIsDown) {
  auto socket = listenOn(kPort);
  EXPECT_EQ(places_.of(tunnel(true), kPort), SocketPlace::here);
  socket.reset();
  EXPECT_EQ(places_.of(tunnel(false), kPort), SocketPlace::here);
  EXPECT_EQ(places_.of(tunnel(true), kPort), SocketPlace::here) << "it is not looked for each time";
}

TEST_F(SocketPlacesTest, AMissingSocketIsLookedForTwice) {
  EXPECT_EQ(places_.of(tunnel(true), kPort), SocketPlace::elsewhere);
  EXPECT_EQ(places_.of(tunnel(false), kPort), SocketPlace::unknown) << "it went down just then";
  const auto socket = listenOn(kPort);
  EXPECT_EQ(places_.of(tunnel(true), kPort), SocketPlace::here);
}

TEST_F(SocketPlacesTest, ThenItIsElsewhere) {
  for (int look = 0; look < 2; ++look) EXPECT_EQ(places_.of(tunnel(true), kPort), SocketPlace::elsewhere);
  EXPECT_EQ(places_.of(tunnel(false), kPort), SocketPlace::elsewhere);
  const auto anybodys = listenOn(kPort);
  EXPECT_EQ(places_.of(tunnel(true), kPort), SocketPlace::elsewhere);
  places_.keep({});
  EXPECT_EQ(places_.of(tunnel(true), kPort), SocketPlace::here) << "another device of this number";
}

}  // namespace
}  // namespace wgsteer::netlink
