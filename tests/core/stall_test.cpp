// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/stall.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <set>

#include "support/random_world.hpp"

namespace wgsteer {
namespace {

using std::chrono::seconds;

constexpr std::uint64_t kInitiation = 148;
constexpr std::uint64_t kResponse = 92;
constexpr std::uint64_t kKeepalive = 32;
constexpr std::uint64_t kData = 128;

/// One second each: what was sent, what received, whether a handshake was completed.
struct Second {
  std::uint64_t tx = 0;
  std::uint64_t rx = 0;
  bool handshake = false;
};

struct WatchCase {
  const char* name;
  std::vector<Second> seconds;
  std::optional<int> unansweredSince;
};

class Watch : public ::testing::TestWithParam<WatchCase> {};

TEST_P(Watch, KnowsWhatHasToBeAnswered) {
  PeerWatch watch;
  PeerSample sample{.txBytes = 1000, .rxBytes = 1000, .lastHandshake = fromEpoch(7)};
  watch.sample(sample, seconds{0});
  int now = 0;
  for (const Second& second : GetParam().seconds) {
    sample.txBytes += second.tx;
    sample.rxBytes += second.rx;
    if (second.handshake) sample.lastHandshake += seconds{1};
    watch.sample(sample, seconds{++now});
  }
  std::optional<Instant> expected;
  if (GetParam().unansweredSince) expected = seconds{*GetParam().unansweredSince};
  EXPECT_EQ(watch.unansweredSince(), expected);
}

std::vector<Second> repeated(std::vector<Second> what, int times) {
  std::vector<Second> all;
  for (int i = 0; i < times; ++i) all.insert(all.end(), what.begin(), what.end());
  return all;
}

std::vector<Second> operator+(std::vector<Second> first, const std::vector<Second>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

const std::vector<Second> kHollow{{kData, 0}, {kInitiation, 0}, {0, kResponse, true}};

INSTANTIATE_TEST_SUITE_P(
    Table, Watch,
    ::testing::Values(
        WatchCase{"Idle", {{}, {}, {}}, {}}, WatchCase{"DataWithoutAnswer", {{}, {kData, 0}, {}, {kData, 0}}, 2},
        WatchCase{"DataAnswered", {{kData, 0}, {0, kData}}, {}},
        WatchCase{"DataAnsweredByAnEmptyPacket", {{kData, 0}, {0, kKeepalive}}, {}},
        WatchCase{"BothInOneSecond", {{kData, kData}}, {}},
        WatchCase{"KeepalivesAreNotAnswered", {{kKeepalive, 0}, {}, {kKeepalive, 0}}, {}},
        WatchCase{"OurResponseNeither", {{kResponse, kInitiation}}, {}},
        WatchCase{"InitiationWithoutAnswer", {{kInitiation, 0}, {}, {kInitiation, 0}}, 1},
        WatchCase{"InitiationWithKeepalive", {{kInitiation + kKeepalive, 0}}, 1},
        WatchCase{"SeveralInitiationsAtOnce", {{}, {2 * kInitiation, 0}}, 2},
        WatchCase{"HandshakeDone", {{kInitiation, 0}, {kKeepalive, kResponse, true}}, {}},
        WatchCase{"HandshakeAndDataInOneSecond", {{kInitiation, 0}, {kData, kResponse, true}}, 2},
        // Our packets do not arrive: the peer starts handshakes, we answer, and no session is established.
        WatchCase{"OneDirection", {{kData, 0}, {kResponse, kInitiation}, {kResponse, kInitiation}}, 1},
        WatchCase{"OneLostKeepalive", kHollow, {}},
        WatchCase{"HandshakesAndNeverData", repeated(kHollow, 3) + std::vector<Second>{{kData, 0}}, 1},
        WatchCase{"HandshakesAndThenData", repeated(kHollow, 3) + std::vector<Second>{{kData, 0}, {0, kData}}, {}},
        // Nothing is accepted without a session: the counted bytes are only attempts.
        WatchCase{"SessionOver", repeated({{0, kData}}, 195) + std::vector<Second>{{kData, 0}, {0, kData}}, 196},
        WatchCase{"SessionRenewed",
                  repeated({{0, kData}}, 150) + std::vector<Second>{{0, kResponse, true}} + repeated({{0, kData}}, 60) +
                      std::vector<Second>{{kData, 0}, {0, kData}},
                  {}}),
    [](const auto& each) { return each.param.name; });

TEST(PeerWatch, APeerMadeAnewOwesNothing) {
  PeerWatch watch;
  watch.sample({500, 500, fromEpoch(1)}, seconds{0});
  watch.sample({600, 500, fromEpoch(1)}, seconds{1});
  ASSERT_TRUE(watch.unansweredSince());
  watch.sample({0, 0, {}}, seconds{2});
  EXPECT_FALSE(watch.unansweredSince());
  watch.sample({kData, 0, {}}, seconds{3});
  EXPECT_EQ(watch.unansweredSince(), seconds{3});
}

const Slot kFiber{1};
const Slot kLte{2};
const Slot kSat{3};
const Address kFirst = Address::v4(198, 51, 100, 1);
const Address kSecond = Address::v4(198, 51, 100, 2);

/// WireGuard's timers on both sides, second by second, over paths that carry packets or not.
class Tunnel {
 public:
  struct Carries {
    bool out = true;
    bool in = true;
  };

  explicit Tunnel(StallConfig config = {.stall = seconds{20}, .hold = seconds{60}}) : automaton(config) {}

  /// A second passes. `data`: whether a program sends something (which the other end would answer).
  StallStep second(bool data, std::uint32_t random = 0) {
    now += seconds{1};
    transmit(data);
    sample.lastHandshake = fromEpoch(handshake);
    const Path before = automaton.path();
    const StallStep step = automaton.step(sample, paths, now, random);
    if (step.move != StallMove::none) moves.push_back(step.move);
    if (step.path != before && before.wan.value != 0) movedAt.push_back(now);
    return step;
  }
  void pass(int count, bool data = true) {
    for (int i = 0; i < count; ++i) second(data);
  }

  StallAutomaton automaton;
  std::vector<Path> paths{{kFiber, kFirst}, {kLte, kFirst}};
  std::map<Path, Carries> carries;
  bool peerOn = true;
  Instant now{};
  PeerSample sample;
  std::vector<StallMove> moves;
  std::vector<Instant> movedAt;

 private:
  Carries carriedBy(const Path& path) const {
    const auto known = carries.find(path);
    return known == carries.end() ? Carries{} : known->second;
  }
  static constexpr Instant kNever{-1};

  void transmit(bool data) {
    const Path path = automaton.path().wan.value == 0 ? paths.front() : automaton.path();
    const bool out = carriedBy(path).out && peerOn;
    const bool there = out && carriedBy(path).in;
    const bool session = handshake != 0 && now - handshakeAt < seconds{180};
    if (data && !session) unsent = true;
    if (session && data) {
      sample.txBytes += kData;
      if (there) sample.rxBytes += kData;
      if (there) lostSince = kNever;
      if (!there && lostSince == kNever) lostSince = now;
    }
    const bool want = (unsent && !session) || (session && data && now - handshakeAt >= seconds{120}) ||
                      (lostSince != kNever && now - lostSince >= seconds{15});
    if (!want || now - initiatedAt < seconds{5}) return;
    initiatedAt = now;
    sample.txBytes += kInitiation;
    if (!there) return;
    sample.rxBytes += kResponse;
    sample.txBytes += kKeepalive;
    ++handshake;
    handshakeAt = now;
    lostSince = kNever;
    unsent = false;
  }

  std::int64_t handshake = 0;
  Instant handshakeAt{};
  Instant initiatedAt{-seconds{100}};
  Instant lostSince = kNever;
  bool unsent = false;
};

using Moves = std::vector<StallMove>;
using enum StallMove;

TEST(Stall, NothingMovesWhileAllIsWell) {
  Tunnel tunnel;
  tunnel.pass(600);
  tunnel.pass(600, false);
  tunnel.pass(600);
  EXPECT_EQ(tunnel.moves, Moves{});
  EXPECT_EQ(tunnel.automaton.phase(), StallPhase::preferred);
  EXPECT_EQ(tunnel.automaton.reason(tunnel.now), "");
}

TEST(Stall, GoesToTheNextWanAfterStall) {
  Tunnel tunnel;
  tunnel.pass(30);
  tunnel.carries[{kFiber, kFirst}] = {false, false};
  tunnel.pass(20);
  EXPECT_EQ(tunnel.moves, Moves{});
  EXPECT_EQ(tunnel.automaton.reason(tunnel.now), "nothing received for 19 s");
  EXPECT_EQ(tunnel.second(true).path, (Path{kLte, kFirst}));
  EXPECT_EQ(tunnel.moves, Moves{nextWan});
  tunnel.pass(6);
  EXPECT_EQ(tunnel.automaton.phase(), StallPhase::away);
}

TEST(Stall, TriesTheNextAddressFirst) {
  Tunnel tunnel;
  tunnel.paths = {{kFiber, kFirst}, {kFiber, kSecond}, {kLte, kFirst}, {kLte, kSecond}};
  tunnel.pass(30);
  tunnel.carries[{kFiber, kFirst}] = {false, false};
  tunnel.pass(30);
  EXPECT_EQ(tunnel.moves, Moves{nextAddress});
  EXPECT_EQ(tunnel.automaton.path(), (Path{kFiber, kSecond}));
  EXPECT_EQ(tunnel.automaton.phase(), StallPhase::preferred) << "no reason to go back to the first address";
}

TEST(Stall, OnlyOurDirectionBrokenIsFoundToo) {
  Tunnel tunnel;
  tunnel.pass(30);
  tunnel.carries[{kFiber, kFirst}] = {true, false};
  tunnel.pass(60);
  EXPECT_EQ(tunnel.moves, Moves{nextWan});
}

TEST(Stall, ComesBackWhenThePreferredWanWorksAgain) {
  Tunnel tunnel;
  tunnel.pass(30);
  tunnel.carries[{kFiber, kFirst}] = {false, false};
  tunnel.pass(40);
  tunnel.carries.clear();
  tunnel.pass(60, false);
  EXPECT_EQ(tunnel.moves, (Moves{nextWan, tryBetter}));
  EXPECT_EQ(tunnel.automaton.phase(), StallPhase::trial);
  EXPECT_EQ(tunnel.automaton.reason(tunnel.now), "retrying a better WAN");
  tunnel.pass(200);
  EXPECT_EQ(tunnel.automaton.phase(), StallPhase::preferred) << "a handshake went by it";
  EXPECT_EQ(tunnel.automaton.path(), (Path{kFiber, kFirst}));
  EXPECT_EQ(tunnel.moves.size(), 2U);
}

TEST(Stall, ATrialThatFailsGoesBackAndWaitsTwiceAsLong) {
  Tunnel tunnel;
  tunnel.pass(30);
  tunnel.carries[{kFiber, kFirst}] = {false, false};
  std::vector<Instant> trials;
  for (int i = 0; i < 2000; ++i)
    // Quiet half of the time.
    if (tunnel.second(i % 40 < 20).move == tryBetter) trials.push_back(tunnel.now);
  ASSERT_GE(trials.size(), 4U);
  for (std::size_t i = 2; i < trials.size(); ++i) {
    EXPECT_GT(trials[i] - trials[i - 1], (trials[i - 1] - trials[i - 2]) * 3 / 2) << i;
  }
  EXPECT_EQ(tunnel.automaton.path(), (Path{kLte, kFirst}));
  EXPECT_EQ(std::ranges::count(tunnel.moves, trialFailed), std::ssize(trials));
}

TEST(Stall, ABusyTunnelIsNotInterruptedSoon) {
  Tunnel tunnel;
  tunnel.pass(30);
  tunnel.carries[{kFiber, kFirst}] = {false, false};
  tunnel.pass(60 + 9 * 60);
  EXPECT_EQ(tunnel.moves, Moves{nextWan});
  tunnel.pass(40);
  EXPECT_EQ(tunnel.moves, (Moves{nextWan, tryBetter}));
}

TEST(Stall, APeerThatIsOffIsTriedInRoundsWithLongerAndLongerPauses) {
  Tunnel tunnel;
  tunnel.pass(30);
  tunnel.peerOn = false;
  std::vector<Instant> givenUp;
  for (int i = 0; i < 5000; ++i)
    if (tunnel.second(true).move == giveUp) givenUp.push_back(tunnel.now);
  ASSERT_GE(givenUp.size(), 5U);
  EXPECT_GT(givenUp[2] - givenUp[1], givenUp[1] - givenUp[0]);
  EXPECT_GE(givenUp.back() - givenUp[givenUp.size() - 2], kMaxPause * 3 / 4);
  EXPECT_LE(givenUp.back() - givenUp[givenUp.size() - 2], kMaxPause * 5 / 4 + seconds{120});
  EXPECT_EQ(tunnel.automaton.phase(), StallPhase::pausing);
  EXPECT_EQ(tunnel.automaton.path(), (Path{kFiber, kFirst})) << "it waits on the preferred one";
  tunnel.peerOn = true;
  tunnel.pass(10);
  EXPECT_EQ(tunnel.automaton.phase(), StallPhase::preferred);
}

TEST(Stall, RandomnessSpreadsThePauses) {
  std::set<Instant> restarts;
  for (std::uint32_t random = 0; random < 1000; random += 100) {
    Tunnel tunnel;
    tunnel.pass(30);
    tunnel.peerOn = false;
    while (std::ranges::count(tunnel.moves, nextWan) < 2) tunnel.second(true, random);
    restarts.insert(tunnel.now);
  }
  EXPECT_GT(restarts.size(), 5U);
}

TEST(Stall, WithoutTrafficNobodySearches) {
  Tunnel tunnel;
  tunnel.pass(30);
  tunnel.pass(30, false);
  tunnel.peerOn = false;
  tunnel.pass(3600, false);
  EXPECT_EQ(tunnel.moves, Moves{});
}

TEST(Stall, OneWayOnlyStays) {
  Tunnel tunnel;
  tunnel.paths = {{kFiber, kFirst}};
  tunnel.pass(10);
  tunnel.peerOn = false;
  tunnel.pass(40);
  EXPECT_EQ(tunnel.moves, Moves{giveUp});
  EXPECT_EQ(tunnel.automaton.path(), tunnel.paths.front());
}

TEST(Stall, FollowsTheWansThatProbesLeave) {
  Tunnel tunnel;
  tunnel.pass(10);
  tunnel.paths = {{kLte, kFirst}};
  EXPECT_EQ(tunnel.second(true).path, (Path{kLte, kFirst}));
  tunnel.paths = {{kFiber, kFirst}, {kLte, kFirst}};
  EXPECT_EQ(tunnel.second(true).path, (Path{kFiber, kFirst})) << "it had not failed this peer";
  EXPECT_EQ(tunnel.moves, (Moves{follow, follow}));
  tunnel.paths.clear();
  EXPECT_EQ(tunnel.second(true).move, none);
}

TEST(Stall, StaysAwayWhenThePreferredWanVanishesAndReturns) {
  Tunnel tunnel;
  tunnel.pass(30);
  tunnel.carries[{kFiber, kFirst}] = {false, false};
  tunnel.pass(30);
  ASSERT_EQ(tunnel.automaton.phase(), StallPhase::away);
  tunnel.paths = {{kLte, kFirst}};
  tunnel.pass(5);
  tunnel.paths = {{kFiber, kFirst}, {kLte, kFirst}};
  tunnel.pass(5);
  EXPECT_EQ(tunnel.automaton.path(), (Path{kLte, kFirst}));
  EXPECT_EQ(tunnel.moves, Moves{nextWan});
}

TEST(StallProperties, BoundedAlwaysAndOnThePreferredWorkingWanInTheEnd) {
  for (const std::uint64_t seed : test::seeds(200)) {
    test::Random random{seed};
    const StallConfig config{.stall = seconds{1 + random.number(25)},
                             .hold = seconds{1 + random.number(60)},
                             .movesPerMinute = 2 + random.number(6)};
    Tunnel tunnel{config};
    tunnel.paths.clear();
    for (const Slot wan : {kFiber, kLte, kSat})
      for (const Address& address : {kFirst, kSecond}) tunnel.paths.push_back({wan, address});
    bool data = true;
    for (int i = 0; i < 1500; ++i) {
      if (random.number(60) == 0)
        tunnel.carries[tunnel.paths[random.number(6)]] = {random.chance(50), random.chance(70)};
      if (random.number(200) == 0) tunnel.peerOn = !tunnel.peerOn;
      if (random.number(30) == 0) data = !data;
      tunnel.second(data, random.number(1000));
    }
    for (std::size_t i = config.movesPerMinute; i < tunnel.movedAt.size(); ++i) {
      EXPECT_GE(tunnel.movedAt[i] - tunnel.movedAt[i - config.movesPerMinute], seconds{60}) << "seed " << seed;
    }
    // The preferred WAN carries nothing for half of the seeds.
    tunnel.peerOn = true;
    for (const Path& path : tunnel.paths) {
      const bool works = path.wan != kFiber || seed % 2 == 0;
      tunnel.carries[path] = {works, works};
    }
    const Slot best = seed % 2 == 0 ? kFiber : kLte;
    // The longest hold, several times; a few seconds of data in each minute.
    constexpr int kSettle = 4 * 3600;
    for (int i = 0; i < kSettle; ++i) tunnel.second(i % 60 < 40, random.number(1000));
    int there = 0;
    for (int i = 0; i < 3600; ++i) there += tunnel.second(i % 60 < 40, random.number(1000)).path.wan == best ? 1 : 0;
    // All the time, except for the trials of the one before it.
    EXPECT_GE(there, seed % 2 == 0 ? 3600 : 3600 - 3 * 65) << "seed " << seed;
  }
}

}  // namespace
}  // namespace wgsteer
