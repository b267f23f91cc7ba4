// SPDX-License-Identifier: GPL-2.0-or-later
// Prefixes of WANs that cannot be used: which addresses are deprecated, what is recorded of them, and what is put back.
#include "core/deprecation.hpp"

#include <algorithm>
#include <gtest/gtest.h>

#include "wgsteer/core/describe.hpp"
#include "wgsteer/core/desire.hpp"
#include "wgsteer/core/plan.hpp"
#include "wgsteer/core/track.hpp"

#include "core/inspect_sources.hpp"
#include "support/worlds.hpp"

namespace wgsteer {
namespace {

using test::address;
using test::kTunnel;
using test::kWan0;
using test::kWan1;

constexpr IfIndex kLan{20};
constexpr IfIndex kLo{1};
const Address kOfFiber = *Address::parse("2001:db8:a::1");
const Address kOfLte = *Address::parse("2001:db8:b::1");
const OwnAddress kFibers{kLan, kOfFiber, 64};

TEST(Lifetimes, StayTheSameWhileTimePasses) {
  EXPECT_EQ(preferredOf(7200, 3600, 10), preferredOf(7190, 3590, 20));
  EXPECT_EQ(preferredOf(kForever, 600, 10), preferredOf(kForever, 590, 20));
  EXPECT_EQ(preferredOf(kForever, kForever, 10), Preferred{});
  EXPECT_NE(preferredOf(kForever, 600, 10), preferredOf(kForever, kForever, 10));
}

TEST(Lifetimes, WhatIsLeftIsGivenBackAndNeverMoreThanTheValidOne) {
  struct Given {
    std::uint32_t valid, preferred;  // at 100 seconds
    std::uint32_t validThen, left;   // 1000 seconds later
  };
  for (const auto& [valid, preferred, validThen, left] : {Given{7200, 3600, 6200, 2600},
                                                          {7200, 7200, 6200, 6200},
                                                          {7200, 900, 6200, 0},
                                                          {7200, 1000, 6200, 0},
                                                          {kForever, kForever, kForever, kForever},
                                                          {kForever, kForever, 50, 50},
                                                          {kForever, 3600, kForever, 2600},
                                                          {kForever, 3600, 50, 50},
                                                          {kForever, 900, kForever, 0},
                                                          {kForever - 1, 5, kForever - 1001, 0},
                                                          {7200, 3600, kForever, kForever},
                                                          {7200, 3600, 10, 0},
                                                          {0, 0, 0, 0}})
    EXPECT_EQ(preferredLeft(preferredOf(valid, preferred, 100), validThen, 1100), left) << valid << " " << preferred;
}

class Deprecate : public testing::Test {
 protected:
  Deprecate() {
    picture.world = test::twoWans();
    Link lo = test::link(kLo, "lo", "");
    lo.loopback = true;
    world().links.emplace(kLo, lo);
    world().links.emplace(kLan, test::link(kLan, "br-lan", "bridge"));
    give(address(kLan, "2001:db8:a::1/64"), {1800}, 5);
    give(address(kLan, "2001:db8:b::1/64"), {}, 5);
    give(address(kLan, "fd00::1/64"), {}, 5);
    config.wans[0].prefixes = {*Prefix::parse("2001:db8:a::/56")};
    config.wans[1].prefixes = {*Prefix::parse("2001:db8:b::/56")};
    for (WanConfig& wan : config.wans) wan.deprecate = true;
    converge();
  }

  World& world() { return picture.world; }

  void give(InterfaceAddress own, Preferred preferred, std::uint32_t written) {
    own.lifetimes = {.preferred = preferred, .written = written};
    world().addresses.insert(own);
  }

  /// As the kernel announces it, after somebody has written it.
  Tracked someoneWrites(const OwnAddress& own, std::optional<Preferred> preferred, std::uint32_t written) {
    InterfaceAddress now = *std::ranges::find(world().addresses, own, ownAddress);
    now.deprecated = !preferred;
    now.lifetimes = {.preferred = preferred.value_or(Preferred{7}), .written = written};
    return track(picture, AddressAdded{now});
  }
  Tracked echo(const OwnAddress& own, std::uint32_t written) {
    const InterfaceAddress now = *std::ranges::find(world().addresses, own, ownAddress);
    return someoneWrites(own, now.deprecated ? std::nullopt : std::optional{now.lifetimes.preferred}, written);
  }

