// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/wrong_translations.hpp"

#include <gtest/gtest.h>

#include "support/fake_kernel.hpp"

namespace wgsteer {
namespace {

using std::chrono::milliseconds;

constexpr std::uint32_t kMask = 0xff000000;
constexpr Mark kMark{0x43000000};
const Address kWrong = Address::v4(198, 51, 100, 10);
const Address kRight = Address::v4(192, 0, 2, 10);

class WrongTranslationsTest : public testing::Test {
 protected:
  void connect(const Address& translatedTo) {
    kernel_.connections.push_back({.family = Family::v4, .mark = kMark, .translatedTo = translatedTo});
  }
  std::size_t forget() {
    std::size_t count = 0;
    translations_.forget(
        now_, kMask, [&](std::size_t forgotten) { count = forgotten; }, [&](const Error&) { ++errors_; });
    return count;
  }
  void note(const std::set<Address>& wrong, const std::set<Address>& right) {
    translations_.note({{kMark, {.wrong = wrong, .right = right}}});
  }

  test::FakeKernel kernel_;
  WrongTranslations translations_{kernel_};
  Instant now_ = std::chrono::hours{1};
  int errors_ = 0;
};

TEST_F(WrongTranslationsTest, AreForgottenAtOnceAndThenTenTimesASecondAtMost) {
  connect(kWrong);
  connect(kRight);
  note({kWrong}, {kRight});
  EXPECT_EQ(forget(), 1U);
  EXPECT_EQ(kernel_.connections.size(), 1U);
  EXPECT_EQ(translations_.nextDue(), std::nullopt);

  connect(kWrong);
  note({kWrong}, {kRight});
  now_ += milliseconds{99};
  EXPECT_EQ(forget(), 0U);
  ASSERT_TRUE(translations_.nextDue());
  now_ = *translations_.nextDue();
  EXPECT_EQ(forget(), 1U);
}

TEST_F(WrongTranslationsTest, AnAddressThatIsRightAgainIsNotWrong) {
  note({kWrong}, {kRight});
  forget();
  connect(kWrong);
  note({kWrong}, {kRight});
  note({}, {kWrong});
  EXPECT_EQ(translations_.nextDue(), std::nullopt);
  now_ += milliseconds{2000};
  EXPECT_EQ(forget(), 0U);
  EXPECT_EQ(kernel_.connections.size(), 1U);
}

TEST_F(WrongTranslationsTest, AreTriedAgainAfterAnErrorUnlessThatWouldNotHelp) {
  connect(kWrong);
  note({kWrong}, {});
  kernel_.keepsConnections = ErrorKind::io;
  EXPECT_EQ(forget(), 0U);
  EXPECT_EQ(errors_, 1);
  kernel_.keepsConnections.reset();
  now_ = translations_.nextDue().value();
  EXPECT_EQ(forget(), 1U);

  note({kWrong}, {});
  now_ += milliseconds{2000};
  kernel_.keepsConnections = ErrorKind::refused;
  EXPECT_EQ(forget(), 0U);
  EXPECT_EQ(translations_.nextDue(), std::nullopt);
  note({kWrong}, {});
  translations_.clear();
  EXPECT_EQ(translations_.nextDue(), std::nullopt);
}

}  // namespace
}  // namespace wgsteer
