// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/address.hpp"

#include <gtest/gtest.h>

namespace wgsteer {
namespace {

Address at(std::string_view text) { return *Address::parse(text); }
Prefix prefix(std::string_view text) { return *Prefix::parse(text); }

TEST(AddressTest, TextOfBothFamiliesIsReadAndWrittenBack) {
  for (const char* text : {"0.0.0.0", "203.0.113.55", "255.255.255.255", "::", "::1", "2001:db8::1", "fe80::1"}) {
    ASSERT_TRUE(Address::parse(text)) << text;
    EXPECT_EQ(at(text).toString(), text);
  }
  EXPECT_EQ(at("2001:0DB8:0:0::0:1"), at("2001:db8::1"));
}

TEST(AddressTest, WhatIsNoAddressIsNotRead) {
  using namespace std::string_view_literals;
  for (const auto text : {""sv, "1.2.3"sv, "1.2.3.256"sv, "1.2.3.4 "sv, " 1.2.3.4"sv, "01.2.3.4x"sv, "fe80::1%eth0"sv,
                          "[::1]"sv, ":::"sv, "example.com"sv, "1.2.3.4\0"sv, "::\0"sv})
    EXPECT_FALSE(Address::parse(text)) << text;
}

TEST(AddressTest, WireBytesMakeTheFamily) {
  const std::array<std::uint8_t, 16> bytes{192, 0, 2, 1};
  EXPECT_EQ(Address::fromBytes(std::span{bytes}.first(4)), at("192.0.2.1"));
  EXPECT_EQ(Address::fromBytes(bytes), at("c000:201::"));
  EXPECT_FALSE(Address::fromBytes({}));
  EXPECT_FALSE(Address::fromBytes(std::span{bytes}.first(8)));
  EXPECT_NE(at("0.0.0.0"), at("::"));
}

TEST(AddressTest, KindsOfAddressesAreToldApart) {
  EXPECT_TRUE(at("0.0.0.0").isUnspecified() && at("::").isUnspecified());
  EXPECT_FALSE(at("0.0.0.1").isUnspecified());
  EXPECT_TRUE(at("127.8.9.1").isLoopback() && at("::1").isLoopback());
  EXPECT_FALSE(at("128.0.0.1").isLoopback() || at("1::1").isLoopback() || at("::").isLoopback());
  EXPECT_TRUE(at("169.254.1.1").isLinkLocal() && at("fe80::1").isLinkLocal() && at("febf::1").isLinkLocal());
  EXPECT_FALSE(at("169.253.1.1").isLinkLocal() || at("fec0::1").isLinkLocal());
  EXPECT_TRUE(at("224.0.0.1").isMulticast() && at("239.1.1.1").isMulticast() && at("ff02::1").isMulticast());
  EXPECT_TRUE(at("255.255.255.255").isMulticast());
  EXPECT_FALSE(at("223.255.255.255").isMulticast() || at("240.0.0.1").isMulticast());
  EXPECT_TRUE(at("fc00::1").isUniqueLocal() && at("fdff::1").isUniqueLocal());
  EXPECT_FALSE(at("fe00::1").isUniqueLocal() || at("252.0.0.1").isUniqueLocal());
}

TEST(PrefixTest, HostBitsAreCutOff) {
  EXPECT_EQ(Prefix(at("10.1.2.3"), 8), prefix("10.0.0.0/8"));
  EXPECT_EQ(Prefix(at("10.1.2.255"), 25).toString(), "10.1.2.128/25");
  EXPECT_EQ(Prefix(at("10.1.2.255"), 31).toString(), "10.1.2.254/31");
  EXPECT_EQ(Prefix(at("2001:db8:ffff::"), 33).toString(), "2001:db8:8000::/33");
  EXPECT_EQ(Prefix(at("10.1.2.3"), 200), Prefix::host(at("10.1.2.3")));
}

TEST(PrefixTest, TextIsAsIpPrintsIt) {
  EXPECT_EQ(prefix("0.0.0.0/0").toString(), "default");
  EXPECT_EQ(prefix("::/0").toString(), "default");
  EXPECT_EQ(prefix("192.0.2.1").toString(), "192.0.2.1");
  EXPECT_EQ(prefix("2001:db8::1/128").toString(), "2001:db8::1");
  EXPECT_NE(prefix("0.0.0.0/0"), prefix("::/0"));
}

TEST(PrefixTest, WhatIsNoPrefixIsNotRead) {
  for (const char* text : {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x", "10.0.0.0/ 8", "::/129", "/8", ""})
    EXPECT_FALSE(Prefix::parse(text)) << text;
}

TEST(PrefixTest, ContainsItsOwnAddressesOnly) {
  EXPECT_TRUE(prefix("10.0.0.0/9").contains(at("10.127.255.255")));
  EXPECT_FALSE(prefix("10.0.0.0/9").contains(at("10.128.0.0")));
  EXPECT_TRUE(prefix("128.0.0.0/1").contains(at("203.0.113.55")));
  EXPECT_FALSE(prefix("0.0.0.0/1").contains(at("203.0.113.55")));
  EXPECT_TRUE(prefix("0.0.0.0/0").contains(at("203.0.113.55")));
  EXPECT_FALSE(prefix("0.0.0.0/0").contains(at("::1")));
  EXPECT_FALSE(prefix("::/0").contains(at("0.0.0.0")));
}

TEST(EndpointTest, TextOfBothFamiliesIsReadAndWrittenBack) {
  for (const char* text : {"203.0.113.55:51820", "[2001:db8::1]:65535", "0.0.0.0:0"}) {
    ASSERT_TRUE(Endpoint::parse(text)) << text;
    EXPECT_EQ(Endpoint::parse(text)->toString(), text);
  }
}

TEST(EndpointTest, WhatIsNoEndpointIsNotRead) {
  for (const char* text : {"203.0.113.55", "203.0.113.55:", "203.0.113.55:65536", "203.0.113.55:-1", ":51820",
                           "2001:db8::1", "2001:db8::1:51820", "[2001:db8::1]", "[203.0.113.55]:1", "[]:1", "[::1:1",
                           "::1]:1", "host:1", "", "203.0.113.55:1 "})
    EXPECT_FALSE(Endpoint::parse(text)) << text;
}

}  // namespace
}  // namespace wgsteer
