// SPDX-License-Identifier: GPL-2.0-or-later
// How one event changes the picture, above all what the kernel does without announcing it.
#include "wgsteer/core/track.hpp"

#include <algorithm>
#include <gtest/gtest.h>

#include "wgsteer/core/desire.hpp"

#include "core/steered.hpp"

namespace wgsteer {
namespace {

using namespace test;

const Route kDefault0 = route("0.0.0.0/0", kWan0, "192.0.2.1", 10);
const Route kDefault1 = route("0.0.0.0/0", kWan1, "198.51.100.1", 20);
const Route kDefault0v6 = route("::/0", kWan0, "2001:db8:10::1", 10);

Route ours(Route made) {
  made.table = TableId{kWanTableBase + 1};
  made.protocol = kProtocol;
  return made;
}

std::size_t ourRoutes(const Picture& picture, Family family, IfIndex device) {
  return static_cast<std::size_t>(std::ranges::count_if(picture.observed.routes, [&](const Route& own) {
    return own.family() == family && own.hops.size() == 1 && own.hops.front().device == device;
  }));
}

Link down(Link link) {
  link.up = link.carrier = false;
  return link;
}

/// The same event a second time brings nothing new.
void expectSilence(Picture& picture, const Event& event) {
  const Picture before = picture;
  const Tracked again = track(picture, event);
  EXPECT_FALSE(again.relevant);
  EXPECT_FALSE(again.stale.any());
  EXPECT_EQ(picture.world, before.world);
  EXPECT_EQ(picture.observed, before.observed);
}

TEST(TrackLink, DownTakesItsIpv4RoutesSilentlyAndParksTheDefault) {
  Picture picture = steered();
  ASSERT_GT(ourRoutes(picture, Family::v4, kWan0), 0U);
  const std::size_t v6 = ourRoutes(picture, Family::v6, kWan0);
  const LinkChanged event{down(picture.world.links.at(kWan0))};
  const Tracked tracked = track(picture, event);
  EXPECT_TRUE(tracked.relevant);
  EXPECT_TRUE(tracked.stale.ownRoutes) << "what is really left of ours is read";
  EXPECT_FALSE(tracked.stale.rtnetlink) << "but no more than that";
  EXPECT_FALSE(picture.world.routes.contains(kDefault0));
  EXPECT_EQ(picture.world.parked, std::set<Route>{kDefault0});
  EXPECT_EQ(ourRoutes(picture, Family::v4, kWan0), 0U);
  EXPECT_TRUE(picture.world.routes.contains(kDefault0v6)) << "IPv6 is announced route by route";
  EXPECT_EQ(ourRoutes(picture, Family::v6, kWan0), v6);
  EXPECT_TRUE(picture.world.routes.contains(kDefault1));
  expectSilence(picture, event);
}

TEST(TrackLink, DownLeavesARouteThatHasAnotherWay) {
  Picture picture = steered();
  Route both = kDefault0;
  both.hops.push_back(kDefault1.hops.front());
  picture.world.routes = {both};
  track(picture, LinkChanged{down(picture.world.links.at(kWan0))});
  EXPECT_EQ(picture.world.routes, std::set<Route>{both});
}

TEST(TrackLink, CarrierLossTakesNothing) {
  Picture picture = steered();
  const Picture before = picture;
  Link link = picture.world.links.at(kWan0);
  link.carrier = false;
  EXPECT_TRUE(track(picture, LinkChanged{link}).relevant);
  EXPECT_EQ(picture.world.routes, before.world.routes);
  EXPECT_EQ(picture.observed, before.observed);
  EXPECT_FALSE(picture.world.link(kWan0)->carrier);
}

TEST(TrackLink, ThatMayBeATunnelIsAskedWhetherItIs) {
  struct Row {
    const char* name;
    Link link;
    bool asked;
  };
  Link renamed = link(kWan0, "uplink");
  Link noCarrier = link(kWan0, "wan0");
  noCarrier.carrier = false;
  Link otherTunnel = link(kTunnel, "wg0", "wireguard");
  otherTunnel.pointToPoint = true;
  for (const Row& row :
       {Row{"new", link(IfIndex{20}, "wg1", "wireguard"), true}, Row{"renamed", renamed, true},
        Row{"a tunnel that is up", otherTunnel, true}, Row{"a tun device that is up", link(kWan1, "wan1", "tun"), true},
        Row{"a WAN", noCarrier, false},
        Row{"a tunnel that went down", down(link(kTunnel, "wg0", "wireguard")), false}}) {
    Picture picture = steered();
    EXPECT_EQ(track(picture, LinkChanged{row.link}).stale.tunnels, row.asked) << row.name;
    EXPECT_EQ(*picture.world.link(row.link.index), row.link) << row.name;
  }
}

TEST(TrackLink, GoneTakesAllThatWasOnIt) {
  Picture picture = steered();
  picture.world.parked = {route("0.0.0.0/0", kWan0, "192.0.2.99")};
  const Tracked tracked = track(picture, LinkGone{kWan0});
  EXPECT_TRUE(tracked.relevant);
  EXPECT_TRUE(tracked.stale.ownRoutes);
  EXPECT_EQ(picture.world.link(kWan0), nullptr);
  EXPECT_TRUE(picture.world.parked.empty()) << "a device that comes again is another one";
  for (const Family family : kFamilies) EXPECT_EQ(ourRoutes(picture, family, kWan0), 0U);
  for (const Route& left : picture.world.routes) EXPECT_NE(left.hops.front().device, kWan0);
  for (const InterfaceAddress& left : picture.world.addresses) EXPECT_NE(left.device, kWan0);
  for (const Sysctl& left : picture.observed.sysctls) EXPECT_NE(left.device, "wan0");
  EXPECT_FALSE(picture.observed.sysctls.empty()) << "the other WAN's stay";
  expectSilence(picture, LinkGone{kWan0});
}

TEST(TrackLink, GoneTakesTheTunnelAndItsMark) {
  Picture picture = steered();
  ASSERT_TRUE(picture.observed.tunnelMarks.contains("wg0"));
  picture.world.tunnelTroubles = {{"wg0", "wg show wg0: its process does not answer"}};
  track(picture, LinkGone{kTunnel});
  EXPECT_TRUE(picture.world.tunnelTroubles.empty());
  EXPECT_TRUE(picture.world.tunnels.empty());
  EXPECT_TRUE(picture.observed.tunnelMarks.empty());
}

TEST(TrackAddress, IsOneByDeviceAddressAndLengthWhateverItsFlags) {
  Picture picture = steered();
  const std::size_t count = picture.world.addresses.size();
  InterfaceAddress changed = address(kWan0, "2001:db8:10::10/64");
  expectSilence(picture, AddressAdded{changed});
  changed.deprecated = true;
  EXPECT_TRUE(track(picture, AddressAdded{changed}).relevant);
  EXPECT_EQ(picture.world.addresses.size(), count);
  EXPECT_TRUE(picture.world.addresses.contains(changed));
  EXPECT_TRUE(track(picture, AddressAdded{address(kWan0, "192.0.2.11/24")}).relevant);
  EXPECT_EQ(picture.world.addresses.size(), count + 1);
  EXPECT_TRUE(track(picture, AddressGone{address(kWan0, "2001:db8:10::10/64")}).relevant) << "by the same three";
  EXPECT_EQ(picture.world.addresses.size(), count);
}

TEST(TrackAddress, TheLastOneTakesTheIpv4RoutesSilently) {
  Picture picture = steered();
  const InterfaceAddress second = address(kWan0, "192.0.2.11/24");
  track(picture, AddressAdded{second});
  track(picture, AddressGone{address(kWan0, "192.0.2.10/24")});
  EXPECT_TRUE(picture.world.routes.contains(kDefault0)) << "there is another one";
  EXPECT_GT(ourRoutes(picture, Family::v4, kWan0), 0U);
  const Tracked tracked = track(picture, AddressGone{second});
  EXPECT_TRUE(tracked.stale.ownRoutes);
  EXPECT_EQ(picture.world.parked, std::set<Route>{kDefault0});
  EXPECT_FALSE(picture.world.routes.contains(kDefault0));
  EXPECT_EQ(ourRoutes(picture, Family::v4, kWan0), 0U);
  EXPECT_TRUE(picture.world.routes.contains(kDefault0v6));
  expectSilence(picture, AddressGone{second});
}

TEST(TrackAddress, TheLastOneOfIpv6TakesNothingUnsaid) {
  Picture picture = steered();
  const std::set<Route> before = picture.world.routes;
  track(picture, AddressGone{address(kWan0, "2001:db8:10::10/64")});
  EXPECT_EQ(picture.world.routes, before);
}

TEST(TrackAddress, TakesTheRoutesThatPreferIt) {
  Picture picture = steered();
  Route preferring = route("0.0.0.0/0", kWan0, "192.0.2.1", 5);
  preferring.preferredSource = Address::parse("192.0.2.11");
  track(picture, AddressAdded{address(kWan0, "192.0.2.11/24")});
  track(picture, RouteAdded{preferring});
  track(picture, AddressGone{address(kWan0, "192.0.2.11/24")});
  EXPECT_FALSE(picture.world.routes.contains(preferring));
  EXPECT_FALSE(picture.world.parked.contains(preferring)) << "nothing brings it back";
  EXPECT_TRUE(picture.world.routes.contains(kDefault0));
}

TEST(TrackRoute, IsOursByProtocolAndTable) {
  Route ourProtocol = kDefault0;
  ourProtocol.protocol = kProtocol;
  Route ourTable = ours(kDefault0);
  ourTable.protocol = 4;
  for (const auto& [made, mine] : {std::pair{ours(kDefault0), true}, std::pair{ourProtocol, false},
                                   std::pair{ourTable, false}, std::pair{kDefault0, false}}) {
    Picture picture;
    EXPECT_TRUE(track(picture, RouteAdded{made}).relevant);
    EXPECT_EQ(picture.observed.routes.contains(made), mine);
    EXPECT_EQ(picture.world.routes.contains(made), !mine);
    expectSilence(picture, RouteAdded{made});
    EXPECT_TRUE(track(picture, RouteGone{made}).relevant);
    EXPECT_TRUE(picture.observed.routes.empty() && picture.world.routes.empty());
    expectSilence(picture, RouteGone{made});
  }
}

TEST(TrackRoute, ReplacedLeavesOneOfItsKey) {
  Picture picture;
  const Route moved = route("0.0.0.0/0", kWan1, "198.51.100.1", 10);
  for (const Route& made : {kDefault0, kDefault1, ours(kDefault0)}) track(picture, RouteAdded{made});
  EXPECT_TRUE(track(picture, RouteAdded{moved, true}).relevant);
  EXPECT_EQ(picture.world.routes, (std::set<Route>{moved, kDefault1}));
  EXPECT_TRUE(picture.observed.routes.contains(ours(kDefault0)));
}

TEST(TrackRoute, IPv4KnowsTheOrderOfThoseOfOneKey) {
  // Seen in 6.18: `ip route append` announces NLM_F_APPEND, `prepend` and `add` do not; `replace` is for the first.
  Picture picture;
  const Route first = route("0.0.0.0/0", kWan1, "198.51.100.1");
  const Route last = route("0.0.0.0/0", kWan0, "192.0.2.1");
  const Route before = route("0.0.0.0/0", kWan0, "192.0.2.9");
  const auto order = [&] {
    std::vector<Route> routes{picture.world.routes.begin(), picture.world.routes.end()};
    std::ranges::sort(routes, {}, [](const Route& each) { return each.position.value; });
    return routes;
  };
  track(picture, RouteAdded{.route = first});
  track(picture, RouteAdded{.route = last, .appended = true});
  EXPECT_EQ(order(), (std::vector{first, last}));
  track(picture, RouteAdded{.route = before});
  EXPECT_EQ(order(), (std::vector{before, first, last}));
  const Route replacing = route("0.0.0.0/0", kWan1, "198.51.100.7");
  track(picture, RouteAdded{.route = replacing, .replaced = true});
  EXPECT_EQ(order(), (std::vector{replacing, first, last}));
  track(picture, RouteGone{replacing});
  EXPECT_EQ(order(), (std::vector{first, last}));
}

TEST(TrackRoute, GoneInAnUnknownFormOfAKnownKeyIsReadAgain) {
  Picture picture;
  Route other = kDefault0v6;
  other.hops.front().gateway = Address::parse("2001:db8:10::2");
  track(picture, RouteAdded{kDefault0v6});
  Tracked tracked = track(picture, RouteGone{other});
  EXPECT_TRUE(tracked.relevant && tracked.stale.rtnetlink);
  EXPECT_FALSE(tracked.stale.ownRoutes);
  track(picture, RouteAdded{ours(kDefault0v6)});
  tracked = track(picture, RouteGone{ours(other)});
  EXPECT_TRUE(tracked.relevant && tracked.stale.ownRoutes);
  EXPECT_FALSE(tracked.stale.rtnetlink) << "ours are read without the others";
}

TEST(TrackRoute, ThatIsReallyThereMakesTheParkedOnesHistory) {
  const std::set<Route> parked{kDefault0, kDefault1, kDefault0v6};
  const Route back = route("0.0.0.0/0", kWan0, "192.0.2.254", 10);
  for (const auto& [made, left] : {std::pair{back, std::set{kDefault1, kDefault0v6}},
                                   std::pair{route("10.0.0.0/8", kWan0), parked}, std::pair{ours(back), parked}}) {
    Picture picture;
    picture.world.parked = parked;
    track(picture, RouteAdded{made});
    EXPECT_EQ(picture.world.parked, left);
  }
}

TEST(TrackRoute, GoneCountsForAParkedOneToo) {
  Picture picture;
  picture.world.parked = {kDefault0};
  EXPECT_TRUE(track(picture, RouteGone{kDefault0}).relevant);
  EXPECT_TRUE(picture.world.parked.empty());
}

TEST(TrackRoute, SpecificOnesOfTheMainTableMatterAndAreNeverParked) {
  Picture picture = steered();
  const Route lan = route("10.50.0.0/16", kWan0, "192.0.2.7");
  const Route lanV6 = route("2001:db8:50::/48", kWan0, "2001:db8:10::7");
  for (const Route& made : {lan, lanV6}) {
    EXPECT_TRUE(track(picture, RouteAdded{made}).relevant);
    expectSilence(picture, RouteAdded{made});
  }
  track(picture, LinkChanged{down(picture.world.links.at(kWan0))});
  EXPECT_FALSE(picture.world.routes.contains(lan));
  EXPECT_TRUE(picture.world.routes.contains(lanV6)) << "announced one by one";
  EXPECT_EQ(picture.world.parked, std::set<Route>{kDefault0});
  EXPECT_TRUE(track(picture, RouteGone{lanV6}).relevant);
  expectSilence(picture, RouteGone{lanV6});
}

TEST(TrackRoute, OneTooManyHasAllLookedAtOnce) {
  Picture picture;
  for (std::size_t i = 0; i < kMaxSpecificRoutes; ++i) {
    Route made = route("10.0.0.0/32", kTunnel);
    made.destination =
        Prefix::host(Address::v4(10, 0, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)));
    EXPECT_TRUE(track(picture, RouteAdded{made}).relevant);
  }
  Route one = route("10.1.0.0/16", kTunnel);
  one.protocol = 186;
  const Tracked tracked = track(picture, RouteAdded{one});
  EXPECT_TRUE(tracked.relevant && tracked.stale.rtnetlink);
  EXPECT_TRUE(picture.world.tooManyRoutes);
  EXPECT_FALSE(picture.world.routes.contains(one));
  expectSilence(picture, RouteAdded{one});
  const Route another = route("10.2.0.0/16", kTunnel);
  EXPECT_TRUE(track(picture, RouteAdded{another}).stale.rtnetlink) << "not one of those that were left out";
  expectSilence(picture, RouteAdded{another});
  EXPECT_TRUE(track(picture, RouteAdded{kDefault0}).relevant) << "default routes always have room";
  EXPECT_TRUE(track(picture, RouteAdded{route("2001:db8::/32", kTunnel)}).relevant) << "so has the other family";
}

/// The rest of the feed does not cause all routes to be read.
TEST(TrackRoute, AFeedIsLeftOutWhenItIsSeenToBeOne) {
  Picture picture = steered();
  picture.world.interest.uplinks = {kWan0, kWan1};
  const auto learned = [](std::size_t number) {
    Route made = route("10.0.0.0/32", kWan1, "198.51.100.7");
    made.destination =
        Prefix::host(Address::v4(10, 0, static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)));
    made.protocol = 186;
    return made;
  };
  for (std::size_t i = 0; i < kMaxFedRoutes; ++i) ASSERT_TRUE(track(picture, RouteAdded{learned(i)}).relevant);
  EXPECT_FALSE(picture.world.tooManyRoutes);
  const Tracked tracked = track(picture, RouteAdded{learned(kMaxFedRoutes)});
  EXPECT_TRUE(tracked.relevant && !tracked.stale.any());
  EXPECT_TRUE(picture.world.tooManyRoutes);
  EXPECT_EQ(picture.world.leftOut, RouteInterest::LeftOut::fed);
  expectSilence(picture, RouteAdded{learned(kMaxFedRoutes + 1)});
}

