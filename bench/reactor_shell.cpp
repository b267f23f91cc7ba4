// SPDX-License-Identifier: GPL-2.0-or-later
#include "reactors.hpp"
#include "wans.hpp"

namespace wgsteer::bench {

namespace {

/// `ip monitor` says "Deleted default via ..." or "default via ..."; `present` and `absent` are the commands to run
/// then.
std::string monitor(const std::string& present, const std::string& absent) {
  return "ip -4 monitor route | while read -r line; do\n"
         "case $line in\n"
         "*' table '*) ;;\n"  // of any table but main, our own writes among them
         "'Deleted default via '*' dev wan0 '*) " +
         absent +
         " ;;\n"
         "'default via '*' dev wan0 '*) " +
         present +
         " ;;\n"
         "esac\ndone\n";
}

}  // namespace

std::string shellWithIp() {
  const std::string table = " dev wan0 table " + std::to_string(kPolicyTable) + " metric 1 proto 87";
  return monitor("ip route replace default via " + wanGateway(0) + table + " onlink",
                 "ip route delete default" + table);
}

std::string shellWithLinks() {
  const auto replace = [](int wan) {
    return "ip route replace default via " + wanGateway(wan) + " dev " + wanName(wan) +
           " onlink metric 1 proto 87 table " + std::to_string(kPolicyTable);
  };
  // Its links vanish with its namespace, and messages about that are of no interest.
  return "exec 2>/dev/null\nip monitor link | while read -r line; do\n"
         "case $line in\n"
         "*': wan0@'*LOWER_UP*) " +
         replace(0) +
         " ;;\n"
         "*': wan0@'*) " +
         replace(1) + " ;;\nesac\ndone\n";
}

std::string rulesetForShell() {
  return "nft -f - <<'RULES'\n"
         "table inet shell {\n"
         "  map mark_of { type mark : mark; elements = { 0xf0000000 : 0x10000000 } }\n"
         "  chain output { type route hook output priority mangle; meta mark set meta mark map @mark_of; }\n"
         "}\nRULES\n"
         "printf 'delete element inet shell mark_of { 0xf0000000 }\\nadd element inet shell mark_of { 0xf0000000 : "
         "0x10000000 }\\n' >/run/present.nft\n"
         "printf 'delete element inet shell mark_of { 0xf0000000 }\\nadd element inet shell mark_of { 0xf0000000 : "
         "0x20000000 }\\n' >/run/absent.nft\n";
}

std::string shellWithNft() { return monitor("nft -f /run/present.nft", "nft -f /run/absent.nft"); }

}  // namespace wgsteer::bench
