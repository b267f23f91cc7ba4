// SPDX-License-Identifier: GPL-2.0-or-later
// Files that are not regular files, or not text.
#include <cstdio>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/load.hpp"
#include "os/read_file.hpp"
#include "support/temp_folder.hpp"

namespace wgsteer::config {
namespace {

class FileTest : public ::testing::Test {
 protected:
  void write(const std::string& text) const {
    std::FILE* file = std::fopen(path_.c_str(), "w");
    ASSERT_NE(file, nullptr);
    EXPECT_EQ(std::fwrite(text.data(), 1, text.size(), file), text.size());
    EXPECT_EQ(std::fclose(file), 0);
  }
  void expectError(ErrorKind kind, const std::string& what) const {
    const auto config = loadFile(path_);
    ASSERT_FALSE(config);
    EXPECT_EQ(config.error().kind, kind);
    EXPECT_EQ(config.error().what, path_ + what);
  }

  wgsteer::test::TempFolder temp_;
  std::string folder_ = temp_.path();
  std::string path_ = folder_ + "/wgsteer.toml";
};

TEST_F(FileTest, Loads) {
  write("[globals]\nforce = true\n");
  const auto config = loadFile(path_);
  ASSERT_TRUE(config) << config.error().what;
  EXPECT_TRUE(config->force);
}

TEST_F(FileTest, MissingIsNotThere) { expectError(ErrorKind::notThere, ": cannot be read: No such file or directory"); }

TEST_F(FileTest, ADirectoryIsRefused) {
  const auto config = loadFile(folder_);
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().kind, ErrorKind::io);
  EXPECT_EQ(config.error().what, folder_ + ": is a directory, not a file");
}

TEST_F(FileTest, AFifoIsRefusedWithoutWaitingForIt) {
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  expectError(ErrorKind::io, ": is not a regular file");
}

TEST_F(FileTest, ALinkToItselfIsAnError) {
  ASSERT_EQ(symlink(path_.c_str(), path_.c_str()), 0);
  expectError(ErrorKind::io, ": cannot be read: Too many levels of symbolic links");
}

TEST_F(FileTest, UnreadableIsAnError) {
  if (geteuid() == 0) {
    // Root may read everything, but reading some files fails even for root: the beginning of the process's own memory.
    const auto config = loadFile("/proc/self/mem");
    ASSERT_FALSE(config);
    EXPECT_EQ(config.error().kind, ErrorKind::io);
    return;
  }
  write("");
  ASSERT_EQ(chmod(path_.c_str(), 0), 0);
  expectError(ErrorKind::io, ": cannot be read: Permission denied");
}

TEST_F(FileTest, LargerThanOneMegabyteIsRefusedBeforeItIsRead) {
  write("");
  ASSERT_EQ(truncate(path_.c_str(), 1L << 40), 0);
  expectError(ErrorKind::io, ": is larger than 1 MB, too large for a configuration");
}

TEST_F(FileTest, OneMegabyteOfCommentsLoads) {
  std::string text;
  while (text.size() + 80 <= os::kMaxFileSize) text += "#" + std::string(78, 'x') + "\n";
  write(text);
  EXPECT_TRUE(loadFile(path_));
}

TEST_F(FileTest, ErrorsNameTheFile) {
  write("[globals]\nforce = 1\n");
  expectError(ErrorKind::config, ":2: force: is an integer, must be true or false");
}

}  // namespace
}  // namespace wgsteer::config
