// SPDX-License-Identifier: GPL-2.0-or-later
#include "log/printable.hpp"

#include <gtest/gtest.h>

namespace wgsteer::log {
namespace {

TEST(Printable, OrdinaryTextIsAsItIs) {
  for (const char* text : {"", "WAN fiber is down: by hand", "Büro", "日本", "😀", "a\\x1b"})
    EXPECT_EQ(printable(text), text);
}

TEST(Printable, WhatATerminalObeysIsShown) {
  EXPECT_EQ(printable("a\x1b]0;x\x07z"), "a\\x1b]0;x\\x07z");
  EXPECT_EQ(printable("a\nb\r\tc\x7f"), "a\\x0ab\\x0d\\x09c\\x7f");
  EXPECT_EQ(printable(std::string_view{"a\0b", 3}), "a\\x00b");
  EXPECT_EQ(printable("\xc2\x9b"
                      "2J"),
            "\\xc2\\x9b2J")
      << "CSI in one character";
  EXPECT_EQ(printable("\x9b"
                      "2J"),
            "\\x9b2J")
      << "and in one byte";
}

TEST(Printable, WhatIsNotUtf8IsShown) {
  EXPECT_EQ(printable("\xff\xfe"), "\\xff\\xfe");
  EXPECT_EQ(printable("\xc0\x9b"), "\\xc0\\x9b") << "overlong";
  EXPECT_EQ(printable("\xe0\x80\x9b"), "\\xe0\\x80\\x9b") << "overlong";
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "a surrogate";
  EXPECT_EQ(printable("\xf5\x80\x80\x80"), "\\xf5\\x80\\x80\\x80");
  EXPECT_EQ(printable("\xe2\x82"), "\\xe2\\x82") << "cut short";
}

TEST(Printable, LinesStay) { EXPECT_EQ(printableLines("a\x1b\nb\n"), "a\\x1b\nb\n"); }

}  // namespace
}  // namespace wgsteer::log
