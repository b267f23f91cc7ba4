// SPDX-License-Identifier: GPL-2.0-or-later
// For random rules and real packets, forwarded and sent by this host, the kernel does what the simulator says, and
// counts what a straight-line reading of the rules says. See also tests/core/traffic_properties_test.cpp.
//
//     lan0, lan1 (ethernet), site0 (a tunnel to 10.9.0.0/24)  ──  this host  ──  wan0, wan1
//
// We are the other end of each device. Foreign chains tell what passes: after our chains, to this host, and on its way
// out, once with the packet's mark and once with its connection's.
#include <gtest/gtest.h>
#include <map>
#include <poll.h>
#include <set>
#include <sstream>

#include "wgsteer/core/describe.hpp"
#include "wgsteer/core/desire.hpp"
#include "wgsteer/core/explain_traffic.hpp"
#include "wgsteer/core/plan.hpp"

#include "kernel/linux_kernel.hpp"
#include "support/netns.hpp"
#include "support/packet_log.hpp"
#include "support/random_traffic.hpp"
#include "support/raw_packets.hpp"
#include "support/worlds.hpp"

namespace wgsteer {
namespace {

using namespace test;

const std::map<IfName, std::array<const char*, 2>> kAddresses{{"lan0", {"192.168.5.1/24", "2001:db8:5::1/64"}},
                                                              {"lan1", {"192.168.6.1/24", "2001:db8:6::1/64"}},
                                                              {"site0", {"10.9.0.1/24", "fd09::1/64"}},
                                                              {"wan0", {"192.0.2.10/24", "2001:db8:10::10/64"}},
                                                              {"wan1", {"198.51.100.10/24", "2001:db8:20::10/64"}}};

const TrafficPools kPools{.inputs = {"lan0", "lan1", "site0"},
                          .wans = {"wan0", "wan1"},
                          .withoutMac = {"site0", "wan0", "wan1"},
                          .policies = {"fiber_first", "lte_first", "lte_only", "open"},
                          .sources = {*Address::parse("192.168.5.1"), *Address::parse("192.0.2.10"),
                                      *Address::parse("198.51.100.10"), *Address::parse("2001:db8:10::10"),
                                      *Address::parse("2001:db8:20::10"), *Address::parse("2001:db8:5::1")}};

constexpr const char* kWatch = R"(nft -f - <<'END'
table inet watch {
  chain quiet {
    type filter hook output priority -400;
    icmp type { echo-reply, destination-unreachable, redirect, time-exceeded } drop
    icmpv6 type { echo-reply, destination-unreachable, nd-redirect, time-exceeded } drop
  }
  chain arrived {
    type filter hook prerouting priority -100;
    iifname != "lo" log prefix "in" group 5 queue-threshold 1
  }
  chain delivered {
    type filter hook input priority 0;
    log prefix "here" group 5 queue-threshold 1
  }
  chain sent {
    type filter hook postrouting priority 400;
    oifname "lo" return
    log prefix "out" group 5 queue-threshold 1
    meta mark set ct mark log prefix "pin" group 5 queue-threshold 1
  }
}
END
)";

/// What is known about one packet.
struct Seen {
  std::optional<LoggedPacket> in, here, out, pin;
};

class TrafficKernel : public ::testing::TestWithParam<int> {
 protected:
  static void SetUpTestSuite() {
    for (const auto& [name, addresses] : kAddresses) {
      const bool lan = name.starts_with("lan");
      devices().try_emplace(name, name, lan ? OwnDevice::Kind::ethernet : OwnDevice::Kind::ip);
      shell((lan ? "ip link set " + name + " address 02:00:00:00:00:01; " : "") + "ip link set " + name +
            " addrgenmode none up; ip address add " + addresses[0] + " dev " + name + "; ip address add " +
            addresses[1] + " dev " + name + " nodad");
    }
    shell(
        "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=0;"
        "for device in lan0 lan1 site0 wan0 wan1; do sysctl -qw net.ipv4.conf.$device.rp_filter=0; done");
    shell(kWatch);
    shell("sysctl -qw net.netfilter.nf_conntrack_checksum=0");
  }
  static void TearDownTestSuite() { devices().clear(); }