  Plan due() { return diff(desire(config, world()), picture.observed); }
  /// What the plan did about addresses.
  std::vector<SetDeprecated> converge() {
    const State desired = desire(config, world());
    const Plan plan = diff(desired, picture.observed);
    settle(picture, plan, desired);
    EXPECT_TRUE(due().empty()) << describe(due(), deviceNames(world())).front();
    EXPECT_EQ(picture.observed.deprecated, deprecatedByUs(world()));
    std::vector<SetDeprecated> made;
    for (const Change& change : plan.changes)
      if (const auto* set = std::get_if<SetDeprecated>(&change)) made.push_back(*set);
    return made;
  }
  const std::map<Address, Deprecation>& records() { return picture.observed.nft->table.deprecated; }

  void dies(const std::string& wan) { world().wansDown[wan] = WanDown{"silent"}; }
  void lives(const std::string& wan) { world().wansDown.erase(wan); }

  Config config = test::fiberAndLte();
  Picture picture;
};

using Made = std::vector<SetDeprecated>;

TEST_F(Deprecate, WhileTheWanCannotBeUsed) {
  EXPECT_TRUE(picture.observed.deprecated.empty());
  dies("fiber");
  EXPECT_EQ(converge(), (Made{{kFibers, {1800}, true}}));
  EXPECT_EQ(records(), (std::map<Address, Deprecation>{{kOfFiber, {{1800}, 0}}}));
  EXPECT_TRUE(echo(kFibers, 77).relevant);
  EXPECT_EQ(converge(), Made{}) << "but the record says when";
  EXPECT_EQ(records().at(kOfFiber).written, 77U);
  EXPECT_FALSE(echo(kFibers, 77).relevant);
  lives("fiber");
  EXPECT_EQ(converge(), (Made{{kFibers, {1800}, false}}));
  EXPECT_TRUE(records().empty());
}

TEST_F(Deprecate, OnlyInIpv6) {
  world().wansDown["fiber"].why[Family::v4] = "silent";
  EXPECT_EQ(converge(), Made{});
  world().wansDown["fiber"].why[Family::v6] = "silent";
  EXPECT_EQ(converge().size(), 1U);
}

TEST_F(Deprecate, NotWithoutTheOptionNorWithoutAnotherWayOut) {
  config.wans[0].deprecate = false;
  dies("fiber");
  EXPECT_EQ(converge(), Made{});
  config.wans[0].deprecate = true;
  EXPECT_EQ(converge().size(), 1U);
  dies("lte");
  EXPECT_EQ(converge(), (Made{{kFibers, {1800}, false}})) << "for nothing";
  lives("lte");
  EXPECT_EQ(converge(), (Made{{kFibers, {1800}, true}}));
  config.wans[0].deprecate = false;
  EXPECT_EQ(converge(), (Made{{kFibers, {1800}, false}}));
}

TEST_F(Deprecate, WhateverTheWanLacks) {
  Link down = world().links.at(kWan0);
  down.up = down.carrier = false;
  track(picture, LinkChanged{down});
  EXPECT_EQ(converge().size(), 1U);
  track(picture, LinkGone{kWan0});
  EXPECT_EQ(converge(), Made{}) << "its prefixes are configured";
  EXPECT_EQ(picture.observed.deprecated.size(), 1U);
}

TEST_F(Deprecate, OnDevicesOfTheInsideAlone) {
  dies("fiber");
  world().links.emplace(IfIndex{21}, test::link(IfIndex{21}, "tun0", "tun"));
  for (const IfIndex device : {kLo, kWan0, kWan1, kTunnel, IfIndex{21}})
    give(address(device, "2001:db8:a:" + std::to_string(device.value) + "::1/64"), {}, 5);
  InterfaceAddress temporary = address(kLan, "2001:db8:a::77/64");
  temporary.temporary = true;
  give(temporary, {}, 5);
  InterfaceAddress tentative = address(kLan, "2001:db8:a::78/64");
  tentative.tentative = true;
  give(tentative, {}, 5);
  EXPECT_EQ(converge(), (Made{{kFibers, {1800}, true}}));
  // The carrier of the bridge has been away.
  InterfaceAddress again = *std::ranges::find(world().addresses, kFibers, ownAddress);
  again.tentative = true;
  track(picture, AddressAdded{again});
  EXPECT_EQ(converge(), Made{});
}

TEST_F(Deprecate, APrefixOfTwoWansIsAliveWithOneOfThem) {
  config.wans[1].prefixes.push_back(*Prefix::parse("2001:db8:a::/64"));
  dies("fiber");
  EXPECT_EQ(converge(), Made{});
}

TEST_F(Deprecate, WhatSomebodyElseHasDeprecatedIsNotTouched) {
  someoneWrites(kFibers, std::nullopt, 6);
  dies("fiber");
  EXPECT_EQ(converge(), Made{});
  EXPECT_TRUE(records().empty());
  lives("fiber");
  EXPECT_EQ(converge(), Made{});
  EXPECT_TRUE(diff(State{}, picture.observed).changes.size() > 0);
  for (const Change& change : diff(State{}, picture.observed).changes)
    EXPECT_FALSE(std::holds_alternative<SetDeprecated>(change)) << "nor by a flush";
}

TEST_F(Deprecate, WhatSomebodyElseHasDeprecatedSinceIsNotPutBack) {
  dies("fiber");
  converge();
  echo(kFibers, 77);
  converge();
  EXPECT_TRUE(someoneWrites(kFibers, std::nullopt, 78).relevant);
  EXPECT_TRUE(picture.observed.deprecated.empty());
  EXPECT_EQ(converge(), Made{});
  EXPECT_TRUE(records().empty());
  lives("fiber");
  EXPECT_EQ(converge(), Made{});
}

TEST_F(Deprecate, WhatSomebodyElseHasMadePreferredSinceIsDeprecatedAgain) {
  dies("fiber");
  converge();
  echo(kFibers, 77);
  converge();
  EXPECT_TRUE(someoneWrites(kFibers, Preferred{900}, 78).relevant);
  EXPECT_TRUE(picture.observed.deprecated.empty());
  world().justDeprecated = {kOfFiber};
  EXPECT_EQ(converge(), Made{}) << "not yet";
  world().justDeprecated.clear();
  EXPECT_EQ(converge(), (Made{{kFibers, {900}, true}}));
  EXPECT_EQ(records().at(kOfFiber), (Deprecation{{900}, 0}));
  // With the WAN, what it was last.
  lives("fiber");
  EXPECT_EQ(converge(), (Made{{kFibers, {900}, false}}));
  EXPECT_FALSE(someoneWrites(kFibers, Preferred{901}, 80).relevant) << "a renewal";
  dies("fiber");
  EXPECT_EQ(converge(), (Made{{kFibers, {901}, true}}));
}

TEST_F(Deprecate, ANewDaemonKnowsWhatItHasToPutBack) {
  dies("fiber");
  converge();
  for (const std::uint32_t written : {77U, 78U}) {
    const bool ours = written == 77;
    echo(kFibers, 77);
    converge();
    someoneWrites(kFibers, std::nullopt, written);
    Picture read;
    read.world = picture.world;
    static_cast<Knowledge&>(read.world) = {};
    read.observed.nft = picture.observed.nft;
    adopt(read.world, *read.observed.nft);
    read.observed.deprecated = deprecatedByUs(read.world);
    const auto plan = diff(desire(config, read.world), read.observed);
    const bool putBack = std::ranges::any_of(
        plan.changes, [](const Change& change) { return change == Change{SetDeprecated{kFibers, {1800}, false}}; });
    EXPECT_EQ(putBack, ours);
  }
}

/// Between the record and the change; and between the change and the record's deletion.
TEST_F(Deprecate, ARecordOfWhatIsNotDeprecatedHasNoEffect) {
  picture.observed.nft->table.deprecated[kOfFiber] = {{1800}, 0};
  adopt(world(), *picture.observed.nft);
  EXPECT_EQ(converge(), Made{});
  EXPECT_TRUE(records().empty());
  picture.observed.nft->table.deprecated[kOfFiber] = {{1700}, 0};
  adopt(world(), *picture.observed.nft);
  dies("fiber");
  EXPECT_EQ(converge(), (Made{{kFibers, {1800}, true}}));
  EXPECT_EQ(records().at(kOfFiber), (Deprecation{{1800}, 0}));
}

TEST_F(Deprecate, APrefixThatIsOfNoWanAnyMoreStaysAsItIs) {
  dies("fiber");
  converge();
  config.wans[0].prefixes = {*Prefix::parse("2001:db8:c::/56")};
  EXPECT_EQ(converge(), Made{}) << "renumbered";
  lives("fiber");
  EXPECT_EQ(converge(), Made{}) << "hosts must not prefer what nobody routes";
  for (WanConfig& wan : config.wans) wan.deprecate = false;
  EXPECT_EQ(converge(), (Made{{kFibers, {1800}, false}}));
}

TEST_F(Deprecate, AFlushPutsItBackBeforeItForgets) {
  dies("fiber");
  converge();
  const Plan plan = diff(State{}, picture.observed);
  const auto at = [&](const auto& is) { return std::ranges::find_if(plan.changes, is) - plan.changes.begin(); };
  const auto back = at([](const Change& change) { return change == Change{SetDeprecated{kFibers, {1800}, false}}; });
  const auto forgotten = at([](const Change& change) { return std::holds_alternative<NftTransaction>(change); });
  EXPECT_LT(back, forgotten);
  EXPECT_LT(forgotten, std::ssize(plan.changes));
}

TEST_F(Deprecate, IsRecordedBeforeItIsDoneAndForgottenAfterwards) {
  dies("fiber");
  const Plan plan = due();
  ASSERT_EQ(
      std::ranges::count_if(plan.changes, [](const Change& c) { return std::holds_alternative<SetDeprecated>(c); }), 1);
  std::size_t recorded = plan.changes.size();
  std::size_t done = 0;
  for (std::size_t i = 0; i < plan.changes.size(); ++i) {
    if (std::holds_alternative<SetDeprecated>(plan.changes[i])) done = i;
    if (const auto* transaction = std::get_if<NftTransaction>(&plan.changes[i]))
      for (const NftOp& op : transaction->ops)
        if (std::holds_alternative<NftDeprecated>(op.member)) recorded = i;
  }
  EXPECT_LT(recorded, done);
}

/// A table of another layout replaces the old one at once: the record must outlive that, or a crash would lose it.
TEST_F(Deprecate, TheRecordOutlivesANewTable) {
  dies("fiber");
  converge();
  lives("fiber");
  picture.observed.nft->layout.intact = false;
  const Plan plan = due();
  bool recorded = false;
  for (const Change& change : plan.changes) {
    const auto* transaction = std::get_if<NftTransaction>(&change);
    for (const NftOp& op : transaction == nullptr ? std::vector<NftOp>{} : transaction->ops)
      if (std::holds_alternative<NftDeprecated>(op.member)) recorded = op.add;
    if (std::holds_alternative<SetDeprecated>(change)) {
      EXPECT_TRUE(recorded);
    }
  }
  EXPECT_FALSE(recorded) << "but not for ever";
}

TEST_F(Deprecate, WithoutATableOfOursNothingIsDone) {
  world().foreignTable = true;
  dies("fiber");
  const State desired = desire(config, world());
  EXPECT_TRUE(desired.deprecated.empty());
}

TEST_F(Deprecate, DoesNotChangeFromWhereThisHostSends) {
  // The WAN has no address of its own: that of the LAN serves.
  std::erase_if(world().addresses,
                [](const InterfaceAddress& own) { return own.device == kWan0 && own.address.family() == Family::v6; });
  std::erase_if(world().addresses, [](const InterfaceAddress& own) { return own.address == kOfLte; });
  Route delegated = test::route("::/0", kWan0, "fe80::1", 5);
  delegated.source = *Prefix::parse("2001:db8:a::/56");
  world().routes.insert(delegated);
  give(address(kLan, "2001:db8:a:1::1/64"), {}, 5);
  converge();
  const auto sourceOfFiber = [&] { return steer(config, world()).wans[0].source.at(Family::v6); };
  const Address before = sourceOfFiber();
  dies("fiber");
  EXPECT_EQ(converge().size(), 2U);
  EXPECT_EQ(sourceOfFiber(), before);
}

TEST_F(Deprecate, CheckSaysWhyItHasNoEffect) {
  const auto said = [&] {
    std::vector<std::string> lines;
    for (const Finding& finding : inspectSources(world(), steer(config, world()))) lines.push_back(finding.what);
    return lines;
  };
  EXPECT_EQ(said(), std::vector<std::string>{});
  config.wans[0].prefixes.clear();
  EXPECT_EQ(said(), std::vector<std::string>{"WAN fiber: deprecate has no effect: no prefix of it is known"});
  config.wans[0].prefixes = {*Prefix::parse("2001:db8:c::/56")};
  EXPECT_EQ(said(), std::vector<std::string>{
                        "WAN fiber: deprecate has no effect: no device of the inside has an address in its prefixes"});
  config.wans[0].deprecate = false;
  std::erase_if(world().routes, [](const Route& route) {
    return route.family() == Family::v6 && route.destination.isDefault() && route.hops.front().device == kWan0;
  });
  EXPECT_EQ(said(), std::vector<std::string>{"WAN lte: deprecate has no effect: no other WAN has IPv6"});
}

TEST_F(Deprecate, IsShownAsACommand) {
  const auto text = [&](Preferred preferred, bool on) {
    return describe(SetDeprecated{kFibers, preferred, on}, deviceNames(world())).front();
  };
  const std::string command = "ip -6 addr change 2001:db8:a::1/64 dev br-lan valid_lft $VALID preferred_lft ";
  EXPECT_EQ(text({1800}, true), command + "0");
  EXPECT_EQ(text({}, false), command + "$VALID");
  EXPECT_EQ(text({1800}, false), command + "$((VALID - 1800))");
  EXPECT_EQ(text({Preferred::kSinceBoot + 500}, false), command + "$((500 - UPTIME))");
}

}  // namespace
}  // namespace wgsteer
