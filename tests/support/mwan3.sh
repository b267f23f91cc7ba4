# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Does to the router of topology.sh what mwan3 2.12, netifd and fw4 do to rules, tables and chains. mwan3's policy
# prefers the second WAN, so that a packet that follows mwan3's mark instead of ours shows up at the wrong ISP.

# Set by topology.sh.
# shellcheck disable=SC2154

need_mwan3() {
  local tool
  for tool in iptables ip6tables; do
    command -v "$tool" >/dev/null || skip "no $tool on this machine"
  done
  unshare --net iptables -t mangle -A OUTPUT -j CONNMARK --restore-mark --nfmask 0x3f00 --ctmask 0x3f00 2>/dev/null ||
    skip 'the kernel has no xt_CONNMARK'
}

strip_counters() { sed -e '/^#/d' -e 's/\[[0-9]*:[0-9]*\]//'; }

# Hook, order of jumps and marks as in `iptables-save` with mwan3 running; its ipset "connected" is written as rules.
# The real one holds every prefix of main except defaults; the /1 routes would bypass all user rules, so they are left
# out.
mwan3_chains() { # 4|6
  local local_net=192.168.0.0/16
  [[ $1 == 4 ]] || local_net=fe80::/10
  cat <<CHAINS
*mangle
:mwan3_hook -
:mwan3_ifaces_in -
:mwan3_iface_in_wan -
:mwan3_iface_in_wanb -
:mwan3_connected -
:mwan3_rules -
:mwan3_policy_wanb_wan -
-A PREROUTING -j mwan3_hook
-A OUTPUT -j mwan3_hook
-A mwan3_hook -m mark --mark 0x0/0x3f00 -j CONNMARK --restore-mark --nfmask 0x3f00 --ctmask 0x3f00
-A mwan3_hook -m mark --mark 0x0/0x3f00 -j mwan3_ifaces_in
-A mwan3_hook -m mark --mark 0x0/0x3f00 -j mwan3_connected
-A mwan3_hook -m mark --mark 0x0/0x3f00 -j mwan3_rules
-A mwan3_hook -j CONNMARK --save-mark --nfmask 0x3f00 --ctmask 0x3f00
-A mwan3_hook -m mark ! --mark 0x3f00/0x3f00 -j mwan3_connected
-A mwan3_ifaces_in -m mark --mark 0x0/0x3f00 -j mwan3_iface_in_wan
-A mwan3_ifaces_in -m mark --mark 0x0/0x3f00 -j mwan3_iface_in_wanb
-A mwan3_iface_in_wan -i ${wan_device[0]} -m mark --mark 0x0/0x3f00 -m comment --comment wan -j MARK --set-xmark 0x100/0x3f00
-A mwan3_iface_in_wanb -i ${wan_device[1]} -m mark --mark 0x0/0x3f00 -m comment --comment wanb -j MARK --set-xmark 0x200/0x3f00
-A mwan3_connected -d $local_net -j MARK --set-xmark 0x3f00/0x3f00
-A mwan3_rules -m mark --mark 0x0/0x3f00 -m comment --comment default_rule -j mwan3_policy_wanb_wan
-A mwan3_policy_wanb_wan -m mark --mark 0x0/0x3f00 -m comment --comment "wanb 3 3" -j MARK --set-xmark 0x200/0x3f00
COMMIT
CHAINS
}

# Each table of mwan3 is a copy of main without the other WANs' routes, but with the tunnel's.
mwan3_tables() { # 4|6
  local wan other gateway
  for wan in 0 1; do
    other=${wan_device[1 - wan]} gateway=${wan_gateway4[$wan]}
    [[ $1 == 4 ]] || gateway=${wan_gateway6[$wan]}
    router ip -"$1" route show table main |
      awk -v other="$other" -v table="$((wan + 1))" '$1 == "default" || index($0 " ", " dev " other " ") { next }
        { sub(/ expires [0-9]+sec/, ""); sub(/ pref [a-z]+/, ""); sub(/ linkdown/, ""); print "route replace " $0 " table " table }'
    echo "route replace default via $gateway dev ${wan_device[$wan]} metric ${wan_metric[$wan]} table $((wan + 1))"
  done
}

