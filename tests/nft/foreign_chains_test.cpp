// SPDX-License-Identifier: GPL-2.0-or-later
// Firewalls as used in practice, loaded by the real nft and iptables: what `check` reports about them, and what not.
#include "nft/foreign_chains.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fstream>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "wgsteer/core/desire.hpp"
#include "wgsteer/core/inspect_firewall.hpp"

#include "environment.hpp"
#include "support/worlds.hpp"

namespace wgsteer::nft::test {

namespace {

using namespace wgsteer::test;

using Lines = std::vector<std::string>;

firewall::Firewall read() {
  auto firewall = readForeignChains();
  EXPECT_TRUE(firewall.has_value()) << firewall.error().toString();
  return firewall.value_or(firewall::Firewall{});
}

std::vector<Finding> inspected(const World& world, const Config& config) {
  const Steering steering = steer(config, world);
  return inspectFirewall(read(), config, world, steering, desire(config, world, steering));
}

Lines lines(const std::vector<Finding>& findings) {
  constexpr std::array kNames{"conflict: ", "problem: ", "advice: "};
  Lines all;
  for (const Finding& one : findings) all.push_back(kNames.at(std::to_underlying(one.severity)) + one.what);
  return all;
}

/// With mark_mask where kube-proxy's bits are.
Config withMask(std::uint32_t mask) {
  Config config;
  config.numbers.markMask = mask;
  return config;
}

/// The tunnel is wg-quick's, with a fwmark of its own.
World withWgQuick() {
  World world = twoWans();
  world.tunnels.edit().at("wg0").fwmark = {0xca6c};
  return world;
}

World server() {
  World world = twoWans();
  Peer guest = peer(2, "203.0.113.9:1");
  guest.endpoint.reset();
  guest.allowedIps = {*Prefix::parse("10.9.0.7/32")};
  world.tunnels.edit().at("wg0").peers = {guest};
  return world;
}

struct Case {
  const char* name;
  std::string commands;
  Lines told = {};  ///< the beginnings of all findings
  World world = twoWans();
  Config config = {};
};

}  // namespace

class NftForeignChains : public KernelTest {
 protected:
  void expect(const Case& row) {
    shell("nft flush ruleset");
    shell(row.commands);
    const Lines found = lines(inspected(row.world, row.config));
    ASSERT_EQ(found.size(), row.told.size()) << row.name << "\n" << (found.empty() ? "nothing" : found.front());
    for (std::size_t i = 0; i < found.size(); ++i)
      EXPECT_TRUE(found[i].starts_with(row.told[i])) << row.name << "\n" << found[i];
  }
};

TEST_F(NftForeignChains, ThatTakeTheMarkAwayAfterUsAreNamed) {
  for (const Case& row : {
           Case{"cleared",
                "nft -f - <<'N'\ntable inet late { chain out { type route hook output priority 0; meta mark set "
                "0;\n}\n}\nN",
                {"problem: table inet late, chain out (output, priority 0): \"meta mark set 0x0\" changes the mark of "
                 "wg0's "
                 "packets to 203.0.113.55:51820"}},
           Case{"of one family",
                "nft -f - <<'N'\ntable ip6 late { chain out { type route hook output priority 0; meta mark set "
                "0;\n}\n}\nN",
                {}},
           Case{"of all UDP by a set",
                "nft -f - <<'N'\ntable ip late { chain out { type route hook output priority 0; meta l4proto { tcp, "
                "udp } meta "
                "mark set 0x7;\n}\n}\nN",
                {"problem: table ip late, chain out (output, priority 0): \"meta l4proto { ... } meta mark set 0x7\""}},
           Case{"from the connection",
                "nft -f - <<'N'\ntable ip late { chain out { type route hook output priority 0; meta mark set ct "
                "mark;\n}\n}\nN",
                {"problem: table ip late, chain out (output, priority 0): \"meta mark set ct mark\""}},
           Case{"from the connection, if it has one",
                "nft -f - <<'N'\ntable ip late { chain out { type route hook output priority 0; ct mark != 0 meta mark "
                "set ct "
                "mark;\n}\n}\nN",
                {}},
           Case{"in a chain that is jumped to",
                "nft -f - <<'N'\ntable ip late { chain mine { meta mark set 1;\n}\nchain out { type route hook output "
                "priority 0; "
                "oifname \"wan0\" jump mine;\n}\n}\nN",
                {"problem: table ip late, chain mine (from out, output, priority 0): \"meta mark set 0x1\""}},
           Case{"for another device",
                "nft -f - <<'N'\ntable ip late { chain out { type route hook output priority 0; oifname \"eth7\" meta "
                "mark set "
                "1;\n}\n}\nN",
                {}},
           Case{"in a dormant table",
                "nft -f - <<'N'\ntable ip late { flags dormant; chain out { type route hook output priority 0; meta "
                "mark set "
                "0;\n}\n}\nN",
                {}},
           Case{"with other bits alone",
                "nft -f - <<'N'\ntable ip late { chain out { type route hook output priority 0; meta mark set meta "
                "mark & "
                "0xffffff00 | 0x12;\n}\n}\nN",
                {}},
           Case{"before us",
                "nft -f - <<'N'\ntable ip early { chain out { type route hook output priority mangle; meta mark set "
                "0;\n}\n}\nN",
                {}},
           Case{"without another look at the routes",
                "nft -f - <<'N'\ntable ip late { chain out { type filter hook output priority 0; meta mark set "
                "0;\n}\n}\nN",
                {"advice: table ip late, chain out (output, priority 0): \"meta mark set 0x0\" changes the mark of "
                 "wg0's packets "
                 "to 203.0.113.55:51820: they are routed correctly"}},
           Case{"perhaps",
                "nft -f - <<'N'\ntable ip late { set s { type ipv4_addr;\n}\nchain out { type route hook output "
                "priority 0; ip "
                "daddr @s meta mark set 0;\n}\n}\nN",
                {}},
           Case{"after what perhaps was accepted",
                "nft -f - <<'N'\ntable ip late { set s { type ipv4_addr;\n}\nchain out { type route hook output "
                "priority 0; ip "
                "daddr @s accept; meta mark set 0;\n}\n}\nN",
                {}},
           Case{"of the user's fwmark, before us",
                "nft -f - <<'N'\ntable ip early { chain out { type route hook output priority mangle; meta mark set "
                "0;\n}\n}\nN",
                {},
                withWgQuick()},
           Case{"of the user's fwmark",
                "nft -f - <<'N'\ntable ip late { chain out { type route hook output priority 0; meta mark set meta "
                "mark & "
                "0xffffff00;\n}\n}\nN",
                {"problem: table ip late, chain out (output, priority 0): \"meta mark set meta mark & 0xffffff00\" "
                 "changes "
                 "the mark of wg0's"},
                withWgQuick()},
       })
    expect(row);
}

TEST_F(NftForeignChains, OfIptablesAreUnderstood) {
  for (const Case& row : {
           // The mangle table is before us.
           Case{"mangle", "iptables-nft -t mangle -A OUTPUT -p udp -j MARK --set-xmark 0x0/0xffffffff", {}},
           Case{"mangle, with the user's fwmark",
                "iptables-nft -t mangle -A OUTPUT -p udp -j MARK --set-xmark 0/0xffffffff",
                {},
                withWgQuick()},
           Case{"restored, with the user's fwmark",
                "iptables-nft -t mangle -A OUTPUT -j CONNMARK --restore-mark",
                {},
                withWgQuick()},
           Case{"restored into our bits alone",
                "iptables-nft -t mangle -A OUTPUT -j MARK --set-xmark 0x30000000/0xf0000000; iptables-nft -t mangle -A "
                "OUTPUT -j CONNMARK --restore-mark --nfmask 0xff0000 --ctmask 0xff0000",
                {"problem: table ip mangle, chain OUTPUT (output, priority -150): \"meta mark set meta mark & "
                 "0xfffffff | "
                 "0x30000000\""}},
           Case{"set among other bits", "iptables-nft -t mangle -A OUTPUT -j MARK --set-xmark 0x10000/0xff0000", {}},
           Case{"only what has no mark",
                "iptables-nft -t mangle -A OUTPUT -m mark --mark 0 -j CONNMARK --restore-mark",
                {},
                withWgQuick()},
           Case{"of a user",
                "iptables-nft -t mangle -A OUTPUT -m owner --uid-owner 1000 -j MARK --set-mark 1",
                {},
                withWgQuick()},
           Case{"MARK in OUTPUT overwrites ours before us, in our bits",
                "iptables-nft -t mangle -A OUTPUT -j MARK --set-mark 0x30000001",
                {"problem: table ip mangle, chain OUTPUT (output, priority -150): \"meta mark set 0x30000001\""}},
       })
    expect(row);
}

TEST_F(NftForeignChains, ThatDropByMarkAreNamedWhereTheBitsAreOurs) {
  // As kube-proxy makes them.
  const char* kKube =
      "iptables-nft -N KUBE-FIREWALL; iptables-nft -A KUBE-FIREWALL -m comment --comment 'kubernetes firewall for "
      "dropping "
      "marked packets' -m mark --mark 0x8000/0x8000 -j DROP; iptables-nft -A OUTPUT -j KUBE-FIREWALL; iptables-nft -A "
      "INPUT "
      "-j KUBE-FIREWALL; iptables-nft -t nat -N KUBE-MARK-MASQ; iptables-nft -t nat -A KUBE-MARK-MASQ -j MARK "
      "--set-xmark "
      "0x4000/0x4000; iptables-nft -t nat -N KUBE-POSTROUTING; iptables-nft -t nat -A KUBE-POSTROUTING -m mark ! "
      "--mark "
      "0x4000/0x4000 -j RETURN; iptables-nft -t nat -A KUBE-POSTROUTING -j MARK --xor-mark 0x4000; iptables-nft -t nat "
      "-A "
      "KUBE-POSTROUTING -j MASQUERADE --random-fully; iptables-nft -t nat -A POSTROUTING -j KUBE-POSTROUTING";
  expect({"other bits", kKube, {}});
  expect({"our bits",
          kKube,
          {"problem: table ip filter, chain KUBE-FIREWALL (from OUTPUT, output, priority 0): \"meta mark & 0x8000 == "
           "0x8000 "
           "drop\" drops wg0's packets to 203.0.113.55:51820, because of the mark 0xf000"},
          twoWans(),
          withMask(0xf000)});
}

TEST_F(NftForeignChains, KillSwitchesRejectWhatHasTheMarksOfWans) {
  const char* kSwitch =
      "iptables-nft -I OUTPUT ! -o wg0 -m mark ! --mark 0xca6c -m addrtype ! --dst-type LOCAL -j REJECT";
  const std::string rule =
      "table ip filter, chain OUTPUT (output, priority 0): \"oifname != \"wg0\" meta mark != 0xca6c fib daddr type != "
      "local "
      "reject\" rejects ";
  expect({"not probed",
          kSwitch,
          {"advice: " + rule + "packets with the mark of WAN wan0, because of the mark 0x10000000"},
          withWgQuick()});
  Config probed = fiberAndLte();
  probed.wans[0].trackMethod = TrackMethod::icmp;
  probed.wans[0].trackIp = {{Address::v4(192, 0, 2, 53), 0}};
  expect({"probed",
          kSwitch,
          {"problem: " + rule + "the probes of WAN fiber, because of the mark 0x10000000"},
          withWgQuick(),
          probed});
  probed.wans[0].trackMethod = TrackMethod::tcp;
  probed.wans[0].trackIp = {{Address::v4(192, 0, 2, 53), 8443}};
  expect({"probed at a port",
          "nft add table ip t; nft add chain ip t out '{ type filter hook output priority 0; }'; nft add rule ip t out "
          "tcp dport 8443 drop",
          {"advice: table ip t, chain out (output, priority 0): \"tcp dport 8443 drop\" drops the "
           "probes of WAN fiber"},
          twoWans(),
          probed});
  expect({"with our marks let through",
          "iptables-nft -I OUTPUT ! -o wg0 -m mark ! --mark 0xca6c -m addrtype ! --dst-type LOCAL -j REJECT; nft "
          "insert rule ip "
          "filter OUTPUT meta mark and 0xf0000000 != 0 accept",
          {},
          withWgQuick()});
  expect({"another tunnel's",
          "iptables-nft -I OUTPUT ! -o wg7 -m mark ! --mark 0xca6c -m addrtype ! --dst-type LOCAL -j REJECT",
          {"advice: table ip filter, chain OUTPUT", "problem: table ip filter, chain OUTPUT"}});
}

TEST_F(NftForeignChains, ThatFilterReversePathsAreNamedIfTheyLookWithoutTheMark) {
  const auto filter = [](const std::string& priority, const std::string& rule) {
    return "nft -f - <<'N'\ntable inet rp { chain pre { type filter hook prerouting priority " + priority + "; " +
           rule + " drop;\n}\n}\nN";
  };
  struct Row {
    std::string commands;
    const char* severity;  ///< none: nothing is reported
  };
  for (const Row& row : {
           Row{filter("filter", "fib saddr . iif oif missing"), "problem"},
           Row{filter("filter", "fib saddr . iif oif 0"), "problem"},
           Row{filter("raw - 2", "fib saddr . mark . iif oif missing"), "problem"},
           Row{filter("raw - 1", "fib saddr . mark . iif oif missing"), "advice"},
           Row{filter("raw", "fib saddr . mark . iif oif missing"), nullptr},
           Row{filter("mangle", "fib saddr . mark . iif oif missing"), nullptr},
           Row{filter("filter + 10", "meta nfproto ipv6 fib saddr . mark . iif oif missing"), nullptr},
           Row{filter("filter + 10", "meta nfproto ipv6 fib saddr . iif oif missing"), nullptr},  // the peer has IPv4
           Row{filter("filter", "fib saddr oif missing"), nullptr},
           Row{filter("filter", "iifname wan1 fib saddr . iif oif missing"), nullptr},
           Row{"iptables-nft -t raw -A PREROUTING -m rpfilter --invert -j DROP", "problem"},
           Row{"iptables-nft -t mangle -A PREROUTING -m rpfilter --invert -j DROP", "problem"},
           Row{"iptables-nft -t mangle -A PREROUTING -m rpfilter --validmark --invert -j DROP", nullptr},
           Row{"iptables-nft -t mangle -A PREROUTING -m rpfilter --loose --invert -j DROP", nullptr},
       }) {
    shell("nft flush ruleset");
    shell(row.commands);
    const Lines found = lines(inspected(twoWans(), {}));
    ASSERT_EQ(found.size(), row.severity == nullptr ? 0U : 1U) << row.commands << "\n"
                                                               << (found.empty() ? "" : found[0]);
    if (row.severity == nullptr) continue;
    EXPECT_TRUE(found[0].starts_with(row.severity)) << row.commands << "\n" << found[0];
    EXPECT_NE(found[0].find("drops replies from 203.0.113.55:51820 to wg0 on wan0: this reverse path filter"),
              std::string::npos)
        << found[0];
  }
  World noFullTunnel = twoWans();
  std::erase_if(noFullTunnel.routes, [](const Route& one) { return one.destination.length() == 1; });
  expect({"no full tunnel", "iptables-nft -t raw -A PREROUTING -m rpfilter --invert -j DROP", {}, noFullTunnel});
}

// The chain of NixOS, with iptables and with nftables.
TEST_F(NftForeignChains, OfNixOsAreFine) {
  const auto iptables = [](const std::string& mark) {
    return "iptables-nft -t mangle -N nixos-fw-rpfilter; iptables-nft -t mangle -A nixos-fw-rpfilter -m rpfilter " +
           mark +
           " -j RETURN; iptables-nft -t mangle -A nixos-fw-rpfilter -p udp --sport 67 --dport 68 -j RETURN; "
           "iptables-nft -t "
           "mangle -A nixos-fw-rpfilter -s 0.0.0.0 -d 255.255.255.255 -p udp --sport 68 --dport 67 -j RETURN; "
           "iptables-nft "
           "-t mangle -A nixos-fw-rpfilter -j DROP; iptables-nft -t mangle -A PREROUTING -j nixos-fw-rpfilter";
  };
  expect({"iptables", iptables("--validmark"), {}});
  expect(
      {"iptables, without the mark",
       iptables(""),
       {"problem: table ip mangle, chain nixos-fw-rpfilter (from PREROUTING, prerouting, priority -150): \"drop\" "
        "drops "
        "replies from 203.0.113.55:51820 to wg0 on wan0: this reverse path filter looks up the return path without the "
        "mark"}});
  const auto nftables = [](const std::string& fib) {
    return "nft -f - <<'N'\ntable inet nixos-fw { chain rpfilter { type filter hook prerouting priority mangle + 10; "
           "policy "
           "drop;\nmeta nfproto ipv4 udp sport . udp dport { 68 . 67, 67 . 68 } accept\n" +
           fib + " exists accept\n}\n}\nN";
  };
  expect({"nftables", nftables("fib saddr . mark . iif oif"), {}});
  expect({"nftables, without the mark",
          nftables("fib saddr . iif oif"),
          {"problem: table inet nixos-fw, chain rpfilter (prerouting, priority -140): policy drop drops replies"}});
}

TEST_F(NftForeignChains, ThatClearTheMarkOfAnswersHarmWhereRpFilterIsStrict) {
  const char* kCleared =
      "nft -f - <<'N'\ntable ip t { chain pre { type filter hook prerouting priority 0; meta mark set 0;\n}\n}\nN";
  expect({"off", kCleared, {}});
  World strict = twoWans();
  strict.rpFilterAll = 1;
  expect({"strict",
          kCleared,
          {"problem: table ip t, chain pre (prerouting, priority 0): \"meta mark set 0x0\" changes the mark of "
           "replies from 203.0.113.55:51820 to wg0 on wan0: the strict rp_filter of wan0"},
          strict});
  // wg-quick's own.
  expect({"before us",
          "nft -f - <<'N'\ntable ip wg-quick-wg0 {\nchain preraw { type filter hook prerouting priority -300; iifname "
          "!= \"wg0\" "
          "ip daddr 10.9.0.2 fib saddr type != local drop;\n}\nchain premangle { type filter hook prerouting priority "
          "-150; "
          "meta l4proto udp meta mark set ct mark;\n}\nchain postmangle { type filter hook postrouting priority -150; "
          "meta "
          "l4proto udp meta mark 0xca6c ct mark set meta mark;\n}\n}\nN",
          {},
          strict});
}

TEST_F(NftForeignChains, WithADropForAllElseAreAdviceIfNothingCanAccept) {
  const std::string in = "nft -f - <<'N'\ntable inet f { chain in { type filter hook input priority 0; policy drop;\n";
  expect({"established", (in + "ct state established,related accept; tcp dport 22 accept;\n}\n}\nN"), {}});
  expect({"by a map", (in + "ct state vmap { established : accept, invalid : drop };\n}\n}\nN"), {}});
  expect({"by a set", (in + "udp dport { 1000-2000, 51820 } accept;\n}\n}\nN"), {}});
  expect({"not in the set",
          (in + "udp dport { 1000-2000, 51821 } accept;\n}\n}\nN"),
          {"advice: table inet f, chain in (input, priority 0): policy drop drops replies from 203.0.113.55:51820 to "
           "wg0"}});
  expect({"perhaps", (in + "meta skuid 0 accept;\n}\n}\nN"), {}});
  expect(
      {"a server's port is closed",
       (in + "ct state established accept; udp dport 22 accept;\n}\n}\nN"),
       {"advice: table inet f, chain in (input, priority 0): policy drop drops packets from new peers to wg0 (udp port "
        "51820)"},
       server()});
  expect({"or open to what was translated",
          (in + "ct state established accept; ct status dnat accept; udp dport 22 accept;\n}\n}\nN"),
          {"advice: table inet f, chain in (input, priority 0): policy drop drops packets from new peers to wg0 (udp "
           "port 51820)"},
          server()});
  expect({"which it is",
          ("nft 'add table inet n; add chain inet n pre { type nat hook prerouting priority -100; }; add rule inet n "
           "pre udp dport 51820 redirect to :51821'; " +
           in + "ct state established accept; ct status dnat accept; udp dport 22 accept;\n}\n}\nN"),
          {},
          server()});
  expect({"a server's port is open",
          (in + "ct state established accept; udp dport 51820 accept;\n}\n}\nN"),
          {},
          server()});
  expect(
      {"output",
       "iptables-nft -P OUTPUT DROP; iptables-nft -A OUTPUT -o lo -j ACCEPT; iptables-nft -A OUTPUT -p tcp -j ACCEPT",
       {"advice: table ip filter, chain OUTPUT (output, priority 0): policy drop drops wg0's packets to"}});
}

// https://docs.docker.com/engine/network/packet-filtering-firewalls/: the chains that it creates, and its bridges.
TEST_F(NftForeignChains, OfDockerAreFine) {
  expect(
      {"docker",
       "iptables-nft -P FORWARD DROP; for c in DOCKER DOCKER-USER DOCKER-FORWARD DOCKER-ISOLATION-STAGE-1; do "
       "iptables-nft "
       "-N $c; done; iptables-nft -A FORWARD -j DOCKER-USER; iptables-nft -A FORWARD -j DOCKER-FORWARD; iptables-nft "
       "-A "
       "DOCKER-FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT; iptables-nft -t nat -N DOCKER; "
       "iptables-nft -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER; iptables-nft -t nat -A OUTPUT ! -d "
       "127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER; iptables-nft -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o "
       "docker0 "
       "-j MASQUERADE; iptables-nft -t raw -A PREROUTING -d 172.17.0.2/32 ! -i docker0 -j DROP",
       {}});
}

// As firewalld 1.3.3 of Debian 12 loads them, with its defaults.
TEST_F(NftForeignChains, OfFirewalldAreFine) {
  const std::string load = "nft -f " GOLDEN_DIRECTORY "/firewalld.nft";
  World world = twoWans();
  expect({"IPv4", load, {}, world});
  world.tunnels.edit().at("wg0").peers = {peer(1, "[2001:db8:cafe::55]:51820")};
  expect({"IPv6", load, {}, world});
  // As in firewalld before its lookup included the mark.
  expect({"without the mark",
          "sed 's/fib saddr . mark . iif/fib saddr . iif/' " GOLDEN_DIRECTORY "/firewalld.nft | nft -f -",
          {"problem: table inet firewalld, chain filter_PREROUTING (prerouting, priority 10): \"meta nfproto ipv6 fib "
           "saddr . iif oif missing drop\" drops replies from [2001:db8:cafe::55]:51820 to wg0 on wan0: this reverse "
           "path"},
          world});
}

TEST_F(NftForeignChains, OfUfwAreFine) {
  const std::string folder = "/usr/share/ufw/iptables/";
  if (!std::ifstream{folder + "before.rules"}) GTEST_SKIP() << "ufw is not installed";
  // As ufw-init creates them: its chains, its default policies, and its three files.
  shell(
      "iptables-nft -P INPUT DROP; iptables-nft -P FORWARD DROP; for c in before-logging before after-logging after "
      "reject "
      "track; do for d in input output forward; do iptables-nft -N ufw-$c-$d; done; done; for d in input output "
      "forward; do "
      "for c in before-logging before after after-logging reject track; do iptables-nft -A $(echo $d | tr a-z A-Z) -j "
      "ufw-$c-$d; done; done; iptables-nft -A ufw-track-output -p udp -m conntrack --ctstate NEW -j ACCEPT; for c in "
      "logging-deny logging-allow user-limit user-limit-accept skip-to-policy-input not-local user-input user-output "
      "user-forward; do iptables-nft -N ufw-$c 2>/dev/null; done; iptables-nft -A ufw-skip-to-policy-input -j DROP; "
      "iptables-nft-restore -n < /usr/share/ufw/iptables/before.rules; iptables-nft-restore -n < "
      "/usr/share/ufw/iptables/after.rules");
  EXPECT_EQ(lines(inspected(twoWans(), {})), Lines{});
}

TEST_F(NftForeignChains, OfOthersButNotOursAreRead) {
  converge(exampleState());
  EXPECT_TRUE(read().chains.empty());
  shell("nft add table ip wgsteer; nft add chain ip wgsteer output; nft add table arp a; nft add chain arp a b");
  ASSERT_EQ(read().chains.size(), 1U);
  EXPECT_EQ(nameOf(read().chains.front()), "ip wgsteer");
}

TEST_F(NftForeignChains, OfAnySizeAreReadInASecond) {
  {
    std::ofstream file("/tmp/wgsteer_foreign_chains_test.nft");
    file << "table inet big { set blocked { type ipv4_addr; flags interval;\nelements = { ";
    for (unsigned i = 0; i < 100'000; ++i)
      file << (i == 0 ? "" : ",") << "10." << (i >> 16U) * 2 << "." << (i >> 8U & 255U) << "." << (i & 255U);
    file << " }\n}\nchain in { type filter hook input priority 0; ip saddr @blocked drop\n";
    for (unsigned i = 0; i < 10'000; ++i)
      file << "ip saddr 10.1." << i / 256 << "." << i % 256 << " udp dport 1-9 drop\n";
    file << "}\n}\n";
  }
  shell("nft -f /tmp/wgsteer_foreign_chains_test.nft; rm /tmp/wgsteer_foreign_chains_test.nft");
  const auto before = std::chrono::steady_clock::now();
  EXPECT_EQ(lines(inspected(twoWans(), {})), Lines{});
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds{3})
      << "sanitizers and a loaded machine included";
}

TEST_F(NftForeignChains, AreNotForEverybodyToRead) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setresuid(65534, 65534, 65534) != 0) ::_exit(2);
    const auto firewall = readForeignChains();
    ::_exit(!firewall && firewall.error().kind == ErrorKind::refused ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(NftForeignChains, ThatChangeMeanwhileAreReadAsTheyWereOrNotAtAll) {
  std::atomic<bool> stop = false;
  std::atomic<unsigned> changes = 0;
  std::thread changer([&] {
    while (!stop) {
      const int status = std::system(
          "nft -f - <<'N'\nadd table ip t\ndelete table ip t\ntable ip t { chain c { udp dport { 1, 2 } "
          "accept;\n}\n}\nN");
      if (status == 0) ++changes;
    }
  });
  unsigned complete = 0;
  for (int i = 0; i < 50 || changes < 10; ++i) {
    const auto firewall = readForeignChains();
    if (!firewall) {
      EXPECT_EQ(firewall.error().kind, ErrorKind::busy) << firewall.error().toString();
      continue;
    }
    ++complete;
    for (const auto& chain : firewall->chains) EXPECT_EQ(chain.rules.size(), 1U);
  }
  stop = true;
  changer.join();
  EXPECT_GT(complete, 0U);
}

}  // namespace wgsteer::nft::test
