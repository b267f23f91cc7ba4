// SPDX-License-Identifier: GPL-2.0-or-later
// What `status` says about WANs: state, since when, why, and what probes measured.
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "daemon/status_wans.hpp"
#include "support/worlds.hpp"

namespace wgsteer {
namespace {

using namespace test;

class WanStatus : public ::testing::Test {
 protected:
  nlohmann::json document(const std::string& name, std::int64_t now = 1000) {
    const Steering steering = steer({}, world);
    history.update(steering, fromEpoch(now));
    facts.times = history.all();
    for (const Wan& wan : steering.wans)
      if (wan.name == name) return wanDocument(wan, {}, &facts);
    return {};
  }

  World world = twoWans();
  WanHistory history;
  WanFacts facts;
};

TEST_F(WanStatus, CountsFromTheTransitionOfEachWan) {
  EXPECT_EQ(document("wan0", 100).at("since"), 100);
  EXPECT_EQ(document("wan0", 110).at("since"), 100);
  world.wansDown = {{"wan0", "by hand"}};
  EXPECT_EQ(document("wan0", 120).at("since"), 120);
  EXPECT_EQ(document("wan1", 130).at("since"), 100) << "the other one did not change";
  world.wansDown = {{"wan0", "by hand: maintenance"}};
  EXPECT_EQ(document("wan0", 140).at("since"), 120) << "down for another reason is no transition";
  world.wansDown = {};
  const auto up = document("wan0", 150);
  EXPECT_EQ(up.at("since"), 150);
  EXPECT_EQ(up.at("state"), "up");
}

TEST_F(WanStatus, CountsFamiliesWhereTheyDiffer) {
  document("wan0", 100);
  std::erase_if(world.routes, [](const Route& route) { return route.family() == Family::v6; });
  const auto half = document("wan0", 200);
  EXPECT_EQ(half.at("state"), "up");
  EXPECT_EQ(half.at("since"), 100);
  EXPECT_EQ(half.at("ipv4").at("since"), 100);
  EXPECT_EQ(half.at("ipv6").at("since"), 200);
  EXPECT_EQ(half.at("ipv6").at("state"), "down");
  EXPECT_EQ(half.at("ipv6").at("reason"), "no default route");
  world.wansDown = {{"wan0", "silent"}};
  const auto down = document("wan0", 300);
  EXPECT_EQ(down.at("reason"), "silent") << "not that of the family that was lost before";
  EXPECT_EQ(down.at("since"), 300);
  EXPECT_EQ(down.at("ipv6").at("since"), 200);
}

TEST_F(WanStatus, AWanThatWentAwayIsNewWhenItReturns) {
  document("wan0", 100);
  history.update({}, fromEpoch(200));
  EXPECT_TRUE(history.all().empty());
  EXPECT_EQ(document("wan0", 300).at("since"), 300);
}

TEST_F(WanStatus, TheLinkSaysMoreThanProbes) {
  world.wansDown = {{"wan0", "1 of 1 target unanswered for 3 rounds"}};
  facts.verdicts["wan0"] =
      inBoth({.usable = false, .by = WanVerdict::By::probes, .reason = "1 of 1 target unanswered for 9 rounds"});
  EXPECT_EQ(document("wan0").at("reason"), "1 of 1 target unanswered for 9 rounds") << "as it is now";
  for (auto& [index, link] : world.links)
    if (link.name == "wan0") link.carrier = false;
  EXPECT_EQ(document("wan0").at("reason"), "no carrier");
}

TEST_F(WanStatus, SaysWhyAWanIsUp) {
  EXPECT_EQ(document("wan0").at("reason"), "");
  facts.verdicts["wan0"] = inBoth({.usable = true, .by = WanVerdict::By::hand, .reason = "by hand: probes lie"});
  const auto up = document("wan0");
  EXPECT_EQ(up.at("reason"), "by hand: probes lie");
  EXPECT_EQ(up.at("by_hand"), true);
  EXPECT_EQ(up.at("ipv4").at("why"), "") << "nothing keeps it from being used";
}

TEST_F(WanStatus, HasEachFamilysVerdict) {
  document("wan0", 100);
  world.wansDown["wan0"].why[Family::v4] = "1 of 1 target unanswered for 3 rounds";
  facts.verdicts["wan0"] = {
      {Family::v4, {.usable = false, .by = WanVerdict::By::probes, .reason = "1 of 1 target unanswered for 4 rounds"}},
      {Family::v6, {.usable = true, .by = WanVerdict::By::probes, .reason = "1 of 1 target answers"}}};
  const auto half = document("wan0", 200);
  EXPECT_EQ(half.at("state"), "up");
  EXPECT_EQ(half.at("reason"), "1 of 1 target answers");
  EXPECT_EQ(half.at("since"), 100);
  EXPECT_EQ(half.at("ipv4").at("state"), "down");
  EXPECT_EQ(half.at("ipv4").at("offered"), true);
  EXPECT_EQ(half.at("ipv4").at("reason"), "1 of 1 target unanswered for 4 rounds");
  EXPECT_EQ(half.at("ipv4").at("since"), 200);
  EXPECT_EQ(half.at("ipv6").at("state"), "up");
  EXPECT_EQ(half.at("ipv6").at("since"), 100);
}

TEST_F(WanStatus, SaysWhatLetsProbesOut) {
  EXPECT_EQ(document("wan0").at("ipv4").at("cannot_be_probed"), false);
  EXPECT_EQ(document("wan0").at("ipv4").at("fix"), nullptr);
  facts.verdicts["wan0"] = inBoth({});
  facts.verdicts["wan0"][Family::v4] = {
      .by = WanVerdict::By::blind, .reason = "cannot be probed: refused", .fix = "iptables -I"};
  const auto wan = document("wan0");
  EXPECT_EQ(wan.at("state"), "up");
  EXPECT_EQ(wan.at("reason"), "cannot be probed: refused");
  EXPECT_EQ(wan.at("ipv4").at("cannot_be_probed"), true);
  EXPECT_EQ(wan.at("ipv4").at("fix"), "iptables -I");
  EXPECT_EQ(wan.at("ipv6").at("fix"), nullptr);
  std::erase_if(world.routes, [](const Route& route) { return route.family() == Family::v4; });
  EXPECT_EQ(document("wan0").at("ipv4").at("cannot_be_probed"), false) << "there is nothing to be probed";
}

WanVerdict said(WanVerdict::By by, bool usable, const std::string& reason) {
  return {.usable = usable, .by = by, .reason = reason, .fix = by == WanVerdict::By::blind ? "iptables -I" : ""};
}

TEST(WanVerdicts, AreToldByFamilyWhereTheyDiffer) {
  using By = WanVerdict::By;
  const WanVerdict up = said(By::probes, true, "1 of 1 target answers");
  const WanVerdict down = said(By::probes, false, "1 of 1 target unanswered for 3 rounds");
  const WanVerdict more = said(By::probes, false, "2 of 2 targets unanswered for 3 rounds");
  const WanVerdict blind = said(By::blind, true, "cannot be probed: refused");
  const auto told = [](const WanVerdicts& before, const WanVerdicts& now) { return describe(before, now); };
  const WanVerdicts v4Down{{Family::v4, down}, {Family::v6, up}};
  EXPECT_EQ(told(inBoth(up), inBoth(down)), " is down: 1 of 1 target unanswered for 3 rounds");
  EXPECT_EQ(told(inBoth(down), inBoth(up)), " is up again: 1 of 1 target answers");
  EXPECT_EQ(told(inBoth(up), v4Down), ": IPv4 is down: 1 of 1 target unanswered for 3 rounds");
  EXPECT_EQ(told(v4Down, inBoth(up)), " is up again: 1 of 1 target answers");
  EXPECT_EQ(told(v4Down, {{Family::v4, down}, {Family::v6, more}}),
            " is down: IPv4: 1 of 1 target unanswered for 3 rounds; IPv6: 2 of 2 targets unanswered for 3 rounds");
  EXPECT_EQ(told(inBoth(down), v4Down), ": IPv6 is up again: 1 of 1 target answers");
  EXPECT_EQ(told(inBoth(up), inBoth(said(By::hand, false, "by hand"))), " is down: by hand");
  EXPECT_EQ(told(inBoth(up), inBoth(said(By::hand, true, "by hand"))), " is up: by hand");
  EXPECT_EQ(told(inBoth({}), {{Family::v4, blind}, {Family::v6, {}}}),
            ": IPv4 cannot be probed: refused; it counts as up, and handshakes decide; to allow its probes: "
            "iptables -I");
  EXPECT_EQ(told(inBoth(blind), inBoth(up)), " can be probed again: 1 of 1 target answers");
}

TEST(WanVerdicts, AreNewsWhenSomethingIsDifferentForPeople) {
  using By = WanVerdict::By;
  const WanVerdict up = said(By::probes, true, "1 of 1 target answers");
  EXPECT_FALSE(isNews({}, up)) << "as everybody thought";
  EXPECT_FALSE(isNews(said(By::probes, false, "for 3 rounds"), said(By::probes, false, "for 4 rounds")));
  EXPECT_TRUE(isNews(up, said(By::blind, true, "cannot be probed")));
  EXPECT_FALSE(isNews(said(By::blind, true, "a"), said(By::blind, true, "b")));
  EXPECT_TRUE(isNews(said(By::hand, false, "by hand: a"), said(By::hand, false, "by hand: b")));
}

TEST_F(WanStatus, HasWhatProbesMeasured) {
  EXPECT_EQ(document("wan0").at("targets"), nlohmann::json::array());
  EXPECT_EQ(document("wan0").at("latency_ms"), nullptr);
  EXPECT_EQ(document("wan0").at("loss_percent"), nullptr);
  facts.targets["wan0"] = {
      {{Address::v4(9, 9, 9, 9), 0},
       {.latency = Milliseconds{12.3456}, .loss = 10, .measured = true, .answered = true, .answersNow = true}},
      {{Address::v4(1, 1, 1, 1), 0}, {.latency = Milliseconds{20}, .loss = 50, .measured = true, .answered = true}},
      {{Address::v4(8, 8, 8, 8), 0}, {.loss = 100, .measured = true}},
      {{Address::v4(4, 4, 4, 4), 0}, {}},
  };
  const auto wan = document("wan0");
  EXPECT_EQ(wan.at("targets"), nlohmann::json::parse(R"([
    {"address": "9.9.9.9", "latency_ms": 12.35, "loss_percent": 10.0, "answered": true, "refused": false},
    {"address": "1.1.1.1", "latency_ms": 20.0, "loss_percent": 50.0, "answered": false, "refused": false},
    {"address": "8.8.8.8", "latency_ms": null, "loss_percent": 100.0, "answered": false, "refused": false},
    {"address": "4.4.4.4", "latency_ms": null, "loss_percent": null, "answered": false, "refused": false}])"));
  EXPECT_EQ(wan.at("latency_ms"), 16.17) << "of those that ever answered";
  EXPECT_EQ(wan.at("loss_percent"), 53.33) << "of those that have been asked";
}

TEST_F(WanStatus, HasTheHandshakes) {
  EXPECT_EQ(document("wan0").at("handshakes"), nullptr);
  facts.handshakes[steer({}, world).wans.front().slot] = {.initiations = 7, .responses = 5};
  EXPECT_EQ(document("wan0").at("handshakes"), (nlohmann::json{{"initiations", 7}, {"responses", 5}}));
  EXPECT_EQ(document("wan1").at("handshakes"), nullptr);
}

TEST_F(WanStatus, WithoutADaemonNobodyKnowsSinceWhen) {
  const Steering steering = steer({}, world);
  const auto wan = wanDocument(steering.wans.front(), {}, nullptr);
  EXPECT_EQ(wan.at("since"), nullptr);
  EXPECT_EQ(wan.at("ipv4").at("since"), nullptr);
  EXPECT_EQ(wan.at("handshakes"), nullptr);
  EXPECT_EQ(wan.at("state"), "up");
}

}  // namespace
}  // namespace wgsteer
