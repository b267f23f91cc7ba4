// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/table.hpp"

#include <gtest/gtest.h>

namespace wgsteer::cli {
namespace {

const std::vector<Row> kWans{{"WAN", "STATE", "WHY", "IPV4", "LOSS"},
                             {"fiber", "up", "-", "up via 192.0.2.1", "0 %"},
                             {"lte", "down", "by hand: maintenance", "-", "-"}};

TEST(Table, HasARowALineWhenThereIsRoom) {
  const std::string wide =
      "WAN    STATE  WHY                   IPV4              LOSS\n"
      "fiber  up     -                     up via 192.0.2.1  0 %\n"
      "lte    down   by hand: maintenance  -                 -\n";
  EXPECT_EQ(table(kWans, 0), wide);
  EXPECT_EQ(table(kWans, 58), wide) << "to the last character";
}

TEST(Table, TellsBelowWhatHasNoRoom) {
  EXPECT_EQ(table(kWans, 40),
            "WAN    STATE  WHY\n"
            "fiber  up     -\n"
            "    IPV4 up via 192.0.2.1  LOSS 0 %\n"
            "lte    down   by hand: maintenance\n");
  EXPECT_EQ(table(kWans, 25),
            "WAN    STATE\n"
            "fiber  up\n"
            "    IPV4 up via 192.0.2.1\n"
            "    LOSS 0 %\n"
            "lte    down\n"
            "    WHY by hand: maintenance\n")
      << "and longer than the line only where one value is";
}

TEST(Table, KeepsItsFirstColumn) { EXPECT_EQ(table({{"A", "B"}, {"long", "x"}}, 2), "A\nlong\n    B x\n"); }

TEST(Table, CountsCharactersAsTheyAreShown) {
  EXPECT_EQ(table({{"NAME", "X"}, {"Köln", "1"}, {"日本", "2"}, {"abcd", "3"}}, 0),
            "NAME  X\nKöln  1\n日本    2\nabcd  3\n");
  EXPECT_EQ(table({{"NAME", "X"}, {"a\x1b", "1"}, {"abcde", "2"}}, 0), "NAME   X\na\\x1b  1\nabcde  2\n");
}

}  // namespace
}  // namespace wgsteer::cli
