// SPDX-License-Identifier: GPL-2.0-or-later
// Files as mwan3's shell scripts write them, in a folder of the test.
#include "health/mwan3_watch.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <poll.h>

namespace wgsteer::health {
namespace {

namespace fs = std::filesystem;

class Mwan3 : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "mwan3XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
    base_ = root_ / "run";
    fs::create_directories(base_);
  }
  void TearDown() override { fs::remove_all(root_); }

  void start() {
    auto made = Mwan3Watch::create(
        base_.string(), [this](const std::string& interface, Health now) { changes_.emplace_back(interface, now); });
    ASSERT_TRUE(made) << made.error().what;
    watch_.emplace(std::move(*made));
  }
  /// As `echo WORD > FILE`, in folders that are made if need be.
  void say(const fs::path& file, const std::string& word) {
    fs::create_directories((base_ / file).parent_path());
    std::ofstream{base_ / file} << word << "\n";
  }
  void state(const std::string& interface, const std::string& word) { say("mwan3/iface_state/" + interface, word); }
  void track(const std::string& interface, const std::string& word) {
    say("mwan3track/" + interface + "/STATUS", word);
  }
  /// Until the watch says so; false after ten seconds.
  bool becomes(const std::string& interface, Health wanted) {
    constexpr int kPatience = 10000;
    while (watch_->of(interface) != wanted) {
      pollfd ready{.fd = watch_->descriptor(), .events = POLLIN, .revents = 0};
      if (::poll(&ready, 1, kPatience) != 1) return false;
      watch_->ready();
    }
    return true;
  }
  bool nothingToDo() {
    pollfd ready{.fd = watch_->descriptor(), .events = POLLIN, .revents = 0};
    return ::poll(&ready, 1, 0) == 0;
  }

  fs::path root_;
  fs::path base_;
  std::optional<Mwan3Watch> watch_;
  std::vector<std::pair<std::string, Health>> changes_;
};

using Changes = std::vector<std::pair<std::string, Health>>;

TEST_F(Mwan3, ReadsWhatIsThere) {
  state("wan", "online");
  state("lte", "offline");
  start();
  EXPECT_EQ(watch_->of("wan"), Health::up);
  EXPECT_EQ(watch_->of("lte"), Health::down);
  EXPECT_EQ(watch_->of("dsl"), Health::unknown);
  EXPECT_EQ(changes_, Changes{});
}

TEST_F(Mwan3, TellsEachChangeOnce) {
  state("wan", "online");
  start();
  state("wan", "offline");
  EXPECT_TRUE(becomes("wan", Health::down));
  state("wan", "offline");
  state("wan", "online");
  EXPECT_TRUE(becomes("wan", Health::up));
  EXPECT_EQ(changes_, (Changes{{"wan", Health::down}, {"wan", Health::up}}));
}

TEST_F(Mwan3, GoesByTheTrackerWhereThereIsNoState) {
  start();
  struct Word {
    const char* word;
    Health health;
  };
  for (const auto& [word, health] :
       {Word{"online", Health::up}, Word{"connecting", Health::down}, Word{"disconnecting", Health::up},
        Word{"offline", Health::down}, Word{"disabled", Health::unknown}}) {
    track("wan", word);
    EXPECT_TRUE(becomes("wan", health)) << word;
  }
  track("wan", "online");
  EXPECT_TRUE(becomes("wan", Health::up));
  state("wan", "offline");
  EXPECT_TRUE(becomes("wan", Health::down)) << "what mwan3's policies go by counts more";
}

TEST_F(Mwan3, SurvivesItsStopAndStart) {
  state("wan", "online");
  track("lte", "online");
  start();
  for (int i = 0; i < 3; ++i) {
    fs::remove_all(base_ / "mwan3");
    fs::remove_all(base_ / "mwan3track");
    EXPECT_TRUE(becomes("wan", Health::unknown));
    EXPECT_TRUE(becomes("lte", Health::unknown));
    track("lte", "offline");
    state("wan", "offline");
    EXPECT_TRUE(becomes("wan", Health::down));
    EXPECT_TRUE(becomes("lte", Health::down));
    state("wan", "online");
    track("lte", "online");
    EXPECT_TRUE(becomes("wan", Health::up));
    EXPECT_TRUE(becomes("lte", Health::up));
  }
}

TEST_F(Mwan3, SurvivesWithoutItsBase) {
  fs::remove_all(base_);
  start();
  state("wan", "online");
  EXPECT_TRUE(becomes("wan", Health::up));
  fs::remove_all(base_);
  EXPECT_TRUE(becomes("wan", Health::unknown));
  state("wan", "offline");
  EXPECT_TRUE(becomes("wan", Health::down));
}

TEST_F(Mwan3, AnEmptyFileIsNoVerdictYet) {
  state("wan", "online");
  start();
  {
    std::ofstream truncated{base_ / "mwan3/iface_state/wan"};
    truncated.flush();
    // Something else changes meanwhile, so that everything is read.
    state("lte", "offline");
    EXPECT_TRUE(becomes("lte", Health::down));
    EXPECT_EQ(watch_->of("wan"), Health::up);
    truncated << "offline\n";
  }
  EXPECT_TRUE(becomes("wan", Health::down));
}

TEST_F(Mwan3, AFileThatStaysEmptyIsGivenUp) {
  state("wan", "online");
  start();
  std::ofstream{base_ / "mwan3/iface_state/wan"};
  EXPECT_TRUE(becomes("wan", Health::unknown));
  watch_->ready();
  EXPECT_TRUE(nothingToDo()) << "no longer tried";
}

TEST_F(Mwan3, IgnoresWhatIsWrittenEachTurn) {
  state("wan", "online");
  track("wan", "online");
  start();
  for (const char* file : {"SCORE", "TURN", "TIME", "LOST", "TRACK_9.9.9.9"})
    say("mwan3track/wan/" + std::string{file}, "1");
  watch_->ready();
  state("wan", "offline");
  EXPECT_TRUE(becomes("wan", Health::down));
  EXPECT_EQ(changes_.size(), 1U);
}

TEST_F(Mwan3, OddFilesAreNoVerdict) {
  fs::create_directories(base_ / "mwan3/iface_state/folder");
  state("long", std::string(100, 'x'));
  state("nonsense", "onlin");
  start();
  for (const char* name : {"folder", "long", "nonsense"}) EXPECT_EQ(watch_->of(name), Health::unknown) << name;
}

}  // namespace
}  // namespace wgsteer::health
