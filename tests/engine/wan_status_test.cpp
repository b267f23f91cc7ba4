// SPDX-License-Identifier: GPL-2.0-or-later
// What `status` says of WANs: state, since when, why, and what probes measured.
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/status_wans.hpp"
#include "support/worlds.hpp"

namespace wgsteer {
namespace {

using namespace test;

class WanStatus : public ::testing::Test {
 protected:
  nlohmann::json document(const std::string& name, std::int64_t now = 1000) {
    const Steering steering = steer({}, world);
    history.update(steering, now);
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
  history.update({}, 200);
  EXPECT_TRUE(history.all().empty());
  EXPECT_EQ(document("wan0", 300).at("since"), 300);
}

TEST_F(WanStatus, TheLinkSaysMoreThanProbes) {
  world.wansDown = {{"wan0", "1 of 1 target unanswered for 3 rounds"}};
  facts.verdicts["wan0"] = {
      .usable = false, .by = WanVerdict::By::probes, .reason = "1 of 1 target unanswered for 9 rounds"};
  EXPECT_EQ(document("wan0").at("reason"), "1 of 1 target unanswered for 9 rounds") << "as it is now";
  for (auto& [index, link] : world.links)
    if (link.name == "wan0") link.carrier = false;
  EXPECT_EQ(document("wan0").at("reason"), "no carrier");
}

TEST_F(WanStatus, SaysWhyAWanIsUp) {
  EXPECT_EQ(document("wan0").at("reason"), "");
  facts.verdicts["wan0"] = {.usable = true, .by = WanVerdict::By::hand, .reason = "by hand: probes lie"};
  const auto up = document("wan0");
  EXPECT_EQ(up.at("reason"), "by hand: probes lie");
  EXPECT_EQ(up.at("by_hand"), true);
  EXPECT_EQ(up.at("ipv4").at("why"), "") << "nothing keeps it from being used";
}

TEST_F(WanStatus, HasWhatProbesMeasured) {
  EXPECT_EQ(document("wan0").at("targets"), nlohmann::json::array());
  EXPECT_EQ(document("wan0").at("latency_ms"), nullptr);
  EXPECT_EQ(document("wan0").at("loss_percent"), nullptr);
  facts.targets["wan0"] = {
      {"9.9.9.9", {.latency = 12.3456, .loss = 10, .measured = true, .answered = true, .answersNow = true}},
      {"1.1.1.1", {.latency = 20, .loss = 50, .measured = true, .answered = true}},
      {"8.8.8.8", {.loss = 100, .measured = true}},
      {"4.4.4.4", {}},
  };
  const auto wan = document("wan0");
  EXPECT_EQ(wan.at("targets"), nlohmann::json::parse(R"([
    {"address": "9.9.9.9", "latency_ms": 12.35, "loss_percent": 10.0, "answered": true},
    {"address": "1.1.1.1", "latency_ms": 20.0, "loss_percent": 50.0, "answered": false},
    {"address": "8.8.8.8", "latency_ms": null, "loss_percent": 100.0, "answered": false},
    {"address": "4.4.4.4", "latency_ms": null, "loss_percent": null, "answered": false}])"));
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
