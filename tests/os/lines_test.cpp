// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/lines.hpp"

#include <cstdlib>
#include <gtest/gtest.h>
#include <string>
#include <unistd.h>
#include <vector>

namespace wgsteer::os {
namespace {

class Lines : public testing::Test {
 protected:
  ~Lines() override { ::unlink(path_.c_str()); }

  std::vector<std::string> linesOf(const std::string& text, std::size_t atMost = 100) {
    const int file = ::mkstemp(path_.data());
    EXPECT_EQ(::write(file, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    ::close(file);
    std::vector<std::string> lines;
    EXPECT_TRUE(forEachLine(path_, [&](std::string_view line) {
      lines.emplace_back(line);
      return lines.size() < atMost;
    }));
    return lines;
  }

  std::string path_ = testing::TempDir() + "/linesXXXXXX";
};

TEST_F(Lines, AreGivenWithoutTheirEnds) {
  const std::string large(100'000, 'x');
  EXPECT_EQ(linesOf("one\n\n" + large + "\nlast"), (std::vector<std::string>{"one", "", large, "last"}));
}

TEST_F(Lines, AreReadUntilOneIsEnough) { EXPECT_EQ(linesOf("one\ntwo\n", 1), std::vector<std::string>{"one"}); }

TEST(LinesOfAFile, ThatIsNotThereOrCannotBeRead) {
  const auto take = [](std::string_view) { return true; };
  EXPECT_EQ(forEachLine("/proc/no/such", take).error().kind, ErrorKind::notThere);
  EXPECT_EQ(forEachLine("/proc", take).error().kind, ErrorKind::io) << "a folder";
}

}  // namespace
}  // namespace wgsteer::os
