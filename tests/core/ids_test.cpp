// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/ids.hpp"

#include <gtest/gtest.h>
#include <random>
#include <set>

#include "wgsteer/core/numbers.hpp"
#include "wgsteer/core/sysctl.hpp"

namespace wgsteer {
namespace {

constexpr const char* kKeyText = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";

TEST(MarkTest, IsWrittenUnderItsMaskAlone) {
  EXPECT_EQ(stamp(Mark{0x12345678}, {0xa0000000, 0xf0000000}), Mark{0xa2345678});
  EXPECT_EQ(stamp(Mark{0xffffffff}, {0, 0xf0000000}), Mark{0x0fffffff});
}

TEST(MarkTest, MatchesUnderItsMaskAlone) {
  const MarkMatch match{0x10000000, 0xf0000000};
  EXPECT_TRUE(match.matches(Mark{0x1000ca6c}));
  EXPECT_FALSE(match.matches(Mark{0x2000ca6c}));
  EXPECT_TRUE(MarkMatch{}.matches(Mark{7})) << "no mask: any mark";
}

TEST(MarkTest, TextIsAsIpRulePrintsIt) {
  EXPECT_EQ((MarkMatch{0x10000000, 0xf0000000}.toString()), "0x10000000/0xf0000000");
  EXPECT_EQ((MarkMatch{0xca6c, 0xffffffff}.toString()), "0xca6c");
  EXPECT_EQ(hex(0), "0x0");
  EXPECT_EQ(hex(0xffffffff), "0xffffffff");
}

TEST(PublicKeyTest, EveryKeySurvivesItsText) {
  std::mt19937 engine{1};
  for (int i = 0; i < 200; ++i) {
    std::array<std::uint8_t, PublicKey::kSize> bytes{};
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(engine());
    const PublicKey key{bytes};
    ASSERT_EQ(PublicKey::parse(key.toString()), key) << key.toString();
  }
}

TEST(PublicKeyTest, TextIsAsWgPrintsIt) {
  const auto key = PublicKey::parse(kKeyText);
  ASSERT_TRUE(key);
  EXPECT_EQ(key->toString(), kKeyText);
  EXPECT_EQ(key->bytes().front(), 0xc5);
  EXPECT_EQ(key->bytes().back(), 0x38);
}

TEST(PublicKeyTest, WhatIsNoKeyIsNotRead) {
  const std::string good = kKeyText;
  EXPECT_FALSE(PublicKey::parse(""));
  EXPECT_FALSE(PublicKey::parse(good.substr(1)));
  EXPECT_FALSE(PublicKey::parse(good + "="));
  EXPECT_FALSE(PublicKey::parse(" " + good.substr(1)));
  EXPECT_FALSE(PublicKey::parse(good.substr(0, 43) + "A"));
  EXPECT_FALSE(PublicKey::parse(good.substr(0, 42) + "h=")) << "spare bits set: a second text for the same key";
  EXPECT_FALSE(PublicKey::parse(good.substr(0, 42) + "==")) << "31 bytes";
}

TEST(PublicKeyTest, HexadecimalOfTheUserSpaceInterfaceIsRead) {
  std::string digits;
  const PublicKey key = *PublicKey::parse(kKeyText);
  for (const std::uint8_t byte : key.bytes()) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    digits += kDigits[byte >> 4];
    digits += kDigits[byte & 15];
  }
  EXPECT_EQ(PublicKey::parseHex(digits), key);
  EXPECT_FALSE(PublicKey::parseHex(digits + "00"));
  EXPECT_FALSE(PublicKey::parseHex(digits.substr(2)));
  digits.back() = 'g';
  EXPECT_FALSE(PublicKey::parseHex(digits));
}

TEST(NumbersTest, EverySlotHasAMarkInsideTheMaskAndATableOfItsOwn) {
  for (const std::uint32_t mask : {0xf0000000U, 0x00ff0000U, 0x3U, 0x7fff8000U}) {
    ASSERT_TRUE(validMarkMask(mask));
    const Numbers numbers{.markMask = mask};
    std::set<std::uint32_t> marks;
    std::set<TableId> tables;
    for (unsigned i = 1; i <= numbers.slotCount(); ++i) {
      const Slot slot{static_cast<std::uint8_t>(i)};
      const MarkMatch mark = numbers.mark(slot);
      EXPECT_EQ(mark.value & ~mask, 0U);
      EXPECT_TRUE(numbers.isOurs(Mark{mark.value}));
      marks.insert(mark.value);
      for (const TableId table : {numbers.wanTable(slot), numbers.policyTable(slot)}) {
        EXPECT_TRUE(isOurTable(table));
        tables.insert(table);
      }
    }
    EXPECT_EQ(marks.size(), numbers.slotCount());
    EXPECT_EQ(tables.size(), 2 * numbers.slotCount());
    EXPECT_FALSE(marks.contains(0)) << "no mark at all would be one of ours";
  }
}

TEST(NumbersTest, MasksThatSlotsCannotBeCountedInAreInvalid) {
  for (const std::uint32_t mask : {0U, 1U, 0x80000000U, 0xf000000fU, 0x5U, 0xffffffffU, 0x1ffff000U})
    EXPECT_FALSE(validMarkMask(mask)) << hex(mask);
}

TEST(NumbersTest, AMarkWithForeignBitsIsNotOurs) {
  const Numbers numbers;
  EXPECT_FALSE(numbers.isOurs(Mark{0}));
  EXPECT_FALSE(numbers.isOurs(Mark{0xca6c}));
  EXPECT_FALSE(numbers.isOurs(Mark{0x6d6f6c65})) << "Mullvad's reaches into our bits";
}

TEST(SysctlTest, NamesAreAsSysctlTakesThem) {
  EXPECT_EQ((Sysctl{SysctlKind::ignoreLinkdown4, "wan0"}.name()), "net.ipv4.conf.wan0.ignore_routes_with_linkdown");
  EXPECT_EQ((Sysctl{SysctlKind::ignoreLinkdown6, "wan0"}.name()), "net.ipv6.conf.wan0.ignore_routes_with_linkdown");
  EXPECT_EQ((Sysctl{SysctlKind::srcValidMark, "eth0.7"}.name()), "net.ipv4.conf.eth0/7.src_valid_mark");
}

}  // namespace
}  // namespace wgsteer
