// SPDX-License-Identifier: GPL-2.0-or-later
// The packaged example is valid, both as it is and with everything in it enabled.
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

#include "config/load.hpp"

namespace wgsteer::config {
namespace {

std::string example() {
  std::ifstream file{WGSTEER_EXAMPLE};
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// "#option" becomes "option"; "# prose" stays.
std::string enabled(const std::string& text) {
  std::istringstream lines{text};
  std::string result;
  for (std::string line; std::getline(lines, line);)
    result += (line.size() > 1 && line[0] == '#' && line[1] != ' ' ? line.substr(1) : line) + "\n";
  return result;
}

TEST(Example, AsItIsChangesNothing) {
  const auto config = loadFile(WGSTEER_EXAMPLE);
  ASSERT_TRUE(config) << config.error().what;
  EXPECT_EQ(*config, Config{});
}

TEST(Example, WithEverythingEnabledIsValid) {
  const auto config = loadText(enabled(example()), "example");
  ASSERT_TRUE(config) << config.error().what;
  EXPECT_EQ(config->wans.size(), 2U);
  EXPECT_EQ(config->policies.size(), 2U);
  EXPECT_EQ(config->tunnels.size(), 1U);
  EXPECT_EQ(config->peers.size(), 1U);
  EXPECT_EQ(config->rules.size(), 1U);
  EXPECT_EQ(config->numbers, Numbers{});
}

}  // namespace
}  // namespace wgsteer::config
