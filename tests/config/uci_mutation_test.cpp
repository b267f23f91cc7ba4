// SPDX-License-Identifier: GPL-2.0-or-later
// Whatever becomes of OpenWrt's files, what is made of them is valid, and no line is one that is not there.
#include <algorithm>
#include <array>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <random>

#include "config/import_mwan3.hpp"
#include "config/load.hpp"
#include "config/uci.hpp"
#include "config/write.hpp"

namespace wgsteer::config {
namespace {

std::string sample(const std::string& name) {
  std::ifstream file{std::string{WGSTEER_OPENWRT} + "/" + name};
  return {std::istreambuf_iterator<char>{file}, {}};
}

class Mutator {
 public:
  explicit Mutator(unsigned seed) : random_(seed) {}

  std::string mutate(std::string text) {
    for (std::size_t i = 1 + below(4); i > 0; --i) once(text);
    return text;
  }

 private:
  std::size_t below(std::size_t limit) { return limit == 0 ? 0 : random_() % limit; }

  void once(std::string& text) {
    constexpr std::string_view kTelling = "'\"\\#;\n\r\t \0\xff,:/@-09ax";
    constexpr std::array<std::string_view, 10> kWords{"'1'",  "\tlist track_ip ", "config rule\n", "''",   "@wan",
                                                      "\\\n", "99999999999",      "::/0,",         "wan6", "wireguard"};
    const std::size_t at = below(text.size());
    switch (below(6)) {
      case 0:
        if (!text.empty()) text[at] = kTelling[below(kTelling.size())];
        break;
      case 1:
        text.insert(at, 1, static_cast<char>(below(256)));
        break;
      case 2:
        text.erase(at, below(60));
        break;
      case 3:
        text.insert(below(text.size()), text.substr(at, below(300)));
        break;
      case 4:
        text.insert(at, kWords[below(kWords.size())]);
        break;
      default:
        // One option less, or with another's value.
        text.erase(std::min(text.find('\n', at), text.size()), below(40));
    }
  }

  std::mt19937 random_;
};

TEST(UciMutation, AnImportIsAlwaysValid) {
  const std::string mwan3 = sample("mwan3");
  const std::string network = sample("network");
  Mutator mutator{20261};
  std::size_t pinned = 0;
  for (int i = 0; i < 4000; ++i) {
    const std::string mutant = mutator.mutate(mwan3);
    Problems notes;
    const Mwan3 read = readMwan3(mutant, notes);
    const Import import = importMwan3(read, readNetwork(mutator.mutate(network)), WanBy::interface, notes);
    const auto config = loadText(toUci(import.sections), "/etc/config/wgsteer");
    ASSERT_TRUE(config) << config.error().what << "\n" << mutant;
#ifdef WGSTEER_TOML
    const auto toml = loadText(toToml(import.sections), "wgsteer.toml");
    ASSERT_TRUE(toml) << toml.error().what << "\n" << mutant;
    ASSERT_EQ(*config, *toml) << mutant;
#endif
    pinned += import.pinned;
  }
  // Not all of them are nonsense.
  EXPECT_GT(pinned, 2000U);
}

TEST(UciMutation, LinesAreThoseOfTheFile) {
  const std::string imported = sample("imported");
  Mutator mutator{20262};
  for (int i = 0; i < 10000; ++i) {
    const std::string mutant = mutator.mutate(imported);
    const auto lines = static_cast<unsigned>(std::ranges::count(mutant, '\n') + 1);
    Problems problems;
    for (const Section& section : readUci(mutant, problems)) {
      ASSERT_TRUE(section.line >= 1 && section.line <= lines) << mutant;
      for (const Option& option : section.options) ASSERT_TRUE(option.line >= 1 && option.line <= lines) << mutant;
    }
    const auto config = loadText(mutant, "/etc/config/wgsteer");
    ASSERT_TRUE(config || config.error().what.starts_with("/etc/config/wgsteer:")) << mutant;
  }
}

}  // namespace
}  // namespace wgsteer::config
