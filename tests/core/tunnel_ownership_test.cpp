// SPDX-License-Identifier: GPL-2.0-or-later
// Which tunnels are steered here, and whose their marks are.
#include <algorithm>
#include <gtest/gtest.h>

#include "core/steered.hpp"

namespace wgsteer {
namespace {

using namespace test;

/// `wg syncconf` resets a mark and leaves the rules of wg-quick(8), which looks for its rules by the mark.
TEST(Settle, AMarkThatItsOwnersRuleNamesIsGivenBackToIt) {
  Picture picture = steered();
  const auto reads = [&](std::uint32_t mark) {
    SharedMap<IfName, Tunnel> tunnels = picture.world.tunnels;
    tunnels.edit().at("wg0").fwmark = Mark{mark};
    takeTunnels(picture, {}, tunnels);
  };
  const auto steers = [&] {
    const State desired = desire({}, picture.world);
    settle(picture, diff(desired, picture.observed), desired);
    return picture.world.tunnels.at("wg0").fwmark;
  };
  Rule owners;
  owners.mark = {0xca6c, 0xffffffff};
  owners.invert = true;
  owners.table = TableId{0xca6c};
  owners.priority = 32764;
  picture.world.rules.insert(owners);

  reads(0xca6c);
  EXPECT_EQ(steers(), Mark{0xca6c});
  reads(0);
  EXPECT_EQ(steers(), Mark{0xca6c});
  EXPECT_TRUE(picture.observed.tunnelMarks.empty()) << "it would be taken back with ours";
  EXPECT_TRUE(diff(desire({}, picture.world), picture.observed).empty());

  picture.world.rules.erase(owners);
  reads(0);
  EXPECT_EQ(steers(), Mark{0xf0000000}) << "nobody asks for the owner's any more";
}

/// Within our bits, but never set by us: it belongs to the owner, who may use it where we cannot see it (in a
/// firewall).
TEST(Settle, AMarkThatWeHaveNeverGivenIsItsOwners) {
  Picture picture;
  picture.world = twoWans();
  SharedMap<IfName, Tunnel> tunnels = picture.world.tunnels;
  tunnels.edit().at("wg0").fwmark = Mark{0xf0000000};
  takeTunnels(picture, {}, tunnels);
  const State desired = desire({}, picture.world);
  EXPECT_TRUE(desired.tunnelMarks.empty());
  EXPECT_TRUE(desired.nft->table.foreignMarks.contains(Mark{0xf0000000}));
  EXPECT_FALSE(desired.nft->table.ownMarks.contains(Mark{0xf0000000})) << "nobody else is given it";
  settle(picture, diff(desired, picture.observed), desired);
  takeTunnels(picture, {}, tunnels);
  EXPECT_EQ(desire({}, picture.world), desired) << "it stays the owner's";
  Picture after;
  after.world = twoWans();
  after.observed.nft = desire({}, after.world).nft;
  takeTunnels(after, {}, tunnels);
  EXPECT_TRUE(after.observed.tunnelMarks.contains("wg0")) << "what an earlier run has left is ours";
}

class Elsewhere : public ::testing::Test {
 protected:
  static void read(Picture& picture, SocketPlace place, std::uint32_t mark) {
    SharedMap<IfName, Tunnel> tunnels = allTunnels(picture.world);
    tunnels.edit().at("wg0").socket = place;
    tunnels.edit().at("wg0").fwmark = Mark{mark};
    takeTunnels(picture, {}, tunnels);
  }
  static Plan next(const Picture& picture) { return diff(desire({}, picture.world), picture.observed); }
};

/// Steered by the daemon of another namespace, which gives the same numbers.
TEST_F(Elsewhere, ATunnelWhoseSocketIsElsewhereKeepsItsMark) {
  Picture picture;
  picture.world = twoWans();
  Tunnel own = picture.world.tunnels.at("wg0");
  own.name = "wg1";
  picture.world.links.emplace(IfIndex{9}, link(IfIndex{9}, "wg1", "wireguard"));
  picture.world.tunnels.edit().emplace("wg1", own);
  State desired = desire({}, picture.world);
  settle(picture, diff(desired, picture.observed), desired);
  read(picture, SocketPlace::elsewhere, 0xe0000000);
  desired = desire({}, picture.world);
  EXPECT_FALSE(desired.nft->table.tunnels.contains("wg0"));
  EXPECT_EQ(desired.tunnelMarks, (std::map<IfName, Mark>{{"wg1", Mark{0xf0000000}}}));
  EXPECT_TRUE(desired.nft->table.foreignMarks.empty()) << "nor is its mark given a meaning here";
  settle(picture, diff(desired, picture.observed), desired);
  for (const std::uint32_t mark : {0xf0000000U, 0xe0000000U, 0xca6cU, 0U}) {
    read(picture, SocketPlace::elsewhere, mark);
    EXPECT_EQ(next(picture), Plan{}) << mark;
    EXPECT_TRUE(diff({}, picture.observed).changes.size() > 1 && !picture.observed.tunnelMarks.contains("wg0"))
        << "nor does flush take it";
  }
  const Steering steering = steer({}, picture.world);
  ASSERT_EQ(steering.notes.size(), 1U);
  EXPECT_TRUE(steering.notes.front().starts_with("wg0 is left alone: its socket is in another network namespace"));
  EXPECT_TRUE(allTunnels(picture.world).contains("wg0"));
}

TEST_F(Elsewhere, ADeviceThatIsDownKeepsAMarkThatNobodyHereHasSet) {
  Picture picture;
  picture.world = twoWans();
  picture.world.ownMarks = {Mark{0xf0000000}, Mark{0xe0000000}};
  read(picture, SocketPlace::unknown, 0xe0000000);
  EXPECT_FALSE(desire({}, picture.world).tunnelMarks.contains("wg0"));
  EXPECT_TRUE(picture.observed.tunnelMarks.empty());
  EXPECT_TRUE(steer({}, picture.world).notes.front().starts_with("wg0 is left alone until it is up: its fwmark 0xe"));
  read(picture, SocketPlace::here, 0xe0000000);
  EXPECT_EQ(desire({}, picture.world).tunnelMarks.at("wg0"), Mark{0xf0000000}) << "it is up: it is ours";
}

TEST_F(Elsewhere, ADeviceThatIsDownKeepsItsMarkAndGetsNone) {
  Picture picture = steered();
  Link& link = picture.world.links.at(kTunnel);
  link.up = false;
  read(picture, SocketPlace::unknown, 0xf0000000);
  EXPECT_EQ(next(picture), Plan{}) << "our table says that it was given its mark here";
  read(picture, SocketPlace::unknown, 0);
  EXPECT_EQ(next(picture), Plan{}) << "its owner may be about to give it one";
  link.up = true;
  const Plan plan = next(picture);
  ASSERT_EQ(plan.changes.size(), 1U);
  EXPECT_EQ(std::get<SetTunnelMark>(plan.changes.front()).mark, Mark{0xf0000000});
}

TEST_F(Elsewhere, AMarkThatWasGivenHereIsTakenBack) {
  Picture picture = steered();
  read(picture, SocketPlace::elsewhere, 0xf0000000);
  const State desired = desire({}, picture.world);
  const Plan plan = diff(desired, picture.observed);
  EXPECT_TRUE(std::ranges::find(plan.changes, Change{SetTunnelMark{"wg0", Mark{0}, Mark{0xf0000000}}}) !=
              plan.changes.end());
  settle(picture, plan, desired);
  read(picture, SocketPlace::elsewhere, 0);
  EXPECT_EQ(next(picture), Plan{});
}

/// wg-quick's rule, and the default route by its tunnel in the table that the rule looks up.
void addWgQuick(World& world, const IfName& tunnel, std::uint32_t mark) {
  Rule rule;
  rule.mark = {mark, 0xffffffff};
  rule.invert = true;
  rule.table = TableId{mark};
  rule.priority = 68;
  world.rules.insert(rule);
  Route into = route("0.0.0.0/0", world.linkNamed(tunnel)->index);
  into.table = rule.table;
  world.routes.insert(into);
}

/// A rule for applications that send past the tunnel; the tunnel itself has no mark.
TEST(Settle, AMarkOfApplicationsIsNotGivenToATunnel) {
  Picture picture = steered();
  addWgQuick(picture.world, "wg0", 0x64);
  Rule bypass = *std::ranges::find(picture.world.rules, MarkMatch{0x64, 0xffffffff}, &Rule::mark);
  picture.world.rules.erase(bypass);
  bypass.table = TableId{200};
  picture.world.rules.insert(bypass);
  Route into = route("0.0.0.0/0", kTunnel);
  into.table = bypass.table;
  picture.world.routes.insert(into);
  takeTunnels(picture, {}, picture.world.tunnels);
  EXPECT_TRUE(picture.world.ownersMarks.empty());
}

/// wg-quick set it between our reading and our writing.
TEST(Settle, AMarkThatWeOverwroteIsGivenBack) {
  Picture picture = steered();
  addWgQuick(picture.world, "wg0", 51820);
  takeTunnels(picture, {}, picture.world.tunnels);
  const State desired = desire({}, picture.world);
  settle(picture, diff(desired, picture.observed), desired);
  EXPECT_EQ(picture.world.tunnels.at("wg0").fwmark, Mark{51820});
  EXPECT_TRUE(picture.observed.tunnelMarks.empty());
}

/// wg-quick adopts the mark that it finds on its device; another tunnel has the same one from us.
TEST(Settle, AMarkThatWgQuickHasAdoptedIsItsTunnelsAlone) {
  Picture picture = steered();
  World& world = picture.world;
  world.links.emplace(IfIndex{10}, link(IfIndex{10}, "wg1", "wireguard"));
  Tunnel other = world.tunnels.at("wg0");
  other.name = "wg1";
  other.listenPort = 51821;
  SharedMap<IfName, Tunnel> tunnels = world.tunnels;
  tunnels.edit().emplace("wg1", other);
  addWgQuick(world, "wg0", 0xf0000000);
  takeTunnels(picture, {}, tunnels);
  EXPECT_EQ(world.ownersMarks, (std::map<IfName, Mark>{{"wg0", Mark{0xf0000000}}}));
  const State desired = desire({}, world);
  EXPECT_EQ(desired.tunnelMarks, (std::map<IfName, Mark>{{"wg1", Mark{0xe0000000}}}));
}

}  // namespace
}  // namespace wgsteer
