// SPDX-License-Identifier: GPL-2.0-or-later
// Which of mwan3's rules decides about which packets of WireGuard: the first one, for each peer by itself.
#include <gtest/gtest.h>
#include <map>

#include "config/load.hpp"
#include "config/write.hpp"
#include "foreign/import_mwan3.hpp"
#include "foreign/mwan3_concern.hpp"

namespace wgsteer::foreign {
namespace {

/// Of wg0: a peer with an address, one with a host name, and one that is a client.
constexpr const char* kAddress = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
constexpr const char* kName = "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=";
constexpr const char* kClient = "gN65BkIKy1eCE9pP1wdc8ROUtkHLF2PfAqYdyYBz6EA=";

std::string networkWith(const std::string& listenPort) {
  return "config interface wan\noption proto dhcp\noption device eth1\n"
         "config interface wanb\noption proto dhcp\noption device eth2\n"
         "config interface wg0\noption proto wireguard\noption nohostroute 1\n" +
         (listenPort.empty() ? "" : "option listen_port " + listenPort + "\n") +
         "config wireguard_wg0\noption public_key " + kAddress +
         "\noption endpoint_host 203.0.113.55\nconfig wireguard_wg0\noption public_key " + kName +
         "\noption endpoint_host vpn.example.org\noption endpoint_port 443\nconfig wireguard_wg0\noption public_key " +
         kClient + "\n";
}

/// The first rule is on line 15.
constexpr const char* kPolicies =
    "config interface wan\noption enabled 1\nconfig interface wanb\noption enabled 1\n"
    "config member a\noption interface wan\nconfig member b\noption interface wanb\n"
    "config policy p1\nlist use_member a\nconfig policy p2\nlist use_member b\n"
    "config policy none\nlist use_member gone\n";

struct Imported {
  std::map<std::string, std::string> policies;  ///< of "wg0" and of peers by their keys
  std::string notes;
  std::size_t pinned = 0;

