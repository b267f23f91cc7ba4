// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/health.hpp"

#include <algorithm>
#include <array>
#include <gtest/gtest.h>

#include "support/random_world.hpp"

namespace wgsteer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

WanConfig config() {
  return {.interval = seconds{10},
          .down = 3,
          .up = 2,
          .reliability = 1,
          .failureInterval = seconds{1},
          .recoveryInterval = seconds{2}};
}

constexpr TargetRound kAnswer{1, 1, Milliseconds{20}};
constexpr TargetRound kSilence{1, 0, {}};
constexpr TargetRound kRefused{1, 0, {}, 1};

/// One letter per round: input and expected results.
struct ScoreCase {
  const char* name;
  WanConfig config;
  std::string rounds;     ///< g: answered, b: not
  std::string healths;    ///< u: up, d: down, ?: unknown
  std::string intervals;  ///< n: interval, f: failure_interval, r: recovery_interval
  std::vector<std::uint32_t> scores;
};

class Score : public ::testing::TestWithParam<ScoreCase> {};

TEST_P(Score, IsMwan3s) {
  const ScoreCase& given = GetParam();
  ProbeScore score{given.config, 1};
  std::string healths;
  std::string intervals;
  std::vector<std::uint32_t> scores;
  for (const char letter : given.rounds) {
    const std::array results{letter == 'g' ? kAnswer : kSilence};
    const Instant next = score.round(results, {});
    intervals += next == seconds{10} ? 'n' : next == seconds{1} ? 'f' : next == seconds{2} ? 'r' : '!';
    healths += score.health() == Health::up ? 'u' : score.health() == Health::down ? 'd' : '?';
    scores.push_back(score.score());
  }
  EXPECT_EQ(healths, given.healths);
  EXPECT_EQ(intervals, given.intervals);
  EXPECT_EQ(scores, given.scores);
}

WanConfig keeping() {
  WanConfig kept = config();
  kept.keepFailureInterval = true;
  return kept;
}

WanConfig once() {
  WanConfig nervous = config();
  nervous.down = nervous.up = 1;
  return nervous;
}

INSTANTIATE_TEST_SUITE_P(
    Table, Score,
    ::testing::Values(
        ScoreCase{"Healthy", config(), "ggg", "uuu", "nnn", {5, 5, 5}},
        ScoreCase{"DeadFromTheStart", config(), "bbbb", "??dd", "fffn", {4, 3, 0, 0}},
        ScoreCase{"DownAndUpAgain", config(), "gbbbbggg", "uuuddduu", "nfffnrrn", {5, 4, 3, 0, 0, 1, 5, 5}},
        ScoreCase{"OneGoodRoundForgetsTheBad", config(), "gbbgbbg", "uuuuuuu", "nffnffn", {5, 4, 3, 5, 4, 3, 5}},
        ScoreCase{
            "OneBadRoundForgetsTheGood", config(), "bbbgbgbgg", "??ddddddu", "fffrnrnrr", {4, 3, 0, 1, 0, 1, 0, 1, 5}},
        ScoreCase{"KeepsTheFailureInterval", keeping(), "bbbbb", "??ddd", "fffff", {4, 3, 0, 0, 0}},
        ScoreCase{"AtOnce", once(), "gbgb", "udud", "nfrf", {2, 0, 2, 0}}),
    [](const auto& each) { return each.param.name; });

TEST(ProbeScore, SaysSinceWhen) {
  ProbeScore score{config(), 1};
  EXPECT_FALSE(score.since());
  score.round(std::array{kAnswer}, seconds{5});
  score.round(std::array{kAnswer}, seconds{15});
  EXPECT_EQ(score.since(), seconds{5});
  for (int at = 20; at < 23; ++at) score.round(std::array{kSilence}, seconds{at});
  EXPECT_EQ(score.since(), seconds{22});
  score.reset(seconds{30});
  EXPECT_EQ(score.health(), Health::unknown);
  EXPECT_EQ(score.since(), seconds{30});
  EXPECT_EQ(score.score(), 5U);
  EXPECT_EQ(score.reason().toString(), "not probed yet");
}

