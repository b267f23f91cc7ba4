// SPDX-License-Identifier: GPL-2.0-or-later
// Configuration and world -> plan, as users read it. Each case is CASE.toml and CASE.plan; WGSTEER_GOLDEN_UPDATE=1
// rewrites the plans, so that `git diff` shows what changed.
#include <cstdlib>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <sstream>

#include "wgsteer/core/describe.hpp"
#include "wgsteer/core/desire.hpp"

#include "config/load.hpp"
#include "support/worlds.hpp"

namespace wgsteer {
namespace {

using namespace test;

struct GoldenCase {
  const char* name;
  std::function<void(World&)> change;  ///< how the world differs from two WANs and a full tunnel
};

void nothing(World&) {}

void ownFwmark(World& world) { world.tunnels.edit().at("wg0").fwmark = Mark{0xca6c}; }

void serverWithPhones(World& world) {
  Tunnel& tunnel = world.tunnels.edit().at("wg0");
  tunnel.peers.clear();
  for (std::uint8_t i = 1; i <= 2; ++i) {
    Peer phone;
    phone.publicKey = key(i);
    phone.allowedIps = {Prefix::host(Address::v4(10, 9, 0, i))};
    tunnel.peers.push_back(phone);
  }
  tunnel.peers.front().endpoint = Endpoint::parse("203.0.113.99:40000");
}

void sourceSpecific(World& world) {
  std::erase_if(world.routes, [](const Route& known) {
    return known.destination == Prefix::any(Family::v6) && known.hops.front().device == kWan0;
  });
  Route specific = route("::/0", kWan0, "fe80::1", 512);
  specific.source = *Prefix::parse("2001:db8:10::/56");
  world.routes.insert(specific);
}

void pointToPoint(World& world) {
  std::erase_if(world.routes, [](const Route& known) { return known.hops.front().device == kWan1; });
  world.links.at(kWan1).pointToPoint = true;
  world.routes.insert(route("0.0.0.0/0", kWan1, "", 20));
}

void firstWanWithoutCarrier(World& world) { world.links.at(kWan0).carrier = false; }

void deadWithPrefixes(World& world) {
  firstWanWithoutCarrier(world);
  const IfIndex lan{5};
  world.links.emplace(lan, link(lan, "br-lan", "bridge"));
  for (const char* own : {"2001:db8:a::1/64", "2001:db8:a:1::1/64", "2001:db8:b::1/64"})
    world.addresses.insert(address(lan, own));
}

void lanAndStrictFilter(World& world) {
  const IfIndex lan{5};
  world.links.emplace(lan, link(lan, "br-lan", "bridge"));
  world.addresses.insert(address(lan, "192.168.1.1/24"));
  world.rpFilterAll = 1;
}

void withMarkOfTproxy(World& world) {
  Rule tproxy = kernelRule(Family::v4, 100, TableId{100});
  tproxy.mark = {1, 0xffffffff};
  world.rules.insert(tproxy);
}

std::string fileOf(const std::string& name) {
  std::ifstream file{std::string{GOLDEN_DIRECTORY} + "/" + name};
  EXPECT_TRUE(file) << name;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string planOf(const GoldenCase& golden) {
  World world = twoWans();
  golden.change(world);
  const std::string file = std::string{golden.name} + ".toml";
  const auto config = config::loadText(fileOf(file), file);
  EXPECT_TRUE(config) << config.error().what;
  if (!config) return {};
  std::string text;
  for (const std::string& line : describe(diff(desire(*config, world), {}), deviceNames(world))) text += line + "\n";
  return text;
}

class Golden : public testing::TestWithParam<GoldenCase> {};

TEST_P(Golden, ThePlanIsAsWritten) {
  const std::string file = std::string{GetParam().name} + ".plan";
  const std::string plan = planOf(GetParam());
  if (std::getenv("WGSTEER_GOLDEN_UPDATE") != nullptr)
    std::ofstream{std::string{GOLDEN_DIRECTORY} + "/" + file} << plan;
  EXPECT_EQ(plan, fileOf(file));
}

INSTANTIATE_TEST_SUITE_P(
    Cases, Golden,
    testing::Values(GoldenCase{"no_configuration", nothing}, GoldenCase{"own_fwmark", ownFwmark},
                    GoldenCase{"pinned_peer", nothing}, GoldenCase{"balanced", nothing},
                    GoldenCase{"server", serverWithPhones}, GoldenCase{"source_specific", sourceSpecific},
                    GoldenCase{"point_to_point", pointToPoint}, GoldenCase{"no_carrier", firstWanWithoutCarrier},
                    GoldenCase{"lan_and_rp_filter", lanAndStrictFilter}, GoldenCase{"rules", withMarkOfTproxy},
                    GoldenCase{"sources", sourceSpecific}, GoldenCase{"deprecate", deadWithPrefixes}),
    [](const auto& golden) { return std::string{golden.param.name}; });

}  // namespace
}  // namespace wgsteer
