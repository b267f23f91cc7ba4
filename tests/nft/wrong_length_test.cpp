// SPDX-License-Identifier: GPL-2.0-or-later
// An attribute with a length that its type does not have does not count as absent.
#include <gtest/gtest.h>

#include "netlink/kernel_headers.hpp"
#include "netlink/wire.hpp"
#include "nft/observed_table.hpp"

namespace wgsteer::nft {
namespace {

netlink::Bytes ofSize(std::size_t size) {
  static constexpr std::array<std::uint8_t, 8> kZeros{};
  return netlink::Bytes{kZeros}.first(size);
}

TEST(WrongLength, OfTheGeneration) {
  const auto generation = [](std::size_t size) {
    netlink::Message message{NFT_MSG_NEWGEN, 0};
    message.extra<nfgenmsg>();
    message.bytes(NFTA_GEN_ID, ofSize(size));
    return generationOf(message.header());
  };
  EXPECT_EQ(generation(4), 0U);
  EXPECT_FALSE(generation(2));
  EXPECT_FALSE(generation(8));
}

/// What a counter of ours becomes whose type has this length; 0: it has none.
ObservedTable withCounter(std::size_t typeSize) {
  netlink::Message message{NFT_MSG_NEWOBJ, 0};
  message.extra<nfgenmsg>();
  message.text(NFTA_OBJ_TABLE, std::string{kNftTable});
  message.text(NFTA_OBJ_NAME, "count");
  const std::array<std::uint8_t, 8> type{0, 0, 0, NFT_OBJECT_COUNTER};
  if (typeSize > 0) message.bytes(NFTA_OBJ_TYPE, netlink::Bytes{type}.first(typeSize));
  ObservedTable observed;
  takeCounter(message.header(), observed);
  return observed;
}

TEST(WrongLength, OfACountersType) {
  EXPECT_EQ(withCounter(4).counters.size(), 1U);
  EXPECT_FALSE(withCounter(4).foreignParts);
  for (const std::size_t wrong : {0U, 2U, 8U}) {
    EXPECT_TRUE(withCounter(wrong).counters.empty()) << wrong;
    EXPECT_TRUE(withCounter(wrong).foreignParts) << wrong;
  }
}

}  // namespace
}  // namespace wgsteer::nft
