// SPDX-License-Identifier: GPL-2.0-or-later
// Rules of other programs that write marks, loaded by the real nft and iptables beside rules for any traffic: which of
// them `check` names, that what it advises instead is no finding, and that programs as used in practice are none.
#include <algorithm>
#include <array>

#include "wgsteer/core/desire.hpp"
#include "wgsteer/core/inspect_firewall.hpp"

#include "environment.hpp"
#include "nft/foreign_chains.hpp"
#include "support/catch_all.hpp"
#include "support/worlds.hpp"

namespace wgsteer::nft::test {

namespace {

using namespace wgsteer::test;

/// Of a table with one chain.
std::string nft(const std::string& hook, const std::string& rules) {
  return "nft -f - <<'N'\ntable inet m {\nchain c {\ntype " + hook + "\n" + rules + "\n}\n}\nN";
}
std::string iptables(const std::string& rule) { return "iptables-nft " + rule; }

const std::string kPrerouting = "filter hook prerouting priority -100;";
const std::string kMangle = "filter hook prerouting priority mangle;";
const std::string kForward = "filter hook forward priority 0;";
const std::string kPostrouting = "filter hook postrouting priority mangle;";

struct Case {
  std::string bad;
  std::string rule;  ///< as it is named
  std::string fix;   ///< the end of what is advised
  std::string good;  ///< the rule as advised
  Severity severity = Severity::problem;
};

}  // namespace

class NftForeignMarks : public KernelTest {
 protected:
  static std::vector<Finding> found(const std::string& commands) {
    shell("nft flush ruleset");
    shell(commands);
    auto firewall = readForeignChains();
    EXPECT_TRUE(firewall.has_value());
    World world = twoWans();
    world.tunnels.edit().clear();
    const Config config = catchAll();
    const Steering steering = steer(config, world);
    return inspectFirewall(firewall.value_or(firewall::Firewall{}), config, world, steering,
                           desire(config, world, steering));
  }

  static void expectNamed(const Case& row) {
    const auto findings = found(row.bad);
    ASSERT_EQ(findings.size(), 1U) << row.bad;
    EXPECT_EQ(findings[0].severity, row.severity) << row.bad;
    EXPECT_TRUE(findings[0].what.contains("\"" + row.rule + "\" overwrites wgsteer's bits 0xff000000"))
        << row.bad << "\n"
        << findings[0].what;
    EXPECT_TRUE(findings[0].fix.contains(row.fix)) << row.bad << "\n" << findings[0].fix;
    for (const Finding& one : found(row.good)) ADD_FAILURE() << row.good << "\n" << one.what;
  }