TEST(TrackRule, OfOthersMattersToAPlanToo) {
  Rule made = kernelRule(Family::v4, 70, TableId{kWanTableBase + 1});
  for (const std::uint8_t protocol : {kProtocol, std::uint8_t{3}}) {
    const bool mine = protocol == kProtocol;
    made.protocol = protocol;
    Picture picture;
    EXPECT_TRUE(track(picture, RuleAdded{made}).relevant);
    EXPECT_EQ((mine ? picture.observed.rules : picture.world.rules), std::set<Rule>{made});
    expectSilence(picture, RuleAdded{made});
    const Tracked gone = track(picture, RuleGone{made});
    EXPECT_TRUE(gone.relevant);
    EXPECT_EQ(gone.damage, mine);
    EXPECT_TRUE(picture.observed.rules.empty() && picture.world.rules.empty());
    expectSilence(picture, RuleGone{made});
  }
}

TEST(Track, WhatDoesNotSayWhatChangedIsReadAgain) {
  Picture picture = steered();
  const Picture before = picture;
  EXPECT_TRUE(track(picture, NftChanged{}).stale.nft);
  EXPECT_TRUE(track(picture, SysctlsChanged{kWan0}).stale.links);
  EXPECT_FALSE(track(picture, SysctlsChanged{IfIndex{99}}).relevant) << "it is announced next, with its switches";
  EXPECT_TRUE(track(picture, TunnelsChanged{}).stale.tunnels);
  const Stale all = track(picture, Overrun{}).stale;
  EXPECT_TRUE(all.rtnetlink && all.links && all.nft && all.tunnels);
  EXPECT_EQ(picture.world, before.world);
  EXPECT_EQ(picture.observed, before.observed);
}

