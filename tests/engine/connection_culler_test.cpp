// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/connection_culler.hpp"

#include <algorithm>
#include <deque>
#include <gtest/gtest.h>
#include <map>
#include <utility>

#include "engine/cull_schedule.hpp"
#include "support/fake_kernel.hpp"

namespace wgsteer {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::uint32_t kMask = 0xff000000;
MarkMatch markOf(std::uint32_t number) { return {number << 24U, kMask}; }

class CullScheduleTest : public testing::Test {
 protected:
  /// The numbers of the marks to delete now; of second deletions negative.
  std::vector<int> take() {
    std::vector<int> numbers;
    for (const CullSchedule::Cull& cull : schedule_.take(now_)) {
      const int number = static_cast<int>(cull.mark.value >> 24U);
      numbers.push_back(cull.again ? -number : number);
    }
    return numbers;
  }
  void dead(std::uint32_t number) { schedule_.dead(markOf(number), "it died"); }
  /// Time passes until something is due.
  Duration wait() {
    const auto due = schedule_.nextDue();
    if (!due || *due <= now_) return Duration{0};
    return *due - std::exchange(now_, *due);
  }

  CullSchedule schedule_;
  Instant now_ = std::chrono::hours{1};
};

using Numbers = std::vector<int>;

TEST_F(CullScheduleTest, AtOnceAndOnceMore) {
  EXPECT_EQ(schedule_.nextDue(), std::nullopt);
  dead(1);
  dead(2);
  EXPECT_LE(schedule_.nextDue().value() - now_, Duration{0});
  EXPECT_EQ(take(), (Numbers{1, 2}));
  EXPECT_EQ(take(), Numbers{});
  now_ += milliseconds{299};
  EXPECT_EQ(take(), Numbers{});
  EXPECT_EQ(wait(), milliseconds{1});
  EXPECT_EQ(take(), (Numbers{-1, -2}));
  EXPECT_EQ(schedule_.nextDue(), std::nullopt);
}

TEST_F(CullScheduleTest, AMarkHasOnePairInTenSeconds) {
  dead(1);
  EXPECT_EQ(take(), Numbers{1});
  dead(1);
  dead(2);
  EXPECT_EQ(take(), Numbers{2}) << "others do not wait for it";
  EXPECT_EQ(wait(), milliseconds{300});
  dead(1);
  EXPECT_EQ(take(), (Numbers{-1, -2}));
  EXPECT_EQ(wait(), milliseconds{1700});
  EXPECT_EQ(take(), Numbers{1}) << "once, however often it was told";
  EXPECT_EQ(wait(), milliseconds{300});
  EXPECT_EQ(take(), Numbers{-1});
  EXPECT_EQ(schedule_.nextDue(), std::nullopt);
}

TEST_F(CullScheduleTest, ThoseOfOneMomentCountAsOne) {
  for (std::uint32_t number = 1; number <= 45; ++number) dead(number);
  EXPECT_EQ(take().size(), 45U);
}

TEST_F(CullScheduleTest, NoMoreThanTwentyBeginningsInAMinuteAndNoneIsDropped) {
  for (std::uint32_t number = 1; number <= 20; ++number, now_ += milliseconds{1}) {
    dead(number);
    EXPECT_EQ(take().back(), static_cast<int>(number));
  }
  for (std::uint32_t number = 21; number <= 45; ++number) dead(number);
  const Instant told = now_;
  std::vector<Instant> began;
  std::vector<int> order;
  std::size_t again = 0;
  while (schedule_.nextDue()) {
    wait();
    for (const int number : take()) {
      if (number < 0) {
        ++again;
        continue;
      }
      began.push_back(now_);
      order.push_back(number);
    }
  }
  ASSERT_EQ(began.size(), 25U);
  EXPECT_EQ(again, 45U);
  EXPECT_TRUE(std::ranges::is_sorted(order)) << "who waited longest comes first";
  EXPECT_EQ(began.front(), began.back()) << "for all at once";
  EXPECT_EQ(began.front() - told, minutes{1} - milliseconds{20});
}

TEST_F(CullScheduleTest, ASteadyFlapNeverExceedsTheLimits) {
  std::map<int, Instant> last;
  std::vector<Instant> all;
  for (int step = 0; step < 3000; ++step, now_ += milliseconds{100}) {
    for (std::uint32_t number = 1; number <= 7; ++number) dead(number);
    for (const int number : take()) {
      if (number < 0) continue;
      if (last.contains(number)) {
        EXPECT_GE(now_ - last[number], seconds{2});
      }
      last[number] = now_;
      if (all.empty() || all.back() != now_) all.push_back(now_);
      if (all.size() > 20) {
        EXPECT_GE(now_ - all[all.size() - 21], minutes{1});
      }
    }
  }
  EXPECT_EQ(last.size(), 7U);
  for (const auto& [number, when] : last) EXPECT_GE(when, now_ - minutes{1}) << number << " starves";
}

TEST_F(CullScheduleTest, WhatIsAliveAgainKeepsItsConnections) {
  dead(1);
  dead(2);
  EXPECT_EQ(take(), (Numbers{1, 2}));
  dead(2);
  schedule_.alive(markOf(1));
  schedule_.alive(markOf(2));
  schedule_.alive(markOf(3));
  EXPECT_EQ(schedule_.nextDue(), std::nullopt);
  dead(1);
  EXPECT_EQ(wait(), seconds{2}) << "but the limit stays";
  EXPECT_EQ(take(), Numbers{1});
  dead(2);
  schedule_.clear();
  EXPECT_EQ(schedule_.nextDue(), std::nullopt);
}

TEST_F(CullScheduleTest, WhatIsTakenLateIsDoneOnce) {
  dead(1);
  EXPECT_EQ(take(), Numbers{1});
  dead(1);
  now_ += seconds{20};
  EXPECT_EQ(take(), (Numbers{-1, 1}));
  now_ += seconds{20};
  EXPECT_EQ(take(), Numbers{-1});
}

class ConnectionCullerTest : public testing::Test {
 protected:
  void cull() {
    culler_.cull(
        now_, [this](MarkMatch mark, const std::string& why) { told_.push_back(mark.toString() + " " + why); },
        [this](const Error& error) { troubles_.push_back(error.what); });
  }
  void cullLater() {
    now_ = culler_.nextDue().value();
    cull();
  }