TEST(ProbeScore, ReliabilityCountsTargets) {
  WanConfig two = config();
  two.reliability = 2;
  two.down = 1;
  ProbeScore score{two, 3};
  score.round(std::array{kAnswer, kSilence, kAnswer}, {});
  EXPECT_EQ(score.health(), Health::up);
  score.round(std::array{kAnswer, kSilence, kSilence}, {});
  EXPECT_EQ(score.health(), Health::down);
}

TEST(ProbeScore, ReliabilityNeverAsksForMoreThanThereAre) {
  WanConfig two = once();
  two.reliability = 2;
  ProbeScore score{two, 1};
  score.round(std::array{kAnswer}, {});
  EXPECT_EQ(score.health(), Health::up);
  score.round(std::array{kSilence}, {});
  EXPECT_EQ(score.health(), Health::down);
}

TEST(ProbeScore, WhatThisHostDoesNotLetOutSaysNothing) {
  WanConfig two = once();
  two.reliability = 2;
  ProbeScore score{two, 2};
  score.round(std::array{kRefused, kAnswer}, {});
  EXPECT_EQ(score.health(), Health::up) << "all that could be asked have answered";
  EXPECT_EQ(score.reason().toString(), "1 of 2 targets answer");
  EXPECT_TRUE(score.averages()[0].refused);
  EXPECT_FALSE(score.averages()[0].measured);
  score.round(std::array{kRefused, kSilence}, {});
  EXPECT_EQ(score.health(), Health::down);
  EXPECT_EQ(score.reason().toString(), "1 of 2 targets unanswered for 1 round");
  EXPECT_FALSE(score.reason().blind());
  score.round(std::array{TargetRound{4, 2, Milliseconds{20}, 2}, kAnswer}, {});
  EXPECT_EQ(score.health(), Health::up);
  EXPECT_FALSE(score.averages()[0].refused);
  EXPECT_DOUBLE_EQ(score.averages()[0].loss, 0) << "nothing of what went out is lost";
}

TEST(ProbeScore, AWanThatCannotBeProbedIsToBeUsed) {
  ProbeScore fresh{config(), 1};
  for (int i = 0; i < 10; ++i) fresh.round(std::array{kRefused}, {});
  EXPECT_NE(fresh.health(), Health::down);
  EXPECT_TRUE(fresh.reason().blind());
  EXPECT_EQ(fresh.reason().toString(), "cannot be probed");
  ProbeScore dead{config(), 1};
  for (int i = 0; i < 3; ++i) dead.round(std::array{kSilence}, {});
  ASSERT_EQ(dead.health(), Health::down);
  dead.round(std::array{kRefused}, {});
  EXPECT_EQ(dead.health(), Health::down) << "a firewall that is loaded anew tells nothing either";
  dead.round(std::array{kRefused}, {});
  EXPECT_EQ(dead.health(), Health::up);
  dead.round(std::array{kSilence}, {});
  EXPECT_FALSE(dead.reason().blind());
}

TEST(ProbeScore, MissingResultsAreSilence) {
  ProbeScore score{once(), 2};
  score.round({}, {});
  EXPECT_EQ(score.health(), Health::down);
}

TEST(ProbeScore, GivesItsReason) {
  WanConfig two = config();
  two.reliability = 2;
  ProbeScore score{two, 3};
  EXPECT_EQ(score.reason().toString(), "not probed yet");
  score.round(std::array{kAnswer, kAnswer, kAnswer}, {});
  EXPECT_EQ(score.reason().toString(), "3 of 3 targets answer");
  score.round(std::array{kAnswer, kSilence, kSilence}, {});
  EXPECT_EQ(score.reason().toString(), "2 of 3 targets unanswered for 1 round");
  score.round(std::array{kAnswer, kSilence, kSilence}, {});
  score.round(std::array{kSilence, kSilence, kSilence}, {});
  EXPECT_EQ(score.reason().toString(), "3 of 3 targets unanswered for 3 rounds");
  EXPECT_EQ(score.reason(), (ProbeReason{.targets = 3, .silent = 3, .poor = 0, .rounds = 3}));
}

