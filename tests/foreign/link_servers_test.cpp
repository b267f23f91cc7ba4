// SPDX-License-Identifier: GPL-2.0-or-later
#include "foreign/link_servers.hpp"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

#include "support/temp_folder.hpp"

namespace wgsteer::foreign {
namespace {

Address at(std::string_view text) { return *Address::parse(text); }

// As netifd of OpenWrt 24.10 writes it.
constexpr const char* kAuto =
    "# Interface wan\nnameserver 192.0.2.53\nnameserver 192.0.2.54\nsearch example.net\n"
    "# Interface wan6\nnameserver 2001:db8::53\nnameserver fe80::1%eth1\n"
    "# Interface wwan\nnameserver 198.51.100.53\n";

TEST(LinkServers, OfNetifdAreByInterface) {
  const auto all = readResolvConfAuto(kAuto);
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all.at("wan"), (Servers{at("192.0.2.53"), at("192.0.2.54")}));
  EXPECT_EQ(all.at("wan6"), (Servers{at("2001:db8::53"), at("fe80::1")}));
  EXPECT_EQ(all.at("wwan"), (Servers{at("198.51.100.53")}));
}

TEST(LinkServers, OfNobodyOrNonsenseAreNone) {
  const auto all = readResolvConfAuto(
      "nameserver 192.0.2.1\n# Interface wan\r\nnameserver\nnameserver x\nnameserver 127.0.0.1\nnameserver  ::\n"
      "nameserver 192.0.2.2\t\nnameserver 192.0.2.2");
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all.at("wan"), (Servers{at("192.0.2.2")}));
  EXPECT_TRUE(readResolvConfAuto({}).empty());
}

TEST(LinkServers, OfNetworkdAreInTheStateOfTheLink) {
  EXPECT_EQ(
      readLinkState("# This is private data. Do not parse.\nADMIN_STATE=configured\n"
                    "DNS=192.0.2.53 2001:db8::53#dns.example fe80::1%eth0  192.0.2.9:5353 192.0.2.53\nNTP=192.0.2.7\n"),
      (Servers{at("192.0.2.53"), at("2001:db8::53"), at("fe80::1")}));
  EXPECT_TRUE(readLinkState("DNS=\nMDNS=192.0.2.1\n").empty());
}

TEST(LinkServers, OfADeviceAreThoseOfAllItsInterfacesAndOfItsLink) {
  const wgsteer::test::TempFolder temp;
  const std::string folder = temp.path();
  std::filesystem::create_directory(folder + "/links");
  std::ofstream{folder + "/auto"} << kAuto;
  std::ofstream{folder + "/interfaces"} << "wan eth1\nwan6 eth1\nwwan wwan0\nlan br-lan\n";
  std::ofstream{folder + "/links/7"} << "DNS=203.0.113.53\n";
  const LinkServerFiles files{
      .netifd = folder + "/auto", .interfaces = folder + "/interfaces", .networkd = folder + "/links"};
  EXPECT_EQ(serversOf(files, "eth1", IfIndex{2}),
            (Servers{at("192.0.2.53"), at("192.0.2.54"), at("2001:db8::53"), at("fe80::1")}));
  EXPECT_EQ(serversOf(files, "wwan0", IfIndex{7}), (Servers{at("198.51.100.53"), at("203.0.113.53")}));
  EXPECT_TRUE(serversOf(files, "eth0", IfIndex{3}).empty());
  std::filesystem::remove_all(folder);
  EXPECT_TRUE(serversOf(files, "eth1", IfIndex{7}).empty());
}

}  // namespace
}  // namespace wgsteer::foreign