  void SetUp() override {
    kernel_ = std::move(*kernel::LinuxKernel::open());
    shell(
        "ip route replace unreachable 10.8.0.0/24;"
        "for six in '' -6; do for wan in wan0 wan1; do"
        "  ip $six route del default dev $wan 2> /dev/null || :; done; done");
    // Named routers need no default route: then only the tables of WANs have one.
    if (!routersAreNamed())
      shell(
          "ip route add default dev wan0 metric 10; ip route add default dev wan1 metric 20;"
          "ip -6 route add default dev wan0 metric 10; ip -6 route add default dev wan1 metric 20");
  }
  void TearDown() override {
    const Numbers numbers{.markMask = kTrafficMarkMask};
    ASSERT_TRUE(kernel_->commit(diff(State{}, kernel_->observe(numbers)->observed), numbers).ok());
  }

  bool routersAreNamed() const { return GetParam() % 4 == 3; }

  Config configuration(Random& random) const {
    Config config = fiberAndLte();
    config.numbers.markMask = kTrafficMarkMask;
    config.policies = {policy("fiber_first", {{.wan = "fiber", .metric = 1}, {.wan = "lte", .metric = 2}}),
                       policy("lte_first", {{.wan = "lte", .metric = 1}, {.wan = "fiber", .metric = 2}}),
                       policy("lte_only", {{.wan = "lte", .metric = 1}}),
                       policy("open", {{.wan = "lte", .metric = 1}}, LastResort::main)};
    config.rules = randomRules(random, kPools);
    if (random.chance(50)) randomTreatments(random, config);
    if (!routersAreNamed()) return config;
    config.wans[0].gateway = {*Address::parse("192.0.2.1"), *Address::parse("fe80::1")};
    config.wans[1].gateway = {*Address::parse("198.51.100.1"), *Address::parse("fe80::2")};
    return config;
  }

  /// Applies the configuration, and has the state with the program of its chains.
  void apply(const Config& config, Random& random) {
    picture_ = *kernel_->observe(config.numbers, {.allRoutes = true});
    if (random.chance(20)) picture_.world.wansDown["fiber"] = WanDown{"probes"};
    if (random.chance(20)) picture_.world.wansDown["lte"] = WanDown{"probes"};
    const WansDown down = picture_.world.wansDown;
    State desired = desire(config, picture_.world);
    const CommitReport report = kernel_->commit(diff(desired, picture_.observed), config.numbers);
    ASSERT_TRUE(report.ok()) << report.failed.front().status.error().toString();
    picture_ = *kernel_->observe(config.numbers, {.allRoutes = true});
    picture_.world.wansDown = down;
    ASSERT_EQ(describe(diff(desired, picture_.observed), deviceNames(picture_.world)), std::vector<std::string>{});
    ASSERT_EQ(picture_.observed, desired);
    picture_.observed.nft->layout.traffic = desired.nft->layout.traffic;
  }

  /// One that conntrack has not seen, in either direction, and that the kernel does not drop for its source.
  FirstPacket newPacket(Random& random) {
    while (true) {
      FirstPacket first = randomPacket(random, kPools);
      const Packet& packet = first.packet;
      if (packet.inputDevice.starts_with("lan") && !first.sourceMac) continue;
      if (!packet.inputDevice.empty() && isOwnOrMany(*packet.source)) continue;
      if (packet.inputDevice.empty() && isOwnOrMany(packet.destination.address)) continue;
      // Of other protocols, not every kernel's conntrack knows the ports.
      const bool ports = packet.protocol == IPPROTO_TCP || packet.protocol == IPPROTO_UDP;
      const Endpoint from{*packet.source, ports ? packet.sourcePort : std::uint16_t{0}};
      const Endpoint to{packet.destination.address, ports ? packet.destination.port : std::uint16_t{0}};
      const auto ends = std::minmax(from, to);
      if (used().emplace(packet.protocol, ends.first, ends.second).second) return first;
    }
  }

  bool isOwnOrMany(const Address& address) const {
    return address.bytes().back() == 255 ||
           std::ranges::any_of(picture_.world.addresses, [&](const auto& own) { return own.address == address; });
  }