TEST(ProbeScore, AveragesAQuarterOfTheLastRound) {
  ProbeScore score{config(), 1};
  score.round(std::array{TargetRound{4, 4, Milliseconds{100}}}, {});
  EXPECT_DOUBLE_EQ(score.averages()[0].latency.count(), 100);
  EXPECT_DOUBLE_EQ(score.averages()[0].loss, 0);
  score.round(std::array{TargetRound{4, 2, Milliseconds{200}}}, {});
  EXPECT_DOUBLE_EQ(score.averages()[0].latency.count(), 125);
  EXPECT_DOUBLE_EQ(score.averages()[0].loss, 12.5);
  EXPECT_TRUE(score.averages()[0].answersNow);
  score.round(std::array{kSilence}, {});
  EXPECT_FALSE(score.averages()[0].answersNow);
  EXPECT_DOUBLE_EQ(score.averages()[0].latency.count(), 125) << "silence has no latency";
}

WanConfig picky() {
  WanConfig strict = once();
  strict.checkQuality = true;
  strict.failureLatency = milliseconds{100};
  strict.recoveryLatency = milliseconds{50};
  strict.failureLoss = 40;
  strict.recoveryLoss = 10;
  return strict;
}

/// Rounds that move a target's average, and whether the target counts as healthy after each.
struct QualityCase {
  const char* name;
  std::vector<TargetRound> rounds;
  std::string well;
};

class Quality : public ::testing::TestWithParam<QualityCase> {};

TEST_P(Quality, HasHysteresis) {
  ProbeScore score{picky(), 1};
  std::string well;
  for (const TargetRound& round : GetParam().rounds) {
    score.round(std::array{round}, {});
    well += score.health() == Health::up ? '+' : '-';
  }
  EXPECT_EQ(well, GetParam().well);
}

INSTANTIATE_TEST_SUITE_P(
    Table, Quality,
    ::testing::Values(
        QualityCase{"JustFastEnough", {{1, 1, Milliseconds{99.9}}}, "+"},
        QualityCase{"TooSlow", {{1, 1, Milliseconds{100}}}, "-"},
        QualityCase{"InBetweenStaysGood",
                    {{1, 1, Milliseconds{20}}, {1, 1, Milliseconds{200}}, {1, 1, Milliseconds{60}}},
                    "+++"},
        // Averages: 120, 95, 76.25, 62.2, 51.6, 43.7.
        QualityCase{"InBetweenStaysPoor",
                    {{1, 1, Milliseconds{120}},
                     {1, 1, Milliseconds{20}},
                     {1, 1, Milliseconds{20}},
                     {1, 1, Milliseconds{20}},
                     {1, 1, Milliseconds{20}},
                     {1, 1, Milliseconds{20}}},
                    "-----+"},
        QualityCase{"Lossy", {{5, 3, Milliseconds{20}}}, "-"},
        QualityCase{"LossBelowTheThreshold", {{100, 61, Milliseconds{20}}}, "+"},
        // Averages: 50, 37.5, 28.1, 21.1, 15.8, 11.9, 8.9.
        QualityCase{"LossHasToGoAway",
                    {{2, 1, Milliseconds{20}},
                     {2, 2, Milliseconds{20}},
                     {2, 2, Milliseconds{20}},
                     {2, 2, Milliseconds{20}},
                     {2, 2, Milliseconds{20}},
                     {2, 2, Milliseconds{20}},
                     {2, 2, Milliseconds{20}}},
                    "------+"},
        QualityCase{"SilenceIsBadAtOnce", {{1, 1, Milliseconds{20}}, {1, 0, {}}, {1, 1, Milliseconds{20}}}, "+-+"}),
    [](const auto& each) { return each.param.name; });

