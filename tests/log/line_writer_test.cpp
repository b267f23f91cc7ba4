// SPDX-License-Identifier: GPL-2.0-or-later
// Descriptors whose other end does not read. A test that blocks is ended by its time limit.
#include "log/line_writer.hpp"

#include <array>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

namespace wgsteer::log {
namespace {

/// What is written to one end comes out of the other.
class Ends : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    const bool made = GetParam() ? socketpair(AF_UNIX, SOCK_STREAM, 0, ends_.data()) == 0 : pipe(ends_.data()) == 0;
    ASSERT_TRUE(made);
    if (!GetParam()) std::swap(ends_[0], ends_[1]);
  }
  void TearDown() override {
    for (const int end : ends_) close(end);
  }
  std::string drain() const {
    std::string text(1 << 20, '\0');
    std::size_t size = 0;
    fcntl(ends_[1], F_SETFL, O_NONBLOCK);
    for (ssize_t got = 0; (got = read(ends_[1], &text[size], text.size() - size)) > 0;)
      size += static_cast<std::size_t>(got);
    text.resize(size);
    return text;
  }
  std::array<int, 2> ends_{};
};

void put(LineWriter& writer, const std::string& line) {
  writer.write(line + "\n", [](const std::string& text) { return "note: " + text + "\n"; });
}

TEST_P(Ends, WhatNobodyReadsIsCountedAndToldLater) {
  LineWriter writer{ends_[0]};
  int written = 0;
  for (; writer.lost() == 0 && written < 100000; ++written) put(writer, "line " + std::to_string(written));
  for (int i = 0; i < 9; ++i) put(writer, "lost");
  EXPECT_EQ(writer.lost(), 10U);
  EXPECT_EQ(fcntl(ends_[0], F_GETFL) & O_NONBLOCK, 0) << "it is somebody else's as well";
  std::string text = drain();
  EXPECT_EQ(text.find("lost"), std::string::npos);
  put(writer, "after");
  text += drain();
  EXPECT_TRUE(text.ends_with("\nnote: log lines lost: 10\nafter\n")) << text.substr(text.size() - 200);
  // Every line is whole.
  std::size_t at = 0;
  for (int i = 0; i < written - 1; ++i) {
    const std::string line = "line " + std::to_string(i) + "\n";
    ASSERT_EQ(text.compare(at, line.size(), line), 0) << i;
    at += line.size();
  }
  EXPECT_EQ(text.compare(at, 5, "note:"), 0);
}

TEST_P(Ends, ALineLargerThanAllThereIsRoomForIsFinishedLater) {
  LineWriter writer{ends_[0]};
  const std::string large(600000, 'x');
  put(writer, large);
  std::string text = drain();
  for (int i = 0; i < 20; ++i) {
    put(writer, "more");
    text += drain();
  }
  const auto end = text.find('\n');
  EXPECT_EQ(end, large.size());
  EXPECT_TRUE(text.ends_with("more\n"));
}

TEST_P(Ends, AReaderThatHasLeftIsNoReasonToEnd) {
  LineWriter writer{ends_[0]};
  close(ends_[1]);
  signal(SIGPIPE, SIG_IGN);
  put(writer, "line");
  EXPECT_EQ(writer.lost(), 1U);
  ends_[1] = dup(ends_[0]);
}

INSTANTIATE_TEST_SUITE_P(All, Ends, ::testing::Bool(),
                         [](const auto& about) { return about.param ? "socket" : "pipe"; });

TEST(LineWriter, AFullDiskIsCounted) {
  const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  ASSERT_GE(full, 0);
  LineWriter writer{full};
  put(writer, "line");
  EXPECT_EQ(writer.lost(), 1U);
  close(full);
}

TEST(LineWriter, WithoutADescriptorNothingHappens) {
  LineWriter writer{-1};
  put(writer, "line");
  EXPECT_EQ(writer.lost(), 1U);
}

}  // namespace
}  // namespace wgsteer::log