  static void send(const FirstPacket& first, std::uint32_t number) {
    if (first.packet.inputDevice.empty())
      sendHere(first, number);
    else
      devices().at(first.packet.inputDevice).arrive(first, number);
  }

  /// Until everything that the walks expect has been seen, or a while has passed in which it was not. The last packet's
  /// arrival means that all before it have been dealt with.
  std::map<std::uint32_t, Seen> watch(std::uint32_t first, const std::vector<TrafficWalk>& walks) {
    std::map<std::uint32_t, Seen> seen;
    for (int patience = 0; patience < 50; ++patience) {
      for (LoggedPacket& packet : log_.take()) {
        const auto number = numberOf(packet.bytes);
        if (!number) continue;
        Seen& each = seen[*number];
        auto& place = packet.prefix == "in"     ? each.in
                      : packet.prefix == "here" ? each.here
                      : packet.prefix == "out"  ? each.out
                                                : each.pin;
        place = std::move(packet);
      }
      bool whole = true;
      for (std::uint32_t i = 0; i < walks.size(); ++i) {
        const Outcome outcome = walks[i].walk.outcome;
        whole &= outcome != Outcome::device || seen[first + i].pin;
        whole &= outcome != Outcome::local || seen[first + i].here;
      }
      if (whole) return seen;
      ::poll(nullptr, 0, 20);
    }
    return seen;
  }

  /// By the name of the rule.
  static std::map<std::string, std::size_t> counted() {
    std::istringstream text(shell("nft list counters table inet wgsteer"));
    std::map<std::string, std::size_t> counts;
    std::string name;
    for (std::string word; text >> word;) {
      if (word.starts_with("rule_")) name = word.substr(5);
      if (word == "packets" && !name.empty()) text >> counts[std::exchange(name, "")];
    }
    return counts;
  }

  static std::map<IfName, OwnDevice>& devices() {
    static std::map<IfName, OwnDevice> all;
    return all;
  }
  /// Of the whole suite: connections outlive the test that made them.
  static std::set<std::tuple<std::uint8_t, Endpoint, Endpoint>>& used() {
    static std::set<std::tuple<std::uint8_t, Endpoint, Endpoint>> all;
    return all;
  }