TEST(ProbeScore, WithoutCheckQualityOnlySilenceCounts) {
  ProbeScore score{once(), 1};
  score.round(std::array{TargetRound{100, 1, Milliseconds{5000}}}, {});
  EXPECT_EQ(score.health(), Health::up);
}

TEST(ProbeScore, SaysThatATargetIsPoor) {
  ProbeScore score{picky(), 2};
  score.round(std::array{TargetRound{1, 1, Milliseconds{300}}, kSilence}, {});
  EXPECT_EQ(score.reason().toString(), "1 of 2 targets unanswered and 1 too slow or lossy for 1 round");
  score.round(std::array{TargetRound{1, 1, Milliseconds{300}}, TargetRound{1, 1, Milliseconds{300}}}, {});
  EXPECT_EQ(score.reason().toString(), "2 of 2 targets too slow or lossy for 2 rounds");
}

TEST(Damper, BelievesTheFirst) {
  Damper well{seconds{30}};
  EXPECT_EQ(well.update(true, seconds{1}), Standing::up);
  Damper ill{seconds{30}};
  EXPECT_EQ(ill.update(false, seconds{1}), Standing::down);
}

TEST(Damper, HoldsUntilItHasBeenWellForAWhile) {
  Damper damper{seconds{30}};
  damper.update(true, seconds{0});
  EXPECT_EQ(damper.update(false, seconds{1}), Standing::down);
  EXPECT_FALSE(damper.lookAgain());
  EXPECT_EQ(damper.update(true, seconds{2}), Standing::held);
  EXPECT_EQ(damper.lookAgain(), seconds{32});
  EXPECT_EQ(damper.update(false, seconds{20}), Standing::down);
  EXPECT_EQ(damper.update(true, seconds{21}), Standing::held);
  EXPECT_EQ(damper.update(true, seconds{50}), Standing::held);
  EXPECT_EQ(damper.lookAgain(), seconds{51});
  EXPECT_EQ(damper.update(true, seconds{51}), Standing::up);
  EXPECT_FALSE(damper.lookAgain());
}

TEST(Damper, OneThatFlapsComesBackWhenTheMinuteAllowsIt) {
  Damper damper{{}, 4};
  damper.update(true, seconds{0});
  EXPECT_EQ(damper.update(false, seconds{1}), Standing::down);
  EXPECT_EQ(damper.update(true, seconds{2}), Standing::up);
  EXPECT_EQ(damper.update(false, seconds{3}), Standing::down);
  EXPECT_EQ(damper.update(true, seconds{4}), Standing::held) << "up would leave no room for down";
  EXPECT_EQ(damper.lookAgain(), seconds{61});
  EXPECT_EQ(damper.update(true, seconds{61}), Standing::up);
}

TEST(Damper, OneThatFlapsWildlyStaysDownForAWhile) {
  Damper damper{seconds{30}, 2};
  damper.update(true, seconds{0});
  damper.update(false, seconds{1});
  EXPECT_EQ(damper.update(true, seconds{2}), Standing::held);
  EXPECT_EQ(damper.update(false, seconds{3}), Standing::down);
  EXPECT_EQ(damper.update(true, seconds{4}), Standing::down) << "held twice in this minute already";
  EXPECT_EQ(damper.lookAgain(), seconds{61});
  EXPECT_EQ(damper.update(true, seconds{61}), Standing::up);
}

