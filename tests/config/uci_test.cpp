// SPDX-License-Identifier: GPL-2.0-or-later
// The grammar: case by case as in libuci, then random and hostile input.
#include "config/uci.hpp"

#include <array>
#include <ctime>
#include <gtest/gtest.h>
#include <random>
#include <sys/resource.h>

#include "config/load.hpp"
#include "config/uci_text.hpp"

namespace wgsteer::config {
namespace {

using std::string_view_literals::operator""sv;

struct Case {
  std::string_view text;
  std::string_view sections;  ///< from the lenient reader
  std::string_view problems;  ///< from the strict one
};

class Grammar : public ::testing::TestWithParam<Case> {};

TEST_P(Grammar, IsThatOfLibuci) {
  Problems problems;
  EXPECT_EQ(shortly(readUci(GetParam().text, problems)), GetParam().sections) << GetParam().text;
  EXPECT_EQ(problems.toString("f"), GetParam().problems) << GetParam().text;
}

constexpr std::array kGood{
    Case{"", "", ""},
    Case{"\n  \n# x\n\t# y 'z\n", "", ""},
    Case{"config wan fiber\n\toption device eth0\n", "wan 'fiber'{device=eth0;}", ""},
    Case{"config wan 'fiber'\r\n\toption device \"eth0\"\r\n", "wan 'fiber'{device=eth0;}", ""},
    Case{"config wan\noption a b", "wan{a=b;}", ""},
    Case{"c wan x\no a b\nl c d\nl c e\n", "wan 'x'{a=b;c=[d|e];}", ""},
    Case{"package wg-x\nconfig wan ''\n", "wan{}", ""},
    Case{"config interface\nconfig interface\n", "interface{} interface{}", ""},
    // Quoting.
    Case{"config a\noption x 'a b'\"c d\"e\\ f\n", "a{x=a bc de f;}", ""},
    Case{"config a\noption x 'a\\nb'\noption y \"a\\nb\"\noption z a\\nb\n", "a{x=a\\nb;y=anb;z=anb;}", ""},
    Case{"config a\noption x 'it'\\''s'\noption y \"say \\\"hi\\\"\"\n", "a{x=it's;y=say \"hi\";}", ""},
    Case{"config a\noption x 'one\ntwo'\noption y \"one\ntwo\"\n", "a{x=one\ntwo;y=one\ntwo;}", ""},
    Case{"config a\noption x one\\\ntwo\noption y \"one\\\r\ntwo\"\n", "a{x=onetwo;y=onetwo;}", ""},
    Case{"config 'a b'\noption x y", "",
         "f:1: invalid character in type field\n"
         "f:2: option/list command found before the first section"},
    Case{"config \"a\" 'b'\noption 'x' \"\xc3\xa9 \x01\"\n", "a 'b'{x=\xc3\xa9 \x01;}", ""},
    // Comments and several commands a line.
    Case{"config a#b c\noption x y#z\noption v '#'#'\n", "a{x=y;v=#;}", ""},
    Case{"config a b; option x 'y'\nconfig a b ; option x 'y'; option z 'v'\n", "a 'b'{x=y;z=v;}", ""},
    Case{"config a\nlist l 1; list l 2\nlist l 3 ; list l 4\n", "a{l=[1|3|4];}", ""},
    Case{"config a\noption x a;b c\noption y \\a;option z b\n", "a{x=a;y=a;z=b;}", ""},
    Case{"# one \\\nconfig a\n", "a{}", ""},
    // Up to a NUL, and then the next line follows.
    Case{"config a\noption x y\0z\noption v w\noption k l\n"sv, "a{x=yoption;k=l;}",
         "f:2: too many arguments; quote values that contain spaces\n"
         "f:2: invalid command, allowed: config, option, list"},
    Case{"config a\noption x y \0z\n#\noption v w\n"sv, "a{x=y;v=w;}", ""},
    Case{"config a\n\0option x y\noption v w\n"sv, "a{v=w;}", ""},
    // Where a quotation or a backslash continues the line, filling the buffer continues: what fits into it decides what
    // the NUL hides.
    Case{"config a\noption x \"1234567890\n12345678\0abc\nz\"\noption v w\n"sv, "a{x=1234567890\n12345678bc\nz;v=w;}",
         ""},
    Case{"config a\noption x b\\\n1234567890123456\0abcdefg\nhi\n"sv, "a{x=b1234567890123456defg;}",
         "f:4: invalid command, allowed: config, option, list"},
    // A lone carriage return is a blank.
    Case{"config a\roption\roption\n", "a 'option'{}", "f:1: too many arguments; quote values that contain spaces"},
    // The ';' ends an empty argument, which is then one too many.
    Case{"config a ; option x 'y'\n", "a{}",
         "f:1: too many arguments; quote values that contain spaces\n"
         "f:1: invalid command, allowed: config, option, list"},
    // Merging.
    Case{"config a x\noption o 1\nconfig b y\nconfig a x\noption o 2\noption p 3\n", "a 'x'{o=2;p=3;} b 'y'{}", ""},
    Case{"config a\noption o 1\noption o ''\noption o\noption p ''\noption q 2\noption p 3\n", "a{o=1;q=2;p=3;}", ""},
    Case{"config a\noption o 1\nlist o 2\nlist p 1\noption p 2\nlist q ''\nlist q 1\nlist q 1\n",
         "a{o=[1|2];p=2;q=[|1|1];}", ""},
};

constexpr std::array kBad{
    Case{"\xef\xbb\xbf"
         "config a\nconfig b\n",
         "b{}", "f:1: invalid command, allowed: config, option, list"},
    Case{"config a\n'option' x y\nOption x y\noption\fx y\nwhat\n", "a{}",
         "f:2: invalid command, allowed: config, option, list\nf:3: invalid command, allowed: config, option, list\n"
         "f:4: invalid command, allowed: config, option, list\nf:5: invalid command, allowed: config, option, list"},
    Case{"config\nconfig \nconfig ''\n", "",
         "f:1: invalid command, allowed: config, option, list\nf:2: insufficient arguments: a section needs a type\n"
         "f:3: insufficient arguments: a section needs a type"},
    Case{"option x y\n", "", "f:1: option/list command found before the first section"},
    Case{"config a\noption\t\noption '' x\n", "a{}",
         "f:2: insufficient arguments: an option needs a name\nf:3: insufficient arguments: an option needs a name"},
    Case{"config a\noption x y z\nlist l m n\noption v w", "a{x=y;l=[m];v=w;}",
         "f:2: too many arguments; quote values that contain spaces\n"
         "f:3: too many arguments; quote values that contain spaces"},
    // The options of a refused section go to the previous one.
    Case{"config globals globals\nconfig interface wan-b\noption enabled 1\n", "globals 'globals'{enabled=1;}",
         "f:2: invalid character in name field, allowed: letters, digits, '_'"},
    Case{"config a\noption x-y 1\noption xy 2\n", "a{xy=2;}",
         "f:2: invalid character in name field, allowed: letters, digits, '_'"},
    Case{"config a x\noption o 1\nconfig b x\noption p 2\n", "b 'x'{o=1;p=2;}",
         "f:3: section of different type overwrites prior section with same name, on line 1"},
    Case{"config a\noption x 'y\nconfig b\noption z w\n", "a{}", "f:2: unterminated quotation starts here"},
    Case{"config a\noption x \"y", "a{}", "f:2: unterminated quotation starts here"},
    Case{"package\t\npackage 'a b'\nconfig a b ;\n", "a 'b'{}",
         "f:1: insufficient arguments\nf:2: invalid character in name field\n"
         "f:3: invalid command, allowed: config, option, list"},
};

INSTANTIATE_TEST_SUITE_P(Good, Grammar, ::testing::ValuesIn(kGood));
INSTANTIATE_TEST_SUITE_P(Bad, Grammar, ::testing::ValuesIn(kBad));

TEST(Uci, KnowsTheLines) {
  Problems problems;
  const Sections sections = readUci("\nconfig a\n option x 'one\n two'\n list y \\\n z\n option v w\n", problems);
  ASSERT_EQ(sections.size(), 1U);
  EXPECT_EQ(sections[0].line, 2U);
  ASSERT_EQ(sections[0].options.size(), 3U);
  EXPECT_EQ(sections[0].options[0].line, 3U);
  EXPECT_EQ(sections[0].options[1].values[0].line, 5U);
  EXPECT_EQ(sections[0].options[2].line, 7U);
}

TEST(Uci, IsRecognised) {
  EXPECT_TRUE(looksLikeUci("# x\n\n  config wan\n"));
  EXPECT_TRUE(looksLikeUci("package wgsteer\n"));
  EXPECT_FALSE(looksLikeUci(""));
  EXPECT_FALSE(looksLikeUci("config = 1\n"));
  EXPECT_FALSE(looksLikeUci("[globals]\n"));
  EXPECT_FALSE(looksLikeUci("configure x\n"));
}

/// Names and values of any letters, no two sections or options of one name.
Sections randomSections(std::mt19937& random) {
  const auto text = [&random](std::string_view letters, std::size_t most, std::size_t least) {
    std::string result;
    for (std::size_t n = least + random() % (most - least + 1); n > 0; --n)
      result += letters[random() % letters.size()];
    return result;
  };
  constexpr std::string_view kName = "abcXYZ019_";
  constexpr std::string_view kType = "abc-.!~#;'\"\\";
  constexpr std::string_view kValue = "ab '\"\\#;\n\t\v=\x01\x7f\xc3\xa9";
  Sections sections;
  for (std::size_t s = random() % 5; s > 0; --s) {
    Section section{.type = text(kType, 6, 1), .name = {}, .line = 0, .options = {}};
    if (random() % 2 == 0) section.name = text(kName, 5, 1) + std::to_string(s);
    for (std::size_t o = random() % 5; o > 0; --o) {
      Option option{.name = text(kName, 5, 0) + std::to_string(o), .values = {}, .list = random() % 2 == 0, .line = 0};
      // An option without a value does not exist; an entry of a list may be empty.
      for (std::size_t v = option.list ? 1 + random() % 3 : 1; v > 0; --v)
        option.values.push_back({ValueType::untyped, text(kValue, 12, option.list ? 0 : 1), 0});
      section.options.push_back(std::move(option));
    }
    sections.push_back(std::move(section));
  }
  return sections;
}

TEST(Uci, ReadsBackWhatAPrinterWroteInAnySpelling) {
  std::mt19937 random{20260};
  for (int i = 0; i < 20000; ++i) {
    const Sections sections = randomSections(random);
    const std::string text = UciPrinter{random}.print(sections);
    Problems problems;
    ASSERT_EQ(shortly(readUci(text, problems)), shortly(sections)) << text;
    ASSERT_EQ(problems.toString("f"), "") << text;
  }
}

[[maybe_unused]] long peakKilobytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

TEST(Uci, HundredMegabytesOfAnythingCostBoundedTimeAndMemory) {
  // Each repeated up to a megabyte, the most that is ever read; 100 of them.
  const std::array<std::string, 10> hostile{
      "config a\n", "config a b%\n", "option x y\n", "list x ''\n",
      "'\n",        "\\\n",          ";c a",         "\x00\xff\n" + std::string(1, '\0'),
      "x",          "o n% v\n",
  };
  // AddressSanitizer takes ten times as long, and keeps what was freed.
#ifdef __SANITIZE_ADDRESS__
  constexpr int kRounds = 2;
#else
  constexpr int kRounds = 10;
#endif
  const std::clock_t started = std::clock();
  std::mt19937 random{7};
  std::size_t bytes = 0;
  for (int round = 0; round < kRounds; ++round)
    for (const std::string& each : hostile) {
      std::string text = round % 2 == 0 ? "config x y\n" : "";
      while (text.size() < 1024UL * 1024) {
        std::string piece = each;
        if (const auto at = piece.find('%'); at != std::string::npos) piece.replace(at, 1, std::to_string(random()));
        text += piece;
      }
      Problems problems;
      const Sections sections = readUci(text, problems);
      EXPECT_LE(sections.size(), text.size() / 4);
      bytes += text.size();
    }
  const double took = static_cast<double>(std::clock() - started) / CLOCKS_PER_SEC;
  EXPECT_GE(bytes, kRounds * 10UL * 1024 * 1024);
  // 6 s on a slow machine; quadratic would be hours.
  EXPECT_LT(took, 60.0);
#ifndef __SANITIZE_ADDRESS__
  EXPECT_LT(peakKilobytes(), 256L * 1024);
#endif
}

TEST(Uci, ALargeTextIsRefusedUnread) {
  const auto config = loadText(std::string(100UL * 1024 * 1024, '#'), "/etc/config/wgsteer");
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().what, "/etc/config/wgsteer: is larger than 1 MB, too large for a configuration");
}

}  // namespace
}  // namespace wgsteer::config
