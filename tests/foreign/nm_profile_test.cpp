// SPDX-License-Identifier: GPL-2.0-or-later
// NetworkManager's profiles of WireGuard devices.
#include "foreign/nm_profile.hpp"

#include <gtest/gtest.h>

#include "config/keys.hpp"
#include "read_file.hpp"

namespace wgsteer::foreign {
namespace {

using config::test::key;
using config::test::keyText;

auto read(const std::string& text) {
  return test::readFile([&](config::Problems& problems) { return readNmProfile(text, problems); }, "wg0.nmconnection");
}

const std::string kConnection = "[connection]\nid=home\nuuid=A-1\ntype=wireguard\ninterface-name=wg0\n";

std::string peer(char name) { return "[wireguard-peer." + keyText(name) + "]\n"; }

TEST(NmProfile, AsNmcliWritesIt) {
  const auto file = read(kConnection + "\n[wireguard]\nprivate-key=" + keyText('p') + "\n\n" + peer('a') +
                         "endpoint=vpn.example.com:51820\npreshared-key=" + keyText('s') +
                         "\npreshared-key-flags=0\nallowed-ips=0.0.0.0/0;::/0;\n\n" + peer('b') +
                         "allowed-ips=10.0.0.2/32;\n\n[ipv4]\nmethod=auto\n\n[proxy]\n");
  EXPECT_EQ(file.problems, "");
  EXPECT_EQ(file.content.uuid, "a-1");
  EXPECT_EQ(file.content.peers,
            (std::vector<PeerEndpoint>{{"wg0", key('a'), "vpn.example.com", 51820, false, "", 11}}));
}

TEST(NmProfile, ThePeerMayComeFirstAndBeThereTwice) {
  const auto file = read(peer('a') + " endpoint = [2001:db8::1]:1 \r\n# endpoint=no.example:1\n" + kConnection +
                         peer('a') + "endpoint=two\\sx\nendpoint=[2001:db8::2]:2\n");
  EXPECT_EQ(file.problems, "");
  EXPECT_EQ(file.content.peers, (std::vector<PeerEndpoint>{{"wg0", key('a'), "2001:db8::2", 2, true, "", 11}}));
}

TEST(NmProfile, OthersAreNobodysBusiness) {
  for (const char* type : {"type=wifi\n", "Type=wireguard\n", ""}) {
    const auto file = read("[connection]\ninterface-name=wg0\n" + std::string{type} + peer('a') + "endpoint=x\n");
    EXPECT_TRUE(file.content.peers.empty()) << type;
    EXPECT_EQ(file.problems, "") << type;
  }
  EXPECT_TRUE(read("").content.peers.empty());
}

TEST(NmProfile, SaysWhatIsWrongAndUsesTheRest) {
  const auto file = read(kConnection + peer('a') + "endpoint=no port\n" + peer('b') + "endpoint=b.example:1\n" +
                         "[wireguard-peer.sEcReT]\nendpoint=c.example:1\n");
  ASSERT_EQ(file.content.peers.size(), 1U);
  EXPECT_EQ(file.content.peers[0].host, "b.example");
  EXPECT_NE(file.problems.find(":7: Endpoint: "), std::string::npos) << file.problems;
  EXPECT_NE(file.problems.find(":10: PublicKey: "), std::string::npos) << file.problems;
  EXPECT_EQ(file.problems.find("sEcReT"), std::string::npos) << file.problems;
}

TEST(NmProfile, WithoutADeviceThereIsNoTunnel) {
  const auto file = read("[connection]\ntype=wireguard\n" + peer('a') + "endpoint=a.example:1\n");
  EXPECT_TRUE(file.content.peers.empty());
  EXPECT_EQ(file.problems, "wg0.nmconnection: interface-name: is empty");
}

}  // namespace
}  // namespace wgsteer::foreign
