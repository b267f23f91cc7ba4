// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <gtest/gtest.h>

#include "engine_fixture.hpp"

namespace wgsteer {
namespace {

using namespace test;

TEST_F(EngineTest, StartCuresTheLoop) {
  ASSERT_EQ(wayOf(kServer4), "wg0");
  ASSERT_TRUE(engine->start());
  EXPECT_EQ(wayOf(kServer4), "wan0");
  EXPECT_EQ(present(), wanted());
}

TEST_F(EngineTest, ASecondStartWritesNothing) {
  ASSERT_TRUE(engine->start());
  const auto before = kernel.writes;
  auto second = makeEngine({});
  ASSERT_TRUE(second->start());
  EXPECT_EQ(kernel.writes, before);
  EXPECT_TRUE(kernel.cleared.empty());
}

/// It was moved here; whoever is where it was made steers it.
TEST_F(EngineTest, ATunnelThatIsSentElsewhereIsLeftAlone) {
  Tunnel& tunnel = kernel.real.world.tunnels.edit().at("wg0");
  tunnel.socket = SocketPlace::elsewhere;
  tunnel.fwmark = Mark{0xf0000000};
  ASSERT_TRUE(engine->start());
  engine->poll({});
  engine->onRetry();
  EXPECT_EQ(kernel.real.world.tunnels.at("wg0").fwmark, Mark{0xf0000000});
  EXPECT_FALSE(present().nft->table.tunnels.contains("wg0"));
  EXPECT_TRUE(engine->flush());
  EXPECT_EQ(kernel.real.world.tunnels.at("wg0").fwmark, Mark{0xf0000000});
  EXPECT_TRUE(kernel.cleared.empty());
}

TEST_F(EngineTest, AWanThatIsDisabledIsNotUsedForAMoment) {
  ASSERT_TRUE(engine->start({{"wan0", "by hand"}}));
  EXPECT_EQ(wayOf(kServer4), "wan1");
  EXPECT_EQ(moves, std::vector<std::string>{}) << "it was never elsewhere";
  engine->setWansDown({});
  EXPECT_EQ(wayOf(kServer4), "wan0");
}

TEST_F(EngineTest, CachedSourcesAreClearedAtTheStartAfterAnUnseenMove) {
  ASSERT_TRUE(engine->start({{"wan0", "by hand"}}));
  EXPECT_TRUE(kernel.cleared.empty()) << "its fwmark was set";
  ASSERT_TRUE(makeEngine({})->start());
  EXPECT_EQ(wayOf(kServer4), "wan0");
  EXPECT_EQ(kernel.cleared.size(), 1U);
}

TEST_F(EngineTest, AStickySocketsSourcesAreClearedAfterAStartWithoutChanges) {
  kernel.real.world.tunnels.edit().at("wg0").backend = TunnelBackend::userspace;
  ASSERT_TRUE(engine->start());
  auto second = makeEngine({});
  ASSERT_TRUE(second->start());
  EXPECT_TRUE(kernel.cleared.empty());
  for (int i = 0; i < 5; ++i) second->poll({});
  EXPECT_EQ(kernel.cleared.size(), 2U) << "the first may have been killed just before it did that";
}

/// The later ones must not restore the old mark.
TEST_F(EngineTest, AStickySocketsSourcesAreClearedWithTheMarkThatItHasByThen) {
  kernel.real.world.tunnels.edit().at("wg0").backend = TunnelBackend::userspace;
  ASSERT_TRUE(engine->start());
  kernel.someoneSetsFwmark("wg0", Mark{0x77});
  engine->poll({});
  EXPECT_EQ(kernel.real.world.tunnels.at("wg0").fwmark, Mark{0x77});
  ASSERT_EQ(kernel.cleared.size(), 1U);
  EXPECT_EQ(kernel.cleared.front().second, Mark{0x77});
}

TEST_F(EngineTest, AConflictIsRefusedAndNothingChanged) {
  Rule foreign = kernelRule(Family::v4, 1500, kMainTable);
  foreign.mark = {0x10000000, 0x30000000};
  kernel.real.world.rules.insert(foreign);
  const Status started = engine->start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().kind, ErrorKind::refused);
  EXPECT_EQ(kernel.writes, 0U);
  Config forced;
  forced.force = true;
  EXPECT_TRUE(makeEngine(forced)->start());
}

TEST_F(EngineTest, LossOfCarrierMovesTheTunnelAndClearsItsCachedSources) {
  ASSERT_TRUE(engine->start());
  kernel.carrier("wan0", false);
  engine->onEvents();
  EXPECT_EQ(wayOf(kServer4), "wan1");
  EXPECT_EQ(moves, std::vector<std::string>{"wg0 wan1 no carrier"});
  ASSERT_EQ(kernel.cleared.size(), 1U);
  EXPECT_EQ(kernel.cleared.front().second.value, 0xf0000000);
  kernel.carrier("wan0", true);
  engine->onEvents();
  EXPECT_EQ(wayOf(kServer4), "wan0");
  EXPECT_EQ(kernel.cleared.size(), 2U);
}

/// Seen with a stopped daemon: packets had left by the other WAN, and their answers kept the tunnel there.
TEST_F(EngineTest, CachedSourcesAreClearedAfterARouteWasMissingUnseen) {
  ASSERT_TRUE(engine->start());
  kernel.carrier("wan0", false);
  kernel.carrier("wan0", true);
  engine->onEvents();
  EXPECT_TRUE(moves.empty());
  EXPECT_EQ(kernel.cleared.size(), 1U);
  kernel.carrier("wan0", false);
  kernel.carrier("wan0", true);
  kernel.loseEvents();
  engine->onEvents();
  EXPECT_EQ(kernel.cleared.size(), 2U) << "nor is it known what was lost";
  engine->poll({});
  EXPECT_EQ(kernel.cleared.size(), 2U);
}

TEST_F(EngineTest, AStickySocketsSourcesAreClearedAgainWhenNothingIsInFlight) {
  kernel.real.world.tunnels.edit().at("wg0").backend = TunnelBackend::userspace;
  ASSERT_TRUE(engine->start());
  EXPECT_EQ(kernel.cleared.size(), 0U) << "the new fwmark has done it";
  for (int i = 0; i < 5; ++i) engine->poll({});
  EXPECT_EQ(kernel.cleared.size(), 2U) << "tunnels that used another WAN before have answers in flight as well";
  engine->setWansDown({{"wan0", "silent"}});
  EXPECT_EQ(kernel.cleared.size(), 3U);
  for (int i = 0; i < 5; ++i) engine->poll({});
  EXPECT_EQ(kernel.cleared.size(), 5U);
}

TEST_F(EngineTest, CachedSourcesAreClearedWhenAPinnedPeerMovesAlone) {
  Config config = fiberAndLte();
  config.policies = {policy("mobile", {{"lte", 1, 1}, {"fiber", 2, 1}})};
  config.tunnels = {tunnel("wg0", "default", Role::client)};
  config.peers = {pinned("wg0", 1, "mobile")};
  engine = makeEngine(config);
  ASSERT_TRUE(engine->start());
  EXPECT_EQ(wayOf(kServer4), "wan1");
  kernel.carrier("wan1", false);
  engine->onEvents();
  EXPECT_EQ(wayOf(kServer4), "wan0");
  EXPECT_EQ(kernel.cleared.size(), 1U) << "wireguard-go keeps sending by a link that is down";
  EXPECT_EQ(moves, std::vector<std::string>{}) << "the tunnel itself stays";
  const NftTable& table = kernel.real.observed.nft->table;
  EXPECT_EQ((table.policySources.at({Mark{0xe0000000}, Family::v4})), Address::v4(192, 0, 2, 10));
}

TEST_F(EngineTest, TranslationsOfForwardedFlowsAreForgottenWhenTheTunnelMoves) {
  Config config = fiberAndLte();
  config.forward = true;
  engine = makeEngine(config);
  ASSERT_TRUE(engine->start());
  kernel.carrier("wan0", false);
  engine->onEvents();
  ASSERT_EQ(kernel.forgotten.size(), 1U);
  const std::map<Endpoint, std::set<Address>> right{
      {kServer4, {Address::v4(198, 51, 100, 10), *Address::parse("2001:db8:20::10")}}};
  EXPECT_EQ(kernel.forgotten.front(), right);
}

TEST_F(EngineTest, NothingIsTranslatedWithoutForwarding) {
  ASSERT_TRUE(engine->start());
  kernel.carrier("wan0", false);
  engine->onEvents();
  EXPECT_EQ(kernel.cleared.size(), 1U);
  EXPECT_TRUE(kernel.forgotten.empty());
}

TEST_F(EngineTest, ALinkThatComesBackIsUsedAgainAlthoughNobodyRestoresItsDefaultRoute) {
  ASSERT_TRUE(engine->start());
  kernel.linkGoesDown("wan0");
  engine->onEvents();
  EXPECT_EQ(wayOf(kServer4), "wan1");
  EXPECT_EQ(engine->pending({})->changes.size(), 0U);
  kernel.linkComesUp("wan0");
  engine->onEvents();
  EXPECT_EQ(wayOf(kServer4), "wan0");
  EXPECT_EQ(engine->pending({})->changes.size(), 0U);
}

TEST_F(EngineTest, ANewGatewayReplacesTheOld) {
  ASSERT_TRUE(engine->start());
  kernel.deleteForeignRoute(route("0.0.0.0/0", kWan0, "192.0.2.1", 10));
  kernel.addForeignRoute(route("0.0.0.0/0", kWan0, "192.0.2.254", 10));
  engine->onEvents();
  EXPECT_EQ(present(), wanted());
  const auto& routes = present().routes;
  const bool leadsThere = std::ranges::any_of(routes, [](const Route& known) {
    return known.destination.isDefault() && !known.hops.empty() &&
           known.hops.front().gateway == Address::v4(192, 0, 2, 254);
  });
  EXPECT_TRUE(leadsThere);
}

TEST_F(EngineTest, ADeletedRuleIsPutBackAtOnce) {
  ASSERT_TRUE(engine->start());
  const State before = present();
  for (const Rule& rule : before.rules) {
    kernel.someoneDeletesRule(rule);
    engine->onEvents();
    EXPECT_EQ(present(), before);
  }
}

TEST_F(EngineTest, AFightIsToldOnceAndSlowedDown) {
  ASSERT_TRUE(engine->start());
  const Rule rule = *kernel.real.observed.rules.begin();
  const auto deleted = [&] {
    now += std::chrono::milliseconds{1};
    kernel.someoneDeletesRule(rule);
    engine->onEvents();
    return !kernel.real.observed.rules.contains(rule);
  };
  int putBack = 0;
  while (!deleted() && putBack < 1000) ++putBack;
  EXPECT_GT(putBack, 50);
  ASSERT_LT(putBack, 100);
  ASSERT_EQ(fights.size(), 1U);
  EXPECT_NE(fights[0].find("rule deleted by port 4711"), std::string::npos) << fights[0];
  ASSERT_TRUE(engine->retryAfter());
  EXPECT_LE(*engine->retryAfter(), std::chrono::milliseconds{250});
  now += *engine->retryAfter();
  engine->onRetry();
  EXPECT_TRUE(kernel.real.observed.rules.contains(rule));
  EXPECT_FALSE(engine->retryAfter());
  deleted();
  EXPECT_EQ(fights.size(), 1U);
  // A quiet time, and another fight.
  now += std::chrono::minutes{5};
  for (int i = 0; i < 200; ++i) deleted();
  EXPECT_EQ(fights.size(), 2U);
}

TEST_F(EngineTest, AFailoverDoesNotWaitForAFight) {
  ASSERT_TRUE(engine->start());
  const Rule rule = *kernel.real.observed.rules.begin();
  for (int i = 0; i < 200; ++i) {
    kernel.someoneDeletesRule(rule);
    engine->onEvents();
  }
  ASSERT_FALSE(kernel.real.observed.rules.contains(rule));
  kernel.carrier("wan0", false);
  engine->onEvents();
  EXPECT_EQ(wayOf(kServer4), "wan1");
  EXPECT_TRUE(kernel.real.observed.rules.contains(rule));
}

TEST_F(EngineTest, ASecondLossOfCarrierIsFoundByAsking) {
  ASSERT_TRUE(engine->start());
  EXPECT_FALSE(engine->carrierCheckAfter());
  kernel.carrier("wan1", false);
  engine->onEvents();
  ASSERT_EQ(engine->carrierCheckAfter(), std::chrono::milliseconds{10});
  kernel.carrier("wan1", true);
  engine->onEvents();
  kernel.carrierUnannounced("wan0", false);
  now += std::chrono::milliseconds{10};
  engine->onCarrierCheck();
  EXPECT_EQ(wayOf(kServer4), "wan1");
  EXPECT_EQ(occasions.back().first, Trigger::link);
  now += std::chrono::seconds{1};
  EXPECT_FALSE(engine->carrierCheckAfter());
}

TEST_F(EngineTest, GatewaysOfAllWansAreKeptWarm) {
  ASSERT_TRUE(engine->start());
  const auto atStart = kernel.warmed;
  EXPECT_EQ(atStart.size(), 4U);  // two WANs, two families
  now += std::chrono::seconds{5};
  engine->poll({});
  EXPECT_EQ(kernel.warmed, atStart);
  now += std::chrono::seconds{5};
  engine->poll({});
  EXPECT_EQ(kernel.warmed.size(), 2 * atStart.size());
}

TEST_F(EngineTest, ReactionTimesAreCountedByWhatWasHeard) {
  ASSERT_TRUE(engine->start());
  kernel.carrier("wan0", false);
  engine->onEvents();
  kernel.someoneFlushesNft();
  engine->onEvents();
  const auto count = [&](Trigger trigger) { return engine->statistics().applied[std::to_underlying(trigger)].count(); };
  EXPECT_EQ(count(Trigger::start), 1U);
  EXPECT_EQ(count(Trigger::link), 1U);
  EXPECT_EQ(count(Trigger::nft), 1U);
  EXPECT_EQ(count(Trigger::rule), 0U);
}

TEST_F(EngineTest, AWanThatIsTakenDownIsLeftAndTheReasonGiven) {
  Config config;
  config.wans = {{.name = "fiber", .device = "wan0"}, {.name = "lte", .device = "wan1", .metric = 2}};
  engine = makeEngine(config);
  ASSERT_TRUE(engine->start());
  ASSERT_EQ(wayOf(kServer4), "wan0");
  engine->setWansDown({{"fiber", "1 of 1 target unanswered"}});
  EXPECT_EQ(wayOf(kServer4), "wan1");
  ASSERT_FALSE(moves.empty());
  EXPECT_EQ(moves.back(), "wg0 lte 1 of 1 target unanswered");
  engine->setWansDown({});
  EXPECT_EQ(wayOf(kServer4), "wan0");
}

TEST_F(EngineTest, AStalledPeerGoesByAnotherWanAlsoAfterAReload) {
  ASSERT_TRUE(engine->start());
  const PublicKey peer = kernel.real.world.tunnels.at("wg0").peers.front().publicKey;
  const auto cleared = kernel.cleared.size();
  StallOutcome outcome;
  outcome.stalled[{"wg0", peer}] = {.wan = "wan1", .why = "nothing received for 20 s", .since = fromEpoch(1)};
  engine->divert(outcome);
  EXPECT_EQ(wayOf(kServer4), "wan1");
  EXPECT_EQ(kernel.cleared.size(), cleared + 1) << "or it would keep the dead WAN's source";
  ASSERT_TRUE(engine->reconfigure(engine->config()));
  EXPECT_EQ(wayOf(kServer4), "wan1");
  engine->divert({});
  EXPECT_EQ(wayOf(kServer4), "wan0");
}

TEST_F(EngineTest, ANameThatMovedTakesItsPeerAlong) {
  ASSERT_TRUE(engine->start());
  const auto& peers = kernel.real.world.tunnels.at("wg0").peers;
  const auto at = std::ranges::find(peers, kServer4, &Peer::endpoint) - peers.begin();
  ASSERT_LT(at, std::ssize(peers));
  const auto known = [&] { return &kernel.real.world.tunnels.edit().at("wg0").peers[static_cast<std::size_t>(at)]; };
  const Endpoint moved{*Address::parse("203.0.113.99"), kServer4.port};
  NamedPeer named{.host = "vpn.example.com", .port = moved.port, .current = {moved.address}, .leaving = {}};
  named.leaving.push_back(kServer4.address);
  engine->setNamed({{PeerId{"wg0", known()->publicKey}, named}}, {}, fromEpoch(1'700'000'000));
  EXPECT_EQ(known()->endpoint, moved);
  const auto& endpoints = kernel.real.observed.nft->table.endpoints;
  EXPECT_TRUE(endpoints.contains(moved));
  EXPECT_TRUE(endpoints.contains(kServer4)) << "a session may still use it";
  EXPECT_EQ(wayOf(moved), "wan0");

  // A packet from the old address that was still in flight arrives after that.
  known()->endpoint = kServer4;
  known()->lastHandshake = fromEpoch(1'700'000'000);
  engine->poll(fromEpoch(1'700'000'001));
  EXPECT_EQ(known()->endpoint, moved);
}

/// As when the tunnel is re-created with an address that its name no longer has.
TEST_F(EngineTest, AnAddressThatOnlyWireGuardKnewIsForgottenAfterTheMove) {
  ASSERT_TRUE(engine->start());
  const auto& peers = kernel.real.world.tunnels.at("wg0").peers;
  const auto known = std::ranges::find(peers, kServer4, &Peer::endpoint);
  ASSERT_NE(known, peers.end());
  const Endpoint moved{*Address::parse("203.0.113.99"), kServer4.port};
  const NamedPeer named{.host = "vpn.example.com", .port = moved.port, .current = {moved.address}, .leaving = {}};
  engine->setNamed({{PeerId{"wg0", known->publicKey}, named}}, {}, fromEpoch(1'700'000'000));
  const auto& endpoints = kernel.real.observed.nft->table.endpoints;
  EXPECT_TRUE(endpoints.contains(moved));
  EXPECT_TRUE(endpoints.contains(kServer4)) << "for what is under way";
  engine->poll({});
  EXPECT_FALSE(endpoints.contains(kServer4));
  EXPECT_EQ(engine->pending({})->changes.size(), 0U);
  const auto writes = kernel.writes;
  engine->poll({});
  EXPECT_EQ(kernel.writes, writes);
}

TEST_F(EngineTest, AFlushedRulesetComesBackWithTheSameNumbers) {
  ASSERT_TRUE(engine->start());
  const State before = present();
  // By now, the order of metrics would give wan1 the first number.
  kernel.deleteForeignRoute(route("0.0.0.0/0", kWan0, "192.0.2.1", 10));
  kernel.someoneFlushesNft();
  engine->onEvents();
  ASSERT_TRUE(present().nft);
  EXPECT_EQ(present().nft->table.wans, before.nft->table.wans);
}

Config withOneRule(Config config) {
  config.numbers.markMask = kTrafficMarkMask;
  config.rules.resize(1);
  config.rules.front().name = "all";
  return config;
}

TEST_F(EngineTest, ConnectionsLoseTheirMarksWithTheLastRule) {
  ASSERT_TRUE(engine->start());
  Config config = withOneRule(engine->config());
  ASSERT_TRUE(engine->reconfigure(config));
  kernel.connections = {{Family::v4, Mark{0x41003f00}, 1}, {Family::v6, Mark{0x01000000}, 2}};
  config.rules.push_back(config.rules.front());
  config.rules.back().name = "more";
  ASSERT_TRUE(engine->reconfigure(config));
  EXPECT_EQ(kernel.connections.front().mark, Mark{0x41003f00}) << "they keep their meaning";
  config.rules.clear();
  ASSERT_TRUE(engine->reconfigure(config));
  EXPECT_EQ(kernel.connections.front().mark, Mark{0x3f00});
  EXPECT_EQ(kernel.connections.back().mark, Mark{0x01000000}) << "no mark of a rule";
}

/// Masquerading takes another WAN's address while a WAN has none of its own, and keeps it for the whole connection.
TEST_F(EngineTest, ConnectionsAreTranslatedAnewOnceTheirWanHasItsAddressAgain) {
  ASSERT_TRUE(engine->start());
  Config config = withOneRule(engine->config());
  config.policies = {{.name = "first", .members = {{.wan = "wan0"}}}};
  config.rules.front().policy = "first";
  ASSERT_TRUE(engine->reconfigure(config));
  const auto exits = pinnedExits(engine->steering());
  ASSERT_EQ(exits.size(), 1U);
  const Mark mark = config.numbers.markOf(exits.front().pin);
  InterfaceAddress own = address(kWan0, "2001:db8:10::10/64");
  const Address others = *Address::parse("2001:db8:20::10");
  // Under duplicate address detection.
  ASSERT_EQ(kernel.real.world.addresses.erase(own), 1U);
  own.tentative = true;
  kernel.real.world.addresses.insert(own);
  kernel.announce(AddressAdded{own});
  engine->onEvents();
  kernel.connections = {{.family = Family::v6, .mark = mark, .id = 1, .translatedTo = others},
                        {.family = Family::v6, .mark = mark, .id = 2, .translatedTo = own.address},
                        {.family = Family::v6, .mark = mark, .id = 3}};
  now += std::chrono::seconds{2};
  kernel.real.world.addresses.erase(own);
  own.tentative = false;
  kernel.real.world.addresses.insert(own);
  kernel.announce(AddressAdded{own});
  engine->onEvents();
  ASSERT_EQ(kernel.connections.size(), 2U);
  EXPECT_EQ(kernel.connections.front().id, 2U);
  EXPECT_EQ(retranslated, std::vector<std::size_t>{1});

  kernel.connections.front().translatedTo = others;
  now += std::chrono::seconds{2};
  engine->onEvents();
  EXPECT_EQ(kernel.connections.size(), 2U) << "looked at without need";
}

TEST_F(EngineTest, ConnectionsLoseTheirMarksWithTheTable) {
  ASSERT_TRUE(engine->start());
  ASSERT_TRUE(engine->reconfigure(withOneRule(engine->config())));
  kernel.connections = {{Family::v4, Mark{0x41003f00}, 1}};
  kernel.someoneFlushesNft();
  engine->onEvents();
  EXPECT_EQ(kernel.connections.front().mark, Mark{0x41003f00}) << "the table comes back";
  ASSERT_TRUE(engine->flush());
  EXPECT_EQ(kernel.connections.front().mark, Mark{0x3f00});
}

/// `wg setconf` between our look and our change.
TEST_F(EngineTest, AnOwnersMarkThatComesInTheMeantimeStays) {
  kernel.someoneSetsFwmark("wg0", Mark{0});
  ASSERT_TRUE(engine->start());
  kernel.someoneSetsFwmark("wg0", Mark{0});
  engine->poll({});
  ASSERT_EQ(kernel.real.world.tunnels.at("wg0").fwmark, Mark{0xf0000000});
  kernel.someoneSetsFwmark("wg0", Mark{0x77});
  const CommitReport report = kernel.commit({{SetTunnelMark{"wg0", Mark{0xf0000000}}}}, {});
  ASSERT_EQ(report.failed.size(), 1U);
  EXPECT_EQ(report.failed.front().status.error().kind, ErrorKind::alreadyThere);
  EXPECT_EQ(kernel.real.world.tunnels.at("wg0").fwmark, Mark{0x77});
}

TEST_F(EngineTest, FlushNamesAllThatRemainsAndConnectionsKeepTheirMarksWithTheTable) {
  ASSERT_TRUE(engine->start());
  ASSERT_TRUE(engine->reconfigure(withOneRule(engine->config())));
  kernel.connections = {{Family::v4, Mark{0x41003f00}, 1}};
  kernel.refuses = [](const Change& change) {
    return std::holds_alternative<NftTransaction>(change) || std::holds_alternative<SetTunnelMark>(change);
  };
  const Status flushed = engine->flush();
  ASSERT_FALSE(flushed);
  const std::string& what = flushed.error().what;
  EXPECT_TRUE(what.starts_with("some state could not be removed: ")) << what;
  EXPECT_EQ(std::ranges::count(what, ';'), 1) << "both: " << what;
  EXPECT_EQ(kernel.connections.front().mark, Mark{0x41003f00});
  kernel.heal();
  ASSERT_TRUE(engine->flush());
  EXPECT_EQ(kernel.connections.front().mark, Mark{0x3f00});
}

TEST_F(EngineTest, AFwmarkThatSomebodyResetIsFoundByThePoll) {
  ASSERT_TRUE(engine->start());
  kernel.someoneSetsFwmark("wg0", Mark{0});
  engine->onEvents();
  EXPECT_EQ(kernel.real.world.tunnels.at("wg0").fwmark.value, 0U);
  EXPECT_EQ(wayOf(kServer4), "wan0") << "the endpoint map has to mark it meanwhile";
  engine->poll({});
  EXPECT_EQ(kernel.real.world.tunnels.at("wg0").fwmark.value, 0xf0000000);
}

/// The first packet of a tunnel that is made again may be earlier than the daemon.
TEST_F(EngineTest, TheEndpointOfATunnelThatHasGoneStaysForAWhile) {
  ASSERT_TRUE(engine->start());
  kernel.real.world.tunnels = {};
  kernel.loseEvents();
  engine->onEvents();
  EXPECT_TRUE(present().nft->table.endpoints.contains(kServer4));
  EXPECT_FALSE(present().nft->table.tunnels.contains("wg0"));
  engine->poll({});
  now += std::chrono::seconds{9};
  engine->poll({});
  EXPECT_TRUE(present().nft->table.endpoints.contains(kServer4));
  now += std::chrono::seconds{1};
  engine->poll({});
  EXPECT_FALSE(present().nft->table.endpoints.contains(kServer4));
  EXPECT_EQ(present(), wanted());
}

/// Read with the switches of another device, it is not new when it is announced.
TEST_F(EngineTest, ATunnelThatIsFoundAmongTheLinksIsRead) {
  ASSERT_TRUE(engine->start());
  Tunnel other = kernel.real.world.tunnels.at("wg0");
  other.name = "wg1";
  other.listenPort = 4000;
  kernel.real.world.links.emplace(IfIndex{10}, link(IfIndex{10}, "wg1", "wireguard"));
  kernel.real.world.tunnels.edit().emplace("wg1", other);
  kernel.announce(SysctlsChanged{kWan0});
  engine->onEvents();
  EXPECT_TRUE(present().nft->table.tunnels.contains("wg1"));
}

TEST_F(EngineTest, AFwmarkOfTheUsersIsLeftAlone) {
  kernel.real.world.tunnels.edit().at("wg0").fwmark = Mark{0xca6c};
  ASSERT_TRUE(engine->start());
  EXPECT_EQ(kernel.real.world.tunnels.at("wg0").fwmark.value, 0xca6cU);
  EXPECT_EQ(wayOf(kServer4), "wan0");
}

TEST_F(EngineTest, ANewConfigurationIsTakenOver) {
  ASSERT_TRUE(engine->start());
  Config config;
  config.wans = {{.name = "lte", .device = "wan1"}, {.name = "fiber", .device = "wan0", .metric = 2}};
  ASSERT_TRUE(engine->reconfigure(config));
  EXPECT_EQ(wayOf(kServer4), "wan1");
  EXPECT_EQ(present(), wanted());
}

TEST_F(EngineTest, FlushLeavesNothing) {
  const Picture before = *kernel.observe({});
  ASSERT_TRUE(engine->start());
  ASSERT_TRUE(engine->flush());
  Picture after = *kernel.observe({});
  EXPECT_EQ(after.observed, State{});
  after.world.interest = before.world.interest;  // the interest leaves no trace in the kernel
  EXPECT_EQ(after.world, before.world);
}

}  // namespace
}  // namespace wgsteer
