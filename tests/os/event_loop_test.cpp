// SPDX-License-Identifier: GPL-2.0-or-later
// Handlers that change what is watched during a round.
#include "os/event_loop.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <sys/eventfd.h>
#include <unistd.h>
#include <vector>

namespace wgsteer::os {
namespace {

/// Readable from the beginning.
Fd readable() { return Fd{eventfd(1, EFD_CLOEXEC)}; }
Fd silent() { return Fd{eventfd(0, EFD_CLOEXEC)}; }

class Loop : public ::testing::Test {
 protected:
  /// One round.
  void turn() {
    loop_.afterEach([this] { loop_.stop(); });
    ASSERT_TRUE(loop_.run());
  }
  EventLoop loop_{std::move(*EventLoop::create())};
};

TEST_F(Loop, AHandlerMayUnwatchAndCloseItself) {
  Fd own = readable();
  // On the heap, so that destroying a handler while it runs is detected.
  const auto text = std::make_unique<std::string>("a string that is longer than what fits into the object");
  std::string seen;
  ASSERT_TRUE(loop_.watch(own.get(), [&, copy = *text] {
    loop_.unwatch(own.get());
    own.reset();
    seen = copy;
  }));
  turn();
  EXPECT_EQ(seen, *text);
}

TEST_F(Loop, WhatOneHandlerUnwatchesIsNotCalledInTheSameRound) {
  std::vector<Fd> all;
  for (int i = 0; i < 4; ++i) all.push_back(readable());
  int calls = 0;
  for (const Fd& each : all)
    ASSERT_TRUE(loop_.watch(each.get(), [&] {
      ++calls;
      for (const Fd& other : all) loop_.unwatch(other.get());
    }));
  turn();
  EXPECT_EQ(calls, 1);
}

TEST_F(Loop, ANumberThatIsUsedAgainInTheRoundHearsNothingOfTheOldOne) {
  std::vector<Fd> all(2);
  for (Fd& each : all) each = readable();
  int calls = 0;
  int wrong = 0;
  for (int i = 0; i < 2; ++i)
    ASSERT_TRUE(loop_.watch(all[static_cast<std::size_t>(i)].get(), [&, i] {
      ++calls;
      // The other one is closed, and its number is reused at once.
      Fd& other = all[static_cast<std::size_t>(1 - i)];
      const int number = other.get();
      loop_.unwatch(number);
      other = silent();
      ASSERT_EQ(dup2(other.get(), number), number);
      other.reset(number);
      ASSERT_TRUE(loop_.watch(number, [&] { ++wrong; }));
    }));
  turn();
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(wrong, 0);
}

TEST_F(Loop, ANumberThatWasClosedWithoutAWordIsWatchedAnew) {
  Fd first = silent();
  const int number = first.get();
  ASSERT_TRUE(loop_.watch(number, [] { FAIL() << "the old one"; }));
  first.reset();
  first = readable();
  ASSERT_EQ(first.get(), number);
  int calls = 0;
  ASSERT_TRUE(loop_.watch(number, [&] { ++calls; }));
  turn();
  EXPECT_EQ(calls, 1);
}

TEST_F(Loop, WhatIsDoneAfterARoundMayReplaceItself) {
  const Fd ready = readable();
  ASSERT_TRUE(loop_.watch(ready.get(), [] {}));
  const std::string text(100, 'x');
  std::string seen;
  loop_.afterEach([&, text] {
    loop_.afterEach([&] { loop_.stop(); });
    seen = text;
  });
  ASSERT_TRUE(loop_.run());
  EXPECT_EQ(seen, text);
}

TEST_F(Loop, WhatIsNotWatchedIsNothingToComplainAbout) {
  loop_.unwatch(12345);
  const Fd ready = readable();
  ASSERT_TRUE(loop_.watch(ready.get(), [] {}));
  EXPECT_FALSE(loop_.watch(ready.get(), [] {})) << "twice";
}

}  // namespace
}  // namespace wgsteer::os
