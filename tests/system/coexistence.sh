#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Next to mwan3, netifd and fw4: our state that they delete is restored, handshakes work throughout, and their own state
# stays as they made it.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"
# shellcheck source=../support/mwan3.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/mwan3.sh"

# Everything that is not ours, as text without counters and lifetimes.
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

# From an event on: nothing went wrong on the wire, and a handshake begun now succeeds.
right_throughout() { # WHAT
  tunnel_forget
  await 8 "$1: a handshake" handshake_done
  await_traffic "$1: traffic"
  equal "$1: outer packets by the other WAN" 0 "$(right 1)"
  nothing_misrouted "$1"
  check "$1: handshake by the WAN" at_least 1 responses 0
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
  steady_on 0 'beside mwan3'
}

# mwan3 marks the outer packets too, for the other WAN; without us they loop, in mwan3's own table.
case_mwan3_alone_does_not_help() {
  need_mwan3
  topology_up
  tunnel_up route_halves
  mwan3_start
  tunnel_forget
  await 10 'packets into the tunnel' at_least 1 looped
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
  equal 'while we run' "$before" "$(their_state)"
  daemon_stop TERM
  quietly wgsteer flush
  equal 'after flush' "$before" "$(their_state)"
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
  equal 'ours' "$ours" "$(own_state)"
  equal 'theirs' "$theirs" "$(their_state)"
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
  equal 'ours' "$ours" "$(own_state)"
  equal 'as before mwan3' "$theirs" "$(their_state)"
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
  equal 'ours' "$ours" "$(own_state)"
  equal 'theirs' "$theirs" "$(their_state)"
}

# What mwan3 deletes by number is ours if a user has moved us there.
case_mwan3_deletes_our_rules() {
  local ours
  need_mwan3
  topology_up
  tunnel_up route_halves
  printf '[globals]\nrule_priority = 1500\n' >"$work/moved.toml"
  # Of topology.sh.
  # shellcheck disable=SC2034
  daemon_arguments=(-c "$work/moved.toml")
  mwan3_start
  daemon_start_and_converge
  tunnel_forget
  traffic_start
  await_handshake
  steady_on 0 'among mwan3 rules'
  ours=$(own_state)
  check 'ours is in the range' has_line '^15[0-9][0-9]:.*proto 87' router_ip rule show
  mwan3_stop
  await 5 'ours is back' own_state_is "$ours"
  steady_on 0 'after mwan3 stopped'
}

# The other WAN's own marks, which conntrack remembers, do not hold our packets back.
case_failover_beside_mwan3() {
  beside_mwan3
  wan_carrier_down 0
  await 10 'by the second WAN' at_least 1 right 1
  comes_to_rest_on 1 'failed over'
  wan_carrier_up 0
  await 20 'by the first WAN again' at_least 1 right 0
  comes_to_rest_on 0 'failed back'
}

# All rules but the kernel's, both families. Ours come back, theirs are theirs to restore.
case_netifd_starts() {
  local ours
  beside_mwan3
  ours=$(own_state)
  netifd_flush_rules
  await 5 'ours are back' own_state_is "$ours"
  note "$(misrouted) packets went wrong in the moment without rules"
  check 'at most those of a moment' test "$(misrouted)" -le 2
  counters_reset
  right_throughout 'netifd started'
  equal 'rules of mwan3' '' "$(mwan3_rules_present)"
  mwan3_start
  right_throughout 'mwan3 hotplug afterwards'
  equal 'ours' "$ours" "$(own_state)"
}

# `nft delete table inet fw4` and its ruleset anew, as fw4 restart does: nothing of ours, nothing of mwan3's.
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
  equal 'ours' "$ours" "$(own_state)"
  equal 'theirs' "$theirs" "$(their_state)"
}

# Every nft table goes, mwan3's chains with them; only ours is ours to restore. (The witness is the test's own.)
case_fw4_flushes() {
  local ours
  beside_mwan3
  fw4_load
  ours=$(own_state)
  counters_reset
  router nft flush ruleset
  witness_ruleset | router nft -f -
  await 5 'ours is back' own_state_is "$ours"
  right_throughout 'fw4 flush'
  check 'no chains of mwan3' fails router iptables -t mangle -S mwan3_hook
  check 'no table of fw4' fails router nft list table inet fw4
}

run_cases "$@"
