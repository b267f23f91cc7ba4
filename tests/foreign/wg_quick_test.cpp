// SPDX-License-Identifier: GPL-2.0-or-later
// wg-quick's files, written as people write them.
#include "foreign/wg_quick.hpp"

#include <gtest/gtest.h>

#include "config/keys.hpp"
#include "read_file.hpp"

namespace wgsteer::foreign {
namespace {

using config::test::key;
using config::test::keyText;

auto read(const std::string& text) {
  return test::readFile([&](config::Problems& problems) { return readWgQuick(text, "wg0", problems); }, "wg0.conf");
}

/// What is read from "Endpoint = ..." in an otherwise valid file.
auto endpoint(const std::string& value) {
  return read("[Peer]\nPublicKey = " + keyText('a') + "\nEndpoint = " + value + "\n");
}

std::string shown(const PeerEndpoint& peer) {
  return peer.host + " " + std::to_string(peer.port) + (peer.numeric ? " numeric" : "");
}

TEST(WgQuick, AFileAsProvidersSendIt) {
  const auto file = read("[Interface]\n# Device: Blue Fox\nPrivateKey = " + keyText('p') +
                         "\nAddress = 10.64.0.2/32,fc00::2/128\nDNS = 10.64.0.1\nPostUp = echo Endpoint = x:1\n\n"
                         "[Peer]\nPublicKey = " +
                         keyText('a') + "\nPresharedKey = " + keyText('s') +
                         "\nAllowedIPs = 0.0.0.0/0,::/0\nEndpoint = vpn.example.com:51820\n");
  EXPECT_EQ(file.problems, "");
  EXPECT_EQ(file.content, (std::vector<PeerEndpoint>{{"wg0", key('a'), "vpn.example.com", 51820, false, "", 12}}));
}

TEST(WgQuick, SeveralPeersOfWhichSomeComeToUs) {
  const auto file =
      read("[Peer]\nEndpoint=a.example:1\nPublicKey=" + keyText('a') + "\n[Peer]\nPublicKey=" + keyText('b') +
           "\n[Peer]\nPublicKey=" + keyText('c') + "\nEndpoint=192.0.2.1:2");
  EXPECT_EQ(file.problems, "");
  EXPECT_EQ(file.content, (std::vector<PeerEndpoint>{{"wg0", key('a'), "a.example", 1, false, "", 2},
                                                     {"wg0", key('c'), "192.0.2.1", 2, true, "", 8}}));
}

TEST(WgQuick, IsAsTolerantAsTheToolItself) {
  const auto file = read("[INTERFACE]\r\n\t[ peer ]\r\n[peer] # the first\r\n  PUBLICKEY\t=" + keyText('a') +
                         "# it\r\n#Endpoint = not.this.one:1\r\n\tendPoint   =  vpn.example.com : 51820 # yes\r\n");
  EXPECT_EQ(file.problems, "");
  ASSERT_EQ(file.content.size(), 1U);
  EXPECT_EQ(shown(file.content[0]), "vpn.example.com 51820");
  EXPECT_EQ(file.content[0].line, 6U);
}

TEST(WgQuick, BlanksAreDroppedWhereverTheyStand) {
  const auto file = read("\xef\xbb\xbf[ P eer ]\nEnd\tPoint = vpn. example.com\v:51820\nPublic Key = " +
                         keyText('a').insert(20, " ") + "\nJc = 4\nAdvancedSecurity = on\n");
  EXPECT_EQ(file.problems, "");
  ASSERT_EQ(file.content.size(), 1U);
  EXPECT_EQ(shown(file.content[0]), "vpn.example.com 51820");
  EXPECT_EQ(file.content[0].peer, key('a'));
}

TEST(WgQuick, AnyBytesInACommentAndLinesOfAnyLength) {
  const auto file = read("# B\xfcro\n[Peer]\nAllowedIPs = " + std::string(100000, '1') +
                         "\nPublicKey = " + keyText('a') + "\nEndpoint = vpn.example.com:51820\n");
  EXPECT_EQ(file.problems, "");
  EXPECT_EQ(file.content.size(), 1U);
}

TEST(WgQuick, TheLastOfTwoEndpointsCounts) {
  const auto file = endpoint("a.example:1\nEndpoint = b.example:2");
  ASSERT_EQ(file.content.size(), 1U);
  EXPECT_EQ(shown(file.content[0]), "b.example 2");
}

TEST(WgQuick, EndpointsOfAllSpellings) {
  const std::pair<const char*, const char*> cases[] = {
      {"vpn.example.com:51820", "vpn.example.com 51820"},
      {"vpn.example.com.:1", "vpn.example.com. 1"},
      {"router:65535", "router 65535"},
      {"_x.a-b.example:1", "_x.a-b.example 1"},
      {"192.0.2.1:51820", "192.0.2.1 51820 numeric"},
      {"[2001:db8::1]:51820", "2001:db8::1 51820 numeric"},
      {"2001:db8::1:51820", "2001:db8::1 51820 numeric"},
      {"[fe80::1%eth0]:51820", "fe80::1%eth0 51820 numeric"},
      {"[vpn.example.com]:51820", "vpn.example.com 51820"},
  };
  for (const auto& [text, expected] : cases) {
    const auto file = endpoint(text);
    EXPECT_EQ(file.problems, "") << text;
    ASSERT_EQ(file.content.size(), 1U) << text;
    EXPECT_EQ(shown(file.content[0]), expected);
  }
}

TEST(WgQuick, SaysWhereAnEndpointIsWrong) {
  for (const char* text : {"vpn.example.com", ":51820", "vpn.example.com:", "vpn.example.com:0", "a.example:65536",
                           "a.example:51820x", "a.example:+1", "a..example:1", "-a.example:1", "a/b:1", "192.0.2.300:1",
                           "[2001:db8::1]51820", "[]:1", "[2001:db8::g]:1", "http://a.example:1"}) {
    const auto file = endpoint(text);
    EXPECT_TRUE(file.content.empty()) << text;
    EXPECT_EQ(file.problems, "wg0.conf:3: Endpoint: is not host:port or [IPv6]:port with a port of 1..65535") << text;
  }
}

TEST(WgQuick, ABrokenPeerDoesNotTakeTheOthersAlong) {
  const std::string good = "[Peer]\nPublicKey = " + keyText('a') + "\nEndpoint = a.example:1\n";
  const auto file =
      read("[Peer]\nEndpoint = x.example:1\n" + good + "[Peer]\nPublicKey = abc\nEndpoint = y.example:1\n");
  ASSERT_EQ(file.content.size(), 1U);
  EXPECT_EQ(file.content[0].host, "a.example");
  EXPECT_EQ(file.problems,
            "wg0.conf:1: PublicKey: missing: the peer has an Endpoint\n"
            "wg0.conf:7: PublicKey: is not a WireGuard key: 44 characters of base64");
}

TEST(WgQuick, NeverRepeatsAValue) {
  const std::string secret = keyText('p');
  const auto file =
      read("[Interface]\nPrivateKey = " + secret + "\n[Peer]\nPresharedKey = " + secret + "\nPublicKey = x" + secret +
           "\nEndpoint = a.example:1\n[Peer]\nPublicKey = " + keyText('a') + "\nEndpoint = " + secret + "\n");
  EXPECT_TRUE(file.content.empty());
  EXPECT_NE(file.problems, "");
  EXPECT_EQ(file.problems.find(secret.substr(0, 8)), std::string::npos) << file.problems;
}

TEST(WgQuick, InterfaceNames) {
  for (const char* good : {"wg0", "a", "my_vpn=1+2.3-4", "fifteen-letters"}) EXPECT_TRUE(isWgQuickName(good)) << good;
  for (const char* bad : {"", "sixteen--letters", "wg 0", "wg/0", "wg:0", "b\xc3\xbcro"})
    EXPECT_FALSE(isWgQuickName(bad)) << bad;
}

}  // namespace
}  // namespace wgsteer::foreign