  std::string of(const std::string& peer) const {
    for (const std::string& name : {peer, std::string{"wg0"}})
      if (const auto known = policies.find(name); known != policies.end()) return known->second;
    return "default";
  }
};

Imported importText(const std::string& rules, const std::string& network = networkWith("51820")) {
  config::Problems notes;
  const Mwan3 mwan3 = readMwan3(kPolicies + rules, notes);
  const Import import = importMwan3(mwan3, readNetwork(network), WanBy::interface, notes);
  const auto config = config::loadText(config::toUci(import.sections), "/etc/config/wgsteer");
  EXPECT_TRUE(config) << config.error().what;
  Imported imported{.policies = {}, .notes = import.notes.toString("m"), .pinned = import.pinned};
  if (!config) return imported;
  for (const TunnelConfig& tunnel : config->tunnels) imported.policies[tunnel.interface] = tunnel.policy;
  for (const PeerConfig& peer : config->peers)
    imported.policies[peer.publicKey.toString()] = peer.policy.value_or("nothing");
  return imported;
}

std::string rule(const std::string& name, const std::string& policy, const std::string& options) {
  return "config rule " + name + "\noption use_policy " + policy + "\n" + options;
}

const std::string kUdp = "option proto udp\n";
const std::string kToAddress = "option dest_ip 203.0.113.55\n";
const std::string kFromOurs = kUdp + "option src_port 51820\n";

using Policies = std::map<std::string, std::string>;

TEST(Mwan3Order, ARuleForTheListenPortThatComesFirstDecidesForAllPeers) {
  const Imported imported = importText(rule("s", "p2", kFromOurs) + rule("r", "p1", kToAddress));
  EXPECT_EQ(imported.policies, (Policies{{"wg0", "p2"}}));
  EXPECT_EQ(imported.notes, "m:19: rule 'r': an earlier rule, on line 15, already applies to these packets of wg0");
  EXPECT_EQ(imported.pinned, 2U);
}

TEST(Mwan3Order, ARuleForAnEndpointThatComesFirstDecidesForItsPeer) {
  const Imported imported = importText(rule("r", "p1", kToAddress) + rule("s", "p2", kFromOurs));
  EXPECT_EQ(imported.policies, (Policies{{"wg0", "p2"}, {kAddress, "p1"}}));
  EXPECT_EQ(imported.notes, "");
}

TEST(Mwan3Order, WhatIsSaidToUseAllWansDoesBesideAPolicyOfTheTunnel) {
  for (const auto& [policy, says] :
       {std::pair{"default",
                  "m:15: rule 'r': policy default is the main table, which causes the loop; all WANs are used "
                  "instead, by their metrics"},
        std::pair{"unreachable",
                  "m:15: rule 'r': policy unreachable would block WireGuard; all WANs are used instead, "
                  "by their metrics"},
        std::pair{"none",
                  "m:13: use_member: policy 'none': member 'gone' is not defined\n"
                  "m:13: use_member: policy 'none' has no member that is a WAN; all WANs are used instead"}}) {
    const Imported imported = importText(rule("r", policy, kToAddress) + rule("s", "p2", kFromOurs));
    EXPECT_EQ(imported.policies, (Policies{{"wg0", "p2"}, {kAddress, "default"}})) << policy;
    EXPECT_EQ(imported.notes, says);
    EXPECT_EQ(importText(rule("s", policy, kFromOurs)).policies, Policies{}) << policy;
    EXPECT_EQ(importText(rule("r", "p1", kToAddress) + rule("s", policy, kFromOurs)).policies,
              (Policies{{kAddress, "p1"}}))
        << policy;
  }
}

TEST(Mwan3Order, ARuleWhosePolicyIsNotDefinedLeavesItToTheNext) {
  const Imported imported = importText(rule("r", "nowhere", kToAddress) + rule("s", "p2", kFromOurs));
  EXPECT_EQ(imported.policies, (Policies{{"wg0", "p2"}}));
  EXPECT_EQ(imported.notes,
            "m:15: use_policy: rule 'r': policy 'nowhere' is not defined: in mwan3 the rule matches and does nothing");
}

TEST(Mwan3Order, ARuleThatMwan3LeftOutDecidesOnlyWhereNoOtherDoes) {
  const std::string leftOut = rule("wireguard_endpoint", "p1", kToAddress);
  EXPECT_EQ(importText(leftOut).policies, (Policies{{kAddress, "p1"}}));
  EXPECT_EQ(importText(leftOut + rule("all", "p2", "")).policies, (Policies{{kAddress, "p1"}}));
  const Imported imported = importText(leftOut + rule("wg", "p2", kToAddress));
  EXPECT_EQ(imported.policies, (Policies{{kAddress, "p2"}}));
  EXPECT_EQ(imported.notes,
            "m:15: rule 'wireguard_endpoint': mwan3 never installed this rule: its name has 18 characters; at most 15\n"
            "m:15: rule 'wireguard_endpoint': not converted: these packets of wg0 match the rule on line 18");
}

TEST(Mwan3Order, ARuleBehindOneForEverythingIsConvertedAndSaidNeverToBeReached) {
  const std::string meant = rule("r", "p1", kToAddress);
  const std::string says =
      "m:18: rule 'r': mwan3 never reaches this rule for wg0: these packets match the one on line 15 before";
  const std::string all = "option dest_ip 0.0.0.0/0\n";
  const Imported imported = importText(rule("all", "p2", all) + meant);
  EXPECT_EQ(imported.policies, (Policies{{kAddress, "p1"}}));
  EXPECT_EQ(imported.notes, says);
  EXPECT_EQ(importText(meant + rule("all", "p2", all)).notes, "");
  for (const char* options : {"option dest_ip 0.0.0.0/1\n", "option family ipv6\n", "option proto tcp\n",
                              "option src_ip 192.168.1.0/24\n", "option ipset nets\n"})
    EXPECT_EQ(importText(rule("all", "p2", options) + meant).notes.find("never reaches"), std::string::npos) << options;
  // Only for some of its peers is it late.
  EXPECT_EQ(importText(rule("half", "p2", "option dest_ip 128.0.0.0/1\n") + rule("s", "p1", kFromOurs)).notes, "");
}

TEST(Mwan3Order, IsSaidOnceForEachRuleAndTunnel) {
  const std::string two = "option proto udp\noption dest_port 443,51820\n";
  const Imported imported = importText(rule("one", "p1", two) + rule("two", "p2", two));
  EXPECT_EQ(imported.of(kAddress), "p1");
  EXPECT_EQ(imported.of(kName), "p1");
  EXPECT_EQ(imported.of(kClient), "default");
  EXPECT_EQ(imported.notes, "m:19: rule 'two': an earlier rule, on line 15, already applies to these packets of wg0");
  const Imported apart = importText(rule("one", "p1", kToAddress) +
                                    rule("name", "p2", "option dest_ip vpn.example.org\n") + rule("two", "p2", two));
  EXPECT_NE(apart.notes.find("rule 'two': earlier rules, on lines 15 and 18, already apply to these packets of wg0"),
            std::string::npos)
      << apart.notes;
}

TEST(Mwan3Order, ARuleThatIsFirstForOnePeerOfItsManyIsNotLate) {
  const Imported imported =
      importText(rule("one", "p1", kToAddress) + rule("two", "p2", "option proto udp\noption dest_port 443,51820\n"));
  EXPECT_EQ(imported.policies, (Policies{{kAddress, "p1"}, {kName, "p2"}}));
  EXPECT_EQ(imported.notes, "");
}

TEST(Mwan3Order, ADefaultRuleDecidesOnceHoweverManyTunnelsItIsFor) {
  std::string network = networkWith("51820");
  network += "config interface wg1\noption proto wireguard\noption nohostroute 1\noption listen_port 51820\n";
  const Imported imported = importText(rule("s", "default", kFromOurs), network);
  EXPECT_EQ(imported.notes,
            "m:15: rule 's': policy default is the main table, which causes the loop; all WANs are used "
            "instead, by their metrics");
}

TEST(Mwan3Concern, OfARuleForTheListenPortDependsOnItsDestination) {
  const std::string says =
      "m:15: rule 's': is about the listen_port of wg0, but about no endpoint of it that is known here; not converted";
  for (const char* other : {"option dest_ip 198.18.0.1\n", "option dest_port 4500\n", "option dest_ip 0.0.0.0/1\n",
                            "option dest_ip 203.0.113.55\noption dest_port 4500\n"}) {
    const Imported imported = importText(rule("s", "p2", kFromOurs + other));
    EXPECT_EQ(imported.policies, Policies{}) << other;
    EXPECT_EQ(imported.notes, says) << other;
    EXPECT_EQ(imported.pinned, 0U) << other;
  }
  EXPECT_EQ(importText(rule("s", "p2", kFromOurs + kToAddress)).policies, (Policies{{kAddress, "p2"}}));
  EXPECT_EQ(importText(rule("s", "p2", kFromOurs + "option dest_port 443\n")).policies, (Policies{{kName, "p2"}}));
  EXPECT_EQ(importText(rule("s", "p2", kFromOurs + "option dest_ip 0.0.0.0/0\n")).policies, (Policies{{"wg0", "p2"}}));
  EXPECT_EQ(importText(rule("s", "p2", kFromOurs + "option family ipv6\n")).policies,
            (Policies{{"wg0", "p2"}, {kAddress, "default"}}));
}

TEST(Mwan3Concern, OfARuleForAnEndpointDependsOnItsSourcePort) {
  const std::string options = kUdp + kToAddress + "option src_port ";
  const std::string says =
      "m:15: rule 'r': is about an endpoint of wg0, but about another source port than its listen_port; not converted";
  EXPECT_EQ(importText(rule("r", "p1", options + "9999\n")).policies, Policies{});
  EXPECT_EQ(importText(rule("r", "p1", options + "9999\n")).notes, says);
  EXPECT_EQ(importText(rule("r", "p1", options + "51820\n")).policies, (Policies{{kAddress, "p1"}}));
  for (const char* port : {"", "0"}) {
    const std::string network = networkWith(port);
    EXPECT_EQ(importText(rule("r", "p1", options + "51820\n"), network).notes, says) << "it is random";
    EXPECT_EQ(importText(rule("r", "p1", options + "1024:65535\n"), network).policies, (Policies{{kAddress, "p1"}}));
    EXPECT_EQ(importText(rule("s", "p1", kFromOurs), network).policies, Policies{});
  }
}

TEST(Mwan3Concern, OfARuleForAnIpsetIsNotKnown) {
  const Imported imported = importText(rule("s", "p2", kFromOurs + "option ipset nets\n"));
  EXPECT_EQ(imported.policies, Policies{});
  EXPECT_NE(imported.notes.find("rule 's': is about wg0 only as far as ipset 'nets' has its endpoints; not converted"),
            std::string::npos)
      << imported.notes;
  EXPECT_EQ(importText(rule("r", "p1", kToAddress + "option ipset nets\n")).policies, (Policies{{kAddress, "p1"}}));
}

TEST(Mwan3Concern, OfAnAddressIsThatOfItsPeerAndNotOfAHostName) {
  std::string network = networkWith("51820");
  network +=
      "config interface wg1\noption proto wireguard\noption nohostroute 1\nconfig wireguard_wg1\n"
      "option public_key " +
      std::string{kName} + "\noption endpoint_host other.example.org\n";
  const std::string toPort = kUdp + "option dest_port 51820\n";
  const Imported known = importText(rule("r", "p1", kToAddress + toPort), network);
  EXPECT_EQ(known.policies, (Policies{{kAddress, "p1"}}));
  EXPECT_EQ(known.notes, "");
  const Imported unknown = importText(rule("r", "p1", "option dest_ip 198.51.100.9\n" + toPort), network);
  EXPECT_EQ(unknown.policies, (Policies{{"wg1", "p1"}}));
  EXPECT_EQ(unknown.notes,
            "m:15: rule 'r': is taken to be for other.example.org of wg1, whose address is not known here");
  // One of two is nobody's.
  EXPECT_EQ(importText(rule("r", "p1", "option dest_ip 203.0.113.55,198.51.100.9\n" + toPort), network).policies,
            (Policies{{kAddress, "p1"}, {"wg1", "p1"}}));
}

TEST(Mwan3Concern, IsKnownForEachKindOfPeer) {
  const Network network = readNetwork(networkWith("51820"));
  const NetifdInterface& wg0 = *network.find("wg0");
  const auto concern = [&](const std::string& options, const NetifdPeer* peer) {
    config::Problems ignored;
    return concernOf(readMwan3("config rule r\n" + options, ignored).rules.at(0), network, {&wg0, peer});
  };
  const NetifdPeer* address = &wg0.peers[0];
  const NetifdPeer* name = &wg0.peers[1];
  const NetifdPeer* client = &wg0.peers[2];
  EXPECT_EQ(concern("option dest_ip 203.0.113.55\n", address), Concern::meant);
  EXPECT_EQ(concern("option dest_ip 203.0.113.0/24\noption proto udp\noption dest_port 51820\n", address),
            Concern::meant);
  EXPECT_EQ(concern("option dest_ip 192.0.2.1,203.0.113.55\noption proto udp\noption dest_port 51000:52000\n", address),
            Concern::meant);
  EXPECT_EQ(concern("option proto udp\noption dest_port 51820\n", address), Concern::meant);
  EXPECT_EQ(concern("option dest_ip 203.0.113.2\n", address), Concern::none);
  EXPECT_EQ(concern("option dest_ip 203.0.113.55\noption proto tcp\n", address), Concern::none);
  EXPECT_EQ(concern("option dest_ip 203.0.113.55\noption proto udp\noption dest_port 51821\n", address), Concern::none);
  EXPECT_EQ(concern("option dest_ip 0.0.0.0/0\n", address), Concern::everything);
  EXPECT_EQ(concern("option dest_ip 128.0.0.0/1\n", address), Concern::everything);
  EXPECT_EQ(concern("option dest_ip 0.0.0.0/1\n", address), Concern::none);
  EXPECT_EQ(concern("option dest_ip vpn.example.org\noption proto udp\n", name), Concern::meant);
  EXPECT_EQ(concern("option dest_ip 198.51.100.9\noption proto udp\noption dest_port 443\n", name), Concern::guessed);
  EXPECT_EQ(concern("option dest_ip 198.51.100.9\noption proto udp\n", name), Concern::none);
  EXPECT_EQ(concern("option dest_ip 128.0.0.0/1\n", name), Concern::none);
  for (const NetifdPeer* unknown : {client, static_cast<const NetifdPeer*>(nullptr)}) {
    EXPECT_EQ(concern("option proto udp\noption src_port 51820\n", unknown), Concern::meant);
    EXPECT_EQ(concern("option proto udp\noption dest_port 51820\n", unknown), Concern::none);
    EXPECT_EQ(concern("option proto udp\n", unknown), Concern::everything);
    EXPECT_EQ(concern("option dest_ip 203.0.113.55\n", unknown), Concern::none);
  }
}

}  // namespace
}  // namespace wgsteer::foreign
