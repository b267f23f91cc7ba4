// SPDX-License-Identifier: GPL-2.0-or-later
// The table as an administrator sees it: listing.nft. nft 1.0.6 writes `meta mark & 0xf0000000 == 0` as `meta mark
// 0x00000000/4`, and `& 0x0fffffff | 0x10000000` with a mask that includes the bits that are set anyway.
#include <fstream>
#include <iterator>
#include <sstream>

#include "environment.hpp"

namespace wgsteer::nft::test {

namespace {

std::string golden() {
  std::ifstream file(GOLDEN_DIRECTORY "/listing.nft");
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Other versions of nft(8) spell out the mask: `meta mark & 0xf0000000 != 0x0...` for `meta mark != 0x0.../4`.
std::string inOneSpelling(std::string text) {
  const std::string_view mask = "& 0xf0000000 ";
  constexpr std::size_t kComparison = std::string_view("== 0x00000000").size();
  for (std::size_t at = text.find(mask); at != std::string::npos; at = text.find(mask, at + 1)) {
    std::string comparison = text.substr(at + mask.size(), kComparison);
    if (!comparison.starts_with("== ") && !comparison.starts_with("!= ")) continue;  // no comparison
    if (comparison.starts_with("== ")) comparison.erase(0, 3);
    text.replace(at, mask.size() + kComparison, comparison + "/4");
  }
  return text;
}

/// Line breaks depend on nft's version: 1.1 puts each element of a map on a line of its own.
std::string inWords(const std::string& text) {
  std::istringstream words{text};
  std::string out;
  for (std::string word; words >> word;) out += word + " ";
  return out;
}

}  // namespace

class NftListing : public KernelTest {};

TEST_F(NftListing, ReadsAsIfTyped) {
  converge(exampleState());
  EXPECT_EQ(inWords(inOneSpelling(shell("nft list table inet wgsteer"))), inWords(golden()));
}

/// As does an `nft list ruleset > file` that nftables.service loads at the next boot.
TEST_F(NftListing, LoadsBackAsTheSameState) {
  converge(exampleState());
  const std::string listing = shell("nft list table inet wgsteer");
  shell("nft delete table inet wgsteer");
  shell("nft -f - <<'END'\n" + listing + "END");
  EXPECT_EQ(observed(), exampleState());
}

}  // namespace wgsteer::nft::test