  std::unique_ptr<kernel::LinuxKernel> kernel_;
  Picture picture_;
  PacketLog log_;
};

std::string text(const TrafficWalk& walk) {
  std::string all = walk.why + "\n";
  for (const WalkStep& step : walk.walk.steps) all += (step.matched ? " * " : "   ") + step.text + "\n";
  return all;
}

bool isTracked(const Packet& packet) {
  return packet.protocol == IPPROTO_TCP || packet.protocol == IPPROTO_UDP || packet.protocol == IPPROTO_ICMP;
}

void expectSame(const World& world, const Packet& packet, const TrafficWalk& walk, const Seen& seen) {
  EXPECT_EQ(seen.in.has_value(), !packet.inputDevice.empty());
  if (seen.in) {
    EXPECT_EQ(hex(seen.in->mark.value), hex(walk.walk.mark.value));
  }
  EXPECT_EQ(seen.here.has_value(), walk.walk.outcome == Outcome::local);
  const Link* link = seen.out ? world.link(seen.out->output) : nullptr;
  EXPECT_EQ(link == nullptr ? "" : link->name, walk.walk.device);
  if (seen.out) {
    EXPECT_EQ(hex(seen.out->mark.value), hex(walk.walk.mark.value));
  }
  if (seen.pin && isTracked(packet)) {
    EXPECT_EQ(hex(seen.pin->mark.value), hex(walk.connection.value));
  }
}

TEST_P(TrafficKernel, DoesWhatTheSimulatorSaysAndCountsWhatTheRulesSay) {
  constexpr std::uint32_t kPackets = 200;
  Random random{static_cast<std::uint64_t>(GetParam())};
  const Config config = configuration(random);
  ASSERT_NO_FATAL_FAILURE(apply(config, random));
  const Steering steering = steer(config, picture_.world);
  const auto byIpRules = [&](const Packet& packet) {
    const auto& asks = picture_.observed.nft->layout.traffic.program->asksForLocal;
    return packet.inputDevice.empty() && !asks.contains(packet.destination.address.family());
  };
  const std::uint32_t base = static_cast<std::uint32_t>(GetParam()) * kPackets;
  std::vector<FirstPacket> packets;
  std::vector<TrafficWalk> walks;
  std::map<std::string, std::size_t> expected;
  for (const RuleConfig& rule : config.rules) expected[rule.name] = 0;
  for (std::uint32_t i = 0; i < kPackets; ++i) {
    packets.push_back(newPacket(random));
    // What ip rules route needs sockets of its protocol: raw ones have no ports when their route is chosen. The system
    // test traffic_local has such.
    while (byIpRules(packets.back().packet)) packets.back() = newPacket(random);
    Packet& packet = packets.back().packet;
    if (packet.inputDevice.empty() && random.chance(30)) packet.mark = Mark{random.number(0x1000000)};
    walks.push_back(explain({config, picture_.world, steering, picture_.observed}, packets.back()));
    const bool asked = walks.back().reason == TrafficReason::rule || walks.back().reason == TrafficReason::noRule;
    const RuleConfig* rule = asked ? ruleFor(config.rules, packets.back()) : nullptr;
    if (rule != nullptr) ++expected[rule->name];
    send(packets.back(), base + i);
  }
  auto seen = watch(base, walks);
  for (std::uint32_t i = 0; i < kPackets; ++i) {
    SCOPED_TRACE(toString(packets[i]) + "\n" + toString(config.rules) + text(walks[i]));
    expectSame(picture_.world, packets[i].packet, walks[i], seen[base + i]);
    if (HasFailure()) return;
  }
  EXPECT_EQ(counted(), expected) << toString(config.rules);
}

/// With every condition that there is, in its longest form.
RuleConfig longest() {
  RuleConfig rule;
  rule.name = std::string(32, 'r');
  rule.policy = "fiber_first";
  rule.origin = Origin::forwarded;
  rule.source = {.any = {*Prefix::parse("192.0.2.0/24"), *Prefix::parse("2001:db8::/32")},
                 .none = {*Prefix::parse("192.0.2.9/32"), *Prefix::parse("2001:db8::9/128")}};
  rule.destination = {.any = {*Prefix::parse("203.0.113.0/24"), *Prefix::parse("2001:db8:1::/48")},
                      .none = {*Prefix::parse("203.0.113.9/32"), *Prefix::parse("2001:db8:1::9/128")}};
  rule.sourcePort = {.any = {{1000, 65535}}, .none = {{2000, 2000}}};
  rule.destinationPort = {.any = {{1, 1000}}, .none = {{22, 22}}};
  rule.protocol = {.any = {6, 17}, .none = {132}};
  rule.inputDevice = {.any = {"lan0"}, .none = {"lan1"}};
  rule.sourceMac = {.any = {{2, 0, 0x5e, 0, 0x53, 1}}, .none = {{2, 0, 0x5e, 0, 0x53, 2}}};
  for (std::uint8_t point = 0; point < 24; ++point) rule.dscp.none.push_back(point);
  return rule;
}

class TrafficListing : public TrafficKernel {};

/// As an `nft list ruleset > file` does that nftables.service loads at the next boot.
TEST_P(TrafficListing, OfTheLongestStatementLoadsBack) {
  Random random{1};
  Config config = configuration(random);
  config.rules = {longest()};
  ASSERT_NO_FATAL_FAILURE(apply(config, random));
  const std::string listing = shell("nft list table inet wgsteer");
  const std::string chain = shell("nft list chain inet wgsteer rules");
  EXPECT_NE(chain.find("ip6 dscp != cs1 "), std::string::npos) << chain;
  shell("nft delete table inet wgsteer; nft -f - <<'END'\n" + listing + "END");
  EXPECT_EQ(shell("nft list chain inet wgsteer rules"), chain);
}

INSTANTIATE_TEST_SUITE_P(Longest, TrafficListing, ::testing::Values(1));

INSTANTIATE_TEST_SUITE_P(Lists, TrafficKernel, ::testing::Range(1, 61));

}  // namespace
}  // namespace wgsteer

int main(int argc, char** argv) { return wgsteer::test::runInOwnNetwork(argc, argv); }
