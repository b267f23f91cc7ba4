// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/replace_file.hpp"

#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "os/fd.hpp"
#include "support/temp_folder.hpp"

namespace wgsteer::os {
namespace {

namespace fs = std::filesystem;

class Replacing : public ::testing::Test {
 protected:
  static std::string textOf(const fs::path& file) {
    std::ifstream opened{file};
    return {std::istreambuf_iterator<char>{opened}, {}};
  }
  std::size_t count() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator{folder_}, fs::directory_iterator{}));
  }
  wgsteer::test::TempFolder temp_;
  fs::path folder_ = temp_.path();
  std::string file_ = folder_ / "file";
};

TEST_F(Replacing, NewAndOld) {
  for (const char* text : {"one", "two"}) {
    ASSERT_TRUE(replaceFile(file_, text));
    EXPECT_EQ(textOf(file_), text);
  }
  EXPECT_EQ(count(), 1U);
}

TEST_F(Replacing, WhatLiesBesideIsLeftAlone) {
  ASSERT_EQ(mkfifo((file_ + ".new").c_str(), 0600), 0);
  ASSERT_TRUE(replaceFile(file_, "text"));
  EXPECT_TRUE(fs::is_fifo(file_ + ".new"));
  EXPECT_EQ(textOf(file_), "text");
}

TEST_F(Replacing, ALinkStaysAndItsTargetIsReplaced) {
  std::ofstream{folder_ / "target"} << "old";
  fs::create_symlink("target", file_);
  ASSERT_TRUE(replaceFile(file_, "new"));
  EXPECT_TRUE(fs::is_symlink(file_));
  EXPECT_EQ(textOf(folder_ / "target"), "new");
  fs::remove(folder_ / "target");
  ASSERT_TRUE(replaceFile(file_, "again")) << "one that leads to nothing yet";
  EXPECT_EQ(textOf(folder_ / "target"), "again");
  fs::remove(folder_ / "target");
  fs::create_symlink("file", folder_ / "target");
  EXPECT_FALSE(replaceFile(file_, "x")) << "a circle";
}

TEST_F(Replacing, AnotherUsersLinkIsNotFollowed) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  std::ofstream{folder_ / "target"} << "old";
  fs::create_symlink("target", file_);
  ASSERT_EQ(lchown(file_.c_str(), 65534, 65534), 0);
  EXPECT_FALSE(replaceFile(file_, "new"));
  EXPECT_EQ(textOf(folder_ / "target"), "old");
}

TEST_F(Replacing, ADeviceIsWrittenToAndStaysOne) {
  if (mknod(file_.c_str(), S_IFCHR | 0600, makedev(1, 3)) != 0) GTEST_SKIP() << "no device nodes here";
  if (const Fd probe{open(file_.c_str(), O_WRONLY)}; !probe) GTEST_SKIP() << "no devices in this folder";
  EXPECT_TRUE(replaceFile(file_, "text"));
  EXPECT_TRUE(fs::is_character_file(file_));
  EXPECT_EQ(count(), 1U);
}

TEST_F(Replacing, AFullDeviceIsAnError) {
  fs::create_symlink("/dev/full", file_);
  const Status done = replaceFile(file_, "text");
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ENOSPC);
  EXPECT_TRUE(fs::is_character_file("/dev/full"));
}

TEST_F(Replacing, AFifoThatNobodyReadsIsAnErrorAndStopsNobody) {
  ASSERT_EQ(mkfifo(file_.c_str(), 0600), 0);
  EXPECT_FALSE(replaceFile(file_, "text"));
  const Fd reader{open(file_.c_str(), O_RDONLY | O_NONBLOCK)};
  ASSERT_TRUE(replaceFile(file_, "text"));
  std::string read(4, '\0');
  EXPECT_EQ(::read(reader.get(), read.data(), read.size()), 4);
  EXPECT_EQ(read, "text");
  EXPECT_FALSE(replaceFile(file_, std::string(1 << 20, 'x'))) << "who does not read on is not waited for without end";
  EXPECT_TRUE(fs::is_fifo(file_));
}

}  // namespace
}  // namespace wgsteer::os
