// SPDX-License-Identifier: GPL-2.0-or-later
// What `status` says about peers and the daemon: the actual kernel state, and where it differs from the planned one.
#include "daemon/status.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "wgsteer/core/desire.hpp"
#include "wgsteer/core/plan.hpp"

#include "support/worlds.hpp"

namespace wgsteer {
namespace {

using namespace test;
using Json = nlohmann::json;

class StatusOfPeers : public ::testing::Test {
 protected:
  void install() { apply(picture.observed, diff(desire(config, picture.world), picture.observed)); }
  Json document(const std::optional<DaemonFacts>& daemon = std::nullopt) {
    return statusDocument(config, picture, daemon, fromEpoch(1000));
  }
  Json peer() { return document().at("tunnels").at(0).at("peers").at(0); }

  Config config = fiberAndLte();
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

TEST_F(StatusOfPeers, AReloadIsToldWithItsError) {
  DaemonFacts facts;
  EXPECT_EQ(document(facts).at("daemon").at("last_reload"), nullptr) << "none yet";
  facts.lastReload = {.at = fromEpoch(900), .error = {}};
  EXPECT_EQ(document(facts).at("daemon").at("last_reload"), (Json{{"time", 900}, {"error", nullptr}}));
  facts.lastReload->error = "wgsteer:3: use_wan: WAN 'x' is not defined";
  EXPECT_EQ(document(facts).at("daemon").at("last_reload"),
            (Json{{"time", 900}, {"error", "wgsteer:3: use_wan: WAN 'x' is not defined"}}));
}

}  // namespace
}  // namespace wgsteer
