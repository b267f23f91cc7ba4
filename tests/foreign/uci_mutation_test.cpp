// SPDX-License-Identifier: GPL-2.0-or-later
// However OpenWrt's files are mutated, the result is valid, and no message names a line that does not exist.
#include <algorithm>
#include <array>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>

#include "config/load.hpp"
#include "config/mutator.hpp"
#include "config/uci.hpp"
#include "config/write.hpp"
#include "foreign/import_mwan3.hpp"

namespace wgsteer::foreign {
namespace {

using namespace std::string_view_literals;

std::string sample(const std::string& name) {
  std::ifstream file{std::string{WGSTEER_OPENWRT} + "/" + name};
  return {std::istreambuf_iterator<char>{file}, {}};
}

constexpr std::string_view kTelling = "'\"\\#;\n\r\t \0\xff,:/@-09ax"sv;
constexpr std::array<std::string_view, 10> kWords{"'1'",  "\tlist track_ip ", "config rule\n", "''",   "@wan",
                                                  "\\\n", "99999999999",      "::/0,",         "wan6", "wireguard"};

TEST(UciMutation, AnImportIsAlwaysValid) {
  const std::string mwan3 = sample("mwan3");
  const std::string network = sample("network");
  config::Mutator mutator{20261, kTelling, kWords};
  std::size_t pinned = 0;
  for (int i = 0; i < 4000; ++i) {
    const std::string mutant = mutator.mutate(mwan3);
    config::Problems notes;
    const Mwan3 read = readMwan3(mutant, notes);
    const Import import = importMwan3(read, readNetwork(mutator.mutate(network)), WanBy::interface, notes);
    const auto config = config::loadText(config::toUci(import.sections), "/etc/config/wgsteer");
    ASSERT_TRUE(config) << config.error().what << "\n" << mutant;
#ifdef WGSTEER_TOML
    const auto toml = config::loadText(config::toToml(import.sections), "wgsteer.toml");
    ASSERT_TRUE(toml) << toml.error().what << "\n" << mutant;
    ASSERT_EQ(*config, *toml) << mutant;
#endif
    pinned += import.pinned;
  }
  // Not all of them are garbage.
  EXPECT_GT(pinned, 2000U);
}

TEST(UciMutation, LinesAreThoseOfTheFile) {
  const std::string imported = sample("imported");
  config::Mutator mutator{20262, kTelling, kWords};
  for (int i = 0; i < 10000; ++i) {
    const std::string mutant = mutator.mutate(imported);
    const auto lines = static_cast<unsigned>(std::ranges::count(mutant, '\n') + 1);
    config::Problems problems;
    for (const config::Section& section : config::readUci(mutant, problems)) {
      ASSERT_TRUE(section.line >= 1 && section.line <= lines) << mutant;
      for (const config::Option& option : section.options)
        ASSERT_TRUE(option.line >= 1 && option.line <= lines) << mutant;
    }
    const auto config = config::loadText(mutant, "/etc/config/wgsteer");
    ASSERT_TRUE(config || config.error().what.starts_with("/etc/config/wgsteer:")) << mutant;
  }
}

}  // namespace
}  // namespace wgsteer::foreign