TEST(Stale, AddsUp) {
  Stale stale;
  EXPECT_FALSE(stale.any());
  for (const Stale& one : {Stale{.rtnetlink = true}, Stale{.ownRoutes = true}, Stale{.links = true}, Stale{.nft = true},
                           Stale{.tunnels = true}}) {
    EXPECT_TRUE(one.any());
    stale |= one;
  }
  EXPECT_TRUE(stale.rtnetlink && stale.ownRoutes && stale.links && stale.nft && stale.tunnels);
}

TEST(Settle, LeavesNothingToDo) {
  Picture picture = steered();
  EXPECT_TRUE(diff(desire({}, picture.world), picture.observed).empty()) << "also with what the world now says";
  EXPECT_EQ(picture.world.tunnels.at("wg0").fwmark, picture.observed.tunnelMarks.at("wg0"));
  EXPECT_TRUE(picture.world.linkNamed("wan0")->sysctls.contains(SysctlKind::ignoreLinkdown4));
  EXPECT_EQ(picture.world.adopted.wanSlots, picture.observed.nft->table.wans);
  EXPECT_EQ(picture.world.adopted.sysctls, picture.observed.nft->table.changedSysctls);
}

TEST(Settle, GivesBackMarksAndSwitches) {
  Picture picture = steered();
  settle(picture, diff({}, picture.observed), {});
  EXPECT_EQ(picture.observed, State{});
  EXPECT_EQ(picture.world.tunnels.at("wg0").fwmark, Mark{});
  for (const auto& [index, left] : picture.world.links) EXPECT_TRUE(left.sysctls.empty()) << left.name;
  EXPECT_EQ(picture.world.adopted.wanSlots.size(), 2U) << "numbers outlive a table that somebody flushed";
}

