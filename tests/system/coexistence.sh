#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Next to mwan3, netifd and fw4: state of ours that they delete is restored, handshakes work throughout, and their own
# state is not touched.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"
# shellcheck source=../support/mwan3.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/mwan3.sh"

# All foreign state, as text without counters and lifetimes.
their_state() {
  local version
  for version in 4 6; do
    router ip -"$version" rule show | grep -v 'proto 87'
    router ip -"$version" route show table all | grep -v 'proto 87' | sed 's/ expires [0-9]*sec//'
  done
  router iptables-save -t mangle | strip_counters
  router ip6tables-save -t mangle | strip_counters
  ! quietly router nft list table inet fw4 || router nft -s list table inet fw4
  router nft -s list table inet witness
}

# Nothing was misrouted since the event, and a new handshake succeeds.
right_throughout() { # WHAT
  tunnel_forget
  await 8 "$1: a handshake" handshake_done
  await_traffic "$1: traffic"
  equal "$1: outer packets by the other WAN" 0 "$(right 1)"
  nothing_misrouted "$1"
  check "$1: handshake by the first WAN" at_least 1 responses 0
}

beside_mwan3() {
  need_mwan3
  topology_up
  tunnel_up route_halves
  mwan3_start
  daemon_start_and_converge
  tunnel_forget
  traffic_start
  await_handshake
  steady_on 0 'next to mwan3'
}

# mwan3 also marks the outer packets, for the other WAN; without us they loop, in mwan3's own table.
case_mwan3_alone_does_not_help() {
  need_mwan3
  topology_up
  tunnel_up route_halves
  mwan3_start
  tunnel_forget
  await 10 'outer packets enter the tunnel' at_least 1 looped
  check 'no handshake' fails handshake_done
}

case_mwan3_is_there_first() {
  need_mwan3
  local before
  topology_up
  tunnel_up route_halves
  mwan3_start
  before=$(their_state)
  daemon_start_and_converge
  counters_reset
  traffic_start
  right_throughout 'mwan3 first'
  check 'mwan3 has marked our packets' mwan3_marked_some
  equal 'their state while we run' "$before" "$(their_state)"
  daemon_stop TERM
  quietly wgsteer flush
  equal 'their state after flush' "$before" "$(their_state)"
}

case_mwan3_comes_up_later() {
  need_mwan3
  local ours theirs
  steered_tunnel_up
  ours=$(own_state)
  mwan3_start
  theirs=$(their_state)
  right_throughout 'mwan3 comes up'
  check 'mwan3 has marked our packets' mwan3_marked_some
  equal 'our state' "$ours" "$(own_state)"
  equal 'their state' "$theirs" "$(their_state)"
}

case_mwan3_stops() {
  local ours theirs
  need_mwan3
  steered_tunnel_up
  ours=$(own_state) theirs=$(their_state)
  mwan3_start
  await_traffic 'with mwan3'
  mwan3_stop
  right_throughout 'mwan3 stopped'
  equal 'our state' "$ours" "$(own_state)"
  equal 'their state as before mwan3' "$theirs" "$(their_state)"
}

case_mwan3_restarts() {
  local ours theirs round
  beside_mwan3
  ours=$(own_state) theirs=$(their_state)
  for round in 1 2 3; do
    mwan3_stop
    mwan3_start
    right_throughout "restart $round"
  done
  equal 'our state' "$ours" "$(own_state)"
  equal 'their state' "$theirs" "$(their_state)"
}

# mwan3 deletes our rules, too, if a user has moved them into its priority range.
case_mwan3_deletes_our_rules() {
  local ours
  need_mwan3
  topology_up
  tunnel_up route_halves
  printf '[globals]\nrule_priority = 1500\n' >"$work/moved.toml"
  # Read by topology.sh.
  # shellcheck disable=SC2034
  daemon_arguments=(-c "$work/moved.toml")
  mwan3_start
  daemon_start_and_converge
  tunnel_forget
  traffic_start
  await_handshake
  steady_on 0 'among mwan3 rules'
  ours=$(own_state)
  check 'our rules are in the range' has_line '^15[0-9][0-9]:.*proto 87' router_ip rule show
  mwan3_stop
  await 5 'our state is restored' own_state_is "$ours"
  steady_on 0 'after mwan3 stopped'
}

# mwan3's marks for the other WAN, which conntrack remembers, must not affect our packets.
case_failover_beside_mwan3() {
  beside_mwan3
  wan_carrier_down 0
  await 10 'by the second WAN' at_least 1 right 1
  comes_to_rest_on 1 'failed over'
  wan_carrier_up 0
  await 20 'by the first WAN again' at_least 1 right 0
  comes_to_rest_on 0 'failed back'
}

# netifd deletes all rules except the kernel's, in both families. We restore only our own.
case_netifd_starts() {
  local ours
  beside_mwan3
  ours=$(own_state)
  netifd_flush_rules
  await 5 'our state is restored' own_state_is "$ours"
  note "$(misrouted) packets were misrouted while the rules were missing"
  check 'at most two packets were misrouted' test "$(misrouted)" -le 2
  counters_reset
  right_throughout 'netifd started'
  equal "mwan3's rules are not restored" '' "$(mwan3_rules_present)"
  mwan3_start
  right_throughout 'mwan3 hotplug afterwards'
  equal 'our state' "$ours" "$(own_state)"
}

# fw4 restart deletes and reloads table inet fw4; it does not affect our state or mwan3's.
case_fw4_restarts() {
  local ours theirs
  beside_mwan3
  fw4_load
  ours=$(own_state) theirs=$(their_state)
  counters_reset
  for _ in 1 2 3; do
    router nft delete table inet fw4
    fw4_load
  done
  right_throughout 'fw4 restarted'
  equal 'our state' "$ours" "$(own_state)"
  equal 'their state' "$theirs" "$(their_state)"
}

# The flush deletes all nft tables, including mwan3's chains; we restore only our own. (The test restores its witness.)
case_fw4_flushes() {
  local ours
  beside_mwan3
  fw4_load
  ours=$(own_state)
  counters_reset
  router nft flush ruleset
  witness_ruleset | router nft -f -
  await 5 'our state is restored' own_state_is "$ours"
  right_throughout 'fw4 flush'
  check "mwan3's chains are not restored" fails router iptables -t mangle -S mwan3_hook
  check "fw4's table is not restored" fails router nft list table inet fw4
}

run_cases "$@"
