// SPDX-License-Identifier: GPL-2.0-or-later
#include "mwan3.hpp"

#include <cstdlib>
#include <fstream>

#include "wans.hpp"

namespace wgsteer::bench {

namespace {

constexpr const char* kUnmarked = " -m mark --mark 0x0/0x3f00";

std::string markOf(int wan) { return wan == 0 ? "0x100/0x3f00" : "0x200/0x3f00"; }

/// The sets `custom`, `connected` and `dynamic` of mwan3 are written as one comparison each, which costs less than a
/// lookup in an ipset: mwan3 is rather flattered.
std::string insideChains() {
  std::string lines;
  for (const auto& [chain, inside] : {std::pair{"custom", "192.0.2.0/24"}, std::pair{"connected", "10.0.0.0/8"},
                                      std::pair{"dynamic", "192.0.2.0/24"}})
    lines += std::string{"-A mwan3_"} + chain + "_ipv4 -d " + inside + " -j MARK --set-xmark 0x3f00/0x3f00\n";
  return lines;
}

std::string arrivalChains() {
  std::string lines;
  for (int wan = 0; wan < 2; ++wan) {
    const std::string chain = "mwan3_iface_in_" + wanName(wan), from = "-A " + chain + " -i " + wanName(wan);
    lines += std::string{"-A mwan3_ifaces_in"} + kUnmarked + " -j " + chain + "\n";
    for (const char* inside : {"192.0.2.0/24", "10.0.0.0/8", "192.0.2.0/24"})
      lines += from + " -s " + inside + kUnmarked + " -m comment --comment default -j MARK --set-xmark 0x3f00/0x3f00\n";
    lines += from + kUnmarked + " -m comment --comment " + wanName(wan) + " -j MARK --set-xmark " + markOf(wan) + "\n";
  }
  return lines;
}

std::string hookChain() {
  std::string lines = "-A PREROUTING -j mwan3_hook\n-A OUTPUT -j mwan3_hook\n";
  lines += std::string{"-A mwan3_hook"} + kUnmarked + " -j CONNMARK --restore-mark --nfmask 0x3f00 --ctmask 0x3f00\n";
  for (const char* chain : {"ifaces_in", "custom_ipv4", "connected_ipv4", "dynamic_ipv4", "rules"})
    lines += std::string{"-A mwan3_hook"} + kUnmarked + " -j mwan3_" + chain + "\n";
  lines += "-A mwan3_hook -j CONNMARK --save-mark --nfmask 0x3f00 --ctmask 0x3f00\n";
  for (const char* chain : {"custom_ipv4", "connected_ipv4", "dynamic_ipv4"})
    lines += std::string{"-A mwan3_hook -m mark ! --mark 0x3f00/0x3f00 -j mwan3_"} + chain + "\n";
  return lines;
}

std::string ruleLine(const SimpleRule& rule) {
  std::string line = "-A mwan3_rules";
  if (rule.udpPort != 0) line += " -p udp";
  if (!rule.source.empty()) line += " -s " + rule.source;
  if (!rule.destination.empty()) line += " -d " + rule.destination;
  if (rule.udpPort != 0) line += " -m multiport --dports " + std::to_string(rule.udpPort);
  return line + kUnmarked + " -m comment --comment " + rule.name + " -j mwan3_policy_" +
         (rule.first ? "first" : "second") + "\n";
}

std::string mangleTable(std::span<const SimpleRule> rules) {
  std::string text = "*mangle\n";
  for (const char* chain : {"hook", "ifaces_in", "iface_in_wan0", "iface_in_wan1", "custom_ipv4", "connected_ipv4",
                            "dynamic_ipv4", "rules", "policy_first", "policy_second"})
    text += std::string{":mwan3_"} + chain + " -\n";
  text += hookChain() + arrivalChains() + insideChains();
  for (const SimpleRule& rule : rules) text += ruleLine(rule);
  for (int wan = 0; wan < 2; ++wan)
    text += std::string{"-A mwan3_policy_"} + (wan == 0 ? "first" : "second") + kUnmarked + " -m comment --comment \"" +
            wanName(wan) + " 3 3\" -j MARK --set-xmark " + markOf(wan) + "\n";
  return text + "COMMIT\n";
}

std::string routing() {
  std::string script;
  for (int wan = 0; wan < 2; ++wan) {
    const std::string id = std::to_string(wan + 1);
    script += "ip route add 10.9.0.0/16 dev lan table " + id + "\nip route add default via " + wanGateway(wan) +
              " dev " + wanName(wan) + " table " + id + "\n";
    script += "ip rule add pref 100" + id + " iif " + wanName(wan) + " lookup " + id + "\nip rule add pref 200" + id +
              " fwmark " + markOf(wan) + " lookup " + id + "\nip rule add pref 300" + id + " fwmark " + markOf(wan) +
              " unreachable\n";
  }
  return script +
         "ip rule add pref 2061 fwmark 0x3d00/0x3f00 blackhole\nip rule add pref 2062 fwmark 0x3e00/0x3f00 "
         "unreachable\n";
}

}  // namespace

bool canHaveMwan3Chains() { return std::system("command -v iptables-nft-restore >/dev/null") == 0; }

void addMwan3Chains(const Netns& netns, std::span<const SimpleRule> rules) {
  const std::string path = "/run/mwan3.rules";
  std::ofstream file(path);
  file << mangleTable(rules);
  need(static_cast<bool>(file.flush()), path);
  netns.shell("iptables-nft-restore --noflush <" + path + "\n" + routing());
}

}  // namespace wgsteer::bench