TEST(TrackLinks, ADeviceThatIsRenamedTakesWhatWeDidToItAlong) {
  Picture picture;
  picture.world = twoWans();
  const State state = desire({}, picture.world);
  settle(picture, diff(state, {}), state);
  Link renamed = picture.world.links.at(kWan0);
  const auto slot = picture.world.adopted.wanSlots.at("wan0");
  renamed.name = "fiber";
  EXPECT_TRUE(track(picture, LinkChanged{renamed}).relevant);
  EXPECT_EQ(picture.world.adopted.wanSlots.at("fiber"), slot);
  const Plan plan = diff(desire({}, picture.world), picture.observed);
  for (const Change& change : plan.changes) EXPECT_FALSE(std::holds_alternative<SetSysctl>(change));
  apply(picture.observed, plan);
  EXPECT_TRUE(picture.observed.nft->table.changedSysctls.contains({SysctlKind::ignoreLinkdown4, "fiber"}));
  const Plan flushed = diff(State{}, picture.observed);
  EXPECT_EQ(std::ranges::count(flushed.changes, Change{SetSysctl{{SysctlKind::ignoreLinkdown4, "fiber"}, false}}), 1);
}

TEST(TrackLinks, DevicesThatExchangeTheirNamesKeepWhatWeDidToThem) {
  Picture picture = steered();
  const auto rename = [&](IfIndex device, const char* name) {
    Link renamed = picture.world.links.at(device);
    renamed.name = name;
    track(picture, LinkChanged{renamed});
  };
  const auto before = picture.world.adopted.wanSlots;
  rename(kWan0, "spare");
  rename(kWan1, "wan0");
  rename(kWan0, "wan1");
  EXPECT_EQ(picture.world.adopted.wanSlots.at("wan1"), before.at("wan0"));
  EXPECT_EQ(picture.world.adopted.wanSlots.at("wan0"), before.at("wan1"));
  EXPECT_EQ(picture.world.adopted.sysctls.size(), 4U);
  for (int round = 0; round < 2; ++round) {
    const State desired = desire({}, picture.world);
    const Plan plan = diff(desired, picture.observed);
    for (const Change& change : plan.changes) EXPECT_FALSE(std::holds_alternative<SetSysctl>(change));
    settle(picture, plan, desired);
  }
  EXPECT_EQ(picture.observed.nft->table.wans.at("wan1"), before.at("wan0"));
}

