// SPDX-License-Identifier: GPL-2.0-or-later
// What holds for every world, every configuration and every starting state.
#include <algorithm>
#include <cctype>
#include <gtest/gtest.h>
#include <set>

#include "wgsteer/core/contingency.hpp"
#include "wgsteer/core/describe.hpp"
#include "wgsteer/core/explain.hpp"
#include "wgsteer/core/plan.hpp"
#include "wgsteer/core/planner.hpp"

#include "support/random_world.hpp"

namespace wgsteer {
namespace {

struct Case {
  World world;
  Config config;
  State before;
  State desired;
  Plan plan;
};

Case caseOf(std::uint64_t seed) {
  test::Random random{seed};
  Case made;
  made.world = test::randomWorld(random);
  made.config = test::randomConfig(random, made.world);
  made.before = test::randomLeftovers(random, made.world);
  made.desired = desire(made.config, made.world);
  made.plan = diff(made.desired, made.before);
  return made;
}

std::string text(const Case& made) {
  std::string all;
  for (const std::string& line : describe(made.plan, deviceNames(made.world))) all += line + "\n";
  return all;
}

/// A tunnel has a fwmark of ours, the user's, or none: the state overrides that of the world.
Tunnel withMarkOf(const State& state, const Tunnel& tunnel) {
  Tunnel seen = tunnel;
  if (const auto marked = state.tunnelMarks.find(tunnel.name); marked != state.tunnelMarks.end())
    seen.fwmark = marked->second;
  return seen;
}

bool loops(const Case& made, const State& state, const Tunnel& tunnel, const Endpoint& endpoint) {
  return explain(state, made.world, outerPacket(state, withMarkOf(state, tunnel), endpoint)).outcome == Outcome::loop;
}

template <class F>
void forEachPeer(const World& world, F&& visit) {
  for (const auto& [name, tunnel] : world.tunnels)
    for (const Peer& peer : tunnel.peers)
      if (peer.endpoint) visit(tunnel, *peer.endpoint);
}

TEST(Properties, APlanLeadsToWhatIsDesired) {
  for (const auto seed : test::seeds(1500)) {
    Case made = caseOf(seed);
    State state = made.before;
    apply(state, made.plan);
    ASSERT_EQ(state, made.desired) << "seed " << seed << "\n" << text(made);
  }
}

std::vector<Route> routesOf(const State& state, Family family) {
  std::vector<Route> routes;
  for (const Route& route : state.routes)
    if (route.family() == family) routes.push_back(route);
  return routes;
}

TEST(Properties, ADeadFamilyTakesNothingOfTheOtherOffItsWan) {
  for (const auto seed : test::seeds(1500)) {
    const Case made = caseOf(seed);
    for (const Family dead : kFamilies) {
      const Family alive = dead == Family::v4 ? Family::v6 : Family::v4;
      World world = made.world;
      for (const Wan& wan : steer(made.config, made.world).wans) world.wansDown[wan.name].why[dead] = "silent";
      const State state = desire(made.config, world);
      ASSERT_EQ(routesOf(state, alive), routesOf(made.desired, alive)) << "seed " << seed;
      ASSERT_EQ(state.rules, made.desired.rules) << "seed " << seed;
    }
  }
}

TEST(Properties, NothingIsToBeDoneTwice) {
  for (const auto seed : test::seeds(1500)) {
    const Case made = caseOf(seed);
    ASSERT_TRUE(diff(made.desired, made.desired).empty()) << "seed " << seed;
  }
}

/// Something that happens to a world, for better or worse.
void happens(test::Random& random, World& world) {
  if (random.chance(30) && !world.routes.empty()) world.routes.erase(world.routes.begin());
  if (random.chance(30))
    for (auto& [index, link] : world.links) link.carrier = random.chance(70);
  if (random.chance(20) && !world.tunnels.empty()) {
    Tunnel& tunnel = world.tunnels.edit().begin()->second;
    if (!tunnel.peers.empty()) tunnel.peers.front().endpoint = Endpoint{Address::v4(203, 0, 113, 99), 51820};
  }
  if (random.chance(20) && !world.tunnels.empty()) world.tunnels.edit().erase(world.tunnels.begin()->first);
}

TEST(Properties, WhatIsRememberedMakesNoDifference) {
  for (const auto seed : test::seeds(500)) {
    test::Random random{seed};
    World world = test::randomWorld(random);
    const Config config = test::randomConfig(random, world);
    Planner planner;
    for (int event = 0; event < 6; ++event) {
      const Steering steering = planner.steer(config, world);
      ASSERT_EQ(planner.desire(config, world, steering), desire(config, world)) << "seed " << seed << ", " << event;
      happens(random, world);
    }
  }
}

/// The prepared writes for an event are the beginning of its plan, and the plan made after them leads to the same
/// state.
TEST(Properties, AContingencyIsTheBeginningOfThePlanOfItsEvent) {
  std::size_t checked = 0;
  for (const auto seed : test::seeds(400)) {
    test::Random random{seed};
    const World world = test::randomWorld(random);
    const Config config = test::randomConfig(random, world);
    const Picture picture{.world = world, .observed = desire(config, world)};
    Planner planner;
    for (const Contingency& foreseen : contingencies(config, picture, planner, [](Plan plan) { return plan; })) {
      Picture real = picture;
      if (const auto* verdict = std::get_if<Verdict>(&foreseen.occurrence))
        real.world.wansDown = verdict->down;
      else
        track(real, std::get<Event>(foreseen.occurrence));
      const State wanted = desire(config, real.world);
      const Plan whole = diff(wanted, real.observed);
      ASSERT_LE(foreseen.writes.size(), whole.changes.size()) << "seed " << seed;
      ASSERT_TRUE(std::ranges::equal(foreseen.writes, std::span{whole.changes}.first(foreseen.writes.size())))
          << "seed " << seed;
      settle(real, foreseen.writes);
      const Plan rest = diff(wanted, real.observed);
      ASSERT_EQ(rest.changes.size() + foreseen.writes.size(), whole.changes.size()) << "seed " << seed;
      State reached = real.observed;
      apply(reached, rest);
      ASSERT_EQ(reached, wanted) << "seed " << seed;
      ++checked;
    }
  }
  EXPECT_GT(checked, 400U) << "the worlds have WANs that something can happen to";
}

TEST(Properties, PeersThatStayAsTheyWereAreNotPlannedAgain) {
  for (const auto seed : test::seeds(100)) {
    test::Random random{seed};
    World world = test::randomWorld(random);
    Planner planner;
    const Steering steering = planner.steer({}, world);
    const State before = planner.desire({}, world, steering);
    for (auto& [index, link] : world.links) link.carrier = false;
    const Steering without = planner.steer({}, world);
    // Without a WAN, what is steered depends on what carries the peers.
    if (steering.families != without.families) continue;
    const State after = planner.desire({}, world, without);
    ASSERT_EQ(before.nft.has_value(), after.nft.has_value());
    if (!before.nft) continue;
    ASSERT_TRUE(before.nft->table.endpoints.same(after.nft->table.endpoints)) << "seed " << seed;
  }
}

bool isLeftAlone(const Steering& steering, const Tunnel& tunnel, const Endpoint& endpoint) {
  return std::ranges::any_of(steering.tunnels, [&](const TunnelView& view) {
    return view.tunnel->name == tunnel.name && std::ranges::any_of(view.leftAlone, [&](const auto& peer) {
             return tunnel.peers[peer.first].endpoint == endpoint;
           });
  });
}

TEST(Properties, APeersPacketNeverGoesFromTheRightWayIntoATunnel) {
  for (const auto seed : test::seeds(600)) {
    const Case made = caseOf(seed);
    if (made.desired == State{}) continue;  // nothing to steer over
    const Steering steering = steer(made.config, made.world);
    forEachPeer(made.world, [&](const Tunnel& tunnel, const Endpoint& endpoint) {
      if (isLeftAlone(steering, tunnel, endpoint)) return;
      // Reached through another tunnel, as before, if that is all that there is in the family.
      if (std::ranges::find(steering.families, endpoint.address.family()) == steering.families.end()) return;
      State state = made.before;
      bool safe = !loops(made, state, tunnel, endpoint);
      for (const Change& change : made.plan.changes) {
        apply(state, change);
        const bool now = !loops(made, state, tunnel, endpoint);
        ASSERT_TRUE(now || !safe) << "seed " << seed << ": " << tunnel.name << " to " << endpoint.toString()
                                  << " after " << describe(change, deviceNames(made.world)).front() << "\nof\n"
                                  << text(made);
        safe = now;
      }
      ASSERT_TRUE(safe) << "seed " << seed << ": " << tunnel.name << " to " << endpoint.toString() << "\n"
                        << text(made);
    });
  }
}

std::string walked(const Walk& before, const Walk& after) {
  std::string out;
  for (const auto& [title, walk] : {std::pair{"before:", &before}, std::pair{"after:", &after}}) {
    out += std::string{title} + "\n";
    for (const WalkStep& step : walk->steps) out += (step.matched ? " * " : "   ") + step.text + "\n";
  }
  return out;
}

bool isWan(const Steering& steering, const IfName& device) {
  return std::ranges::any_of(steering.wans, [&](const Wan& wan) { return wan.device == device; });
}

/// What was reachable before is reachable after; and what was not reached by a WAN goes where it went.
TEST(Properties, WhatWasReachedOutsideATunnelIsNotReachedWorse) {
  std::size_t judged = 0;
  for (const auto seed : test::seeds(1500)) {
    test::Random random{seed};
    const World world = test::randomWorld(random);
    const Steering steering = steer({}, world);
    const State state = desire({}, world, steering);
    if (state == State{}) continue;
    forEachPeer(world, [&](const Tunnel& tunnel, const Endpoint& endpoint) {
      const Packet bare{.destination = endpoint, .mark = tunnel.fwmark, .source = {}, .sourcePort = tunnel.listenPort};
      const Walk before = explain({}, world, bare);
      if (before.outcome != Outcome::device || !world.linkNamed(before.device)->carrier) return;
      ++judged;
      const Walk after = explain(state, world, outerPacket(state, tunnel, endpoint));
      const std::string how = walked(before, after);
      ASSERT_EQ(after.outcome, Outcome::device)
          << "seed " << seed << ": " << tunnel.name << " to " << endpoint.toString() << " by " << before.device << "\n"
          << how;
      // Which WAN is the policy's decision; a rule that chose one loses to it and to main's specific routes, and
      // `check` says so.
      if (isWan(steering, before.device) && (isWan(steering, after.device) || before.route->table != kMainTable))
        return;
      ASSERT_EQ(after.device, before.device)
          << "seed " << seed << ": " << tunnel.name << " to " << endpoint.toString() << "\n"
          << how;
      ASSERT_EQ(after.gateway, before.gateway) << "seed " << seed << "\n" << how;
      if (before.gateway) return;
      ASSERT_EQ(after.source, before.source) << "seed " << seed << "\n" << how;
    });
  }
  EXPECT_GT(judged, 200U);
}

/// A server answers from the address on which it was contacted.
TEST(Properties, AnAnswerFromAnAddressThatIsNoWansLeavesAsBefore) {
  std::size_t judged = 0;
  for (const auto seed : test::seeds(1500)) {
    test::Random random{seed};
    const World world = test::randomWorld(random);
    const State state = desire({}, world);
    if (state == State{} || world.linkNamed("isp") == nullptr || isWan(steer({}, world), "isp")) continue;
    forEachPeer(world, [&](const Tunnel& tunnel, const Endpoint& endpoint) {
      for (const InterfaceAddress& own : world.addressesOf(world.linkNamed("isp")->index)) {
        if (own.address.family() != endpoint.address.family()) continue;
        Packet bare{.destination = endpoint, .mark = tunnel.fwmark, .source = own.address, .sourcePort = 0};
        const Walk before = explain({}, world, bare);
        if (before.outcome != Outcome::device || before.device != "isp") continue;
        ++judged;
        Packet packet = outerPacket(state, tunnel, endpoint);
        packet.source = own.address;
        // Packets that nft has to mark get the source of their policy: those of a tunnel with some peers left alone, or
        // whose own mark another tunnel has given a meaning.
        if (!Numbers{}.isOurs(packet.mark)) continue;
        const Walk after = explain(state, world, packet);
        ASSERT_EQ(after.device, "isp") << "seed " << seed << ": " << endpoint.toString() << "\n"
                                       << walked(before, after);
      }
    });
  }
  EXPECT_GT(judged, 50U);
}

TEST(Properties, NoForeignRuleOrRouteIsEverTouched) {
  for (const auto seed : test::seeds(1500)) {
    const Case made = caseOf(seed);
    for (const Change& change : made.plan.changes) {
      if (const auto* added = std::get_if<AddRoute>(&change)) {
        ASSERT_TRUE(added->route.protocol == kProtocol && isOurTable(added->route.table)) << "seed " << seed;
      } else if (const auto* deleted = std::get_if<DeleteRoute>(&change)) {
        ASSERT_TRUE(made.before.routes.contains(deleted->route)) << "seed " << seed;
        ASSERT_EQ(deleted->route.protocol, kProtocol);
      } else if (const auto* rule = std::get_if<DeleteRule>(&change)) {
        ASSERT_TRUE(made.before.rules.contains(rule->rule)) << "seed " << seed;
        ASSERT_EQ(rule->rule.protocol, kProtocol);
      } else if (const auto* mark = std::get_if<SetTunnelMark>(&change)) {
        const Mark had = made.world.tunnels.at(mark->tunnel).fwmark;
        ASSERT_TRUE(had.value == 0 || made.config.numbers.isOurs(had)) << "seed " << seed;
      }
    }
  }
}

TEST(Properties, NoRouteOfOursLeavesByATunnel) {
  for (const auto seed : test::seeds(1500)) {
    const Case made = caseOf(seed);
    for (const Route& route : made.desired.routes)
      for (const NextHop& hop : route.hops)
        ASSERT_FALSE(isTunnel(made.world, *made.world.link(hop.device))) << "seed " << seed;
  }
}

/// As in the kernel (dev_valid_name): an element without such a name makes it refuse the whole transaction.
bool isDeviceName(const IfName& name) {
  const auto isWrong = [](unsigned char c) { return c == '/' || c == ':' || std::isspace(c) != 0; };
  return !name.empty() && name.size() <= 15 && std::ranges::none_of(name, isWrong);
}

/// Checks every name, device, mark and family in it, whatever it stands for.
void expectTakenByTheKernel(const State& state, const World& world, const Numbers& numbers) {
  std::set<IfName> names;
  std::set<Mark> marks;
  if (state.nft) {
    const NftTable& table = state.nft->table;
    for (const auto& [device, slot] : table.wans) names.insert(device);
    for (const auto& [device, address] : table.addresses) names.insert(device);
    for (const auto& [key, address] : table.sources) {
      names.insert(key.first);
      EXPECT_EQ(address.family(), key.second);
    }
    for (const auto& [key, address] : table.policySources) {
      marks.insert(key.first);
      EXPECT_EQ(address.family(), key.second);
    }
    for (const auto& [mark, kept] : table.ownMarks) marks.insert(mark);
    for (const Sysctl& sysctl : table.changedSysctls) names.insert(sysctl.device);
    names.insert(table.tunnels.begin(), table.tunnels.end());
    EXPECT_FALSE(table.listenPorts.contains(0));
    for (const auto& [endpoint, policy] : table.endpoints) EXPECT_NE(endpoint.port, 0);
    for (const auto& [flow, policy] : table.flows) {
      EXPECT_NE(flow.endpoint.port, 0);
      EXPECT_TRUE(table.flowPorts.contains(flow.sourcePort)) << "or it is not looked up";
    }
  }
  for (const auto& [tunnel, mark] : state.tunnelMarks) {
    names.insert(tunnel);
    marks.insert(mark);
  }
  for (const Sysctl& sysctl : state.sysctls) names.insert(sysctl.device);
  for (const IfName& name : names) EXPECT_TRUE(isDeviceName(name)) << "'" << name << "'";
  for (const Mark mark : marks) {
    EXPECT_NE(mark.value, 0U);
    EXPECT_EQ(mark.value & ~numbers.markMask, 0U);
  }
  for (const Route& route : state.routes) {
    EXPECT_NE(route.table.value, 0U);
    EXPECT_EQ(route.source.family(), route.family());
    EXPECT_EQ(route.hops.empty(), route.type != RouteType::unicast && route.type != RouteType::local);
    if (route.preferredSource) {
      EXPECT_EQ(route.preferredSource->family(), route.family());
    }
    for (const NextHop& hop : route.hops) {
      EXPECT_NE(world.link(hop.device), nullptr) << hop.device.value;
      EXPECT_TRUE(hop.weight >= 1 && hop.weight <= 256) << hop.weight;
    }
  }
  for (const Rule& rule : state.rules) {
    if (rule.action == RuleAction::lookup) {
      EXPECT_NE(rule.table.value, 0U);
    }
    if (rule.source) {
      EXPECT_EQ(rule.source->family(), rule.family);
    }
  }
}

TEST(Properties, NothingIsDesiredThatTheKernelRefuses) {
  for (const auto seed : test::seeds(1500)) {
    test::Random random{seed};
    const World world = test::randomWorld(random);
    Config config = test::randomConfig(random, world);
    // netifd's interfaces that are down, not dialled in yet, or not known at all.
    config.netifd = random.chance(50);
    for (WanConfig& wan : config.wans) {
      if (!random.chance(40)) continue;
      wan.interface = wan.name;
      wan.device = random.chance(70) ? "" : "gone0";
    }
    SCOPED_TRACE("seed " + std::to_string(seed));
    expectTakenByTheKernel(desire(config, world), world, config.numbers);
    if (HasFailure()) return;
  }
}

TEST(Properties, EveryTableIsClosedBeforeItsRuleLeadsThere) {
  for (const auto seed : test::seeds(1500)) {
    const Case made = caseOf(seed);
    State state = made.before;
    for (const Change& change : made.plan.changes) {
      apply(state, change);
      const auto* added = std::get_if<AddRule>(&change);
      if (added == nullptr || added->rule.action != RuleAction::lookup || !isOurTable(added->rule.table)) continue;
      const bool closed = std::ranges::any_of(state.routes, [&](const Route& route) {
        return route.table == added->rule.table && route.family() == added->rule.family &&
               route.type == RouteType::unreachable && route.metric == kClosingMetric;
      });
      ASSERT_TRUE(closed) << "seed " << seed << ": " << describe(added->rule);
    }
  }
}

}  // namespace
}  // namespace wgsteer