  static void expectNone(const std::string& name, const std::string& commands) {
    for (const Finding& one : found(commands)) ADD_FAILURE() << name << "\n" << one.what;
  }
};

TEST_F(NftForeignMarks, OfNftAreNamed) {
  for (const Case& row : {
           Case{nft(kForward, "ct mark set 0x1"), "ct mark set 0x1", "ct mark set ct mark and 0xff000000 or 0x1 (",
                nft(kForward, "ct mark set ct mark and 0xff000000 or 0x1")},
           Case{nft(kPostrouting, "ct mark set ct mark and 0xff or 0x100"), "ct mark set ct mark & 0xff | 0x100",
                "ct mark set ct mark and 0xff0000ff or 0x100 (",
                nft(kPostrouting, "ct mark set ct mark and 0xff0000ff or 0x100")},
           Case{nft(kPostrouting, "ct mark set meta mark"), "ct mark set meta mark",
                "ct mark and 0xff000000 == 0 ct mark set meta mark and 0xffffff (",
                nft(kPostrouting, "ct mark and 0xff000000 == 0 ct mark set meta mark and 0xffffff")},
           Case{nft(kPrerouting, "meta mark set ct mark"), "meta mark set ct mark",
                "meta mark and 0xff000000 == 0 meta mark set ct mark and 0xffffff (",
                nft(kPrerouting, "meta mark and 0xff000000 == 0 meta mark set ct mark and 0xffffff")},
           Case{nft(kPrerouting, "meta mark set 0"), "meta mark set 0x0",
                "meta mark set meta mark and 0xff000000 (iptables: MARK --set-xmark 0x0/0xffffff)",
                nft(kPrerouting, "meta mark set meta mark and 0xff000000")},
           Case{nft(kForward, "meta mark set 0x10"), "meta mark set 0x10", "meta mark and 0xff000000 or 0x10 (",
                nft(kForward, "meta mark set meta mark and 0xff000000 or 0x10")},
           Case{nft(kPrerouting, "meta mark set numgen random mod 2 offset 1"), "meta mark set numgen",
                "begin it with meta mark and 0xff000000 == 0",
                nft(kPrerouting, "meta mark and 0xff000000 == 0 meta mark set numgen random mod 2 offset 1")},
           Case{nft(kPrerouting, "meta nfproto ipv4 meta mark set jhash ip saddr mod 2 map { 0 : 1, 1 : 2 }"),
                "meta nfproto ipv4 meta mark set hash map { ... }", "", nft(kMangle, "meta mark set 1"),
                Severity::advice},
           // DSCP to connection marks, for tc's ctinfo.
           Case{nft(kPostrouting, "ct mark set (@nh,8,8 & 252) >> 2"), "ct mark set bits",
                "begin it with ct mark and 0xff000000 == 0",
                nft(kPostrouting, "ct mark and 0xff000000 == 0 ct mark set (@nh,8,8 & 252) >> 2")},
       })
    expectNamed(row);
}

TEST_F(NftForeignMarks, OfIptablesAreNamed) {
  for (const Case& row : {
           Case{iptables("-A FORWARD -j CONNMARK --set-mark 1"), "ct mark set 0x1",
                "CONNMARK --set-xmark 0x1/0xffffff)", iptables("-A FORWARD -j CONNMARK --set-xmark 0x1/0xffffff")},
           Case{iptables("-t mangle -A POSTROUTING -j CONNMARK --save-mark"), "ct mark set meta mark",
                "CONNMARK --save-mark --nfmask 0xffffff --ctmask 0xffffff)",
                iptables("-t mangle -A POSTROUTING -j CONNMARK --save-mark --nfmask 0xffffff --ctmask 0xffffff")},
           Case{iptables("-t mangle -A FORWARD -j CONNMARK --restore-mark"), "meta mark set ct mark",
                "CONNMARK --restore-mark --nfmask 0xffffff --ctmask 0xffffff)",
                iptables("-t mangle -A FORWARD -j CONNMARK --restore-mark --nfmask 0xffffff --ctmask 0xffffff")},
           Case{iptables("-t mangle -A POSTROUTING -j CONNMARK --save-mark --left-shift-mark 4"),
                "ct mark set meta mark << 4 & 0xfffffff0", "in iptables, give it a mask within 0xffffff",
                iptables("-t mangle -A POSTROUTING -j CONNMARK --save-mark --nfmask 0xff --ctmask 0xff00 "
                         "--left-shift-mark 8")},
           Case{iptables("-t mangle -A POSTROUTING -j MARK --set-mark 0x1"), "meta mark set 0x1",
                "MARK --set-xmark 0x1/0xffffff)",
                iptables("-t mangle -A POSTROUTING -j MARK --set-xmark 0x1/0xffffff")},
           Case{iptables("-t mangle -A FORWARD -j MARK --and-mark 0xff"), "meta mark set meta mark & 0xff",
                "MARK --set-xmark 0x0/0xffff00)", iptables("-t mangle -A FORWARD -j MARK --set-xmark 0x0/0xffff00")},
           Case{iptables("-t mangle -A FORWARD -j CONNMARK --save-mark --mask 0xff00ff00"),
                "ct mark set ct mark & 0xff00ff | meta mark & 0xff00ff00",
                "bits 0xff000000: CONNMARK --save-mark --nfmask 0xff00 --ctmask 0xff00",
                iptables("-t mangle -A FORWARD -j CONNMARK --save-mark --nfmask 0xff00 --ctmask 0xff00")},
       })
    expectNamed(row);
}

TEST_F(NftForeignMarks, OfChainsThatNobodyReachesOrOthersMeanAreNone) {
  expectNone("no jump", "nft add table inet m; nft add chain inet m c; nft add rule inet m c ct mark set 1");
  expectNone("dormant",
             "nft -f - <<'N'\ntable inet m { flags dormant; chain c { type " + kForward + " ct mark set 1;\n}\n}\nN");
  expectNone("before conntrack", nft("filter hook prerouting priority raw;", "ct mark set 1"));
  expectNone("loopback", nft(kPrerouting, "iifname \"lo\" meta mark set 1\niif lo meta mark set 1") +
                             "\niptables-nft -t mangle -A FORWARD -i lo -j CONNMARK --set-mark 1");
  expectNone("other marks", nft(kPostrouting, "meta mark 0xca6c ct mark set meta mark\nmeta mark 0 ct mark set 1"));
  expectNone("not noted", nft(kForward, "ct mark 0 ct mark set 1\nct mark and 0xff000000 == 0 ct mark set 2"));
}

TEST_F(NftForeignMarks, OfOtherProgramsAreNone) {
  // mwan3 of OpenWrt 19.07 and later, by iptables.
  expectNone("mwan3",
             "t='iptables-nft -t mangle'; for c in hook rules connected iface_in_wan policy_balanced; do $t -N "
             "mwan3_$c; done; $t -A PREROUTING -j mwan3_hook; $t -A OUTPUT -j mwan3_hook; $t -A mwan3_hook -j CONNMARK "
             "--restore-mark --nfmask 0x3f00 --ctmask 0x3f00; $t -A mwan3_hook -m mark --mark 0x0/0x3f00 -j "
             "mwan3_iface_in_wan; $t -A mwan3_hook -m mark --mark 0x0/0x3f00 -j mwan3_rules; $t -A mwan3_hook -j "
             "CONNMARK --save-mark --nfmask 0x3f00 --ctmask 0x3f00; $t -A mwan3_iface_in_wan -i wan0 -m mark --mark "
             "0x0/0x3f00 -j MARK --set-xmark 0x100/0x3f00; $t -A mwan3_rules -m mark --mark 0/0x3f00 -j "
             "mwan3_policy_balanced; $t -A mwan3_policy_balanced -m mark --mark 0x0/0x3f00 -m statistic --mode random "
             "--probability 0.5 -j MARK --set-xmark 0x200/0x3f00");
  expectNone("pbr",
             "nft -f - <<'N'\ntable inet fw4 {\n"
             "chain pbr_prerouting { ip saddr 192.168.5.40 goto pbr_mark_0x010000;\n}\n"
             "chain pbr_mark_0x010000 { meta mark set meta mark & 0xff00ffff | 0x00010000; return;\n}\n"
             "chain mangle_prerouting { type filter hook prerouting priority mangle; jump pbr_prerouting;\n}\n"
             "chain mangle_forward { type filter hook forward priority mangle; jump pbr_prerouting;\n}\n}\nN");
  expectNone("Tailscale",
             "i=iptables-nft; $i -N ts-forward; $i -A FORWARD -j ts-forward; $i -A ts-forward -i tailscale0 -j MARK "
             "--set-xmark 0x40000/0xff0000; $i -A ts-forward -m mark --mark 0x40000/0xff0000 -j ACCEPT; $i -t mangle "
             "-A PREROUTING -m conntrack --ctstate ESTABLISHED,RELATED -j CONNMARK --restore-mark --nfmask 0xff0000 "
             "--ctmask 0xff0000; $i -t mangle -A OUTPUT -m conntrack --ctstate NEW -m mark ! --mark 0x0/0xff0000 -j "
             "CONNMARK --save-mark --nfmask 0xff0000 --ctmask 0xff0000");
  expectNone("wg-quick, nft",
             "nft -f - <<'N'\ntable ip wg-quick-wg0 {\n"
             "chain premangle { type filter hook prerouting priority -150; meta l4proto udp meta mark set ct mark;\n}\n"
             "chain postmangle { type filter hook postrouting priority -150; meta l4proto udp meta mark 0xca6c ct mark "
             "set meta mark;\n}\n}\nN");
  expectNone("wg-quick, iptables",
             "iptables-nft -t mangle -A PREROUTING -p udp -j CONNMARK --restore-mark; iptables-nft -t mangle -A "
             "POSTROUTING -p udp -m mark --mark 0xca6c -j CONNMARK --save-mark");
  expectNone(
      "kube-proxy",
      "n='iptables-nft -t nat'; $n -N KUBE-MARK-MASQ; $n -A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000; "
      "$n -A PREROUTING -p tcp --dport 80 -j KUBE-MARK-MASQ; $n -A POSTROUTING -j MARK --set-xmark 0x4000/0x4000;"
      "$n -A POSTROUTING -j MASQUERADE");
  expectNone("firewalld", "nft -f " GOLDEN_DIRECTORY "/firewalld.nft");
  // The recipe of many howtos, in its right order.
  expectNone(
      "restore, mark, save",
      "p='iptables-nft -t mangle -A PREROUTING'; $p -j CONNMARK --restore-mark; $p -m mark ! --mark 0 -j ACCEPT; "
      "$p -i wan0 -j MARK --set-mark 1; $p -j CONNMARK --save-mark");
}

}  // namespace wgsteer::nft::test