  test::FakeKernel kernel_;
  ConnectionCuller culler_{kernel_};
  std::vector<std::string> told_;
  std::vector<std::string> troubles_;
  Instant now_ = std::chrono::hours{1};
};

using Counts = std::map<std::uint32_t, std::size_t>;

TEST_F(ConnectionCullerTest, WhatAPacketUnderWayHasMadeIsDeletedToo) {
  kernel_.connections = {
      {Family::v4, Mark{0x01000007}}, {Family::v6, Mark{0x01000000}}, {Family::v4, Mark{0x02000000}}};
  culler_.dead(markOf(1), std::nullopt, "fiber is down");
  cull();
  EXPECT_EQ(*kernel_.connectionsByMark(kMask), (Counts{{0x02000000, 1}}));
  EXPECT_EQ(told_, std::vector<std::string>{"0x1000000/0xff000000 fiber is down"});
  kernel_.connections.push_back({Family::v4, Mark{0x01000000}});
  cullLater();
  EXPECT_EQ(*kernel_.connectionsByMark(kMask), (Counts{{0x02000000, 1}}));
  EXPECT_EQ(told_.size(), 1U) << "told once for both";
  EXPECT_EQ(culler_.nextDue(), std::nullopt);
}

TEST_F(ConnectionCullerTest, AFailureIsReportedOnceAndTriedAgain) {
  kernel_.connections = {{Family::v4, Mark{0x01000000}}};
  kernel_.keepsConnections = ErrorKind::busy;
  culler_.dead(markOf(1), std::nullopt, "fiber is down");
  for (cull(); now_ < std::chrono::hours{1} + minutes{1};) cullLater();
  EXPECT_EQ(troubles_, std::vector<std::string>{"injected"});
  EXPECT_EQ(told_, std::vector<std::string>{});
  kernel_.keepsConnections.reset();
  while (culler_.nextDue()) cullLater();
  EXPECT_EQ(*kernel_.connectionsByMark(kMask), Counts{});
  EXPECT_EQ(told_.size(), 1U);
}

TEST_F(ConnectionCullerTest, WhatIsRefusedIsNotTriedForever) {
  kernel_.keepsConnections = ErrorKind::refused;
  culler_.dead(markOf(1), std::nullopt, "fiber is down");
  cull();
  cullLater();
  EXPECT_EQ(culler_.nextDue(), std::nullopt);
  EXPECT_EQ(kernel_.forgottenMarks.size(), 2U);
  EXPECT_EQ(troubles_.size(), 1U);
}

}  // namespace
}  // namespace wgsteer
