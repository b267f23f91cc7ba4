// SPDX-License-Identifier: GPL-2.0-or-later
// Which configuration a daemon starts with when the one it is given is broken.
#include "daemon/last_good.hpp"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "config/load.hpp"
#include "os/read_file.hpp"
#include "support/temp_folder.hpp"

namespace wgsteer {
namespace {

namespace fs = std::filesystem;

constexpr const char* kOneWan = "[[wan]]\nname = \"fiber\"\ndevice = \"eth0\"\n";
constexpr const char* kBroken = "[[wan]]\nname = \"fiber\"\ndevice = eth0\n";

class LastGoodTest : public ::testing::Test {
 protected:
  ConfigSource source(const std::string& name = "wgsteer.toml") const {
    const std::string file = folder_ / name;
    return {.file = file,
            .read = [file]() -> Result<ConfigText> {
              auto text = os::readFile(file);
              if (!text) return std::unexpected(text.error());
              return ConfigText{file, *text};
            },
            .make = [](const ConfigText& from) { return config::loadText(from.text, from.file); }};
  }
  LastGood lastGood(const std::string& name = "wgsteer.toml") const {
    return LastGood{folder_ / name, folder_ / "state"};
  }
  void write(const std::string& text, const std::string& name = "wgsteer.toml") const {
    std::ofstream{folder_ / name} << text;
  }
  /// Like a daemon that has put its configuration into use.
  void runOnce(const std::string& name = "wgsteer.toml") const {
    const auto start = configForStart(source(name), lastGood(name));
    ASSERT_TRUE(start);
    ASSERT_TRUE(lastGood(name).keep(start->loaded.text));
  }

  test::TempFolder temp_;
  fs::path folder_ = temp_.path();
};

TEST_F(LastGoodTest, IsUsedForABrokenFile) {
  write(kOneWan);
  runOnce();
  write(kBroken);
  const auto start = configForStart(source(), lastGood());
  ASSERT_TRUE(start);
  ASSERT_EQ(start->loaded.config.wans.size(), 1U);
  EXPECT_EQ(start->loaded.text, kOneWan);
  ASSERT_TRUE(start->refused);
  EXPECT_NE(start->refused->what.find("wgsteer.toml:3"), std::string::npos) << start->refused->what;
  EXPECT_NE(start->instead.find(lastGood().file()), std::string::npos) << start->instead;
  EXPECT_FALSE(loadConfig(source())) << "by nobody but a daemon that starts";
}

TEST_F(LastGoodTest, IsNotUsedForOneThatIsRight) {
  write(kOneWan);
  runOnce();
  write("");
  const auto start = configForStart(source(), lastGood());
  ASSERT_TRUE(start);
  EXPECT_FALSE(start->refused);
  EXPECT_TRUE(start->loaded.config.wans.empty());
}

TEST_F(LastGoodTest, StandsInForAFileThatIsGoneOrCannotBeRead) {
  write(kOneWan);
  runOnce();
  fs::remove(folder_ / "wgsteer.toml");
  auto start = configForStart(source(), lastGood());
  ASSERT_TRUE(start);
  EXPECT_EQ(start->refused->kind, ErrorKind::notThere);
  fs::create_directory(folder_ / "wgsteer.toml");
  start = configForStart(source(), lastGood());
  ASSERT_TRUE(start);
  EXPECT_EQ(start->refused->kind, ErrorKind::io);
}

TEST_F(LastGoodTest, WithoutOneTheErrorIsTheFiles) {
  write(kBroken);
  const auto start = configForStart(source(), lastGood());
  ASSERT_FALSE(start);
  EXPECT_EQ(start.error().toString(), loadConfig(source()).error().toString());
}

TEST_F(LastGoodTest, IsOfThatFileAlone) {
  write(kOneWan);
  runOnce();
  for (const char* other : {"wgsteer-toml", "wgsteer.tomL", "w%67steer.toml", "wgsteer.toml-"}) {
    write(kBroken, other);
    EXPECT_FALSE(configForStart(source(other), lastGood(other))) << other;
  }
  EXPECT_NE(LastGood("/a/b-c", "/s").file(), LastGood("/a-b/c", "/s").file());
  EXPECT_EQ(LastGood("/etc/../etc//wgsteer/wgsteer.toml", "/s").file(), "/s/last_good.etc-wgsteer-wgsteer.toml");
  EXPECT_EQ(LastGood("x.toml", "/s").file(), LastGood(fs::current_path() / "x.toml", "/s").file());
}

TEST_F(LastGoodTest, HasTheFormatOfItsFile) {
  const std::string uci = "config wan 'fiber'\n\toption device 'eth0'\n";
  write(uci, "wgsteer");
  runOnce("wgsteer");
  write("config wan 'fiber\n", "wgsteer");
  const auto start = configForStart(source("wgsteer"), lastGood("wgsteer"));
  ASSERT_TRUE(start) << start.error().toString();
  EXPECT_EQ(start->loaded.config.wans.size(), 1U);
}

TEST_F(LastGoodTest, IsForRootAloneAndWrittenOnlyWhenItIsAnother) {
  const LastGood kept = lastGood();
  ASSERT_TRUE(kept.keep(kOneWan));
  struct stat first{};
  ASSERT_EQ(stat(kept.file().c_str(), &first), 0);
  EXPECT_EQ(first.st_mode & 0777U, 0600U);
  ASSERT_TRUE(kept.keep(kOneWan));
  struct stat again{};
  ASSERT_EQ(stat(kept.file().c_str(), &again), 0);
  EXPECT_EQ(again.st_ino, first.st_ino) << "the same file, not one in its place";
  ASSERT_TRUE(kept.keep(""));
  EXPECT_EQ(kept.find()->text, "") << "no configuration is one as well";
}

TEST_F(LastGoodTest, ThatIsBrokenItselfIsSaidToBe) {
  ASSERT_TRUE(lastGood().keep(kBroken));
  write(kBroken);
  const auto start = configForStart(source(), lastGood());
  ASSERT_FALSE(start);
  EXPECT_EQ(start.error().kind, ErrorKind::config);
  EXPECT_NE(start.error().what.find("\nnor can the last good configuration of "), std::string::npos)
      << start.error().what;
}

TEST_F(LastGoodTest, ThatCannotBeWrittenIsAnError) {
  std::ofstream{folder_ / "state"} << "a file where the folder is to be";
  const auto kept = lastGood().keep(kOneWan);
  ASSERT_FALSE(kept);
  EXPECT_EQ(kept.error().code, ENOTDIR);
}

}  // namespace
}  // namespace wgsteer
