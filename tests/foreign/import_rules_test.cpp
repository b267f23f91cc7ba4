// SPDX-License-Identifier: GPL-2.0-or-later
// mwan3's rules and policies of all kinds: what mwan3 2.11.16 was seen to install for them, and what the import makes
// of that.
#include <gtest/gtest.h>

#include "config/load.hpp"
#include "config/write.hpp"
#include "foreign/import_mwan3.hpp"
#include "foreign/iptables_text.hpp"
#include "foreign/mwan3_families.hpp"

namespace wgsteer::foreign {
namespace {

struct Imported {
  std::string notes;
  std::string uci;
  std::size_t pinned = 0;
};

Imported importText(const std::string& mwan3, const std::string& network) {
  config::Problems notes;
  const Mwan3 read = readMwan3(mwan3, notes);
  const Import import = importMwan3(read, readNetwork(network), WanBy::interface, notes);
  return {import.notes.toString("m"), config::toUci(import.sections), import.pinned};
}

constexpr const char* kNetwork =
    "config interface lan\noption proto static\noption device br-lan\n"
    "config interface off\noption proto static\noption device eth9\noption disabled 1\n"
    "config interface wan\noption proto dhcp\noption device eth0\nconfig interface wanb\noption proto dhcp\noption "
    "device eth1\n"
    "config interface wg0\noption proto wireguard\noption nohostroute 1\noption listen_port 51900\n"
    "config wireguard_wg0\noption public_key xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\n"
    "option endpoint_host 203.0.113.55\n";

constexpr const char* kWans =
    "config interface wan\noption enabled 1\nconfig interface wanb\noption enabled 1\n"
    "config member a\noption interface wan\nconfig member b\noption interface wanb\noption metric 2\n"
    "config policy pol\nlist use_member a\nlist use_member b\n";

Imported rule(const std::string& options, const std::string& name = "r") {
  return importText(kWans + std::string{"config rule "} + name + "\n" + options, kNetwork);
}

const std::string kUse = "option use_policy pol\n";
const std::string kDest = kUse + "option dest_ip 203.0.113.55\n";
const std::string kUdp = kDest + "option proto udp\n";

struct Verdict {
  std::string rule;
  const char* says;    ///< nothing: no note at all
  bool pinned = true;  ///< whether it was meant for the tunnel
};

void expectVerdict(const Verdict& verdict) {
  const Imported imported = rule(verdict.rule);
  EXPECT_EQ(imported.pinned, verdict.pinned ? 1U : 0U) << verdict.rule;
  if (verdict.says == nullptr)
    EXPECT_EQ(imported.notes, "") << verdict.rule;
  else
    EXPECT_NE(imported.notes.find(verdict.says), std::string::npos) << verdict.rule << imported.notes;
}

TEST(Mwan3Rules, OfWhichIptablesRefusesAValueLoseAllOthers) {
  const Verdict refused[] = {
      {kDest + "option proto any\n", "proto: rule 'r': 'any' is not a protocol: iptables", false},
      {kDest + "option proto !tcp\n", "proto: rule 'r': '!tcp' is not a protocol: iptables", false},
      {kDest + "option proto tcpudp\noption dest_port 51820\n", "proto: rule 'r': 'tcpudp' is not a protocol", false},
      {kUdp + "option dest_port 70000\n", "dest_port: rule 'r': '70000' is not a port", false},
      {kUdp + "option dest_port 51820:\n", "dest_port: rule 'r': has a comma or colon without a port", false},
      {kUdp + "option dest_port 51830:51820\n", "dest_port: rule 'r': '51830:51820' is a descending range", false},
      {kUdp + "option dest_port !51820\n", "dest_port: rule 'r': '!51820' is not a port", false},
      {kUdp + "option dest_port 51820,\n", "dest_port: rule 'r': has a comma or colon without a port"},
      {kUdp + "option src_port 1,,2\n", "src_port: rule 'r': has a comma or colon without a port", false},
      {kUse + "option dest_ip 203.0.113.55,\n", "dest_ip: rule 'r': has a comma without an address"},
      {kUse + "option dest_ip 203.0.113.55/33\n",
       "dest_ip: rule 'r': '203.0.113.55/33' has a mask that iptables does not accept", false},
      {"option use_policy 'a b'\n", "use_policy: rule 'r': policy 'a b' contains spaces", false},
  };
  for (const Verdict& verdict : refused) {
    expectVerdict(verdict);
    EXPECT_NE(rule(verdict.rule).notes.find("mwan3 then installs no rule of that family at all (IPv4"),
              std::string::npos)
        << verdict.rule;
  }
}

TEST(Mwan3Rules, LoseTheFamilyThatTheyAreHandedOverIn) {
  const auto lost = [](const std::string& options) {
    const std::string notes = rule(options).notes;
    const auto at = notes.find("at all (");
    return at == std::string::npos ? std::string{} : notes.substr(at + 8, notes.find(')', at) - at - 8);
  };
  EXPECT_EQ(lost(kUse + "option proto any\n"), "IPv4 and IPv6");
  EXPECT_EQ(lost(kUse + "option proto any\noption family ipv6\n"), "IPv6");
  EXPECT_EQ(lost(kDest + "option proto any\n"), "IPv4");
  EXPECT_EQ(lost(kUse + "option proto any\noption dest_ip 2001:db8::1\n"), "IPv6");
  // mwan3 sees no IPv4 address in it, ip6tables no IPv6 one.
  EXPECT_EQ(lost(kUse + "option dest_ip 192.168/16\n"), "IPv6");
}

TEST(Mwan3Rules, WithNamesDependOnTheRouter) {
  expectVerdict({kUdp + "option dest_port wireguard\n", "'wireguard' is a name, not a port: unless", false});
  expectVerdict(
      {kUse + "option dest_ip vpn.example\n", "'vpn.example' is not an address: a name is resolved once", false});
}

TEST(Mwan3Rules, ThatMwan3LeavesOutLoseNoOthers) {
  const std::string bad = "option proto udp\noption dest_port 1-2\n";
  const std::pair<Imported, const char*> leftOut[] = {
      {rule(kDest + bad, "sixteen_chars_xx"), "its name has 16 characters"},
      {rule("option dest_ip 203.0.113.55\n" + bad), "it has no use_policy"},
      {rule(kDest + bad + "option family ipv6\n"), "is not of the rule's family ipv6: mwan3 never installed this rule"},
      {rule(kDest + bad + "option src_iface guest\n"),
       "src_iface: rule 'r': 'guest' is not an interface in the network"},
      {rule(kDest + bad + "option src_iface off\n"), "src_iface: rule 'r': 'off' is not an interface in the network"},
      {rule(kDest + bad + "option src_ip fd00::/64\n"),
       "src_ip: rule 'r': is not of the family of dest_ip: mwan3 never"},
      {rule(kUse + "option dest_ip ::ffff:203.0.113.55\n" + bad),
       "IPv4 in IPv6 notation, which mwan3 recognises as neither"},
      {rule(kUse + "option dest_ip 192.0.2.1,2001:db8::1\n" + bad),
       "has addresses of both families: mwan3 installs it for neither"},
  };
  for (const auto& [imported, says] : leftOut) {
    EXPECT_NE(imported.notes.find(says), std::string::npos) << says << "\n" << imported.notes;
    EXPECT_EQ(imported.notes.find("no rule of that family"), std::string::npos) << imported.notes;
  }
}

TEST(Mwan3Rules, PortsOfOtherProtocolsAreNotLookedAt) {
  const Imported imported = rule(kDest + "option proto icmp\noption dest_port 1-2\n");
  EXPECT_NE(imported.notes.find("'icmp' is not udp or tcp in lower case: mwan3 ignores the ports"), std::string::npos);
  EXPECT_EQ(imported.notes.find("no rule of that family"), std::string::npos) << imported.notes;
}

TEST(Mwan3Rules, ThatAreRightArePinsWithoutANote) {
  for (const std::string& options :
       {kUdp + "option dest_port 51820\n", kUdp + "option dest_port 0xca6c\n",
        kUdp + "option dest_port 1,51000:52000\n", kDest, kDest + "option proto 17\n",
        kUdp + "option src_ip 0.0.0.0/0\n",
        kUse + "option dest_ip 203.0.113.0/255.255.255.0\noption proto udp\noption dest_port 51820\n",
        kUse + "option dest_ip 0.0.0.1/0.0.0.1\noption proto udp\noption dest_port 51820\n",
        kUse + "option proto udp\noption dest_port 51820\n",
        kUse + "option dest_ip 0.0.0.0/0\noption proto udp\noption dest_port 51820\n"})
    expectVerdict({options, nullptr});
  for (const std::string& options :
       {kUse + "option dest_ip 0.0.0.0/0.0.0.1\noption proto udp\noption dest_port 51820\n",  // even addresses
        kUse + "option dest_ip 203.0.113.0/255.255.255.240\n",
        kUse + "option dest_ip ::/0\noption proto udp\noption dest_port 51820\n",
        kUse + "option family ipv6\noption proto udp\noption dest_port 51820\n", kUdp + "option dest_port 443\n",
        kUse + "option dest_ip 0.0.0.1/0.0.0.1\n"})
    expectVerdict({options, nullptr, false});
}

TEST(Mwan3Rules, ForALansHostsAreNotTheTunnels) {
  for (const char* source : {"option src_ip 192.168.1.0/24\n", "option src_iface lan\n"}) {
    expectVerdict({kUdp + "option dest_port 51820\n" + source,
                   "has a source, so it does not concern the tunnel's own packets", false});
    expectVerdict({kUse + "option proto udp\noption src_port 51900\n" + source, "has a source", false});
    expectVerdict({kUse + "option dest_ip 198.51.100.1\n" + source, nullptr, false});
  }
}

TEST(Mwan3Families, AreThoseOfItsExpressions) {
  for (const char* text : {"192.0.2.1", "192.0.2.1/24", "x192.0.2.1x", "1192.0.2.999", "!10.0.0.1", "::ffff:1.2.3.4"})
    EXPECT_TRUE(hasIPv4(text)) << text;
  for (const char* text : {"", "192.0.2", "192.0.2.", "192.256.2.1", "192.0.1234.1", "vpn.example", "1..2.3"})
    EXPECT_FALSE(hasIPv4(text)) << text;
  for (const char* text : {"::", "2001:db8::1/64", "1:2:3:4:5:6:7:8", "aaaa1:2:3:4:5:6:7:8", "::ffff:1.2.3.4"})
    EXPECT_TRUE(hasIPv6(text)) << text;
  for (const char* text : {"", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:", "1:2:3:4:5:66666:7:8", "51820:51830"})
    EXPECT_FALSE(hasIPv6(text)) << text;
}

std::string policyOf(const std::string& members, const std::string& entries) {
  const Imported imported = importText(
      "config interface wan\noption enabled 1\nconfig interface wanb\noption enabled 1\n"
      "config interface wan6\noption enabled 1\noption family ipv6\n"
      "config interface wanb6\noption enabled 1\noption family ipv6\n" +
          members + "config policy pol\n" + entries + "config rule r\n" + kDest,
      kNetwork);
  std::string made;
  std::size_t at = 0;
  while ((at = imported.uci.find("use_wan '", at)) != std::string::npos) {
    at += 9;
    made += imported.uci.substr(at, imported.uci.find('\'', at) - at) + " ";
  }
  return made + "|" + imported.notes;
}

std::string member(const std::string& name, const std::string& interface, const std::string& options) {
  return "config member " + name + "\noption interface " + interface + "\n" + options;
}
const std::string kAB = "list use_member a\nlist use_member b\n";

void expectPolicy(const std::string& a, const std::string& b, const std::string& made, const std::string& note = {}) {
  const std::string is = policyOf(member("a", "wan", a) + member("b", "wanb", b), kAB);
  EXPECT_TRUE(is.starts_with(made + " |")) << is;
  if (note.empty())
    EXPECT_TRUE(is.ends_with("|")) << is;
  else
    EXPECT_NE(is.find(note), std::string::npos) << is;
}

TEST(Mwan3Policies, AMetricThatIsNoNumberPassesTheMemberOver) {
  for (const char* metric : {"option metric x\n", "option metric 0x10\n", "list metric 1\nlist metric 9\n"})
    expectPolicy(metric, "option metric 2\n", "wanb", "member 'a' has an invalid metric");
  expectPolicy("option metric 257\n", "option metric 2\n", "wanb", "member 'a' has a metric over 256");
  expectPolicy("option metric +5\n", "option metric 010\n", "wan:5:1 wanb:10:1");
  expectPolicy("option metric ' 3 '\n", "option metric 3\n", "wan:3:1 wanb:3:1");
}

TEST(Mwan3Policies, MetricsBelowOursStayApart) {
  expectPolicy("option metric 0\n", "option metric 1\n", "wan:1:1 wanb:2:1");
  expectPolicy("option metric 1\n", "option metric -1\n", "wanb:1:1 wan:2:1");
}

TEST(Mwan3Policies, WithoutAWeightAMemberIsUsedWhileItIsAlone) {
  expectPolicy("option weight 0\n", "option metric 2\n", "wan:1:1 wanb:2:1");
  expectPolicy("option weight 0\n", "option weight 3\n", "wanb:1:3 wan:2:1", "'wan' has no weight, unlike others");
  expectPolicy("option weight 3\n", "option weight 0\n", "wan:1:3 wanb:2:1", "'wanb' has no weight, unlike others");
  EXPECT_TRUE(policyOf(member("a", "wan", "option weight 0\n"), "list use_member a\n").starts_with("wan |"));
}

TEST(Mwan3Policies, AWanThatIsThereTwiceCountsTwice) {
  const std::string members =
      member("a", "wan", "") + member("b", "wanb", "") + member("c", "wan", "option weight 3\n");
  EXPECT_EQ(policyOf(members, "list use_member a\nlist use_member a\nlist use_member b\n"), "wan:1:2 wanb:1:1 |");
  EXPECT_EQ(policyOf(members, kAB + "list use_member c\n"), "wan:1:4 wanb:1:1 |");
  // At another metric it is never an alternative.
  EXPECT_EQ(policyOf(members + member("d", "wan", "option metric 7\n"), kAB + "list use_member d\n"),
            "wan:1:1 wanb:1:1 |");
}

TEST(Mwan3Policies, GreatWeightsKeepTheirShares) {
  expectPolicy("option weight 1000\n", "option weight 500\n", "wan:1:256 wanb:1:128");
  expectPolicy("option weight 0x10\n", "option weight 010\n", "wan:1:16 wanb:1:8");
  // To mwan3, less than a thousandth is nothing.
  expectPolicy("option weight 5000\n", "option weight 1\n", "wan:1:256 wanb:2:1", "'wanb' has no weight");
}

TEST(Mwan3Policies, IPv4sOrderCountsForBothAndAnotherIsSaid) {
  const std::string members = member("a", "wan", "") + member("b", "wanb", "option metric 2\n") +
                              member("c", "wan6", "option metric 2\n") + member("d", "wanb6", "");
  EXPECT_EQ(policyOf(members, "list use_member d\nlist use_member c\n" + kAB),
            "wan:1:1 wanb:2:1 |m:21: use_member: policy 'pol': IPv6 orders 'wanb' and 'wan' differently from IPv4; "
            "the order of IPv4 is used for both");
  EXPECT_EQ(policyOf(member("a", "wan", "") + member("b", "wanb", "option metric 2\n") + member("c", "wan6", "") +
                         member("d", "wanb6", "option metric 9\n"),
                     "list use_member c\nlist use_member d\n" + kAB),
            "wan:1:1 wanb:2:1 |");
  EXPECT_EQ(policyOf(member("c", "wan6", "option metric 4\n"), "list use_member c\n"), "wan |");
}

constexpr const char* kLte = "config interface lte\noption proto static\noption device eth0\n";

TEST(Mwan3Wans, TheSecondOfOneDeviceIsLeftOut) {
  const Imported imported = importText(
      "config interface wan\noption enabled 1\nlist track_ip 192.0.2.1\n"
      "config interface lte\noption enabled 1\nlist track_ip 192.0.2.2\n"
      "config member a\noption interface wan\nconfig member l\noption interface lte\noption metric 2\n"
      "config policy pol\nlist use_member a\nlist use_member l\nconfig rule r\n" +
          kDest,
      std::string{kNetwork} + kLte);
  EXPECT_NE(imported.notes.find("m:4: interface 'lte' cannot be distinguished from 'wan', which is on the same device"),
            std::string::npos)
      << imported.notes;
  EXPECT_NE(imported.notes.find("member 'l' has interface 'lte', which is not a WAN here"), std::string::npos);
  EXPECT_EQ(imported.uci.find("192.0.2.2"), std::string::npos) << imported.uci;
  EXPECT_NE(imported.uci.find("192.0.2.1"), std::string::npos) << imported.uci;
  EXPECT_EQ(imported.uci.find("lte"), std::string::npos) << imported.uci;
}

/// Where /etc/config/network says by which gateway each is; the first by DHCP has what is left.
TEST(Mwan3Wans, TheSecondOfOneDeviceIsToldApartByItsGateway) {
  const std::string mwan3 =
      "config interface wan\noption enabled 1\nconfig interface lte\noption enabled 1\nlist track_ip 192.0.2.2\n"
      "config member a\noption interface wan\nconfig member l\noption interface lte\noption metric 2\n"
      "config policy pol\nlist use_member a\nlist use_member l\nconfig rule r\n" +
      kDest;
  const Imported imported = importText(mwan3, std::string{kNetwork} + kLte + "option gateway 192.0.2.254\n");
  EXPECT_EQ(imported.notes.find("distinguished"), std::string::npos) << imported.notes;
  EXPECT_NE(imported.uci.find("config wan 'lte'\n\toption interface 'lte'\n\toption gateway '192.0.2.254'\n"),
            std::string::npos)
      << imported.uci;
  EXPECT_NE(imported.uci.find("config wan 'wan'\n\toption interface 'wan'\n"), std::string::npos) << imported.uci;
  EXPECT_EQ(imported.uci.find("gateway"), imported.uci.rfind("gateway")) << "of the other it is not known";
  EXPECT_EQ(imported.uci.find("192.0.2.2'"), std::string::npos) << "which was asked through the other's gateway";
  EXPECT_NE(imported.notes.find("m:3: interface 'lte' is on the device of 'wan' and told apart by its gateway; its "
                                "track_ip is not converted"),
            std::string::npos)
      << imported.notes;
  const std::string third =
      "config interface third\noption proto static\noption device eth0\noption gateway 192.0.2.254\n";
  const Imported more = importText("config interface third\noption enabled 1\n" + mwan3,
                                   std::string{kNetwork} + kLte + "option gateway 192.0.2.254\n" + third);
  EXPECT_NE(more.notes.find("cannot be distinguished from"), std::string::npos) << "by one gateway: " << more.uci;
}

TEST(Mwan3Wans, OneLineOfBothFamiliesIsOne) {
  const std::string wan = "config interface wan\noption enabled 1\nlist track_ip 192.0.2.1\n";
  const std::string wan6 = "config interface wan6\noption enabled 1\nlist track_ip 2001:db8::1\n";
  const std::string network =
      std::string{kNetwork} + "config interface wan6\noption proto dhcpv6\noption device eth0\n";
  for (const std::string& mwan3 :
       {wan + wan6 + "option family ipv6\n", wan6 + "option family ipv6\n" + wan, wan6 + wan}) {
    const Imported imported = importText(mwan3, network);
    EXPECT_EQ(imported.notes, "") << mwan3;
    EXPECT_EQ(imported.uci.find("config wan 'wan6'"), std::string::npos) << imported.uci;
    EXPECT_NE(imported.uci.find("2001:db8::1"), std::string::npos) << imported.uci;
  }
  const Imported third = importText(wan + wan6 + "config interface wan_v6\noption enabled 1\noption family ipv6\n",
                                    network + "config interface wan_v6\noption proto dhcpv6\noption device @wan\n");
  EXPECT_NE(third.notes.find("interface 'wan_v6' cannot be distinguished from 'wan'"), std::string::npos)
      << third.notes;
}

TEST(ImportPolicies, OneWithANameThatIsAWordHereGetsAnother) {
  const Imported imported =
      importText(std::string{kWans} +
                     "config policy main\nlist use_member b\nconfig policy main_\nlist use_member a\n"
                     "config rule r\noption dest_ip 203.0.113.55\noption use_policy main\n",
                 kNetwork);
  EXPECT_NE(imported.uci.find("config policy 'main__'"), std::string::npos) << imported.uci;
  EXPECT_NE(imported.uci.find("option use_policy 'main__'"), std::string::npos) << imported.uci;
  const auto config = config::loadText(imported.uci, "/etc/config/wgsteer");
  EXPECT_TRUE(config) << config.error().what;
}

}  // namespace
}  // namespace wgsteer::foreign