TEST(SwitchBudget, SaysWhenThereIsRoom) {
  SwitchBudget budget{3};
  EXPECT_EQ(budget.left({}), 3U);
  budget.take(seconds{0});
  budget.take(seconds{10});
  EXPECT_EQ(budget.left(seconds{10}), 1U);
  EXPECT_EQ(budget.available(1, seconds{10}), seconds{10});
  EXPECT_EQ(budget.available(2, seconds{10}), seconds{60});
  EXPECT_EQ(budget.available(9, seconds{10}), seconds{70}) << "all there are";
  EXPECT_EQ(budget.left(seconds{60}), 2U);
}

/// Some WANs in order of preference, each with probes and a damper, and the choice among them.
struct Selection {
  struct Wan {
    ProbeScore score;
    Damper damper;
    Instant due{};
    std::vector<Instant> switches;
  };
  std::vector<Wan> wans;
  std::vector<Instant> switches;
  std::size_t choice = 0;

  /// `answers`: percent of rounds answered, for each WAN.
  void step(Instant now, const std::vector<unsigned>& answers, test::Random& random) {
    for (std::size_t i = 0; i < wans.size(); ++i) {
      Wan& wan = wans[i];
      if (now >= wan.due)
        wan.due = now + wan.score.round(std::array{random.chance(answers[i]) ? kAnswer : kSilence}, now);
      const Standing before = wan.damper.standing();
      const Standing after = wan.damper.update(wan.score.health() != Health::down, now);
      if (now == Instant{} || before == after) continue;
      if (before == Standing::up || after == Standing::up) wan.switches.push_back(now);
    }
    const auto up = std::ranges::find_if(wans, [](const Wan& wan) { return wan.damper.standing() == Standing::up; });
    const auto held =
        std::ranges::find_if(wans, [](const Wan& wan) { return wan.damper.standing() == Standing::held; });
    const auto chosen = up != wans.end() ? up : held;
    if (chosen == wans.end() || choice == static_cast<std::size_t>(chosen - wans.begin())) return;
    choice = static_cast<std::size_t>(chosen - wans.begin());
    switches.push_back(now);
  }
};

bool withinBound(const std::vector<Instant>& switches, std::size_t perMinute) {
  for (std::size_t i = perMinute; i < switches.size(); ++i)
    if (switches[i] - switches[i - perMinute] < seconds{60}) return false;
  return true;
}

TEST(HealthProperties, BoundedWhileThereIsNoiseAndOnThePreferredHealthyWanAfterIt) {
  for (const std::uint64_t seed : test::seeds(300)) {
    test::Random random{seed};
    Selection selection;
    const std::size_t count = 1 + random.number(3);
    const std::uint32_t perMinute = 2 + random.number(7);
    const Instant hold = seconds{random.number(20)};
    std::vector<unsigned> answers;
    for (std::size_t i = 0; i < count; ++i) {
      const WanConfig probes{.interval = milliseconds{200 + 100 * random.number(20)},
                             .down = 1 + random.number(3),
                             .up = 1 + random.number(3)};
      selection.wans.push_back({ProbeScore{probes, 1}, Damper{hold, perMinute}, {}, {}});
      answers.push_back(random.number(101));
    }
    Instant now{};
    for (; now < seconds{300}; now += milliseconds{100}) {
      if (random.number(200) == 0) answers[random.number(static_cast<unsigned>(count))] = random.number(101);
      selection.step(now, answers, random);
    }
    std::size_t preferred = count;
    for (std::size_t i = count; i-- > 0;)
      if ((answers[i] = random.chance(60) ? 100 : 0) == 100) preferred = i;
    // Enough rounds for a verdict, then the longest time that the damper may hold.
    for (const Instant end = now + seconds{10 + 20 + 61}; now < end; now += milliseconds{100})
      selection.step(now, answers, random);

    for (const auto& wan : selection.wans) EXPECT_TRUE(withinBound(wan.switches, perMinute)) << "seed " << seed;
    EXPECT_TRUE(withinBound(selection.switches, perMinute * count * 2)) << "seed " << seed;
    if (preferred < count) {
      EXPECT_EQ(selection.choice, preferred) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace wgsteer
