// SPDX-License-Identifier: GPL-2.0-or-later
// systemd-networkd's .netdev files.
#include "foreign/netdev.hpp"

#include <gtest/gtest.h>

#include "config/keys.hpp"
#include "read_file.hpp"

namespace wgsteer::foreign {
namespace {

using config::test::key;
using config::test::keyText;

const std::string kDevice = "[NetDev]\nName=wg0\nKind=wireguard\n";

auto read(const std::string& text) {
  return test::readFile([&](config::Problems& problems) { return readNetdev(text, problems); }, "50-wg0.netdev");
}

TEST(Netdev, AnExampleOfTheManual) {
  const auto file = read("[NetDev]\nName=wg0\nKind=wireguard\n\n[WireGuard]\nPrivateKey=" + keyText('p') +
                         "\nListenPort=51820\n\n[WireGuardPeer]\nPublicKey=" + keyText('a') +
                         "\nAllowedIPs=fd31:bf08:57cb::/48,192.168.26.0/24\nEndpoint=wireguard.example.com:51820\n"
                         "[WireGuardPeer]\nPublicKey=" +
                         keyText('b') + "\nEndpoint=[2001:db8::1]:1\n");
  EXPECT_EQ(file.problems, "");
  EXPECT_EQ(file.content, (std::vector<PeerEndpoint>{{"wg0", key('a'), "wireguard.example.com", 51820, false, "", 12},
                                                     {"wg0", key('b'), "2001:db8::1", 1, true, "", 15}}));
}

TEST(Netdev, TheDeviceMayComeAfterItsPeers) {
  const auto file = read("[WireGuardPeer]\nPublicKey=" + keyText('a') + "\nEndpoint=a.example:1\n" + kDevice);
  ASSERT_EQ(file.content.size(), 1U);
  EXPECT_EQ(file.content[0].tunnel, "wg0");
}

TEST(Netdev, DevicesOfOtherKindsAreNobodysBusiness) {
  const auto file = read("[NetDev]\nName=br0\nKind=bridge\n[WireGuardPeer]\nEndpoint=nonsense\n");
  EXPECT_TRUE(file.content.empty());
  EXPECT_EQ(file.problems, "");
  EXPECT_TRUE(read("").content.empty());
}

TEST(Netdev, CommentsBlanksAndContinuedLines) {
  const auto file = read(
      "\xef\xbb\xbf; first\r\n [NetDev]\r\n  Name = wg0 \r\nKind=\\\r\n# between\r\n  wireguard\r\n"
      "[WireGuardPeer]\r\n\t# Endpoint=not.this:1\r\nPublicKey=" +
      keyText('a') +
      "\r\nAllowedIPs=10.0.0.0/8, \\\r\n  Endpoint=nor.this:1 \\\r\n 10.2.0.0/16\r\n"
      "Endpoint = \\\r\n a.example:1\r\n");
  EXPECT_EQ(file.problems, "");
  EXPECT_EQ(file.content, (std::vector<PeerEndpoint>{{"wg0", key('a'), "a.example", 1, false, "", 13}}));
}

TEST(Netdev, MindsTheCaseAndACommentAtTheEndOfALineIsNone) {
  const std::string peer = kDevice + "[WireGuardPeer]\nPublicKey=" + keyText('a') + "\n";
  EXPECT_TRUE(read(peer + "endpoint=a.example:1\n").content.empty());
  EXPECT_TRUE(
      read(kDevice + "[wireguardpeer]\nPublicKey=" + keyText('a') + "\nEndpoint=a.example:1\n").content.empty());
  EXPECT_EQ(read(peer + "Endpoint=a.example:1 # home\n").problems,
            "50-wg0.netdev:6: Endpoint: is not host:port or [IPv6]:port with a port of 1..65535");
}

TEST(Netdev, AnEmptyAssignmentIsNone) {
  const auto file =
      read(kDevice + "[WireGuardPeer]\nPublicKey=" + keyText('a') + "\nEndpoint=a.example:1\nEndpoint=\n");
  EXPECT_EQ(file.content.size(), 1U);
  EXPECT_EQ(file.problems, "");
}

TEST(Netdev, BlanksInAValueAreNotDropped) {
  const auto file = read(kDevice + "[WireGuardPeer]\nPublicKey=" + keyText('a') + "\nEndpoint=a. example:1\n");
  EXPECT_TRUE(file.content.empty());
}

TEST(Netdev, SaysWhatIsWrongAndUsesTheRest) {
  const auto file = read(kDevice + "[WireGuardPeer]\nEndpoint=a.example:1\n[WireGuardPeer]\nPublicKey=" + keyText('b') +
                         "\nEndpoint=b.example:1\n");
  ASSERT_EQ(file.content.size(), 1U);
  EXPECT_EQ(file.content[0].peer, key('b'));
  EXPECT_EQ(file.problems, "50-wg0.netdev:4: PublicKey: missing: the peer has an Endpoint");
}

TEST(Netdev, WithoutANameThereIsNoTunnel) {
  const std::string peer = "[WireGuardPeer]\nPublicKey=" + keyText('a') + "\nEndpoint=a.example:1\n";
  EXPECT_EQ(read("[NetDev]\nKind=wireguard\n" + peer).problems, "50-wg0.netdev: Name: is empty");
  const auto file = read("[NetDev]\nKind=wireguard\nName=much-too-long-a-name\n" + peer);
  EXPECT_TRUE(file.content.empty());
  EXPECT_TRUE(file.problems.starts_with("50-wg0.netdev:3: Name: ")) << file.problems;
}

}  // namespace
}  // namespace wgsteer::foreign
