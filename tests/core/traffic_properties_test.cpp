// SPDX-License-Identifier: GPL-2.0-or-later
// For random rules and packets, the simulator does what a straight-line reading of the rules says. The same is asked of
// the kernel in tests/contract/traffic_test.cpp.
#include <algorithm>
#include <gtest/gtest.h>

#include "wgsteer/core/desire.hpp"
#include "wgsteer/core/explain_traffic.hpp"

#include "core/rule_mismatch.hpp"
#include "support/random_traffic.hpp"
#include "support/worlds.hpp"

namespace wgsteer {
namespace {

using namespace test;

constexpr IfIndex kLan{4};
constexpr IfIndex kGuest{5};

void addNetwork(World& world, IfIndex device, const std::string& own, const std::string& network) {
  world.addresses.insert(address(device, own));
  world.routes.insert(route(network, device));
  Route local = route(own.substr(0, own.find('/')), device);
  local.table = kLocalTable;
  local.type = RouteType::local;
  world.routes.insert(local);
}

/// Two WANs, two LANs, networks behind a tunnel, and perhaps the world behind it as well.
World gateway(Random& random) {
  World world = twoWans();
  if (random.chance(70)) std::erase_if(world.routes, [](const Route& each) { return each.destination.length() == 1; });
  world.links.emplace(kLan, link(kLan, "br-lan", ""));
  world.links.emplace(kGuest, link(kGuest, "guest", ""));
  addNetwork(world, kLan, "192.168.5.1/24", "192.168.5.0/24");
  addNetwork(world, kLan, "2001:db8:5::1/64", "2001:db8:5::/64");
  addNetwork(world, kGuest, "192.168.6.1/24", "192.168.6.0/24");
  addNetwork(world, kGuest, "2001:db8:6::1/64", "2001:db8:6::/64");
  world.routes.insert(route("10.9.0.0/24", kTunnel));
  world.routes.insert(route("fd09::/64", kTunnel));
  Route closed = route("10.8.0.0/24", kTunnel);
  closed.hops.clear();
  closed.type = RouteType::unreachable;
  world.routes.insert(closed);
  Route broadcast = route("192.168.5.255", kLan);
  broadcast.table = kLocalTable;
  broadcast.type = RouteType::other;
  world.routes.insert(broadcast);
  return world;
}

void breakSomething(Random& random, World& world) {
  if (random.chance(20)) world.wansDown["fiber"] = WanDown{"probes"};
  if (random.chance(15)) world.links.at(kWan1).carrier = false;
  if (random.chance(10)) world.links.at(kWan0).up = false;
}

const TrafficPools kPools{.inputs = {"br-lan", "guest", "wg0"},
                          .wans = {"wan0", "wan1"},
                          .withoutMac = {"wg0", "wan0", "wan1"},
                          .policies = {"fiber_first", "lte_first", "lte_only", "open"},
                          .sources = {*Address::parse("192.168.5.1"), *Address::parse("192.0.2.10"),
                                      *Address::parse("198.51.100.10"), *Address::parse("2001:db8:10::10"),
                                      *Address::parse("2001:db8:20::10"), *Address::parse("2001:db8:5::1")}};

Config configWith(Random& random, std::vector<RuleConfig> rules) {
  Config config = fiberAndLte();
  config.numbers.markMask = kTrafficMarkMask;
  config.policies = {policy("fiber_first", {{.wan = "fiber", .metric = 1}, {.wan = "lte", .metric = 2}}),
                     policy("lte_first", {{.wan = "lte", .metric = 1}, {.wan = "fiber", .metric = 2}}),
                     policy("lte_only", {{.wan = "lte", .metric = 1}}),
                     policy("open", {{.wan = "lte", .metric = 1}}, LastResort::main)};
  config.rules = std::move(rules);
  if (random.chance(50)) randomTreatments(random, config);
  return config;
}

/// What is to become of a packet.
struct Fate {
  Outcome outcome = Outcome::noRoute;
  IfName device;
  bool operator==(const Fate&) const = default;
};
Fate fateOf(const Walk& walk) { return {walk.outcome, walk.device}; }

class Reference {
 public:
  Reference(const Config& config, const World& world, const State& state)
      : config_(config), world_(world), asks_(state.nft->layout.traffic.program->asksForLocal) {
    bare_.sysctls = state.sysctls;
    specific_ = world;
    std::erase_if(specific_.routes,
                  [](const Route& each) { return each.table == kMainTable && each.destination.length() <= 1; });
  }

