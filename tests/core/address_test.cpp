// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/address.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <random>

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
                          "[::1]"sv, "1:2:3:4:5:6:7:8::"sv, "1:2:3:4::5:6:7:8"sv, "1.2.3.4::"sv,
                          "1:2:3:4:5:6:7:1.2.3.4"sv, ":::"sv, "example.com"sv, "1.2.3.4\0"sv, "::\0"sv})
    EXPECT_FALSE(Address::parse(text)) << text;
}

/// What the C library makes of the text.
std::optional<Address> byLibrary(const std::string& text) {
  std::array<std::uint8_t, 16> bytes{};
  const bool v6 = text.find(':') != std::string::npos;
  if (inet_pton(v6 ? AF_INET6 : AF_INET, text.c_str(), bytes.data()) != 1) return std::nullopt;
  return Address::fromBytes(std::span{bytes}.first(v6 ? 16 : 4));
}

TEST(AddressTest, EveryAddressIsWrittenAsTheLibraryWritesIt) {
  std::mt19937 engine{1};
  for (int i = 0; i < 20000; ++i) {
    std::array<std::uint8_t, 16> bytes{};
    // Many zeros, because they are what makes the text of IPv6 addresses difficult.
    const auto zeros = engine();
    for (std::size_t j = 0; j < bytes.size(); ++j)
      if ((zeros >> (j / 2) & 1U) == 0) bytes[j] = static_cast<std::uint8_t>(i % 3 == 0 ? 0xff : engine());
    const bool v6 = i % 8 != 0;
    std::array<char, INET6_ADDRSTRLEN> text{};
    inet_ntop(v6 ? AF_INET6 : AF_INET, bytes.data(), text.data(), text.size());
    const auto address = Address::fromBytes(std::span{bytes}.first(v6 ? 16 : 4));
    ASSERT_EQ(address->toString(), text.data());
    ASSERT_EQ(Address::parse(text.data()), address) << text.data();
  }
}

TEST(AddressTest, EveryTextIsReadAsTheLibraryReadsIt) {
  constexpr std::array kParts{":",   "::",    ".",   "0",   "1", "db8", "ffff",   "00ff",
                              "012", "12345", "255", "256", "g", "-1",  "1.2.3.4"};
  std::mt19937 engine{2};
  int addresses = 0;
  for (int i = 0; i < 200000; ++i) {
    std::string text;
    const bool alternate = i % 2 == 0;
    for (auto left = 1 + engine() % 16; left > 0; --left)
      text += alternate && left % 2 == 0 ? (i % 4 == 0 ? "." : ":") : kParts.at(engine() % kParts.size());
    const auto expected = byLibrary(text);
    ASSERT_EQ(Address::parse(text), expected) << text;
    if (expected) ++addresses;
  }
  EXPECT_GT(addresses, 500) << "the texts are hardly ever an address: they try nothing";
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
