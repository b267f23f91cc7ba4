// SPDX-License-Identifier: GPL-2.0-or-later
// What `status` says about peers and the daemon: the actual kernel state, and where it differs from the planned one.
#include "daemon/status.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "wgsteer/core/desire.hpp"
#include "wgsteer/core/plan.hpp"
#include "wgsteer/core/track.hpp"

#include "daemon/status_rules.hpp"
#include "support/worlds.hpp"

namespace wgsteer {
namespace {

using namespace test;
using Json = nlohmann::json;

class StatusOfPeers : public ::testing::Test {
 protected:
  void install() { apply(picture.observed, diff(desire(config, picture.world), picture.observed)); }
  Json document(const std::optional<DaemonFacts>& daemon = std::nullopt) {
    return statusDocument(config, picture, daemon, matches, fromEpoch(1000));
  }
  Json peer() { return document().at("tunnels").at(0).at("peers").at(0); }

  Config config = fiberAndLte();
  MatchesByRule matches;
  Picture picture{.world = twoWans(), .observed = {}};
};

TEST_F(StatusOfPeers, AreOnTheirWanWhenThatIsInstalled) {
  install();
  EXPECT_EQ(document().at("pending"), 0);
  EXPECT_EQ(peer().at("path"), "ok");
  EXPECT_EQ(peer().at("device"), "wan0");
  EXPECT_EQ(peer().at("wan"), "fiber");
  EXPECT_EQ(peer().at("planned"), nullptr);
}

TEST_F(StatusOfPeers, LoopWhereNothingIsInstalled) {
  const Json seen = peer();
  EXPECT_EQ(seen.at("path"), "loop") << "what is planned is not in the kernel";
  EXPECT_EQ(seen.at("wan"), nullptr);
  EXPECT_EQ(seen.at("planned").at("path"), "ok");
  EXPECT_EQ(seen.at("planned").at("wan"), "fiber");
}

TEST_F(StatusOfPeers, GoAsTheKernelHasItUntilItIsAsPlanned) {
  install();
  picture.world.wansDown = {{"fiber", "by hand"}};
  const Json seen = peer();
  EXPECT_EQ(seen.at("path"), "ok");
  EXPECT_EQ(seen.at("wan"), "fiber") << "still";
  EXPECT_EQ(seen.at("planned").at("wan"), "lte");
  EXPECT_EQ(seen.at("planned").at("device"), "wan1");
  install();
  EXPECT_EQ(peer().at("wan"), "lte");
  EXPECT_EQ(peer().at("planned"), nullptr);
}

TEST_F(StatusOfPeers, AnotherTunnelsChangesAreNone) {
  install();
  picture.world.tunnels.edit().emplace("wg1", Tunnel{.name = "wg1"});
  picture.world.links.emplace(IfIndex{10}, link(IfIndex{10}, "wg1", "wireguard"));
  EXPECT_GT(document().at("pending"), 0);
  EXPECT_EQ(peer().at("planned"), nullptr);
}

TEST(StatusOfPrefixes, SaysWhichAreDeprecatedAndOfWhichWan) {
  Config config = fiberAndLte();
  config.wans[0].prefixes = {*Prefix::parse("2001:db8:a::/56")};
  config.wans[0].deprecate = true;
  Picture picture{.world = twoWans(), .observed = {}};
  picture.world.links.emplace(IfIndex{20}, link(IfIndex{20}, "br-lan", "bridge"));
  picture.world.addresses.insert(address(IfIndex{20}, "2001:db8:a::1/64"));
  const auto deprecated = [&] {
    const State desired = desire(config, picture.world);
    settle(picture, diff(desired, picture.observed), desired);
    return statusDocument(config, picture, std::nullopt, {}, fromEpoch(1000)).at("deprecated");
  };
  EXPECT_EQ(deprecated(), Json::array());
  picture.world.wansDown = {{"fiber", "silent"}};
  Json expected{{"prefix", "2001:db8:a::/64"}, {"address", "2001:db8:a::1"}, {"device", "br-lan"}, {"wan", "fiber"}};
  EXPECT_EQ(deprecated(), Json::array({expected}));
  config.wans[0].prefixes.clear();
  expected["wan"] = nullptr;
  EXPECT_EQ(deprecated(), Json::array({expected}));
}

TEST_F(StatusOfPeers, AReloadIsToldWithItsError) {
  DaemonFacts facts;
  EXPECT_EQ(document(facts).at("daemon").at("last_reload"), nullptr) << "none yet";
  facts.lastReload = {.at = fromEpoch(900), .error = {}};
  EXPECT_EQ(document(facts).at("daemon").at("last_reload"),
            (Json{{"time", 900}, {"at_start", false}, {"error", nullptr}}));
  facts.lastReload->error = "wgsteer:3: use_wan: WAN 'x' is not defined";
  EXPECT_EQ(document(facts).at("daemon").at("last_reload"),
            (Json{{"time", 900}, {"at_start", false}, {"error", "wgsteer:3: use_wan: WAN 'x' is not defined"}}));
  facts.lastReload->atStart = true;
  EXPECT_EQ(document(facts).at("daemon").at("last_reload").at("at_start"), true);
}

class StatusOfRules : public StatusOfPeers {
 protected:
  StatusOfRules() {
    config.numbers.markMask = kTrafficMarkMask;
    config.policies = {policy("lte_first", {{.wan = "lte", .metric = 10}, {.wan = "fiber", .metric = 20}})};
    RuleConfig tv;
    tv.name = "tv";
    tv.policy = "lte_first";
    tv.source.any = {*Prefix::parse("192.168.5.40")};
    RuleConfig closed;
    closed.name = "closed";
    closed.use = RuleUse::unreachable;
    config.rules = {tv, closed};
  }
};

TEST_F(StatusOfPeers, HasNothingOfRulesIfThereAreNone) {
  EXPECT_FALSE(document().contains("rules"));
  EXPECT_FALSE(document().contains("exits"));
  EXPECT_EQ(exitMask(document()), 0U);
}

TEST_F(StatusOfRules, AreInTheirOrderWithWhatTheyDo) {
  matches = {{"tv", 7}};
  const Json rules = document().at("rules");
  ASSERT_EQ(rules.size(), 2U);
  EXPECT_EQ(rules.at(0), (Json{{"name", "tv"},
                               {"use", "lte_first"},
                               {"sticky", false},
                               {"ipv4", {"lte"}},
                               {"ipv6", nullptr},
                               {"connections", 7},
                               {"no_effect", nullptr}}));
  EXPECT_EQ(rules.at(1).at("use"), "unreachable");
  EXPECT_EQ(rules.at(1).at("connections"), nullptr) << "not counted yet";
  picture.world.wansDown = {{"fiber", "probes"}, {"lte", "probes"}};
  EXPECT_EQ(document().at("rules").at(0).at("ipv4"), Json::array());
  EXPECT_EQ(document().at("rules").at(0).at("no_effect"),
            "no WAN of policy lte_first can be used: connections are refused");
}

TEST_F(StatusOfRules, ExitsHaveTheConnectionsWithTheirMarks) {
  Json seen = document();
  const Json& fiber = seen.at("exits").at(0);
  EXPECT_EQ(fiber.at("wan"), "fiber");
  EXPECT_EQ(fiber.at("connections"), nullptr) << "counted by whoever asks";
  EXPECT_EQ(fiber.at("marks").at(0).at("policy"), nullptr);
  EXPECT_EQ(fiber.at("marks").at(0).at("mark"), "0x40000000/0xff000000");
  EXPECT_EQ(fiber.at("marks").at(1).at("policy"), "lte_first");
  EXPECT_EQ(exitMask(seen), 0xff000000U);
  const std::string pin = fiber.at("marks").at(1).at("mark");
  addConnections({{0x40000000, 2}, {static_cast<std::uint32_t>(std::stoul(pin, nullptr, 16)), 5}, {0x7f000000, 9}},
                 seen);
  EXPECT_EQ(fiber.at("connections"), 7);
  EXPECT_EQ(fiber.at("marks").at(1).at("connections"), 5);
  EXPECT_EQ(seen.at("exits").at(1).at("connections"), 0);
}

}  // namespace
}  // namespace wgsteer
