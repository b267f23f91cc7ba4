// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/spare_connections.hpp"

#include <gtest/gtest.h>
#include <map>

#include "support/fake_kernel.hpp"

namespace wgsteer {
namespace {

using std::chrono::seconds;
using Numbers = std::vector<std::uint32_t>;

class SpareConnectionsTest : public testing::Test {
 protected:
  static SpareExit exitOf(std::uint32_t number, std::optional<seconds> drainAfter = {}) {
    return {.family = Family::v4, .mark = {number << 24U, 0xff000000}, .drainAfter = drainAfter};
  }
  void connect(std::uint32_t exit, std::uint32_t id, bool answered) {
    kernel_.connections.push_back(
        {.family = Family::v4, .mark = Mark{exit << 24U}, .id = id, .answered = answered, .expiresIn = seconds{600}});
  }
  void look() {
    spare_.look(
        now_, [this](MarkMatch, std::size_t count) { told_.push_back(count); },
        [this](const Error& error) { troubles_.push_back(error.what); });
  }
  /// Without packets, entries expire sooner and sooner; with packets, `busy` does not.
  void pass(seconds time, std::uint32_t busy = 0) {
    now_ += time;
    for (test::FakeKernel::Connection& connection : kernel_.connections)
      if (connection.id != busy) connection.expiresIn -= time;
    if (const auto due = spare_.nextDue(); due && *due <= now_) look();
  }
  Numbers ids() const {
    Numbers ids;
    for (const test::FakeKernel::Connection& connection : kernel_.connections) ids.push_back(connection.id);
    return ids;
  }

  test::FakeKernel kernel_;
  SpareConnections spare_{kernel_};
  std::vector<std::size_t> told_;
  std::vector<std::string> troubles_;
  Instant now_ = std::chrono::hours{1};
};

TEST_F(SpareConnectionsTest, TheUnansweredBeginAnewAtOnceAndTheAnsweredStay) {
  connect(1, 1, false);
  connect(1, 2, true);
  connect(2, 3, false);
  spare_.follow({exitOf(1)}, now_);
  EXPECT_EQ(spare_.nextDue(), now_);
  look();
  EXPECT_EQ(ids(), (Numbers{2, 3}));
  EXPECT_EQ(spare_.nextDue(), std::nullopt) << "no timer without need";
}

TEST_F(SpareConnectionsTest, OnlyAReturnOfTheBetterExitCounts) {
  spare_.follow({exitOf(1)}, now_);
  look();
  connect(1, 1, false);
  spare_.follow({exitOf(1)}, now_);
  EXPECT_EQ(spare_.nextDue(), std::nullopt) << "another plan is no reason to look again";
  spare_.follow({}, now_);
  spare_.follow({exitOf(1)}, now_);
  look();
  EXPECT_EQ(ids(), Numbers{});
}

TEST_F(SpareConnectionsTest, TheOthersFollowWhenTheyAreIdle) {
  connect(1, 1, true);
  connect(1, 2, true);
  spare_.follow({exitOf(1, seconds{60})}, now_);
  look();
  for (int i = 0; i < 5; ++i) pass(seconds{10}, 2);
  EXPECT_EQ(ids(), (Numbers{1, 2}));
  for (int i = 0; i < 3; ++i) pass(seconds{10}, 2);
  EXPECT_EQ(ids(), Numbers{2});
  EXPECT_EQ(told_, std::vector<std::size_t>{1});
  for (int i = 0; i < 8; ++i) pass(seconds{10});
  EXPECT_EQ(ids(), Numbers{});
  EXPECT_EQ(spare_.nextDue(), std::nullopt) << "there is nothing left to drain";
}

TEST_F(SpareConnectionsTest, AFailureIsReportedOnceAndTriedAgain) {
  connect(1, 1, false);
  kernel_.keepsConnections = ErrorKind::busy;
  spare_.follow({exitOf(1)}, now_);
  look();
  for (int i = 0; i < 5; ++i) pass(seconds{10});
  EXPECT_EQ(troubles_, std::vector<std::string>{"injected"});
  kernel_.keepsConnections.reset();
  pass(seconds{10});
  EXPECT_EQ(ids(), Numbers{});
  EXPECT_EQ(spare_.nextDue(), std::nullopt);
}

}  // namespace
}  // namespace wgsteer
