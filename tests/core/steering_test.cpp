// SPDX-License-Identifier: GPL-2.0-or-later
// Which WANs there are, and which mark and table each tunnel and peer gets.
#include <algorithm>
#include <gtest/gtest.h>

#include "wgsteer/core/desire.hpp"

#include "support/worlds.hpp"

namespace wgsteer {
namespace {

using namespace test;

std::vector<std::string> names(const Steering& steering) {
  std::vector<std::string> all;
  for (const Wan& wan : steering.wans) all.push_back(wan.name);
  return all;
}

using Names = std::vector<std::string>;

const Wan& wanNamed(const Steering& steering, std::string_view name) {
  return *std::ranges::find(steering.wans, name, &Wan::name);
}

const PolicyView& policyOf(const Steering& steering, std::string_view tunnel) {
  const auto view =
      std::ranges::find_if(steering.tunnels, [&](const auto& each) { return each.tunnel->name == tunnel; });
  return steering.policies[view->policy];
}

TEST(FoundWans, AreTheDevicesWithADefaultRouteInTheMainTableByItsMetrics) {
  World world = twoWans();
  world.links.emplace(IfIndex{4}, link(IfIndex{4}, "lan0"));
  Route elsewhere = route("0.0.0.0/0", IfIndex{4}, "10.50.0.2");
  elsewhere.table = TableId{100};
  world.routes.insert(elsewhere);
  const Steering steering = steer({}, world);
  EXPECT_EQ(names(steering), (Names{"wan0", "wan1"}));
  EXPECT_EQ(wanNamed(steering, "wan0").slot, Slot{1});
  EXPECT_EQ(wanNamed(steering, "wan0").metric.at(Family::v4), 11U)
      << "one more than the route's, so that 0 has a place";
  EXPECT_TRUE(wanNamed(steering, "wan1").eligible(Family::v6));
  EXPECT_EQ(wanNamed(steering, "wan1").source.at(Family::v4).toString(), "198.51.100.10");
  EXPECT_TRUE(steering.problems.empty());
}

TEST(FoundWans, AreNeverTunnelsNorDevicesThatWrapPackets) {
  for (const char* kind : {"wireguard", "amneziawg", "tun", "xfrm", "vti", "gre", "ipip"}) {
    World world = twoWans();
    world.links.at(kWan0).kind = kind;
    EXPECT_EQ(names(steer({}, world)), Names{"wan1"}) << kind;
  }
  World userSpace = twoWans();
  userSpace.tunnels.edit()["wan0"].name = "wan0";
  EXPECT_EQ(names(steer({}, userSpace)), Names{"wan1"}) << "known as a tunnel by its socket, whatever its kind";
}

TEST(FoundWans, KeepTheNumbersThatAreInTheKernel) {
  World world = twoWans();
  world.adopted.wanSlots = {{"wan1", Slot{1}}, {"modem", Slot{2}}};
  const Steering steering = steer({}, world);
  EXPECT_EQ(names(steering), (Names{"wan1", "modem", "wan0"}));
  EXPECT_EQ(wanNamed(steering, "wan0").slot, Slot{3});
  EXPECT_EQ(wanNamed(steering, "modem").whyNot(Family::v4), "no such device");
}

TEST(FoundWans, NumbersOfAWiderMaskAreGivenAnew) {
  World world = twoWans();
  world.adopted.wanSlots = {{"wan0", Slot{30}}, {"wan1", Slot{15}}, {"modem", Slot{0}}};
  const Steering steering = steer({}, world);
  EXPECT_EQ(names(steering), (Names{"wan0", "wan1"}));
  EXPECT_EQ(wanNamed(steering, "wan0").slot, Slot{1});
  ASSERT_FALSE(steering.policies.empty()) << "the default policy has a mark, whatever the last run has left";
  EXPECT_EQ(steering.policies.front().target.slot, Slot{15});
}

TEST(FoundWans, ThatBecameTunnelsGiveTheirNumberBack) {
  World world = twoWans();
  world.adopted.wanSlots = {{"wg0", Slot{1}}};
  EXPECT_EQ(wanNamed(steer({}, world), "wan0").slot, Slot{1});
}

TEST(FoundWans, TakeTheNumberOfADeviceThatIsGoneWhenNoneIsFree) {
  World world = twoWans();
  for (std::uint8_t i = 1; i <= 14; ++i) world.adopted.wanSlots.emplace("modem" + std::to_string(i), Slot{i});
  const Steering steering = steer({}, world);
  EXPECT_EQ(steering.wans.size(), 14U);
  EXPECT_NE(std::ranges::find(steering.wans, "wan0", &Wan::name), steering.wans.end());
  EXPECT_NE(std::ranges::find(steering.wans, "wan1", &Wan::name), steering.wans.end());
  EXPECT_TRUE(steering.problems.empty());
}

TEST(FoundWans, ThatGetNoMarkAreAProblem) {
  World world = twoWans();
  for (std::uint8_t i = 0; i < 14; ++i) {
    const IfIndex index{100 + i};
    const std::string name = "eth" + std::to_string(i);
    world.links.emplace(index, link(index, name));
    world.routes.insert(route("0.0.0.0/0", index, "192.0.2.1", 1));
  }
  const Steering steering = steer({}, world);
  EXPECT_EQ(steering.wans.size(), 14U);
  ASSERT_EQ(steering.problems.size(), 2U);
  EXPECT_EQ(steering.problems.front(), "no mark left for WAN wan0: it is not used; widen mark_mask");
}

TEST(FoundWans, OfEqualMetricComeOneAfterTheOther) {
  World world = twoWans();
  std::erase_if(world.routes, [](const Route& each) { return each.destination.isDefault(); });
  world.routes.insert(route("0.0.0.0/0", kWan0, "192.0.2.1", 0xffffffff));
  world.routes.insert(route("0.0.0.0/0", kWan1, "198.51.100.1", 0xffffffff));
  const Steering steering = steer({}, world);
  const auto first = wanNamed(steering, "wan0").metric.at(Family::v4);
  EXPECT_EQ(wanNamed(steering, "wan1").metric.at(Family::v4), first + 1) << "nobody has asked for balancing";
  EXPECT_LT(first, kLanMetric) << "however large, before LANs and before the closing route";
}

TEST(FoundWans, OfEqualMetricInIPv4AreInTheOrderOfTheKernelsList) {
  World world = twoWans();
  std::erase_if(world.routes, [](const Route& each) { return each.destination.isDefault(); });
  Route second = route("0.0.0.0/0", kWan0, "192.0.2.1");
  second.position.value = 1;
  world.routes.insert(second);
  world.routes.insert(route("0.0.0.0/0", kWan1, "198.51.100.1"));
  const Steering steering = steer({}, world);
  EXPECT_LT(wanNamed(steering, "wan1").metric.at(Family::v4), wanNamed(steering, "wan0").metric.at(Family::v4));
}

TEST(ConfiguredWans, AreNumberedAsTheyStand) {
  const World world = twoWans();
  const Steering steering = steer(fiberAndLte(), world);
  EXPECT_EQ(names(steering), (Names{"fiber", "lte"}));
  EXPECT_EQ(wanNamed(steering, "lte").slot, Slot{2});
  EXPECT_EQ(wanNamed(steering, "lte").metric.at(Family::v6), 2U);
}

TEST(ConfiguredWans, KeepTheirPlaceWhileTheirDeviceIsAway) {
  World world = twoWans();
  world.links.erase(kWan0);
  const Steering steering = steer(fiberAndLte(), world);
  EXPECT_EQ(wanNamed(steering, "lte").slot, Slot{2});
  EXPECT_EQ(wanNamed(steering, "fiber").whyNot(Family::v4), "no such device");
}

TEST(ConfiguredWans, ThatAreTunnelsHaveNoDevice) {
  Config config = fiberAndLte();
  config.wans.front().device = "wg0";
  const World world = twoWans();
  EXPECT_EQ(wanNamed(steer(config, world), "fiber").link, nullptr);
}

TEST(Eligibility, HasAReasonWhenThereIsNone) {
  const Config config = fiberAndLte();
  const auto why = [&](auto change) {
    World world = twoWans();
    change(world);
    return wanNamed(steer(config, world), "fiber").whyNot(Family::v4);
  };
  EXPECT_EQ(why([](World&) {}), "");
  EXPECT_EQ(why([](World& world) { world.links.at(kWan0).up = false; }), "link down");
  EXPECT_EQ(why([](World& world) { world.links.at(kWan0).carrier = false; }), "no carrier");
  EXPECT_EQ(why([](World& world) { world.wansDown = {{"fiber", "silent"}}; }), "silent");
  EXPECT_EQ(why([](World& world) { world.routes.clear(); }), "no default route");
}

TEST(Eligibility, OfOneFamilyIsNotThatOfTheOther) {
  World world = twoWans();
  world.wansDown["fiber"].why[Family::v4] = "silent";
  const Steering steering = steer(fiberAndLte(), world);
  EXPECT_EQ(wanNamed(steering, "fiber").whyNot(Family::v4), "silent");
  EXPECT_EQ(wanNamed(steering, "fiber").lack(Family::v4), Lack::nothing) << "its own it has";
  EXPECT_TRUE(wanNamed(steering, "fiber").eligible(Family::v6));
  EXPECT_TRUE(wanNamed(steering, "lte").eligible(Family::v4));
  world.links.at(kWan0).carrier = false;
  EXPECT_EQ(wanNamed(steer(fiberAndLte(), world), "fiber").whyNot(Family::v4), "no carrier");
}

TEST(Eligibility, EndsWithTheLastAddressWhileAnotherWanHasOne) {
  World world = twoWans();
  world.addresses.erase(address(kWan0, "2001:db8:10::10/64"));
  world.addresses.insert(address(kWan0, "fe80::10/64"));
  const Steering steering = steer(fiberAndLte(), world);
  EXPECT_EQ(wanNamed(steering, "fiber").whyNot(Family::v6), "no address");
  EXPECT_TRUE(wanNamed(steering, "fiber").eligible(Family::v4));
  world.wansDown = {{"lte", "silent"}};
  EXPECT_TRUE(wanNamed(steer(fiberAndLte(), world), "fiber").eligible(Family::v6)) << "better than no WAN at all";
}

/// The first WAN has lost one of its addresses; another device has that one instead.
World withAddressElsewhere(const char* lost, IfIndex device, const char* name, const char* found) {
  World world = twoWans();
  world.links.emplace(device, link(device, name));
  world.addresses.erase(address(kWan0, lost));
  world.addresses.insert(address(device, found));
  return world;
}

TEST(Sources, AreOfTheDelegatedPrefixWhereTheWanHasNoAddress) {
  World world = withAddressElsewhere("2001:db8:10::10/64", IfIndex{4}, "lan0", "2001:db8:d00:1::1/64");
  Route delegated = route("::/0", kWan0, "fe80::1", 10);
  delegated.source = *Prefix::parse("2001:db8:d00::/56");
  world.routes.insert(delegated);
  const Steering steering = steer(fiberAndLte(), world);
  ASSERT_TRUE(wanNamed(steering, "fiber").source.contains(Family::v6));
  EXPECT_EQ(wanNamed(steering, "fiber").source.at(Family::v6).toString(), "2001:db8:d00:1::1");
  EXPECT_TRUE(wanNamed(steering, "fiber").eligible(Family::v6));
}

TEST(Sources, AreWhatTheRouteSaysAlsoOfAnotherDevice) {
  World world = withAddressElsewhere("192.0.2.10/24", IfIndex{1}, "lo", "192.0.2.200/32");
  world.routes.erase(route("0.0.0.0/0", kWan0, "192.0.2.1", 10));
  Route named = route("0.0.0.0/0", kWan0, "192.0.2.1", 10);
  named.preferredSource = Address::parse("192.0.2.200");
  world.routes.insert(named);
  EXPECT_EQ(wanNamed(steer(fiberAndLte(), world), "fiber").source.at(Family::v4).toString(), "192.0.2.200");
}

TEST(ParkedRoutes, CountWhileTheWorldHasNoOthers) {
  World world = twoWans();
  const Route parked = route("0.0.0.0/0", kWan0, "192.0.2.1", 10);
  world.routes.erase(parked);
  EXPECT_FALSE(wanNamed(steer(fiberAndLte(), world), "fiber").eligible(Family::v4));
  world.parked.insert(parked);
  EXPECT_TRUE(wanNamed(steer(fiberAndLte(), world), "fiber").eligible(Family::v4));
  const Route real = route("0.0.0.0/0", kWan0, "192.0.2.254", 5);
  world.routes.insert(real);
  const Steering steering = steer(fiberAndLte(), world);
  EXPECT_EQ(wanNamed(steering, "fiber").defaults.at(Family::v4), std::vector{real});
}

TEST(ParkedRoutes, DoNotCountWithoutTheAddressThatTheirGatewayIsReachedBy) {
  World world = twoWans();
  const Route parked = route("0.0.0.0/0", kWan0, "192.0.2.1", 10);
  world.routes.erase(parked);
  world.parked.insert(parked);
  const auto lease = address(kWan0, "192.0.2.10/24");
  world.addresses.erase(lease);
  EXPECT_EQ(wanNamed(steer(fiberAndLte(), world), "fiber").whyNot(Family::v4), "no default route");
  world.addresses.insert(address(kWan0, "10.0.0.10/24"));
  EXPECT_FALSE(wanNamed(steer(fiberAndLte(), world), "fiber").eligible(Family::v4)) << "a lease of another network";
  world.addresses.insert(lease);
  EXPECT_TRUE(wanNamed(steer(fiberAndLte(), world), "fiber").eligible(Family::v4));
}

TEST(Sources, AreTheOnesThatTheKernelWouldChoose) {
  World world = twoWans();
  const auto chosen = [&] {
    const Steering steering = steer(fiberAndLte(), world);
    return wanNamed(steering, "fiber").source.at(Family::v6).toString();
  };
  InterfaceAddress temporary = address(kWan0, "2001:db8:10::1:1/64");
  temporary.temporary = true;
  InterfaceAddress deprecated = address(kWan0, "2001:db8:10::2/64");
  deprecated.deprecated = true;
  InterfaceAddress tentative = address(kWan0, "2001:db8:10::3/64");
  tentative.tentative = true;
  world.addresses.merge(std::set{temporary, deprecated, tentative, address(kWan0, "fd00::1/64"),
                                 address(kWan0, "fe80::1/64"), address(kWan0, "2001:db8:1::1/64")});
  EXPECT_EQ(chosen(), "2001:db8:10::10") << "in the gateway's prefix, stable, not deprecated";
  Route asked = route("::/0", kWan0, "2001:db8:10::1", 5);
  asked.preferredSource = deprecated.address;
  world.routes.insert(asked);
  EXPECT_EQ(chosen(), "2001:db8:10::2") << "the route asks for it";
}

TEST(Policies, OverAllWansHaveAMarkFromAbove) {
  const World world = twoWans();
  const Steering steering = steer({}, world);
  const Target target = policyOf(steering, "wg0").target;
  EXPECT_EQ(target, (Target{Slot{15}, TableId{kPolicyTableBase + 15}, true}));
}

TEST(Policies, OfASingleConfiguredWanShareItsMarkAndTable) {
  Config config = fiberAndLte();
  config.policies = {policy("mobile", {{"lte", 1, 1}})};
  config.tunnels = {tunnel("wg0", "mobile")};
  const World world = twoWans();
  EXPECT_EQ(policyOf(steer(config, world), "wg0").target, (Target{Slot{2}, TableId{kWanTableBase + 2}, false}));
  config.policies.front().lastResort = LastResort::main;
  EXPECT_TRUE(policyOf(steer(config, world), "wg0").target.ownTable) << "the WAN's table is closed, this one is not";
}

TEST(Policies, OverASingleFoundWanHaveAMarkOfTheirOwn) {
  World world = twoWans();
  std::erase_if(world.routes, [](const Route& each) { return each.hops.front().device == kWan1; });
  EXPECT_TRUE(policyOf(steer({}, world), "wg0").target.ownTable) << "the second WAN may come at any time";
}

TEST(Policies, OfServersHaveAMarkOfTheirOwn) {
  Config config = fiberAndLte();
  config.tunnels = {tunnel("wg0", "default", Role::server)};
  World world = twoWans();
  world.tunnels.edit()["wg1"].name = "wg1";
  const Steering steering = steer(config, world);
  EXPECT_TRUE(policyOf(steering, "wg0").server);
  EXPECT_FALSE(policyOf(steering, "wg1").server);
  EXPECT_NE(policyOf(steering, "wg0").target.slot, policyOf(steering, "wg1").target.slot);
  EXPECT_EQ(policyOf(steering, "wg0").members.size(), 2U);
}

TEST(Policies, ForWhichNoMarkIsLeftAreAProblemAndTheDefaultServes) {
  Config config = fiberAndLte();
  config.numbers.markMask = 0x3;  // three marks: two WANs, the default policy
  config.policies = {policy("both", {{"lte", 1, 1}, {"fiber", 2, 1}})};
  config.tunnels = {tunnel("wg0", "both")};
  const World world = twoWans();
  const Steering steering = steer(config, world);
  ASSERT_FALSE(steering.problems.empty());
  EXPECT_EQ(steering.problems.front(), "no mark left for policy both: policy default is used instead; widen mark_mask");
  EXPECT_EQ(policyOf(steering, "wg0").name, kDefaultPolicy);
  EXPECT_EQ(policyOf(steering, "wg0").target.slot, Slot{3});
}

TEST(Tunnels, ThatAreDisabledAreLeftAlone) {
  Config config;
  config.tunnels = {tunnel("wg0", "default")};
  config.tunnels.front().enabled = false;
  const World world = twoWans();
  EXPECT_TRUE(steer(config, world).tunnels.empty());
}

TEST(Tunnels, OwnTheirFwmarkUnlessItIsTheUsers) {
  World world = twoWans();
  const auto owned = [&](std::uint32_t mark) {
    world.tunnels.edit().at("wg0").fwmark = Mark{mark};
    return steer({}, world).tunnels.front().fwmark == FwmarkUse::ours;
  };
  EXPECT_TRUE(owned(0));
  EXPECT_FALSE(owned(0xf0000000)) << "of our bits, but nothing of ours has ever given it a meaning";
  world.ownMarks.insert(Mark{0xf0000000});
  EXPECT_TRUE(owned(0xf0000000));
  EXPECT_FALSE(owned(0xca6c));
}

TEST(Peers, HaveTheirTunnelsPolicyUnlessTheyHaveTheirOwn) {
  Config config = fiberAndLte();
  config.policies = {policy("mobile", {{"lte", 1, 1}})};
  config.peers = {pinned("wg0", 2, "mobile"),
                  pinned("wg1", 1, "mobile"),
                  {.tunnel = "wg0", .publicKey = key(1), .endpoint = HostPort{"vpn.example", 1}, .policy = {}}};
  World world = twoWans();
  world.tunnels.edit().at("wg0").peers.push_back(peer(2, "203.0.113.66:51820"));
  const Steering steering = steer(config, world);
  const TunnelView& view = steering.tunnels.front();
  EXPECT_EQ(view.policyOf(0), view.policy);
  EXPECT_EQ(steering.policies[view.policyOf(1)].name, "mobile");
}

TEST(Roles, AreToldByWhatPeersLookLike) {
  const auto tunnelWith = [](std::optional<Endpoint> endpoint, const char* allowed, std::uint16_t keepalive) {
    Tunnel tunnel;
    Peer one = peer(1, "203.0.113.55:51820");
    one.endpoint = endpoint;
    one.allowedIps = {*Prefix::parse(allowed)};
    one.persistentKeepalive = keepalive;
    tunnel.peers = {one};
    return tunnel;
  };
  EXPECT_TRUE(looksLikeServer(tunnelWith({}, "10.9.0.0/24", 0))) << "nobody could call a peer without an endpoint";
  EXPECT_TRUE(looksLikeServer(tunnelWith(kServer4, "10.9.0.2/32", 0))) << "single addresses: road warriors";
  EXPECT_FALSE(looksLikeServer(tunnelWith(kServer4, "10.9.0.0/24", 0))) << "a site";
  EXPECT_FALSE(looksLikeServer(tunnelWith({}, "0.0.0.0/0", 0))) << "a default route";
  EXPECT_FALSE(looksLikeServer(tunnelWith({}, "128.0.0.0/1", 0)));
  EXPECT_FALSE(looksLikeServer(tunnelWith(kServer4, "10.9.0.2/32", 25))) << "whoever keeps alive, calls";
  EXPECT_FALSE(looksLikeServer(Tunnel{}));
}

/// A table only needs routes; the nft chains set a source before the kernel chooses, so there has to be one. IPv6
/// default routes outlive the last address of their device.
TEST(Candidates, ForARouteNeedNoAddressAndForASourceDo) {
  World world = twoWans();
  std::erase_if(world.addresses, [](const InterfaceAddress& own) { return own.address.family() == Family::v6; });
  const Steering steering = steer({}, world);
  const PolicyView& policy = steering.policies.front();
  EXPECT_EQ(candidates(steering, policy, Family::v6).size(), 2U);
  EXPECT_TRUE(candidates(steering, policy, Family::v6, Need::source).empty());
  EXPECT_EQ(candidates(steering, policy, Family::v4, Need::source).size(), 2U);
}

TEST(Families, InWhichAnotherTunnelIsTheOnlyUplinkAreLeftAlone) {
  World world = twoWans();
  std::erase_if(world.routes,
                [](const Route& each) { return each.family() == Family::v6 && each.destination.isDefault(); });
  const auto steered = [&] { return steer({}, world).families; };
  EXPECT_EQ(steered(), (std::vector{Family::v4, Family::v6})) << "nobody is reached in IPv6";
  Tunnel inner;
  inner.name = "wg1";
  inner.peers = {peer(7, "[2001:db8:ff::55]:51820")};
  world.links.emplace(IfIndex{71}, link(IfIndex{71}, "wg1", "wireguard"));
  world.tunnels.edit().emplace("wg1", inner);
  EXPECT_EQ(steered(), std::vector{Family::v4}) << "through wg0, whose own peer is reached in IPv4";
  const Steering alone = steer({}, world);
  EXPECT_EQ(alone.tunnels.back().leftAlone.size(), 1U) << "a mark of ours is kept out of tunnels";
  EXPECT_EQ(alone.tunnels.back().fwmark, FwmarkUse::none);
  EXPECT_EQ(alone.tunnels.front().fwmark, FwmarkUse::ours);
  world.tunnels.edit().at("wg0").peers.push_back(peer(8, "[2001:db8:ff::56]:51820"));
  EXPECT_EQ(steered(), (std::vector{Family::v4, Family::v6})) << "wg0 would carry itself";
}

TEST(Candidates, ComeByMetricAndThePreferredOnesShareTheBest) {
  Config config;
  config.wans = {{.name = "w0", .device = "wan0"}, {.name = "w1", .device = "wan1"}};
  config.policies = {{.name = "some", .members = {{"w0", 3, 1}, {"w1", 2, 1}}}};
  config.tunnels = {{.interface = "wg0", .policy = "some"}};
  const World world = twoWans();
  const Steering steering = steer(config, world);
  const auto some = std::ranges::find(steering.policies, "some", &PolicyView::name);
  ASSERT_NE(some, steering.policies.end());
  const auto able = candidates(steering, *some, Family::v4);
  ASSERT_EQ(able.size(), 2U);
  EXPECT_EQ(steering.wans[able.front()->wan].name, "w1");
  EXPECT_EQ(preferredCandidates(steering, *some, Family::v4).size(), 1U);
}

}  // namespace
}  // namespace wgsteer