  /// Null: the rules are not asked.
  struct Answer {
    const RuleConfig* rule = nullptr;
    Fate fate;
  };
  Answer operator()(const FirstPacket& first) const {
    const Walk plain = explain(bare_, world_, first.packet);
    const Fate left = leftAlone(first, plain);
    const bool toMany = plain.route && plain.route->type == RouteType::other;
    const bool byWan = first.packet.inputDevice.starts_with("wan");
    // With the mark of the exit that answers, unless it has one of others.
    const bool arrived = byWan && first.packet.mark.value == 0 &&
                         isUsable(first.packet.inputDevice == "wan0" ? "fiber" : "lte", first.packet.source->family());
    const bool local = first.packet.inputDevice.empty();
    const bool byIpRules = !asks_.contains(first.packet.destination.address.family());
    const bool refused = local && !byIpRules && left.outcome != Outcome::device;
    if (toMany) return {nullptr, {Outcome::local, ""}};
    if (plain.outcome == Outcome::local || arrived) return {nullptr, fateOf(plain)};
    if (byWan || refused) return {nullptr, left};
    if (local && byIpRules && first.packet.mark.value != 0) return {nullptr, left};
    const RuleConfig* rule = ruleFor(config_.rules, first);
    if (rule == nullptr || rule->use == RuleUse::main) return {rule, left};
    if (const Walk inside = explain(bare_, specific_, first.packet); inside.route) return {rule, fateOf(inside)};
    if (rule->use != RuleUse::policy) return {rule, {Outcome::unreachable, ""}};
    return {rule, byPolicy(rule->policy, first, left)};
  }

 private:
  IfName deviceOf(const std::string& wan) const { return wan == "fiber" ? "wan0" : "wan1"; }

  bool isUsable(const std::string& wan, Family family) const {
    const Link& link = world_.links.at(wan == "fiber" ? kWan0 : kWan1);
    const auto down = world_.wansDown.find(wan);
    const bool silent = down != world_.wansDown.end() && down->second.why.contains(family);
    return link.up && link.carrier && !silent;
  }

  /// The WAN that the packet's source chooses now.
  const WanConfig* bySource(const Packet& packet) const {
    const auto found = std::ranges::find_if(config_.wans, [&](const WanConfig& wan) {
      return wan.sourceRouting && isUsable(wan.name, Family::v6) && isIn(wan.prefixes, *packet.source);
    });
    return found == config_.wans.end() ? nullptr : &*found;
  }

  static bool isIn(const std::vector<Prefix>& prefixes, const Address& address) {
    return std::ranges::any_of(prefixes, [&](const Prefix& prefix) { return prefix.contains(address); });
  }

  Fate leftAlone(const FirstPacket& first, const Walk& plain) const {
    const WanConfig* wan = bySource(first.packet);
    if (wan == nullptr || plain.outcome == Outcome::local) return fateOf(plain);
    const Walk inside = explain(bare_, specific_, first.packet);
    return inside.route ? fateOf(inside) : Fate{Outcome::device, deviceOf(wan->name)};
  }

  Fate byPolicy(const std::string& name, const FirstPacket& first, const Fate& left) const {
    const auto policy = std::ranges::find(config_.policies, name, &PolicyConfig::name);
    const auto has = [&](const std::string& wan) {
      return std::ranges::find(policy->members, wan, &PolicyMember::wan) != policy->members.end();
    };
    const Packet& packet = first.packet;
    if (const WanConfig* wan = bySource(packet); wan != nullptr && has(wan->name))
      return {Outcome::device, deviceOf(wan->name)};
    for (const PolicyMember& member : policy->members) {  // in the order of their metrics
      if (!isUsable(member.wan, packet.destination.address.family())) continue;
      if (isRefused(*policy, member.wan, packet)) return {Outcome::unreachable, ""};
      return {Outcome::device, deviceOf(member.wan)};
    }
    if (policy->lastResort != LastResort::main) return {Outcome::unreachable, ""};
    const bool byWan = left.device.starts_with("wan");
    if (byWan && isRefused(*policy, left.device == "wan0" ? "fiber" : "lte", packet)) return {Outcome::unreachable, ""};
    return left;
  }

