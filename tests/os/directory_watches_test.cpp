// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/directory_watches.hpp"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <optional>
#include <sys/resource.h>
#include <unistd.h>

#include "os/timer.hpp"
#include "support/temp_folder.hpp"

namespace wgsteer::os {
namespace {

namespace fs = std::filesystem;

class Directories : public ::testing::Test {
 protected:
  void write(const std::string& file, const std::string& text = "x") const { std::ofstream{root_ / file} << text; }
  /// One round of the loop; false when nothing comes within five seconds.
  bool turn() {
    bool late = false;
    Timer limit = std::move(*Timer::create());
    limit.arm(std::chrono::seconds{5});
    EXPECT_TRUE(loop_.watch(limit.descriptor(), [&] { late = true; }));
    loop_.afterEach([this] { loop_.stop(); });
    EXPECT_TRUE(loop_.run());
    loop_.unwatch(limit.descriptor());
    return !late;
  }

  wgsteer::test::TempFolder temp_;
  fs::path root_ = temp_.path();
  EventLoop loop_{std::move(*EventLoop::create())};
};

TEST_F(Directories, OneInstanceTellsEachWatchOfItsOwn) {
  fs::create_directories(root_ / "a");
  fs::create_directories(root_ / "b");
  DirectoryWatches watches{loop_};
  DirectoryWatches::Names a;
  DirectoryWatches::Names b;
  const auto first = watches.add((root_ / "a").string(), [&](const auto& names) { a = names; });
  const auto second = watches.add((root_ / "b").string(), [&](const auto& names) { b = names; });
  write("a/one");
  write("a/two");
  ASSERT_TRUE(turn());
  EXPECT_EQ(a, (DirectoryWatches::Names{"one", "two"}));
  EXPECT_TRUE(b.empty());
}

TEST_F(Directories, ComeAndGoAndComeAgain) {
  const std::string folder = (root_ / "later").string();
  DirectoryWatches watches{loop_};
  int told = 0;
  const auto watch = watches.add(folder, [&](const auto&) { ++told; });
  EXPECT_FALSE(watch.isWatched());
  for (int i = 0; i < 2; ++i) {
    fs::create_directory(folder);
    told = 0;
    watches.renew();
    EXPECT_EQ(told, 1) << "it has come";
    EXPECT_TRUE(watch.isWatched());
    write("later/file");
    ASSERT_TRUE(turn());
    EXPECT_EQ(told, 2);
    fs::remove_all(folder);
    ASSERT_TRUE(turn());
    EXPECT_EQ(told, 3);
    EXPECT_FALSE(watch.isWatched());
  }
}

TEST_F(Directories, AHandlerMayEndItsOwnWatchAndOthersAndAddMore) {
  DirectoryWatches watches{loop_};
  std::vector<std::optional<DirectoryWatches::Watch>> all(3);
  int calls = 0;
  int later = 0;
  DirectoryWatches::Watch added;
  const std::string text(100, 'x');
  for (auto& each : all)
    each = watches.add(root_.string(), [&, text](const auto& names) {
      ++calls;
      for (auto& other : all) other.reset();
      added = watches.add(root_.string(), [&](const auto&) { ++later; });
      EXPECT_EQ(text, std::string(100, 'x')) << "it runs on";
      EXPECT_TRUE(names.contains("file"));
    });
  write("file");
  ASSERT_TRUE(turn());
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(later, 0);
  write("other");
  ASSERT_TRUE(turn());
  EXPECT_EQ(later, 1);
}

/// Uses up all descriptors as long as it lives.
class NoDescriptor {
 public:
  NoDescriptor() {
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &before_), 0);
    const Fd lowest{dup(STDERR_FILENO)};
    const rlimit none{.rlim_cur = static_cast<rlim_t>(lowest.get()), .rlim_max = before_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  }
  ~NoDescriptor() { setrlimit(RLIMIT_NOFILE, &before_); }
  NoDescriptor(const NoDescriptor&) = delete;
  NoDescriptor& operator=(const NoDescriptor&) = delete;

 private:
  rlimit before_{};
};

TEST_F(Directories, WithoutInotifyTheyAreLookedAtAndItIsTriedAgain) {
  std::optional<NoDescriptor> none{std::in_place};
  DirectoryWatches watches{loop_};
  EXPECT_NE(watches.trouble().find("Too many open files"), std::string::npos) << watches.trouble();
  int told = 0;
  const auto watch = watches.add(root_.string(), [&](const auto&) { ++told; });
  none.reset();
  // A descriptor for opendir(3), and none for more.
  const Fd spare{dup(STDERR_FILENO)};
  watches.renew();
  EXPECT_TRUE(watches.trouble().empty());
  EXPECT_TRUE(watch.isWatched());
  EXPECT_EQ(told, 1) << "what happened until then was not heard";
  write("file");
  ASSERT_TRUE(turn());
  EXPECT_EQ(told, 2);
}

TEST_F(Directories, WhatCannotBeWatchedIsLookedAt) {
  // inotify does not watch through a dangling link, and reports nothing when its target appears.
  DirectoryWatches watches{loop_};
  int told = 0;
  const auto watch = watches.add((root_ / "file").string(), [&](const auto&) { ++told; });
  for (int i = 0; i < 4; ++i) watches.renew();
  EXPECT_EQ(told, 0) << "nothing has changed";
}

}  // namespace
}  // namespace wgsteer::os
