// SPDX-License-Identifier: GPL-2.0-or-later
// Files as mwan3's shell scripts write them, in a folder of the test.
#include "health/mwan3_watch.hpp"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <sys/stat.h>

#include "os/timer.hpp"
#include "support/temp_folder.hpp"

namespace wgsteer::health {
namespace {

namespace fs = std::filesystem;

class Mwan3 : public ::testing::Test {
 protected:
  void SetUp() override { fs::create_directories(base_); }

  void start() {
    auto made =
        Mwan3Watch::create(loop_, directories_, base_.string(), [this](const std::string& interface, Health now) {
          changes_.emplace_back(interface, now);
          if (onChange_) onChange_();
        });
    ASSERT_TRUE(made) << made.error().what;
    watch_ = std::move(*made);
  }
  /// Like `echo WORD > FILE`; creates folders as needed.
  void say(const fs::path& file, const std::string& word) {
    fs::create_directories((base_ / file).parent_path());
    std::ofstream{base_ / file} << word << "\n";
  }
  void state(const std::string& interface, const std::string& word) { say("mwan3/iface_state/" + interface, word); }
  void track(const std::string& interface, const std::string& word) {
    say("mwan3track/" + interface + "/STATUS", word);
  }
  /// Runs the loop until `done`; false after ten seconds, or `patience`.
  bool runUntil(const std::function<bool()>& done, std::chrono::milliseconds patience = std::chrono::seconds{10}) {
    auto limit = std::move(*os::Timer::create());
    limit.arm(patience);
    bool late = false;
    EXPECT_TRUE(loop_.watch(limit.descriptor(), [&] {
      late = true;
      loop_.stop();
    }));
    loop_.afterEach([&] {
      if (done()) loop_.stop();
    });
    if (!done()) {
      EXPECT_TRUE(loop_.run());
    }
    loop_.unwatch(limit.descriptor());
    return !late;
  }
  bool becomes(const std::string& interface, Health wanted) {
    return runUntil([&] { return watch_->of(interface) == wanted; });
  }
  /// Processes everything queued so far.
  void catchUp() {
    fs::create_directory(root_ / "marker");
    bool seen = false;
    const auto marker = directories_.add((root_ / "marker").string(), [&](const auto&) { seen = true; });
    std::ofstream{root_ / "marker/file"};
    EXPECT_TRUE(runUntil([&] { return seen; }));
    fs::remove_all(root_ / "marker");
  }
  bool nothingToDo() {
    catchUp();
    // Processes the removal of the marker itself.
    runUntil([] { return false; }, std::chrono::milliseconds{100});
    return !runUntil([rounds = 0]() mutable { return ++rounds > 1; }, std::chrono::milliseconds{100});
  }

  wgsteer::test::TempFolder temp_;
  fs::path root_ = temp_.path();
  fs::path base_ = root_ / "run";
  os::EventLoop loop_{std::move(*os::EventLoop::create())};
  os::DirectoryWatches directories_{loop_};
  std::unique_ptr<Mwan3Watch> watch_;
  std::function<void()> onChange_;
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
  EXPECT_TRUE(nothingToDo()) << "no longer tried";
}

TEST_F(Mwan3, IgnoresWhatIsWrittenEachTurn) {
  state("wan", "online");
  track("wan", "online");
  start();
  for (const char* file : {"SCORE", "TURN", "TIME", "LOST", "TRACK_9.9.9.9"})
    say("mwan3track/wan/" + std::string{file}, "1");
  catchUp();
  state("wan", "offline");
  EXPECT_TRUE(becomes("wan", Health::down));
  EXPECT_EQ(changes_.size(), 1U);
}

TEST_F(Mwan3, WhoeverIsToldMayEndIt) {
  for (const char* name : {"a", "b", "c"}) state(name, "online");
  start();
  onChange_ = [this] { watch_.reset(); };
  for (const char* name : {"a", "b", "c"}) state(name, "offline");
  EXPECT_TRUE(runUntil([&] { return !changes_.empty(); }));
  EXPECT_EQ(changes_.size(), 1U) << "and is told no more";
  state("a", "online");
  catchUp();
  EXPECT_EQ(changes_.size(), 1U);
}

TEST_F(Mwan3, WhoeverIsToldMayReplaceIt) {
  state("a", "online");
  start();
  onChange_ = [this] { start(); };
  state("a", "offline");
  EXPECT_TRUE(becomes("a", Health::down));
  onChange_ = {};
  state("a", "online");
  EXPECT_TRUE(becomes("a", Health::up));
}

TEST_F(Mwan3, OddFilesAreNoVerdict) {
  fs::create_directories(base_ / "mwan3/iface_state/folder");
  state("long", std::string(100, 'x'));
  state("nonsense", "onlin");
  ASSERT_EQ(mkfifo((base_ / "mwan3/iface_state/fifo").c_str(), 0600), 0);
  start();
  for (const char* name : {"folder", "long", "nonsense", "fifo"}) EXPECT_EQ(watch_->of(name), Health::unknown) << name;
}

}  // namespace
}  // namespace wgsteer::health