  bool isRefused(const PolicyConfig& policy, const std::string& exit, const Packet& packet) const {
    const ForeignSource treatment = policy.foreignSource;
    const bool asked = treatment == ForeignSource::reject || treatment == ForeignSource::translate;
    if (!asked || packet.inputDevice.empty() || packet.source->family() == Family::v4) return false;
    const auto& wan = *std::ranges::find(config_.wans, exit, &WanConfig::name);
    const auto& other = *std::ranges::find_if(config_.wans, [&](const WanConfig& each) { return &each != &wan; });
    const auto onLink = *Prefix::parse(exit == "fiber" ? "2001:db8:10::/64" : "2001:db8:20::/64");
    if (onLink.contains(*packet.source) || isIn(wan.prefixes, *packet.source)) return false;
    const bool member = std::ranges::find(policy.members, exit, &PolicyMember::wan) != policy.members.end();
    return treatment == ForeignSource::reject || !member || !isIn(other.prefixes, *packet.source);
  }

  const Config& config_;
  const World& world_;
  std::set<Family> asks_;
  State bare_;
  World specific_;
};

std::string text(const TrafficWalk& walk) {
  std::string all = walk.why + "\n";
  for (const WalkStep& step : walk.walk.steps) all += (step.matched ? " * " : "   ") + step.text + "\n";
  return all;
}

bool asks(const TrafficWalk& walk) {
  return walk.reason == TrafficReason::rule || walk.reason == TrafficReason::noRule;
}

bool sendsFromAnAddress(const FirstPacket& first, const World& world) {
  return first.packet.inputDevice.empty() && std::ranges::any_of(world.addresses, [&](const InterfaceAddress& own) {
           return own.address == first.packet.source;
         });
}

TEST(TrafficProperties, TheSimulatorDoesWhatTheListOfRulesSays) {
  std::size_t matched = 0;
  for (const auto seed : seeds(1200)) {
    Random random{seed};
    World world = gateway(random);
    breakSomething(random, world);
    const Config config = configWith(random, randomRules(random, kPools));
    const Steering steering = steer(config, world);
    const State state = desire(config, world, steering);
    const Reference reference{config, world, state};
    for (int i = 0; i < 100; ++i) {
      FirstPacket first = randomPacket(random, kPools);
      // A program that chose an address means that WAN, or what main does, whatever the rules say.
      const auto& inChains = state.nft->layout.traffic.program->asksForLocal;
      if (!inChains.contains(first.packet.destination.address.family()) && sendsFromAnAddress(first, world)) continue;
      if (random.chance(30)) first.packet.mark = Mark{random.number(0x1000000)};
      const auto expected = reference(first);
      const TrafficWalk walk = explain({config, world, steering, state}, first);
      const auto all = [&] {
        return "seed " + std::to_string(seed) + ": " + toString(first) + "\n" + toString(config.rules) + text(walk);
      };
      ASSERT_EQ(walk.rule, expected.rule == nullptr ? "" : expected.rule->name) << all();
      ASSERT_EQ(fateOf(walk.walk).outcome, expected.fate.outcome) << all();
      ASSERT_EQ(walk.walk.device, expected.fate.device) << all();
      ASSERT_EQ(walk.walk.mark.value & 0xffffffU, first.packet.mark.value) << all();
      for (const RuleConfig& rule : config.rules) {
        if (!asks(walk)) break;
        ASSERT_EQ(mismatch(rule, first).empty(), rule.name == walk.rule) << all();
        if (rule.name == walk.rule) break;
      }
      matched += expected.rule != nullptr ? 1 : 0;
    }
  }
  EXPECT_GT(matched, seeds(1200).size() * 20) << "packets come near to the edges of rules";
}

}  // namespace
}  // namespace wgsteer
