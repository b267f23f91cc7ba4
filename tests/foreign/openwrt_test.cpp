// SPDX-License-Identifier: GPL-2.0-or-later
// netifd's and mwan3's files, and what an import makes of them.
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>

#include "config/load.hpp"
#include "config/schema.hpp"
#include "config/write.hpp"
#include "foreign/import_mwan3.hpp"

namespace wgsteer::foreign {
namespace {

std::string sample(const std::string& name) {
  std::ifstream file{std::string{WGSTEER_OPENWRT} + "/" + name};
  return {std::istreambuf_iterator<char>{file}, {}};
}

TEST(Netifd, ReadsTunnelsAndPeers) {
  const Network network = readNetwork(sample("network"));
  const NetifdInterface* wg0 = network.find("wg0");
  ASSERT_NE(wg0, nullptr);
  EXPECT_TRUE(wg0->isTunnel());
  EXPECT_FALSE(wg0->noHostRoute);
  ASSERT_EQ(wg0->peers.size(), 1U);
  EXPECT_EQ(wg0->peers[0].endpointHost, "203.0.113.55");
  EXPECT_EQ(wg0->peers[0].endpointPort, "51821");
  EXPECT_TRUE(wg0->peers[0].routeAllowedIps);
  const NetifdInterface* wgs = network.find("wgs");
  ASSERT_NE(wgs, nullptr);
  EXPECT_TRUE(wgs->noHostRoute);
  EXPECT_EQ(wgs->tunlink, "wanb");
  EXPECT_EQ(wgs->fwmark, "0x42");
  EXPECT_EQ(wgs->listenPort, "51900");
  ASSERT_EQ(wgs->peers.size(), 2U);
  EXPECT_EQ(wgs->peers[0].allowedIps, (std::vector<std::string>{"10.8.0.2/32", "10.8.0.3/32"}));
  EXPECT_EQ(wgs->peers[1].endpointPort, "51820");
  EXPECT_TRUE(wgs->peers[1].disabled);
}

TEST(Netifd, KnowsDevicesAsFarAsTheFileTells) {
  const Interfaces devices = devicesOf(readNetwork(sample("network")));
  const Interfaces expected{
      {"loopback", "lo"}, {"lan", "br-lan"}, {"wan", "pppoe-wan"}, {"wan6", "pppoe-wan"}, {"wanb", "eth2.7"}};
  EXPECT_EQ(devices, expected);
}

TEST(Netifd, AliasesOfEachOtherHaveNoDevice) {
  EXPECT_TRUE(devicesOf(readNetwork("config interface a\noption proto static\noption device @b\n"
                                    "config interface b\noption proto static\noption device @a\n"))
                  .empty());
}

TEST(Interfaces, AreReadLineByLine) {
  const Interfaces expected{{"wan", "pppoe-wan"}, {"lte", "wwan0"}};
  EXPECT_EQ(
      readInterfaces("wan eth1\nwan  pppoe-wan\r\n\nlte\twwan0\nhalf\nthree words here\nlong averyverylongname\n"),
      expected);
}

TEST(Interfaces, GiveWansTheirDevices) {
  auto config = config::loadText(
      "config wan a\noption interface wan\nconfig wan b\noption device eth2\nconfig wan c\noption interface wan6\n"
      "config wan d\noption interface lte\nconfig wan e\noption interface other\n",
      "/etc/config/wgsteer");
  ASSERT_TRUE(config) << config.error().what;
  const auto devices = [&] {
    std::string all;
    for (const WanConfig& wan : config->wans) all += wan.device + ",";
    return all;
  };
  EXPECT_EQ(devices(), ",eth2,,,,");
  resolve(*config, readInterfaces("wan pppoe-wan\nwan6 pppoe-wan\nlte wwan0\nother eth2\n"));
  EXPECT_EQ(devices(), "pppoe-wan,eth2,,wwan0,,");
  // Down again, and only the IPv6 interface is left.
  resolve(*config, readInterfaces("wan6 pppoe-wan\n"));
  EXPECT_EQ(devices(), ",eth2,pppoe-wan,,,");
}

TEST(Interfaces, MayShareADeviceBehindTwoRouters) {
  auto config = config::loadText(
      "config wan a\noption interface wan\nconfig wan b\noption interface wanb\noption gateway 192.0.2.254\n"
      "config wan c\noption interface wanc\nlist gateway 192.0.2.254\n",
      "/etc/config/wgsteer");
  ASSERT_TRUE(config) << config.error().what;
  resolve(*config, readInterfaces("wan eth1\nwanb eth1\nwanc eth1\n"));
  EXPECT_EQ(config->wans[0].device, "eth1");
  EXPECT_EQ(config->wans[1].device, "eth1");
  EXPECT_EQ(config->wans[2].device, "") << "by the same one";
}

TEST(Interfaces, GiveRulesTheirDevices) {
  auto config = config::loadText(
      "config rule\noption use_policy default\nlist src_iface wan\nlist src_iface wan6\nlist src_iface eth9\n"
      "list src_iface !guest\nlist src_iface !gone\n",
      "/etc/config/wgsteer");
  ASSERT_TRUE(config) << config.error().what;
  resolve(*config, readInterfaces("wan pppoe-wan\nwan6 pppoe-wan\nguest br-guest\n"));
  EXPECT_EQ(config->rules.at(0).inputDevice.any, (std::vector<IfName>{"pppoe-wan", "eth9"}));
  EXPECT_EQ(config->rules.at(0).inputDevice.none, (std::vector<IfName>{"br-guest", "gone"}));
}

struct Imported {
  Import import;
  std::string notes() const { return import.notes.toString("m"); }
  std::string uci() const { return config::toUci(import.sections); }
};

Imported importText(const std::string& mwan3, const std::string& network, WanBy by = WanBy::interface) {
  config::Problems notes;
  const Mwan3 read = readMwan3(mwan3, notes);
  return {importMwan3(read, readNetwork(network), by, notes)};
}

TEST(ImportMwan3, MakesAConfigurationOfTheSample) {
  const auto imported = importText(sample("mwan3"), sample("network"));
  EXPECT_EQ(imported.import.pinned, 2U);
  EXPECT_EQ(imported.uci(), sample("imported"));
  const auto config = config::loadText(imported.uci(), "/etc/config/wgsteer");
  ASSERT_TRUE(config) << config.error().what;
  ASSERT_EQ(config->tunnels.size(), 2U);
  EXPECT_EQ(config->tunnels[0].policy, "wanb_wan");
  EXPECT_EQ(config->policies[0].members, (std::vector<PolicyMember>{{"wanb", 1, 2}, {"wan", 2, 3}}));
  EXPECT_EQ(config->policies[0].lastResort, LastResort::main);
}

TEST(ImportMwan3, SaysWhatNeverWorked) {
  const auto imported = importText(sample("mwan3"), sample("network"));
  EXPECT_EQ(imported.notes() + "\n" + imported.import.networkNotes.toString("n") + "\n", sample("notes"));
}

TEST(ImportMwan3, KeepsNoSecrets) {
  const auto imported = importText(sample("mwan3"), sample("network"));
  const std::string all = imported.uci() + imported.notes() + imported.import.networkNotes.toString("n");
  for (const char* secret : {"sECRET", "sHARED", "very-secret"}) EXPECT_EQ(all.find(secret), std::string::npos);
}

#ifdef WGSTEER_TOML
TEST(ImportMwan3, BothFormatsAreTheSameConfiguration) {
  const auto imported = importText(sample("mwan3"), sample("network"), WanBy::device);
  const auto uci = config::loadText(imported.uci(), "/etc/config/wgsteer");
  const auto toml = config::loadText(config::toToml(imported.import.sections), "wgsteer.toml");
  ASSERT_TRUE(uci) << uci.error().what;
  ASSERT_TRUE(toml) << toml.error().what;
  EXPECT_EQ(*uci, *toml);
  EXPECT_EQ(toml->wans[1].device, "pppoe-wan");
}

TEST(ImportMwan3, NumbersWithLeadingZeroesAreNumbersInToml) {
  const auto imported = importText(
      "config interface wan\noption enabled 1\nlist track_ip 192.0.2.1\noption down '03'\noption up 0005\n"
      "option interval 007\n",
      "config interface wan\noption proto dhcp\noption device eth1\n");
  const auto uci = config::loadText(imported.uci(), "/etc/config/wgsteer");
  const auto toml = config::loadText(config::toToml(imported.import.sections), "wgsteer.toml");
  ASSERT_TRUE(uci) << uci.error().what;
  ASSERT_TRUE(toml) << toml.error().what;
  EXPECT_EQ(*uci, *toml);
  EXPECT_EQ(toml->wans.at(0).down, 3U);
}
#endif

constexpr const char* kTwoPeers =
    "config interface wg0\noption proto wireguard\n"
    "config wireguard_wg0\noption public_key xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\n"
    "option endpoint_host 203.0.113.1\n"
    "config wireguard_wg0\noption public_key TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=\n"
    "option endpoint_host vpn.example.com\noption endpoint_port 443\n";

std::string withRule(const std::string& rule) {
  return "config interface wan\noption enabled 1\nconfig interface wanb\noption enabled 1\n"
         "config member w\noption interface wan\nconfig member l\noption interface wanb\noption metric 2\n"
         "config policy lte\nlist use_member l\nconfig policy both\nlist use_member l\nlist use_member w\n"
         "config rule r\n" +
         rule;
}

TEST(ImportMwan3, OnePeerOfTwoIsPinnedAlone) {
  const auto imported =
      importText(withRule("option dest_ip 203.0.113.1\noption proto udp\noption use_policy lte\n"), kTwoPeers);
  const auto config = config::loadText(imported.uci(), "/etc/config/wgsteer");
  ASSERT_TRUE(config) << config.error().what;
  EXPECT_TRUE(config->tunnels.empty());
  ASSERT_EQ(config->peers.size(), 1U);
  EXPECT_EQ(config->peers[0].publicKey.toString(), "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=");
  EXPECT_EQ(config->peers[0].policy, "lte");
}

TEST(ImportMwan3, HasADiagnosticForEachOddity) {
  const std::string use = "option use_policy lte\n";
  const std::pair<std::string, std::string> oddities[] = {
      {"option dest_ip 203.0.113.1\n", "use_policy: rule 'r': mwan3 never installed this rule: it has no use_policy"},
      {use + "option proto 'tcp udp'\n", "proto: rule 'r': names two protocols: iptables rejects it"},
      {use + "option proto icmp\noption dest_port 1\n", "proto: rule 'r': 'icmp' is not udp or tcp in lower case"},
      {use + "option proto udp\noption dest_port 5000-5500\n", "dest_port: rule 'r': '5000-5500' is not a range"},
      {use + "option proto udp\noption dest_port 1:2,3:4,5:6,7:8,9:10,11:12,13:14,15:16\n",
       "dest_port: rule 'r': has more than 15 ports (a range counts twice)"},
      {use + "list dest_ip 1.1.1.1\nlist dest_ip 1.1.1.2\n",
       "dest_ip: is a list, but mwan3 expects a single value (rule 'r')"},
      {use + "option dest_ip '1.1.1.1 1.1.1.2'\n", "dest_ip: rule 'r': has spaces between addresses"},
      {use + "option dest_ip !1.1.1.1\n", "dest_ip: rule 'r': begins with '!'"},
      {use + "option dest_ip 203.0.113.999\n", "dest_ip: rule 'r': '203.0.113.999' is not an address"},
      {use + "option dest_ip 1.1.1.1,::1\n", "dest_ip: rule 'r': has addresses of both families"},
      {use + "option family ipv6\noption dest_ip 1.1.1.1\n", "dest_ip: rule 'r': is not of the rule's family ipv6"},
      {use + "option family IPv4\n", "family: rule 'r': 'IPv4' is neither ipv4 nor ipv6: the rule applies to both"},
      {use + "option enabled 0\n", "enabled: rule 'r': mwan3 ignores this option; the rule is active"},
      {use + "option sticky yes\n", "sticky: rule 'r': 'yes' is not 1: the rule is not sticky"},
      {use + "option ipset nets\n", "ipset: rule 'r': unless the set 'nets' exists when mwan3 starts"},
      {"option use_policy abcdefghijklmnop\n", "use_policy: rule 'r': policy 'abcdefghijklmnop' has more than 15"},
      {"option use_policy lt\n", "use_policy: rule 'r': policy 'lt' is not defined"},
  };
  for (const auto& [rule, note] : oddities) {
    const std::string notes = importText(withRule(rule), kTwoPeers).notes();
    EXPECT_NE(notes.find(": " + note), std::string::npos) << rule << notes;
  }
  EXPECT_EQ(
      importText(withRule(use + "option family ipv4\noption dest_ip 1.1.1.1\noption proto tcp\n"), kTwoPeers).notes(),
      "");
}

TEST(ImportMwan3, TheFirstRuleDecides) {
  const std::string rule = "option dest_ip 203.0.113.1\noption use_policy ";
  const auto imported = importText(withRule(rule + "lte\nconfig rule s\n" + rule + "both\n"), kTwoPeers);
  EXPECT_NE(imported.uci().find("'lte'"), std::string::npos);
  EXPECT_EQ(imported.uci().find("'both'"), std::string::npos);
  EXPECT_NE(imported.notes().find("rule 's': an earlier rule, on line 15, already applies to these packets of wg0"),
            std::string::npos)
      << imported.notes();
}

TEST(ImportMwan3, ThePoliciesThatAreNoneLeaveTheDefault) {
  for (const char* policy : {"default", "unreachable", "blackhole"}) {
    const auto imported =
        importText(withRule("option dest_ip 203.0.113.1\noption use_policy " + std::string{policy} + "\n"), kTwoPeers);
    EXPECT_EQ(imported.uci().find("config tunnel"), std::string::npos);
    EXPECT_EQ(imported.uci().find("config peer"), std::string::npos);
    EXPECT_NE(imported.notes().find(std::string{"policy "} + policy), std::string::npos) << imported.notes();
  }
}

TEST(ImportMwan3, ManyWansGetAWiderMask) {
  std::string mwan3;
  for (int i = 0; i < 30; ++i) mwan3 += "config interface w" + std::to_string(i) + "\noption enabled 1\n";
  const auto config = config::loadText(importText(mwan3, "").uci(), "/etc/config/wgsteer");
  ASSERT_TRUE(config) << config.error().what;
  EXPECT_EQ(config->wans.size(), 30U);
  EXPECT_EQ(config->numbers.markMask, 0xff000000U);
}

TEST(ImportMwan3, TakesEveryOptionThatTheSchemaCallsMwan3s) {
  std::vector<std::string> shared;
  std::string mwan3 = "config interface wan\noption enabled 1\nlist track_ip 9.9.9.9\n";
  for (const config::OptionSchema& option : config::findSection("wan")->options) {
    if (!option.traits.mwan3) continue;
    shared.emplace_back(option.name);
    mwan3 += "option " + shared.back() + (option.name == "size" ? " 20\n" : " 1\n");
  }
  EXPECT_EQ(shared.size(), 16U);
  config::Problems notes;
  const Import import = importMwan3(readMwan3(mwan3, notes), {}, WanBy::interface, notes);
  ASSERT_EQ(import.sections.size(), 1U);
  for (const std::string& option : shared) EXPECT_NE(import.sections[0].find(option), nullptr) << option;
}

TEST(ImportMwan3, TellsWhichOptionsOfASecondFamilyAreLeftOut) {
  config::Problems notes;
  const Import import = importMwan3(
      readMwan3("config interface wan\noption enabled 1\nlist track_ip 9.9.9.9\noption interval 5\noption down 3\n"
                "config interface wan6\noption enabled 1\noption family ipv6\nlist track_ip 2620:fe::fe\n"
                "option interval 9\noption down 3\noption up 7\n",
                notes),
      {}, WanBy::interface, notes);
  ASSERT_EQ(import.sections.size(), 1U);
  EXPECT_EQ(import.sections[0].find("interval")->values.front().text, "5");
  EXPECT_TRUE(import.notes.has(10, "interval"));
  EXPECT_FALSE(import.notes.has(11, "down")) << "it is the same";
  EXPECT_TRUE(import.notes.has(12, "up"));
}

TEST(ImportMwan3, WansAloneComeInTheOrderOfTheirMetrics) {
  const auto wans = wansOf(sample("mwan3"), readNetwork(sample("network")));
  ASSERT_EQ(wans.size(), 2U);
  EXPECT_EQ(wans[0].interface, "wanb");
  EXPECT_EQ(wans[1].interface, "wan");
  EXPECT_EQ(wans[1].metric, 2U);
  EXPECT_EQ(wans[1].trackMethod, TrackMethod::mwan3);
  EXPECT_TRUE(wans[1].trackIp.empty());
  EXPECT_TRUE(wansOf("", {}).empty());
  const auto network = readNetwork("config interface wg0\noption proto wireguard\n");
  EXPECT_TRUE(wansOf("config interface wg0\noption enabled 1\n", network).empty()) << "a tunnel is never a WAN";
  EXPECT_EQ(wansOf("config interface wg0\noption enabled 1\n", {}).size(), 1U) << "for no other reason";
  EXPECT_TRUE(wansOf("config interface wan\noption enabled 0\n", {}).empty());
}

TEST(ImportMwan3, KeepsWanAndWan6Apart) {
  const auto wans = wansOf(sample("mwan3"), readNetwork(sample("network")));
  ASSERT_EQ(wans.size(), 2U);
  EXPECT_EQ(wans[0].ipv6Interface, "") << "it has none";
  EXPECT_EQ(wans[1].ipv6Interface, "wan6");
  // One with another name, which only the network file identifies as the same link; and configured WANs.
  const std::string mwan3 =
      "config interface fiber\noption enabled 1\nconfig interface modern\noption enabled 1\noption family ipv6\n"
      "config interface off\noption family ipv6\nconfig interface lte\noption enabled 1\n";
  const auto network = readNetwork(
      "config interface fiber\noption proto pppoe\nconfig interface modern\noption proto dhcpv6\noption device @fiber\n"
      "config interface off\noption proto dhcpv6\noption device @lte\n");
  std::vector<WanConfig> configured{{.name = "a", .interface = "fiber", .trackMethod = TrackMethod::mwan3},
                                    {.name = "lte", .trackMethod = TrackMethod::mwan3},
                                    {.name = "b", .interface = "fiber", .trackMethod = TrackMethod::icmp}};
  findIpv6Interfaces(configured, mwan3, network);
  EXPECT_EQ(configured[0].ipv6Interface, "modern");
  EXPECT_EQ(configured[1].ipv6Interface, "") << "disabled in mwan3";
  EXPECT_EQ(configured[2].ipv6Interface, "") << "has probes of its own";
}

/// The indented blocks of a page that are configurations.
std::vector<std::string> examplesOf(const char* page) {
  std::ifstream file{page};
  std::vector<std::string> examples;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    const bool indented = line.starts_with("    ");
    if (!inside && line.starts_with("    config ")) examples.emplace_back();
    inside = inside ? indented || line.empty() : line.starts_with("    config ");
    if (inside) examples.back() += (indented ? line.substr(4) : "") + "\n";
  }
  return examples;
}

TEST(OpenWrtPage, ItsExamplesLoad) {
  const auto examples = examplesOf(WGSTEER_OPENWRT_PAGE);
  ASSERT_EQ(examples.size(), 3U);
  for (const std::string& example : examples) {
    const auto config = config::loadText(example, "/etc/config/wgsteer");
    ASSERT_TRUE(config) << config.error().what << "\n" << example;
    EXPECT_GE(config->wans.size(), 2U);
    EXPECT_EQ(config->tunnels.size(), 1U);
  }
}

}  // namespace
}  // namespace wgsteer::foreign
