// SPDX-License-Identifier: GPL-2.0-or-later
// What the kernel refuses, and what cannot be read.
#include <algorithm>
#include <gtest/gtest.h>

#include "engine_fixture.hpp"

namespace wgsteer {
namespace {

using namespace test;

/// A read-only /proc/sys is for good: it must not keep peers at addresses that their names no longer have.
TEST_F(EngineTest, OnlyItsOwnElementHoldsUpAPeersNewAddress) {
  const Endpoint moved{*Address::parse("203.0.113.99"), kServer4.port};
  const auto isItsElement = [&](const NftOp& op) {
    const auto* peer = std::get_if<NftEndpoint>(&op.member);
    return peer != nullptr && peer->endpoint == moved;
  };
  kernel.refuses = [&](const Change& change) {
    const auto* transaction = std::get_if<NftTransaction>(&change);
    return std::holds_alternative<SetSysctl>(change) ||
           (transaction != nullptr && std::ranges::any_of(transaction->ops, isItsElement));
  };
  ASSERT_TRUE(engine->start());
  const auto& peers = kernel.real.world.tunnels.at("wg0").peers;
  const PublicKey key = std::ranges::find(peers, kServer4, &Peer::endpoint)->publicKey;
  const auto endpoint = [&] {
    return std::ranges::find(kernel.real.world.tunnels.at("wg0").peers, key, &Peer::publicKey)->endpoint;
  };
  const NamedPeer named{.host = "vpn.example.com", .port = moved.port, .current = {moved.address}, .leaving = {}};
  engine->setNamed({{PeerId{"wg0", key}, named}}, {}, fromEpoch(1'700'000'000));
  EXPECT_EQ(endpoint(), kServer4) << "not before its element is in the map";
  kernel.refuses = [](const Change& change) { return std::holds_alternative<SetSysctl>(change); };
  now += *engine->retryAfter();
  engine->onRetry();
  ASSERT_TRUE(engine->retryAfter()) << "sysctls are still refused";
  engine->poll(fromEpoch(1'700'000'001));
  EXPECT_EQ(endpoint(), moved);
}

TEST_F(EngineTest, TroubleWithOneTunnelIsToldOnceAndHoldsUpNothing) {
  ASSERT_TRUE(engine->start());
  EXPECT_EQ(troubles, std::vector<std::string>{});
  kernel.real.world.tunnelTroubles = {{"wg7", "wg show wg7: its process does not answer"}};
  kernel.someoneSetsFwmark("wg0", {});
  engine->poll({});
  EXPECT_EQ(present(), wanted());
  engine->poll({});
  EXPECT_EQ(troubles, std::vector<std::string>{"wg show wg7: its process does not answer"});
  EXPECT_EQ(engine->retryAfter(), std::nullopt);
  kernel.real.world.tunnelTroubles.clear();
  engine->poll({});
  EXPECT_EQ(engine->picture().world.tunnelTroubles.size(), 0U);
}

TEST_F(EngineTest, LostEventsLeadToAFreshLook) {
  ASSERT_TRUE(engine->start());
  kernel.carrier("wan0", false);
  kernel.deleteForeignRoute(route("0.0.0.0/0", kWan1, "198.51.100.1", 20));
  kernel.loseEvents();
  engine->onEvents();
  EXPECT_EQ(engine->statistics().resyncs, 1U);
  EXPECT_EQ(engine->statistics().overruns, 1U);
  EXPECT_EQ(overruns, std::vector<bool>{false});
  EXPECT_EQ(present(), wanted());
}

TEST_F(EngineTest, LostEventsOfNftablesHaveTheTableReadAgain) {
  ASSERT_TRUE(engine->start());
  kernel.real.observed.nft.reset();
  kernel.announce(NftChanged{.by = {}, .lost = true});
  engine->onEvents();
  EXPECT_EQ(engine->statistics().resyncs, 0U);
  EXPECT_EQ(engine->statistics().overruns, 1U);
  EXPECT_EQ(overruns, std::vector<bool>{true});
  EXPECT_EQ(present(), wanted());
}

TEST_F(EngineTest, AFailedChangeIsReportedAndTriedAgain) {
  for (std::size_t nth = 0; nth < 40; ++nth) {
    FakeKernel fresh;
    fresh.real.world = twoWans();
    std::size_t reported = 0;
    Engine::Observer observer;
    observer.failed = [&](const Change&, const Error&, const DeviceName&) { ++reported; };
    std::chrono::nanoseconds clock = std::chrono::seconds{1};
    Engine tried{fresh, {}, observer, [&] { return clock; }};
    fresh.failWrite(nth, ErrorKind::busy);
    ASSERT_TRUE(tried.start());
    const bool failed = reported > 0;
    EXPECT_EQ(tried.retryAfter().has_value(), failed);
    fresh.heal();
    if (failed) clock += *tried.retryAfter();
    if (failed) tried.onRetry();
    EXPECT_FALSE(tried.retryAfter()) << "write " << nth;
    const Picture seen = *fresh.observe({});
    EXPECT_EQ(seen.observed, desire({}, seen.world)) << "write " << nth;
  }
}

/// A refusal affects only its object: everything else is done at once, and what was done is known.
TEST_F(EngineTest, ARefusedTunnelDoesNotHoldUpAnybody) {
  Tunnel other = kernel.real.world.tunnels.at("wg0");
  other.name = "boring";
  other.listenPort = 4000;
  kernel.real.world.links.emplace(IfIndex{10}, link(IfIndex{10}, "boring", "tun"));
  kernel.real.world.tunnels.edit().emplace("boring", other);
  kernel.refuses = [](const Change& change) {
    const auto* set = std::get_if<SetTunnelMark>(&change);
    return set != nullptr && set->tunnel == "boring";
  };
  ASSERT_TRUE(engine->start());
  EXPECT_EQ(failures.size(), 1U);
  const auto due = engine->retryAfter();
  ASSERT_TRUE(due);
  const auto writes = kernel.writes;
  kernel.carrier("wan0", false);
  engine->onEvents();
  EXPECT_EQ(wayOf(kServer4), "wan1");
  EXPECT_GT(kernel.writes, writes);
  EXPECT_EQ(failures.size(), 1U) << "it is not asked again for that";
  EXPECT_EQ(engine->retryAfter(), due) << "nor put off";
  State rest = wanted();
  rest.tunnelMarks.erase("boring");
  EXPECT_EQ(present(), rest);
  kernel.heal();
  now += *due;
  engine->onRetry();
  EXPECT_EQ(present(), wanted());
  EXPECT_FALSE(engine->retryAfter());
}

TEST_F(EngineTest, AWanWhoseRouteIsRefusedIsDoneWithoutInThatFamily) {
  kernel.refuses = [](const Change& change) {
    const auto* added = std::get_if<AddRoute>(&change);
    return added != nullptr && added->route.destination.isDefault() && added->route.family() == Family::v4 &&
           std::ranges::any_of(added->route.hops, [](const NextHop& hop) { return hop.device == kWan0; });
  };
  ASSERT_TRUE(engine->start());
  EXPECT_EQ(wayOf(kServer4), "wan1");
  const Steering steering = engine->steering();
  EXPECT_EQ(steering.wans.front().whyNot(Family::v4), "the kernel rejects its default route: injected");
  EXPECT_TRUE(steering.wans.front().eligible(Family::v6));
  kernel.heal();
  now += std::chrono::seconds{1};
  engine->onRetry();
  EXPECT_EQ(wayOf(kServer4), "wan0");
  EXPECT_EQ(present(), wanted());
}

/// As in a container: what its host turns on meanwhile is the host's.
TEST_F(EngineTest, ASysctlThatCannotBeSetIsNotRemembered) {
  kernel.refuses = [](const Change& change) { return std::holds_alternative<SetSysctl>(change); };
  ASSERT_TRUE(engine->start());
  const auto remembered = [&] { return kernel.real.observed.nft->table.changedSysctls; };
  EXPECT_TRUE(remembered().empty());
  const auto writes = kernel.writes;
  occasions.clear();
  kernel.carrier("wan0", false);
  kernel.carrier("wan0", true);
  engine->onEvents();
  EXPECT_EQ(kernel.writes, writes);
  EXPECT_TRUE(std::ranges::all_of(occasions, [](const auto& one) { return one.second == 0; })) << "nor is it told";
  for (auto& [index, link] : kernel.real.world.links)
    if (link.name == "wan0") {
      link.sysctls = {SysctlKind::ignoreLinkdown4, SysctlKind::ignoreLinkdown6};
      kernel.announce(SysctlsChanged{});
    }
  engine->onEvents();
  kernel.heal();
  now += *engine->retryAfter();
  engine->onRetry();
  EXPECT_EQ(remembered(),
            (std::set<Sysctl>{{SysctlKind::ignoreLinkdown4, "wan1"}, {SysctlKind::ignoreLinkdown6, "wan1"}}))
      << "the others may be set by now";
  EXPECT_TRUE(engine->flush());
  EXPECT_EQ(kernel.real.world.linkNamed("wan0")->sysctls.size(), 2U);
  EXPECT_TRUE(kernel.real.world.linkNamed("wan1")->sysctls.empty());
}

TEST_F(EngineTest, ARefusalIsTriedAgainMoreAndMoreRarely) {
  kernel.refuses = [](const Change& change) { return std::holds_alternative<SetTunnelMark>(change); };
  ASSERT_TRUE(engine->start());
  const auto first = *engine->retryAfter();
  now += first;
  engine->onRetry();
  EXPECT_EQ(engine->retryAfter(), 2 * first);
  now += 2 * first;
  kernel.heal();
  engine->onRetry();
  EXPECT_FALSE(engine->retryAfter());
  EXPECT_EQ(present(), wanted());
}

TEST_F(EngineTest, ARefusalIsNotRetriedWithoutAPauseWhileTheKernelCannotBeRead) {
  kernel.refuses = [](const Change& change) { return std::holds_alternative<SetTunnelMark>(change); };
  ASSERT_TRUE(engine->start());
  kernel.unreadable = true;
  Duration before{};
  for (int i = 0; i < 4; ++i) {
    const Duration after = *engine->retryAfter();
    EXPECT_GT(after, before);
    before = after;
    now += after;
    engine->onRetry();
  }
  kernel.unreadable = false;
  kernel.heal();
  now += *engine->retryAfter();
  engine->onRetry();
  EXPECT_FALSE(engine->retryAfter());
  EXPECT_EQ(present(), wanted());
}

/// A server's rules come and go before the others, and with them the target of the jump over foreign rules.
TEST_F(EngineTest, AJumpFollowsItsTarget) {
  kernel.real.world.rules.insert(kernelRule(Family::v4, 11, TableId{1000}));
  Route into = route("0.0.0.0/0", kTunnel);
  into.table = TableId{1000};
  kernel.real.world.routes.insert(into);
  ASSERT_TRUE(engine->start());
  Tunnel server = kernel.real.world.tunnels.at("wg0");
  server.name = "wgs";
  server.peers.front().endpoint.reset();
  server.peers.front().allowedIps = {*Prefix::parse("10.9.0.2/32")};
  for (const bool there : {true, false}) {
    if (there)
      kernel.real.world.tunnels.edit().emplace("wgs", server);
    else
      kernel.real.world.tunnels.edit().erase("wgs");
    kernel.announce(TunnelsChanged{});
    engine->onEvents();
    EXPECT_EQ(failures, std::vector<std::string>{});
    EXPECT_EQ(present().rules, wanted().rules) << there;
    EXPECT_EQ(wayOf(kServer4), "wan0") << there;
  }
}

TEST_F(EngineTest, WhatIsThereAlreadyIsLookedForAndDone) {
  const State all = desire({}, kernel.real.world);
  const Route& early = *std::ranges::find(all.routes, Family::v4, &Route::family);
  ASSERT_TRUE(engine->start());
  kernel.real.observed.routes.erase(early);
  kernel.announce(RouteGone{early, FakeKernel::kSomeone});
  kernel.real.observed.routes.insert(early);
  engine->onEvents();
  EXPECT_EQ(present(), wanted());
  EXPECT_FALSE(engine->retryAfter());
}

TEST_F(EngineTest, KilledAfterAnyWriteTheNextStartConverges) {
  for (std::size_t after = 0; after < 45; ++after) {
    FakeKernel fresh;
    fresh.real.world = twoWans();
    Engine killed{fresh, {}, {}, [] { return std::chrono::seconds{1}; }};
    fresh.dieAfter(after);
    ASSERT_TRUE(killed.start());
    fresh.heal();
    Engine next{fresh, {}, {}, [] { return std::chrono::seconds{1}; }};
    ASSERT_TRUE(next.start());
    const Picture seen = *fresh.observe({});
    EXPECT_EQ(seen.observed, desire({}, seen.world)) << "killed after " << after;
  }
}

}  // namespace
}  // namespace wgsteer
