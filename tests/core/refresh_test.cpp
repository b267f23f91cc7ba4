// SPDX-License-Identifier: GPL-2.0-or-later
// When names are resolved again, and how long their addresses are valid.
#include "wgsteer/core/refresh.hpp"

#include <array>
#include <gtest/gtest.h>
#include <string>

namespace wgsteer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Addresses = std::vector<Address>;

/// jittered() uses thousandths: this gives the longest time, the next one the shortest.
constexpr std::uint32_t kLatest = 0;
constexpr std::uint32_t kEarliest = 1000;
constexpr Instant kStart = seconds{1000};

Address a4(std::uint8_t last) { return Address::v4(203, 0, 113, last); }
Address a6(std::string_view text) { return *Address::parse(text); }

ResolvedName answer(Addresses addresses, seconds ttl) {
  return {.addresses = std::move(addresses), .ttl = ttl, .unanswered = {}};
}

Instant nextAfter(seconds ttl, std::uint32_t random) {
  FollowedName name;
  noteAnswer(name, answer({a4(1)}, ttl), kStart, random);
  return name.next - kStart;
}

TEST(Refresh, AsksJustBeforeTheAnswerExpires) {
  EXPECT_EQ(nextAfter(seconds{300}, kLatest), seconds{300});
  EXPECT_EQ(nextAfter(seconds{300}, kEarliest), seconds{285});
  EXPECT_EQ(nextAfter(seconds{300}, 500), milliseconds{292500});
  EXPECT_EQ(nextAfter(seconds{300}, 0xffffffff), seconds{300} - milliseconds{15} * (0xffffffff % 1001));
}

TEST(Refresh, TakesATimeToLiveOfFiveSecondsToAnHour) {
  for (const std::uint32_t random : {kLatest, kEarliest}) {
    EXPECT_EQ(nextAfter(seconds{0}, random), seconds{5});
    EXPECT_EQ(nextAfter(seconds{5}, random), seconds{5});
  }
  EXPECT_EQ(nextAfter(seconds{3601}, kLatest), seconds{3600});
  EXPECT_EQ(nextAfter(seconds{0x7fffffff}, kEarliest), seconds{3420});
}

TEST(Refresh, BacksOffFromOneSecondToAMinuteAndBeginsAnewAfterAnAnswer) {
  FollowedName name;
  for (const int expected : {1, 2, 4, 8, 16, 32, 60, 60}) {
    noteAsked(name, kStart);
    EXPECT_FALSE(name.due(kStart + seconds{9999})) << "while asking";
    noteFailure(name, kStart, kLatest);
    EXPECT_EQ(name.next - kStart, seconds{expected});
  }
  noteFailure(name, kStart, kEarliest);
  EXPECT_EQ(name.next - kStart, seconds{45});
  name.failures = 0xfffffffe;
  noteFailure(name, kStart, kLatest);
  EXPECT_EQ(name.next - kStart, seconds{60});
  noteAnswer(name, answer({a4(1)}, seconds{60}), kStart, kLatest);
  noteFailure(name, kStart, kLatest);
  EXPECT_EQ(name.next - kStart, seconds{1});
}

TEST(Refresh, KeepsTheLastGoodAnswerForEver) {
  FollowedName name;
  noteAnswer(name, answer({a4(1), a6("2001:db8::1")}, seconds{60}), kStart, kLatest);
  Instant now = kStart;
  for (int i = 0; i < 100; ++i) {
    now += std::chrono::hours{1};
    noteFailure(name, now, kLatest);
    EXPECT_TRUE(takeLeft(name, now).empty());
  }
  EXPECT_EQ(name.current(), (Addresses{a4(1), a6("2001:db8::1")}));
}

TEST(Refresh, AddsAtOnceAndRemovesAfterTheGrace) {
  FollowedName name;
  EXPECT_EQ(noteAnswer(name, answer({a4(1), a4(2)}, seconds{60}), kStart, kLatest),
            (AddressChanges{.added = {a4(1), a4(2)}, .removed = {}}));
  EXPECT_EQ(noteAnswer(name, answer({a4(2), a4(3)}, seconds{600}), kStart, kLatest),
            (AddressChanges{.added = {a4(3)}, .removed = {}}));
  EXPECT_EQ(name.current(), (Addresses{a4(2), a4(3)}));
  EXPECT_EQ(name.wake(), kStart + kAddressGrace) << "earlier than the next question";
  EXPECT_TRUE(takeLeft(name, kStart + kAddressGrace - Instant{1}).empty());
  EXPECT_EQ(takeLeft(name, kStart + kAddressGrace), (Addresses{a4(1)}));
  EXPECT_TRUE(takeLeft(name, kStart + kAddressGrace).empty());
  EXPECT_EQ(name.wake(), kStart + seconds{600});
}

