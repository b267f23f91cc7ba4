// SPDX-License-Identifier: GPL-2.0-or-later
// Rules for any traffic: what each option is converted to, what is said about wrong ones, and the marks that they need.
#include <chrono>
#include <gtest/gtest.h>
#include <optional>
#include <string>
#include <vector>

#include "config/load.hpp"
#include "config/values.hpp"

namespace wgsteer::config {
namespace {

using namespace std::chrono_literals;

/// WANs a (eth0) and b (eth1) on lines 1 to 6.
const std::string kWans = "[[wan]]\nname = \"a\"\ndevice = \"eth0\"\n[[wan]]\nname = \"b\"\ndevice = \"eth1\"\n";

/// A rule on line 7, with the options from line 9 on.
std::string rule(const std::string& options) { return kWans + "[[rule]]\nuse_policy = \"default\"\n" + options + "\n"; }

Config load(const std::string& text) {
  const auto config = loadText(text, "f");
  EXPECT_TRUE(config) << text << "\n" << config.error().what;
  return config.value_or(Config{});
}

RuleConfig ruleWith(const std::string& options) {
  const Config config = load(rule(options));
  EXPECT_EQ(config.rules.size(), 1U);
  return config.rules.empty() ? RuleConfig{} : config.rules.front();
}

std::string errorOf(const std::string& text) {
  const auto config = loadText(text, "f");
  return config ? "loads" : config.error().what;
}

std::vector<Prefix> prefixes(const std::vector<const char*>& texts) {
  std::vector<Prefix> all;
  for (const char* text : texts) all.push_back(*Prefix::parse(text));
  return all;
}

TEST(Rules, EveryOptionIsRead) {
  const RuleConfig expected{
      .name = "tv",
      .source = {.any = prefixes({"192.168.5.40", "192.168.6.0/24", "2001:db8:6::/64"}),
                 .none = prefixes({"192.168.6.9"})},
      .destination = {.any = prefixes({"198.51.100.0/24", "2001:db8::1"}), .none = {}},
      .sourcePort = {.any = {{1000, 2000}}, .none = {{1500, 1500}}},
      .destinationPort = {.any = {{80, 80}, {443, 443}, {1, 65535}}, .none = {}},
      .protocol = {.any = {6, 17, 132}, .none = {}},
      .family = std::nullopt,
      .inputDevice = {.any = {"br-lan"}, .none = {"br-guest"}},
      .origin = Origin::forwarded,
      .sourceMac = {.any = {{0x02, 0x00, 0x5e, 0x00, 0x53, 0xff}}, .none = {}},
      .dscp = {.any = {46, 0, 34}, .none = {1}},
      .policy = "a",
      .sticky = true,
      .timeout = 604800s,
  };
  const Config config = load(kWans + R"([[policy]]
name = "a"
use_wan = ["a"]
[[rule]]
name = "tv"
src_ip = ["192.168.5.40", "192.168.6.0/24", "2001:db8:6::/64", "!192.168.6.9"]
dest_ip = ["198.51.100.7/24", "2001:db8::1"]
src_port = ["1000-2000", "!1500"]
dest_port = ["80", 443, "1-65535"]
proto = ["tcp", "17", 132]
family = "any"
src_iface = ["br-lan", "!br-guest"]
origin = "forwarded"
src_mac = "02:00:5E:00:53:ff"
dscp = ["ef", 0, "34", "!le"]
use_policy = "a"
sticky = true
timeout = 604800
enabled = true
)");
  ASSERT_EQ(config.rules.size(), 1U);
  EXPECT_EQ(config.rules.front(), expected);
}

TEST(Rules, OneWithoutSelectorsTakesEverything) {
  const RuleConfig expected{.name = "1", .policy = "default"};
  EXPECT_EQ(ruleWith(""), expected);
}

TEST(Rules, KeepTheirOrderAndAreNamedByTheirPosition) {
  const Config config = load(
      "[[rule]]\nuse_policy = \"default\"\n[[rule]]\nname = \"z\"\nuse_policy = \"default\"\n"
      "[[rule]]\nuse_policy = \"default\"\nenabled = false\n[[rule]]\nuse_policy = \"main\"\n");
  ASSERT_EQ(config.rules.size(), 3U) << "the third is not enabled";
  EXPECT_EQ(config.rules[0].name, "1");
  EXPECT_EQ(config.rules[1].name, "z");
  EXPECT_EQ(config.rules[2].name, "4");
}

TEST(Rules, MayOnlyExclude) {
  const RuleConfig found = ruleWith("src_ip = \"!192.0.2.1\"\nproto = \"!icmp\"");
  EXPECT_TRUE(found.source.any.empty());
  EXPECT_EQ(found.source.none, prefixes({"192.0.2.1"}));
  EXPECT_EQ(found.protocol.none, (std::vector<std::uint8_t>{1}));
}

TEST(Rules, PortsAloneMeanTcpAndUdp) {
  const std::vector<std::uint8_t> both{6, 17};
  EXPECT_EQ(ruleWith("dest_port = 443").protocol.any, both);
  EXPECT_EQ(ruleWith("src_port = 443\nproto = \"all\"").protocol.any, both);
  EXPECT_EQ(ruleWith("src_port = \"!443\"").protocol.any, both);
  EXPECT_EQ(ruleWith("src_port = 443\nproto = \"!tcp\"").protocol.any, (std::vector<std::uint8_t>{17}));
  EXPECT_EQ(ruleWith("src_port = 443\nproto = \"sctp\"").protocol.any, (std::vector<std::uint8_t>{132}));
  EXPECT_TRUE(ruleWith("proto = \"all\"").protocol.empty());
  EXPECT_TRUE(ruleWith("proto = [\"any\"]").protocol.empty());
}

TEST(Rules, KnowTheUsualProtocols) {
  const std::vector<std::pair<const char*, std::uint8_t>> known{
      {"tcp", 6},   {"udp", 17}, {"icmp", 1}, {"icmpv6", 58}, {"ipv6-icmp", 58}, {"udplite", 136}, {"sctp", 132},
      {"dccp", 33}, {"esp", 50}, {"ah", 51},  {"gre", 47},    {"igmp", 2},       {"0", 0},         {"255", 255}};
  for (const auto& [name, number] : known)
    EXPECT_EQ(ruleWith("proto = \"" + std::string{name} + "\"").protocol.any, (std::vector{number})) << name;
}

TEST(Rules, KnowTheNamesOfDscps) {
  for (int major = 0; major < 8; ++major)
    EXPECT_EQ(parseDscp({ValueType::text, "cs" + std::to_string(major), 0}), 8 * major);
  for (int major = 1; major < 5; ++major)
    for (int minor = 1; minor < 4; ++minor)
      EXPECT_EQ(parseDscp({ValueType::text, "af" + std::to_string(major) + std::to_string(minor), 0}),
                8 * major + 2 * minor);
  const std::vector<std::pair<const char*, std::uint8_t>> others{{"ef", 46}, {"be", 0},    {"va", 44},
                                                                 {"le", 1},  {"lephb", 1}, {"63", 63}};
  for (const auto& [name, number] : others) EXPECT_EQ(parseDscp({ValueType::text, name, 0}), number) << name;
}

TEST(Rules, FamiliesAndOriginsHaveNames) {
  EXPECT_EQ(ruleWith("family = \"ipv4\"").family, Family::v4);
  EXPECT_EQ(ruleWith("family = \"ipv6\"").family, Family::v6);
  EXPECT_EQ(ruleWith("family = \"any\"").family, std::nullopt);
  EXPECT_EQ(ruleWith("origin = \"local\"").origin, Origin::local);
  EXPECT_EQ(ruleWith("origin = \"any\"").origin, Origin::any);
}

TEST(Rules, UseAPolicyAListOrAWord) {
  const auto used = [](const std::string& use) {
    const Config config = load(kWans + "[[policy]]\nname = \"p\"\nuse_wan = [\"b\", \"a\"]\n[[rule]]\n" + use);
    return config.rules.empty() ? RuleConfig{} : config.rules.front();
  };
  EXPECT_EQ(used("use_policy = \"p\"\n").policy, "p");
  EXPECT_EQ(used("use_wan = [\"b\", \"a\"]\n").policy, "p");
  EXPECT_EQ(used("use_wan = [\"a\", \"b:5:2\"]\n").policy, "a+b:5:2");
  EXPECT_EQ(used("use_policy = \"default\"\n").use, RuleUse::policy);
  EXPECT_EQ(used("use_policy = \"main\"\n").use, RuleUse::main);
  EXPECT_EQ(used("use_policy = \"unreachable\"\n").use, RuleUse::unreachable);
  EXPECT_EQ(used("use_policy = \"blackhole\"\n").use, RuleUse::blackhole);
  EXPECT_EQ(used("use_policy = \"blackhole\"\n").policy, "");
}

TEST(Rules, AListInPlaceDoesNotTakeAPolicyThatDoesMore) {
  const Config config =
      load(kWans + "[[policy]]\nname = \"p\"\nuse_wan = [\"a\"]\nfailback = \"move\"\n[[rule]]\nuse_wan = \"a\"\n");
  EXPECT_EQ(config.rules.at(0).policy, "a");
  EXPECT_EQ(config.policies.size(), 2U);
}

TEST(Rules, AListInPlaceNeverIsAReservedWord) {
  const Config config =
      load("[[wan]]\nname = \"main\"\ndevice = \"eth0\"\n[[tunnel]]\ninterface = \"wg0\"\nuse_wan = \"main\"\n");
  EXPECT_EQ(config.tunnels.at(0).policy, "main#2");
}

TEST(Rules, OneThatIsNotEnabledIsCheckedAndLeavesNothing) {
  const std::string off = "[[rule]]\nenabled = false\nuse_wan = [\"b\", \"a\"]\n";
  EXPECT_EQ(load(kWans + off), load(kWans));
  EXPECT_EQ(errorOf(kWans + off + "dscp = 64\n"),
            "f:10: dscp: '64' is not a DSCP, allowed: 0..63, cs0 to cs7, af11 to af43, ef, be, va, le");
  EXPECT_EQ(errorOf(kWans + off + "[[rule]]\nenabled = false\nuse_wan = \"c\"\n"),
            "f:12: use_wan: WAN 'c' is not defined");
}

struct Case {
  const char* name;
  std::string text;
  std::string expected;  ///< complete; "f:" is the file
};

void PrintTo(const Case& value, std::ostream* out) { *out << value.name; }

const std::string kPrefixRule = " is neither an address nor a prefix like 192.0.2.0/24 or 2001:db8::/32";
const std::string kPortRule = " is not a port or a range like 1000-2000, allowed: 1..65535";
const std::string kProtocolRule = " is not a protocol, allowed: a name like tcp, or 0..255";
const std::string kMacRule = " is not a hardware address like 02:00:5e:00:53:01";
const std::string kDscpRule = " is not a DSCP, allowed: 0..63, cs0 to cs7, af11 to af43, ef, be, va, le";

const std::vector<Case> kValueCases{
    {"Empty", "[[rule]]\n", "f:1: use_policy: missing: every rule needs use_policy or use_wan"},
    {"BothUses", rule("use_wan = [\"a\"]"), "f:9: use_wan: cannot be combined with use_policy"},
    {"WordAndList", kWans + "[[rule]]\nuse_policy = \"main\"\nuse_wan = [\"a\"]\n",
     "f:9: use_wan: cannot be combined with use_policy"},
    {"UnknownPolicy", "[[policy]]\nname = \"video\"\n[[rule]]\nuse_policy = \"vidoe\"\n",
     "f:4: use_policy: policy 'vidoe' is not defined, did you mean 'video'?"},
    {"NearAWord", "[[rule]]\nuse_policy = \"unreachabel\"\n",
     "f:2: use_policy: policy 'unreachabel' is not defined, did you mean 'unreachable'?"},
    {"UnknownWan", kWans + "[[rule]]\nuse_wan = [\"c\"]\n", "f:8: use_wan: WAN 'c' is not defined"},
    {"ReservedMain", "[[policy]]\nname = \"main\"\n",
     "f:2: name: 'main' is reserved: a rule's use_policy gives it another meaning"},
    {"ReservedUnreachable", "[[policy]]\nname = \"unreachable\"\n",
     "f:2: name: 'unreachable' is reserved: a rule's use_policy gives it another meaning"},
    {"ReservedBlackhole", "[[policy]]\nname = \"blackhole\"\n",
     "f:2: name: 'blackhole' is reserved: a rule's use_policy gives it another meaning"},
    {"NearOption", rule("dst_ip = \"192.0.2.1\""), "f:9: 'dst_ip': unknown option of rule, did you mean 'dest_ip'?"},
    {"Twice", rule("name = \"x\"") + "[[rule]]\nname = \"x\"\nuse_policy = \"default\"\n",
     "f:11: name: rule 'x' is already defined on line 9"},
    {"PositionTaken", rule("name = \"2\"") + "[[rule]]\nuse_policy = \"default\"\n",
     "f:10: name: rule '2' is already defined on line 9"},
    {"Name", rule("name = \"a b\""),
     "f:9: name: 'a b' is not a valid name: use letters, digits, '_', '-' and '.', at most 32, not starting with '-'"},
    {"SourceName", rule("src_ip = [\"192.0.2.1\",\n\"tv.lan\"]"), "f:10: src_ip: 'tv.lan'" + kPrefixRule},
    {"SourceLength", rule("src_ip = \"192.0.2.0/33\""), "f:9: src_ip: '192.0.2.0/33'" + kPrefixRule},
    {"SourceNumber", rule("src_ip = 1"), "f:9: src_ip: is an integer, must be a string"},
    {"SourceNone", rule("src_ip = []"), "f:9: src_ip: is an empty list, must have at least one entry"},
    {"Destination", rule("dest_ip = \"!2001:db8::/129\""), "f:9: dest_ip: '2001:db8::/129'" + kPrefixRule},
    {"ExclusionOfNothing", rule("dest_ip = \"!\""), "f:9: dest_ip: is empty"},
    {"PortZero", rule("src_port = 0"), "f:9: src_port: '0'" + kPortRule},
    {"PortHigh", rule("dest_port = \"65536\""), "f:9: dest_port: '65536'" + kPortRule},
    {"PortsReversed", rule("dest_port = \"2-1\""), "f:9: dest_port: '2-1'" + kPortRule},
    {"PortsThree", rule("dest_port = \"1-2-3\""), "f:9: dest_port: '1-2-3'" + kPortRule},
    {"PortsOpen", rule("dest_port = \"!1-\""), "f:9: dest_port: '1-'" + kPortRule},
    {"PortName", rule("dest_port = \"https\""), "f:9: dest_port: 'https'" + kPortRule},
    {"PortFlag", rule("dest_port = true"), "f:9: dest_port: is true or false, must be a port or a range of ports"},
    {"Protocol", rule("proto = \"ucp\""), "f:9: proto: 'ucp'" + kProtocolRule + ", did you mean 'tcp'?"},
    {"ProtocolHigh", rule("proto = 256"), "f:9: proto: '256'" + kProtocolRule},
    {"ProtocolFlag", rule("proto = true"), "f:9: proto: is true or false, must be a protocol"},
    {"Family", rule("family = \"inet\""), "f:9: family: 'inet' is unknown, allowed: any | ipv4 | ipv6"},
    {"Device", rule("src_iface = \"!a/b\""),
     "f:9: src_iface: 'a/b' is not an interface name: spaces, '/' and ':' are not allowed"},
    {"Origin", rule("origin = \"lan\""), "f:9: origin: 'lan' is unknown, allowed: any | forwarded | local"},
    {"MacShort", rule("src_mac = \"02:00:5e:00:53\""), "f:9: src_mac: '02:00:5e:00:53'" + kMacRule},
    {"MacLetters", rule("src_mac = \"02:00:5e:00:53:0g\""), "f:9: src_mac: '02:00:5e:00:53:0g'" + kMacRule},
    {"MacDigits", rule("src_mac = \"2:00:5e:00:53:001\""), "f:9: src_mac: '2:00:5e:00:53:001'" + kMacRule},
    {"Dscp", rule("dscp = \"af14\""), "f:9: dscp: 'af14'" + kDscpRule + ", did you mean 'af11'?"},
    {"DscpFlag", rule("dscp = false"), "f:9: dscp: is true or false, must be a DSCP"},
    {"Sticky", rule("sticky = 1"), "f:9: sticky: is an integer, must be true or false"},
    {"TimeoutZero", rule("sticky = true\ntimeout = 0"), "f:10: timeout: 0 is out of range, allowed: 1..604800"},
    {"TimeoutLong", rule("sticky = true\ntimeout = 604801"),
     "f:10: timeout: 604801 is out of range, allowed: 1..604800"},
    {"Enabled", rule("enabled = \"yes\""), "f:9: enabled: is a string, must be true or false"},
};

const std::vector<Case> kContradictions{
    {"FamilyOfSource", rule("family = \"ipv4\"\nsrc_ip = [\"192.0.2.1\",\n\"2001:db8::1\"]"),
     "f:11: src_ip: '2001:db8::1' is IPv6, but family is ipv4: remove one of them"},
    {"FamilyOfDestination", rule("family = \"ipv6\"\ndest_ip = \"!192.0.2.1\""),
     "f:10: dest_ip: '!192.0.2.1' is IPv4, but family is ipv6: remove one of them"},
    {"TwoFamilies", rule("src_ip = \"192.0.2.1\"\ndest_ip = [\"2001:db8::/32\", \"!192.0.2.9\"]"),
     "f:10: dest_ip: is IPv6 alone, and src_ip is IPv4 alone: no packet has both; write a rule for each family"},
    {"NothingIsGuessedFromWhatIsWrong", rule("src_ip = \"2001:db8::1\"\ndest_ip = [\n\"x\"]"),
     "f:11: dest_ip: 'x'" + kPrefixRule},
    {"PortsOfIcmp", rule("proto = [\"tcp\",\n\"icmp\"]\nsrc_port = 7"),
     "f:10: proto: 'icmp' has no ports, but there is a src_port: only tcp, udp, udplite, sctp and dccp have; write a "
     "rule of its own without ports"},
    {"PortsOfNothing", rule("proto = [\"!tcp\", \"!17\"]\ndest_port = 7"),
     "f:9: proto: excludes tcp and udp, which dest_port alone means: name the protocol instead"},
    {"AllAndOne", rule("proto = [\"tcp\", \"all\"]"),
     "f:9: proto: 'all' means every protocol: remove it, or all others"},
    {"NotAll", rule("proto = \"!any\""), "f:9: proto: '!any' leaves no protocol: remove it"},
    {"LocalFromADevice", rule("origin = \"local\"\nsrc_iface = \"br-lan\""),
     "f:10: src_iface: cannot be combined with origin local: only what arrives has one; remove one of them"},
    {"LocalFromAMac", rule("src_mac = \"!02:00:5e:00:53:01\"\norigin = \"local\""),
     "f:9: src_mac: cannot be combined with origin local: only what arrives has one; remove one of them"},
    {"PrefixExcluded", rule("src_ip = [\"192.0.2.1/24\",\n\"!192.0.2.0/24\"]"),
     "f:9: src_ip: '192.0.2.1/24' is excluded as well, by '!192.0.2.0/24': remove one of them"},
    {"ProtocolExcluded", rule("proto = [\"!6\", \"tcp\"]"),
     "f:9: proto: 'tcp' is excluded as well, by '!6': remove one of them"},
    {"PortExcluded", rule("dest_port = [\"!443\", 443]"),
     "f:9: dest_port: '443' is excluded as well, by '!443': remove one of them"},
    {"DscpExcluded", rule("dscp = [\"be\", \"!cs0\"]"),
     "f:9: dscp: 'be' is excluded as well, by '!cs0': remove one of them"},
    {"PrefixInsideAnExcludedOne", rule("src_ip = [\"192.168.5.40\",\n\"!192.168.0.0/16\"]"),
     "f:9: src_ip: '192.168.5.40' is excluded as well, by '!192.168.0.0/16': remove one of them"},
    {"PrefixesInsideExcludedOnes", rule("src_ip = [\"!10.0.0.0/9\", \"10.0.0.0/8\", \"!10.128.0.0/9\"]"),
     "f:9: src_ip: all that it selects is excluded as well, so that nothing matches: remove an exclusion"},
    {"BothFamiliesExcluded", rule("src_ip = [\"!0.0.0.0/0\", \"!::/0\"]"),
     "f:9: src_ip: excludes everything, so that nothing matches: remove an exclusion"},
    {"TheOnlyFamilyExcluded", rule("family = \"ipv6\"\ndest_ip = \"!::/0\""),
     "f:10: dest_ip: excludes everything, so that nothing matches: remove an exclusion"},
    {"EachExcludesTheOthersFamily", rule("src_ip = \"!0.0.0.0/0\"\ndest_ip = \"!::/0\""),
     "f:10: dest_ip: leaves one family alone, and src_ip the other: no packet has both; remove an exclusion"},
    {"PortInsideExcludedOnes", rule("dest_port = [\"80\", \"!1-1000\"]"),
     "f:9: dest_port: '80' is excluded as well, by '!1-1000': remove one of them"},
    {"EveryPortExcluded", rule("src_port = \"!1-65535\""),
     "f:9: src_port: excludes everything, so that nothing matches: remove an exclusion"},
    {"GroupAsSender", rule("src_mac = \"ff:ff:ff:ff:ff:ff\""),
     "f:9: src_mac: 'ff:ff:ff:ff:ff:ff' is an address of a group, which no sender has: name others"},
    {"GroupsAsSenders", rule("src_mac = [\"01:00:5e:00:00:fb\", \"33:33:00:00:00:01\"]"),
     "f:9: src_mac: all that it selects is an address of a group, which no sender has: name others"},
    {"Multicast", rule("dest_ip = \"224.0.0.0/4\""),
     "f:9: dest_ip: '224.0.0.0/4' is multicast or broadcast, which is left alone whatever rules say: name other "
     "addresses"},
    {"MulticastOfBothFamilies", rule("dest_ip = [\"ff02::fb\", \"255.255.255.255\"]"),
     "f:9: dest_ip: all that it selects is multicast or broadcast, which is left alone whatever rules say: name other "
     "addresses"},
    {"MulticastAsSender", rule("src_ip = \"239.1.2.3\""),
     "f:9: src_ip: '239.1.2.3' is an address of a group, which no sender has: name others"},
    {"StickyMain", kWans + "[[rule]]\nuse_policy = \"main\"\nsticky = true\n",
     "f:9: sticky: cannot be combined with use_policy 'main': only WANs can be remembered; remove it, or name a "
     "policy"},
    {"StickyBlackhole", kWans + "[[rule]]\nuse_policy = \"blackhole\"\nsticky = true\n",
     "f:9: sticky: cannot be combined with use_policy 'blackhole': only WANs can be remembered; remove it, or name a "
     "policy"},
    {"TimeoutAlone", rule("timeout = 60"), "f:9: timeout: means nothing without sticky: turn that on, or remove this"},
    {"TimeoutNotSticky", rule("sticky = false\ntimeout = 60"),
     "f:10: timeout: means nothing without sticky: turn that on, or remove this"},
    {"OneErrorForEachMistake", rule("src_ip = [\"x\", \"!0.0.0.0/0\"]\nfamily = \"ipv6\""),
     "f:9: src_ip: 'x'" + kPrefixRule},
};

/// What looks like a contradiction, but leaves packets that match.
TEST(RuleSelectors, MayLeaveOneFamilyAlone) {
  for (const std::string options :
       {"src_ip = [\"192.0.2.0/24\", \"2001:db8::/32\", \"!2001:db8::/16\"]", "src_ip = \"!0.0.0.0/0\"",
        "dest_ip = [\"224.0.0.0/4\", \"2001:db8::/32\"]", "dest_ip = \"!224.0.0.0/4\"",
        "src_ip = [\"10.0.0.0/8\", \"!10.0.0.0/9\"]", "dest_port = [\"80\", \"443\", \"!1-100\"]",
        "dest_port = [\"!1-79\", \"!81-65535\"]", "src_mac = [\"02:00:5e:00:53:01\", \"ff:ff:ff:ff:ff:ff\"]"})
    EXPECT_EQ(errorOf(rule(options)), "loads") << options;
}

TEST(RuleSelectors, ThatExcludeEveryNumberLeaveNothing) {
  std::string all;
  for (int number = 0; number < 64; ++number) all += "\"!" + std::to_string(number) + "\",\n";
  EXPECT_EQ(errorOf(rule("dscp = [" + all + "]")),
            "f:9: dscp: excludes everything, so that nothing matches: remove an exclusion");
}

class RuleErrors : public ::testing::TestWithParam<Case> {};

TEST_P(RuleErrors, AreLocatedAndSayWhatIsAllowed) { EXPECT_EQ(errorOf(GetParam().text), GetParam().expected); }

std::string nameOf(const ::testing::TestParamInfo<Case>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(Value, RuleErrors, ::testing::ValuesIn(kValueCases), nameOf);
INSTANTIATE_TEST_SUITE_P(Contradiction, RuleErrors, ::testing::ValuesIn(kContradictions), nameOf);

TEST(RuleMarks, WidenTheMaskUnlessItIsGiven) {
  EXPECT_EQ(load(kWans).numbers.markMask, kDefaultMarkMask);
  EXPECT_EQ(load(rule("")).numbers.markMask, kTrafficMarkMask);
  EXPECT_EQ(load(rule("enabled = false")).numbers.markMask, kDefaultMarkMask);
  EXPECT_EQ(load("[globals]\nmark_mask = \"0xf0000000\"\n" + rule("")).numbers.markMask, 0xf0000000U);
}

/// With a mask of four bits: two WANs and the default policy need 3 marks, and their rules at least 2 more.
std::string marks(const std::string& rules) { return "[globals]\nmark_mask = 0xf0000000\n" + kWans + rules; }

std::string using_(const std::string& policy) { return "[[rule]]\nuse_policy = \"" + policy + "\"\n"; }

TEST(RuleMarks, AreCountedForEachPolicyAndItsWans) {
  const std::string sticky = using_("default") + "sticky = true\n";
  // 5, and 3 for each policy of two WANs: 5 + 3 * 3 = 14.
  EXPECT_EQ(errorOf(marks(sticky + sticky + using_("default") + using_("default"))), "loads");
  EXPECT_EQ(errorOf(marks(sticky + sticky + using_("default") + using_("main") + using_("blackhole"))), "loads");
  const std::string parts =
      "(WANs: 2, policies of more than one WAN: 0, default policy: 1, for rules once more WANs: 2, ";
  EXPECT_EQ(errorOf(marks(sticky + sticky + using_("default") + using_("blackhole") + using_("unreachable") +
                          using_("unreachable"))),
            "f:2: mark_mask: 0xf0000000 has 15 marks, but 16 are needed " + parts +
                "policies: 3, WANs of these: 6, unreachable and blackhole: 2); widen it, for example to 0xff000000");
}

TEST(RuleMarks, OfAListInPlaceAreThoseOfAPolicy) {
  const std::string one = "[[rule]]\nuse_wan = \"a\"\n";
  const std::string two = "[[rule]]\nuse_wan = [\"a\", \"b\"]\n";
  // 5, 2 for the list of one, 4 for the list of two, which tunnels could use as well, 3 for the default policy.
  const std::string fourteen = one + one + two + using_("default");
  EXPECT_EQ(errorOf(marks(fourteen + using_("blackhole"))), "loads");
  EXPECT_NE(errorOf(marks(fourteen + using_("blackhole") + using_("unreachable"))), "loads");
}

TEST(RuleMarks, NoMaskHasMoreThan255) {
  std::string text = kWans;
  for (int i = 0; i < 84; ++i) text += using_("default") + "sticky = true\n";
  EXPECT_EQ(errorOf(text),
            "f: mark_mask: 0xff000000 has 255 marks, but 257 are needed (WANs: 2, policies of more than one WAN: 0, "
            "default policy: 1, for rules once more WANs: 2, policies: 84, WANs of these: 168, unreachable and "
            "blackhole: 0); no mask has more than 255: use fewer WANs, policies or sticky rules");
}

}  // namespace
}  // namespace wgsteer::config
