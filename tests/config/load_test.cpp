// SPDX-License-Identifier: GPL-2.0-or-later
// What a valid file is converted to.
#include "config/load.hpp"

#include <chrono>
#include <gtest/gtest.h>
#include <map>

#include "support/targets.hpp"

namespace wgsteer::config {
namespace {

using namespace std::chrono_literals;
namespace test = wgsteer::test;

constexpr const char* kKey = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";

Config load(std::string_view text) {
  const auto config = loadText(text, "t.toml");
  EXPECT_TRUE(config) << config.error().what;
  return config.value_or(Config{});
}

constexpr std::string_view kTwoWans =
    "[[wan]]\nname = \"fiber\"\ndevice = \"eth0\"\n"
    "[[wan]]\nname = \"lte\"\ndevice = \"wwan0\"\n";

Config loadWithWans(std::string_view text) { return load(std::string{kTwoWans} + std::string{text}); }

TEST(Load, EmptyFileIsTheDefaultConfig) {
  EXPECT_EQ(load(""), Config{});
  EXPECT_EQ(load("# nothing\n\n"), Config{});
  EXPECT_EQ(load("[globals]\n"), Config{});
  EXPECT_EQ(load("\xef\xbb\xbf[globals]\r\n"), Config{});
}

TEST(Load, ReadsGlobals) {
  const Config config = load(R"([globals]
mark_mask = "0x0F000000"
rule_priority = 32104
on_exit = "flush"
sysctl = false
force = true
forward = true
inside_tables = [1, 252, 256, 4294967295]
log_level = "debug"
)");
  EXPECT_EQ(config.numbers.markMask, 0x0f000000U);
  EXPECT_EQ(config.numbers.rulePriority, 32104U);
  EXPECT_EQ(config.onExit, OnExit::flush);
  EXPECT_FALSE(config.sysctl);
  EXPECT_TRUE(config.force);
  EXPECT_TRUE(config.forward);
  EXPECT_EQ(config.insideTables, (std::vector<TableId>{{1}, {252}, {256}, {0xffffffff}}));
  EXPECT_EQ(config.logLevel, LogLevel::debug);
}

TEST(Load, TakesTheMaskAsAnIntegerToo) {
  EXPECT_EQ(load("[globals]\nmark_mask = 0xff000000\n").numbers.markMask, 0xff000000U);
  EXPECT_EQ(load("[globals]\nmark_mask = \"4026531840\"\n").numbers.markMask, 0xf0000000U);
}

TEST(Load, ReadsAWan) {
  const Config config = load(R"([[wan]]
name = "fiber"
device = "eth0.2"
gateway = ["192.0.2.1", "fe80::1"]
metric = 4294967039
weight = 256
dns = ["192.0.2.53", "fe80::53"]
track_ip = ["9.9.9.9", "2620:fe::fe:53", "[2620:fe::fe]:53"]
track_method = "dns"
interval = 2
timeout = 0.5
down = 3
up = 4
count = 2
reliability = 3
size = 16
max_ttl = 255
failure_interval = 0.1
recovery_interval = 0.25
keep_failure_interval = true
check_quality = true
failure_latency = 300
recovery_latency = 150
failure_loss = 100
recovery_loss = 0
metered = true
prefixes = ["2001:db8:1::/56", "2001:db8:2:3::1"]
source_routing = true
deprecate = true
)");
  ASSERT_EQ(config.wans.size(), 1U);
  const WanConfig expected{.name = "fiber",
                           .device = "eth0.2",
                           .gateway = {*Address::parse("192.0.2.1"), *Address::parse("fe80::1")},
                           .metric = 0xfffffeff,
                           .weight = 256,
                           .dns = {*Address::parse("192.0.2.53"), *Address::parse("fe80::53")},
                           .trackIp = test::targets({"9.9.9.9", "2620:fe::fe:53", "[2620:fe::fe]:53"}),
                           .trackMethod = TrackMethod::dns,
                           .interval = 2s,
                           .timeout = 500ms,
                           .down = 3,
                           .up = 4,
                           .count = 2,
                           .reliability = 3,
                           .size = 16,
                           .maxTtl = 255,
                           .failureInterval = 100ms,
                           .recoveryInterval = 250ms,
                           .keepFailureInterval = true,
                           .checkQuality = true,
                           .failureLatency = 300ms,
                           .recoveryLatency = 150ms,
                           .failureLoss = 100,
                           .recoveryLoss = 0,
                           .metered = true,
                           .prefixes = {*Prefix::parse("2001:db8:1::/56"), *Prefix::parse("2001:db8:2:3::1/128")},
                           .sourceRouting = true,
                           .deprecate = true};
  EXPECT_EQ(config.wans[0], expected);
}

TEST(Load, WansBehindTwoRoutersCanShareADevice) {
  const std::string first = "[[wan]]\nname = \"a\"\ndevice = \"eth0\"\n";
  const std::string second = "[[wan]]\nname = \"b\"\ndevice = \"eth0\"\ngateway = \"192.0.2.254\"\n";
  const std::string third = "[[wan]]\nname = \"c\"\ndevice = \"eth0\"\ngateway = [\"fe80::2\", \"192.0.2.253\"]\n";
  EXPECT_EQ(load(first + second).wans.size(), 2U);
  EXPECT_EQ(load(second + first).wans.size(), 2U);
  EXPECT_EQ(load(first + second + third).wans.size(), 3U);
}

TEST(Load, WanMetricsDefaultToTheirPosition) {
  const Config config = loadWithWans("");
  ASSERT_EQ(config.wans.size(), 2U);
  EXPECT_EQ(config.wans[0].metric, 1U);
  EXPECT_EQ(config.wans[1].metric, 2U);
  EXPECT_EQ(config.wans[1].trackMethod, TrackMethod::none);
}

TEST(Load, TrackAddressesAloneAreAskedByIcmp) {
  const Config config = load("[[wan]]\nname = \"a\"\ndevice = \"eth0\"\ntrack_ip = \"1.1.1.1\"\n");
  ASSERT_EQ(config.wans.size(), 1U);
  EXPECT_EQ(config.wans[0].trackMethod, TrackMethod::icmp);
  EXPECT_EQ(config.wans[0].trackIp, test::targets({"1.1.1.1"}));
}

TEST(Load, MemberMetricsDefaultToTheirPosition) {
  const Config config =
      loadWithWans("[[policy]]\nname = \"p\"\nuse_wan = [\"lte\", \"fiber\"]\nlast_resort = \"main\"\n");
  ASSERT_EQ(config.policies.size(), 1U);
  const std::vector<PolicyMember> expected{{"lte", 1, 1}, {"fiber", 2, 1}};
  EXPECT_EQ(config.policies[0].members, expected);
  EXPECT_EQ(config.policies[0].lastResort, LastResort::main);
}

TEST(Load, PoliciesSayHowRulesUseThem) {
  const Config config = load(
      "[[policy]]\nname = \"a\"\n[[policy]]\nname = \"b\"\nfailback = \"drain\"\ndrain_after = 90\nreset = "
      "true\nbalance = \"pair\"\n"
      "[[policy]]\nname = \"c\"\nfailback = \"move\"\nbalance = \"source\"\n"
      "[[policy]]\nname = \"d\"\nfailback = \"keep\"\nbalance = \"connection\"\nipv6 = \"none\"\n"
      "[[policy]]\nname = \"e\"\nipv6 = \"reject\"\n[[policy]]\nname = \"f\"\nipv6 = \"masquerade\"\n"
      "[[policy]]\nname = \"g\"\nipv6 = \"translate\"\n");
  const std::vector<PolicyConfig> expected{
      {.name = "a", .members = {}},
      {.name = "b",
       .members = {},
       .failback = Failback::drain,
       .drainAfter = std::chrono::seconds{90},
       .reset = true,
       .balance = Balance::pair},
      {.name = "c", .members = {}, .failback = Failback::move, .balance = Balance::source},
      {.name = "d", .members = {}, .failback = Failback::keep, .balance = Balance::connection},
      {.name = "e", .members = {}, .foreignSource = ForeignSource::reject},
      {.name = "f", .members = {}, .foreignSource = ForeignSource::masquerade},
      {.name = "g", .members = {}, .foreignSource = ForeignSource::translate}};
  EXPECT_EQ(config.policies, expected);
}

TEST(Load, MembersMayHaveMetricAndWeight) {
  const Config config = loadWithWans("[[policy]]\nname = \"p\"\nuse_wan = [\"lte:20\", \"fiber:20:3\"]\n");
  ASSERT_EQ(config.policies.size(), 1U);
  const std::vector<PolicyMember> expected{{"lte", 20, 1}, {"fiber", 20, 3}};
  EXPECT_EQ(config.policies[0].members, expected);
}

TEST(Load, APolicyWithoutListIsAllWans) {
  const Config config = load("[[policy]]\nname = \"leaky\"\nlast_resort = \"main\"\n");
  ASSERT_EQ(config.policies.size(), 1U);
  EXPECT_TRUE(config.policies[0].members.empty());
}

TEST(Load, ListsInPlaceMakeOnePolicyPerContent) {
  const Config config = loadWithWans(std::string{R"(
[[tunnel]]
interface = "wg0"
use_wan = ["fiber", "lte"]
[[tunnel]]
interface = "wg1"
use_wan = ["fiber:1:1", "lte:2"]
[[tunnel]]
interface = "wg2"
use_wan = ["fiber:5", "lte:5:2"]
[[peer]]
tunnel = "wg0"
public_key = ")"} + kKey + "\"\nuse_wan = [\"lte:20\"]\n");
  ASSERT_EQ(config.policies.size(), 3U);
  EXPECT_EQ(config.policies[0].name, "fiber+lte");
  EXPECT_EQ(config.policies[1].name, "fiber:5+lte:5:2");
  EXPECT_EQ(config.policies[2].name, "lte");
  EXPECT_EQ(config.policies[2].members, (std::vector<PolicyMember>{{"lte", 1, 1}}));
  EXPECT_EQ(config.tunnels[0].policy, "fiber+lte");
  EXPECT_EQ(config.tunnels[1].policy, "fiber+lte");
  EXPECT_EQ(config.tunnels[2].policy, "fiber:5+lte:5:2");
  ASSERT_EQ(config.peers.size(), 1U);
  EXPECT_EQ(config.peers[0].policy, "lte");
  EXPECT_EQ(config.peers[0].publicKey.toString(), kKey);
}

TEST(Load, AListInPlaceUsesADefinedPolicyOfTheSameContent) {
  const Config config = loadWithWans(
      "[[tunnel]]\ninterface = \"wg0\"\nuse_wan = [\"lte\", \"fiber\"]\n"
      "[[policy]]\nname = \"video\"\nuse_wan = [\"lte\", \"fiber\"]\n");
  EXPECT_EQ(config.policies.size(), 1U);
  EXPECT_EQ(config.tunnels.at(0).policy, "video");
}

TEST(Load, AListInPlaceNeverTakesTheNameOfAnotherPolicy) {
  const Config config = loadWithWans(
      "[[policy]]\nname = \"lte\"\nuse_wan = [\"lte\", \"fiber\"]\n"
      "[[tunnel]]\ninterface = \"wg0\"\nuse_wan = [\"lte\"]\n");
  ASSERT_EQ(config.policies.size(), 2U);
  EXPECT_EQ(config.tunnels.at(0).policy, "lte#2");
  EXPECT_EQ(config.policies[1].name, "lte#2");
}

TEST(Load, AWanMayBeCalledDefault) {
  const Config config = load(
      "[[wan]]\nname = \"default\"\ndevice = \"eth0\"\n[[tunnel]]\ninterface = \"wg0\"\nuse_wan = [\"default\"]\n");
  EXPECT_EQ(config.tunnels.at(0).policy, "default#2");
}

TEST(Load, ReadsATunnel) {
  const Config config = load(
      "[[tunnel]]\ninterface = \"wg0\"\nuse_policy = \"default\"\nrole = \"server\"\nstall = 30\nhold = 90\nenabled = "
      "false\n"
      "[[tunnel]]\ninterface = \"wg1\"\nbalance = true\nupdate_endpoint = false\n");
  ASSERT_EQ(config.tunnels.size(), 2U);
  const TunnelConfig expected{
      .interface = "wg0", .policy = "default", .role = Role::server, .stall = 30s, .hold = 90s, .enabled = false};
  EXPECT_EQ(config.tunnels[0], expected);
  EXPECT_EQ(config.tunnels[1].policy, kDefaultPolicy);
  EXPECT_TRUE(config.tunnels[1].balance);
  EXPECT_FALSE(config.tunnels[1].updateEndpoint);
}

TEST(Load, TakesEveryKindOfEndpoint) {
  const std::map<std::string, HostPort> endpoints{{"vpn.example.com:51820", {"vpn.example.com", 51820}},
                                                  {"vpn:1", {"vpn", 1}},
                                                  {"192.0.2.1:65535", {Address::v4(192, 0, 2, 1), 65535}},
                                                  {"[2001:db8::1]:51820", {*Address::parse("2001:db8::1"), 51820}},
                                                  {"a_b.example.com.:51820", {"a_b.example.com.", 51820}}};
  for (const auto& [text, endpoint] : endpoints) {
    const Config config =
        load("[[peer]]\ntunnel = \"wg0\"\npublic_key = \"" + std::string{kKey} + "\"\nendpoint = \"" + text + "\"\n");
    ASSERT_EQ(config.peers.size(), 1U);
    EXPECT_EQ(config.peers[0].endpoint, endpoint);
    EXPECT_FALSE(config.peers[0].policy);
  }
}

/// `count` WANs; "w1" to "wN" on eth1 to ethN.
std::string manyWans(int count) {
  std::string text;
  for (int i = 1; i <= count; ++i)
    text += "[[wan]]\nname = \"w" + std::to_string(i) + "\"\ndevice = \"eth" + std::to_string(i) + "\"\n";
  return text;
}

TEST(Load, FourteenWansAndTheDefaultPolicyUseUpTheDefaultMask) {
  EXPECT_EQ(load(manyWans(14)).wans.size(), 14U);
  const auto tooMany = loadText(manyWans(15), "t.toml");
  ASSERT_FALSE(tooMany);
  EXPECT_NE(tooMany.error().what.find("mark_mask: 0xf0000000 has 15 marks, but 16 are needed"), std::string::npos);
}

TEST(Load, AClosedPolicyOfOneWanNeedsNoMark) {
  const std::string closed = "[[policy]]\nname = \"p\"\nuse_wan = [\"w3\"]\n";
  EXPECT_EQ(load(manyWans(14) + closed).policies.size(), 1U);
  EXPECT_FALSE(loadText(manyWans(14) + closed + "last_resort = \"main\"\n", "t.toml"));
  EXPECT_FALSE(loadText(manyWans(14) + "[[tunnel]]\ninterface = \"wg0\"\nuse_wan = [\"w1\", \"w2\"]\n", "t.toml"));
}

}  // namespace
}  // namespace wgsteer::config