TEST(Refresh, AnAddressThatComesBackStaysAndIsNotNew) {
  FollowedName name;
  noteAnswer(name, answer({a4(1)}, seconds{60}), kStart, kLatest);
  noteAnswer(name, answer({a4(2)}, seconds{60}), kStart, kLatest);
  EXPECT_EQ(noteAnswer(name, answer({a4(1)}, seconds{60}), kStart + seconds{60}, kLatest), AddressChanges{});
  EXPECT_EQ(name.current(), (Addresses{a4(1)}));
  EXPECT_EQ(takeLeft(name, kStart + seconds{60} + kAddressGrace), (Addresses{a4(2)}));
}

TEST(Refresh, ALeavingAddressDoesNotGetMoreTimeWithEveryAnswer) {
  FollowedName name;
  noteAnswer(name, answer({a4(1)}, seconds{60}), kStart, kLatest);
  for (int i = 0; i < 3; ++i) noteAnswer(name, answer({a4(2)}, seconds{60}), kStart + i * seconds{60}, kLatest);
  EXPECT_EQ(takeLeft(name, kStart + kAddressGrace), (Addresses{a4(1)}));
}

TEST(Refresh, AFamilyWhoseQuestionFailedKeepsItsAddressesAndIsAskedSoon) {
  FollowedName name;
  noteAnswer(name, answer({a4(1), a6("2001:db8::1")}, seconds{600}), kStart, kLatest);
  ResolvedName half = answer({a4(2)}, seconds{600});
  half.unanswered = Family::v6;
  noteAnswer(name, half, kStart, kLatest);
  EXPECT_EQ(name.current(), (Addresses{a4(2), a6("2001:db8::1")}));
  EXPECT_EQ(name.next, kStart + seconds{1});
  noteAnswer(name, half, kStart, kLatest);
  EXPECT_EQ(name.next, kStart + seconds{2});
  noteAnswer(name, answer({a4(2)}, seconds{600}), kStart, kLatest);
  EXPECT_EQ(name.current(), (Addresses{a4(2)})) << "none is an answer, too";
}

TEST(Refresh, ANameThatChangesAllTheTimeIsBounded) {
  FollowedName name;
  std::size_t added = 0;
  std::size_t removed = 0;
  for (std::uint8_t i = 0; i < 100; ++i) {
    Addresses many;
    for (std::uint8_t j = 0; j < 64; ++j) many.push_back(Address::v4(198, 51, i, j));
    const AddressChanges changes = noteAnswer(name, answer(many, seconds{0}), kStart + i * seconds{5}, kLatest);
    added += changes.added.size();
    removed += changes.removed.size();
    EXPECT_LE(name.addresses.size(), 64 + kMaxLeaving);
  }
  EXPECT_EQ(added, 6400U);
  EXPECT_EQ(added - removed, name.addresses.size());
  EXPECT_TRUE(name.addresses.contains(Address::v4(198, 51, 98, 0))) << "the youngest are kept";
}

TEST(Refresh, AStallAsksAtOnceButNotAllTheTime) {
  FollowedName name;
  EXPECT_TRUE(name.due(kStart)) << "a new name is due";
  noteAsked(name, kStart);
  noteAnswer(name, answer({a4(1)}, seconds{3600}), kStart, kLatest);
  EXPECT_FALSE(name.due(kStart + seconds{20}));
  askSoon(name, kStart + seconds{20});
  EXPECT_TRUE(name.due(kStart + seconds{20}));
  noteAsked(name, kStart + seconds{20});
  noteFailure(name, kStart + seconds{20}, kLatest);
  name.failures = 9;
  noteAsked(name, kStart + seconds{20});
  noteFailure(name, kStart + seconds{20}, kLatest);
  askSoon(name, kStart + seconds{20});
  EXPECT_EQ(name.next, kStart + seconds{21}) << "out of a long back-off, but just asked";
  askSoon(name, kStart + seconds{30});
  EXPECT_EQ(name.next, kStart + seconds{21}) << "never later";
}

TEST(Refresh, AStallWhileAskingChangesNothing) {
  FollowedName name;
  noteAsked(name, kStart);
  askSoon(name, kStart);
  EXPECT_FALSE(name.due(kStart + seconds{9}));
  EXPECT_EQ(name.wake(), std::nullopt);
}

}  // namespace
}  // namespace wgsteer