mwan3_rules() {
  local id
  for id in 1 2; do
    echo "rule add pref $((1000 + id)) iif ${wan_device[id - 1]} lookup $id"
    echo "rule add pref $((2000 + id)) fwmark 0x${id}00/0x3f00 lookup $id"
    echo "rule add pref $((3000 + id)) fwmark 0x${id}00/0x3f00 unreachable"
  done
  echo 'rule add pref 2061 fwmark 0x3d00/0x3f00 blackhole'
  echo 'rule add pref 2062 fwmark 0x3e00/0x3f00 unreachable'
}

mwan3_start() {
  local version
  for version in 4 6; do
    mwan3_tables "$version" >"$work/tables"
    router ip -"$version" -batch "$work/tables"
    mwan3_rules | router ip -"$version" -batch -
  done
  # Add only what is missing: after netifd has flushed the rules, the chains are still there.
  quietly router iptables -t mangle -S mwan3_hook && return
  mwan3_chains 4 | router iptables-restore --noflush
  mwan3_chains 6 | router ip6tables-restore --noflush
}

# mwan3 deletes rules and tables by number, no matter who owns them.
mwan3_stop() {
  local version tool preference
  for version in 4 6; do
    for preference in $(router ip -"$version" rule show | sed -nE 's/^([1-3][0-9]{3}):.*/\1/p'); do
      router ip -"$version" rule del pref "$preference" || true
    done
    for ((table = 1; table <= 60; table++)); do
      echo "route flush table $table"
    done | router ip -"$version" -force -batch - 2>/dev/null || true
  done
  for tool in iptables ip6tables; do
    router "$tool"-restore --noflush <<'STOP'
*mangle
-D PREROUTING -j mwan3_hook
-D OUTPUT -j mwan3_hook
-F mwan3_hook
-F mwan3_ifaces_in
-F mwan3_iface_in_wan
-F mwan3_iface_in_wanb
-F mwan3_connected
-F mwan3_rules
-F mwan3_policy_wanb_wan
-X mwan3_hook
-X mwan3_ifaces_in
-X mwan3_iface_in_wan
-X mwan3_iface_in_wanb
-X mwan3_connected
-X mwan3_rules
-X mwan3_policy_wanb_wan
COMMIT
STOP
  done
}

mwan3_rules_present() {
  local version
  for version in 4 6; do
    router ip -"$version" rule show | grep -E '^[1-3][0-9]{3}:' || true
  done
}

# mwan3's policy has marked outer packets.
mwan3_marked_some() {
  local tool=iptables
  [[ $family == 4 ]] || tool=ip6tables
  (($(router "$tool" -t mangle -L mwan3_policy_wanb_wan -v -x -n | awk '/MARK/ && !found++ { print $1 }') > 0))
}

# netifd's system_flush_rules() at its first start: one request per rule. netifd itself restores the kernel's three.
netifd_flush_rules() {
  local version
  for version in 4 6; do
    router ip -"$version" rule show | awk -F: '$1 != 0 && $1 < 32766 { print "rule del pref " $1 }' |
      router ip -"$version" -force -batch -
  done
}

fw4_load() {
  router nft -f - <<FW4
table inet fw4 {
  chain mangle_prerouting { type filter hook prerouting priority mangle; policy accept; }
  chain mangle_output { type route hook output priority mangle; policy accept; }
  chain input { type filter hook input priority filter; policy accept; ct state established,related accept; }
  chain srcnat { type nat hook postrouting priority srcnat; policy accept; oifname { ${wan_device[0]}, ${wan_device[1]} } masquerade; }
}
FW4
}
