#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Foreign state stays unchanged, byte for byte.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

foreign_things() {
  router ip -4 -batch - <<'THINGS'
rule add pref 50 fwmark 0x100/0x3f00 lookup 1
rule add pref 61 from 10.1.0.0/16 lookup 77
rule add pref 2001 fwmark 0x200/0x3f00 lookup 2
route add default via 192.0.2.1 dev wan0 table 1 proto static
route add 10.20.0.0/16 via 198.51.100.1 dev wan1 table 77
route add unreachable 10.30.0.0/16 table 2
THINGS
  router ip -6 -batch - <<'THINGS'
rule add pref 50 fwmark 0x100/0x3f00 lookup 1
rule add pref 61 from fd01::/16 lookup 77
route add default via 2001:db8:10::1 dev wan0 table 1
route add unreachable 2001:db8:3000::/36 table 77
THINGS
  router nft -f - <<'THINGS'
table inet fw4 {
  set allowed { type ipv4_addr . inet_service; elements = { 203.0.113.55 . 51820, 203.0.113.9 . 1 }; }
  chain mangle_output { type route hook output priority mangle; policy accept; meta mark set meta mark & 0xffffff00; }
  chain input { type filter hook input priority filter; policy accept; ct state established accept; }
}
table ip nat { chain post { type nat hook postrouting priority srcnat; oifname "eth9" masquerade; }; }
table ip6 own { map ports { type inet_service : mark; elements = { 53 : 0x1 }; }; }
THINGS
}

foreign_state() {
  local version table
  for version in 4 6; do
    router ip -"$version" rule show | grep -v 'proto 87' || true
    router ip -"$version" route show table all | grep -v 'proto 87' | sed 's/ expires [0-9]*sec//'
  done
  for table in 'inet fw4' 'inet witness' 'ip nat' 'ip6 own'; do
    # Unquoted: two words.
    # shellcheck disable=SC2086
    router nft -s list table $table
  done
}

case_untouched_by_run_and_flush() {
  local before
  topology_up
  foreign_things
  tunnel_up route_halves
  before=$(foreign_state)
  daemon_start_and_converge
  equal 'foreign state while the daemon runs' "$before" "$(foreign_state)"
  daemon_stop TERM
  equal 'foreign state after the daemon has ended' "$before" "$(foreign_state)"
  quietly wgsteer flush
  equal 'foreign state after flush' "$before" "$(foreign_state)"
}

# What other programs flush is restored immediately.
case_repaired() {
  steered_tunnel_up
  router ip rule flush
  router ip -6 rule flush
  router ip rule add pref 32766 lookup main
  router ip -6 rule add pref 32766 lookup main 2>/dev/null || true
  await 5 'the rules are restored' converged
  router nft delete table inet wgsteer
  await 5 'the table is restored' converged
  router wg set "$tunnel_device" fwmark 0
  await 10 'the fwmark is restored' fails prints off tunnel_mark
  steady_on 0 'repaired'
}

run_cases "$@"