TEST(TrackLinks, ADeviceThatIsRenamedTwiceAtOnceIsTheSame) {
  Picture picture = steered();
  const Slot slot = picture.world.adopted.wanSlots.at("wan0");
  for (const char* name : {"between", "fiber"}) {
    Link renamed = picture.world.links.at(kWan0);
    renamed.name = name;
    track(picture, LinkChanged{renamed});
  }
  EXPECT_EQ(picture.world.adopted.wanSlots.at("fiber"), slot);
  EXPECT_TRUE(picture.world.adopted.sysctls.contains({SysctlKind::ignoreLinkdown4, "fiber"}));
  EXPECT_TRUE(picture.observed.sysctls.contains({SysctlKind::ignoreLinkdown4, "fiber"}));
}

/// `wg setconf`, `ip address add`, `ip link set up`: nothing announces the first.
TEST(TrackAddress, OfATunnelThatHadNoPeersHasItReadAgain) {
  Picture picture = steered();
  EXPECT_FALSE(track(picture, AddressAdded{address(kTunnel, "10.9.0.3/24")}).stale.tunnels);
  picture.world.tunnels.edit().at("wg0").peers.clear();
  EXPECT_TRUE(track(picture, AddressAdded{address(kTunnel, "10.9.0.4/24")}).stale.tunnels);
  EXPECT_FALSE(track(picture, AddressAdded{address(kWan0, "192.0.2.11/24")}).stale.tunnels);
}

}  // namespace
}  // namespace wgsteer
