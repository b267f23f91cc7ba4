#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The daemon is killed at its first message to the kernel, then at its second, and so on; each start continues from
# where the last one ended. strace(1) does the killing, so that the daemon is unmodified.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

run_until_killed_at() { # N ARGUMENT... -> whether it finished before its N-th message
  local n=$1
  shift
  quietly router strace -qq -o "$work/strace" -e trace=sendto,sendmsg -e signal=none \
    -e inject=sendto,sendmsg:signal=KILL:when="$n" "$WGSTEER" run --once "$@"
}

strace_works() { quietly strace -qq -o /dev/null true; }

# Damage that the next start has to repair, both missing and surplus objects, none of which affects packets.
damaged() {
  router nft flush map inet wgsteer "endpoint$family"
  router_ip route replace unreachable default metric 77 table 1464270855 proto 87
  router_ip rule add priority 75 fwmark 0x70000000/0xf0000000 lookup 1464270855 protocol 87 2>/dev/null || true
}

case_at_every_message() {
  strace_works || skip 'strace does not work here'
  steered_tunnel_up
  daemon_stop KILL
  counters_reset
  local n=1
  until damaged && run_until_killed_at "$n"; do
    n=$((n + 1))
    ((n < 300)) || fail 'it never finishes'
  done
  note "killed $((n - 1)) times"
  ((n > 10)) || fail 'it was not killed'
  daemon_start_and_converge
  await_traffic 'traffic afterwards'
  nothing_misrouted 'throughout'
  equal 'packets lost' 0 "$(packets_lost)"
}

case_at_every_third_message_of_the_first_start() {
  strace_works || skip 'strace does not work here'
  topology_up
  tunnel_up route_halves
  local n=1
  until run_until_killed_at "$n"; do
    check "the start after the one killed at message $n" quietly wgsteer run --once
    check 'the plan is empty' wgsteer plan
    wgsteer flush
    n=$((n + 3))
    ((n < 300)) || fail 'it never finishes'
  done
  note "killed $((n / 3)) times"
  ((n > 10)) || fail 'it was not killed'
  daemon_start_and_converge
  tunnel_forget
  traffic_start
  await_handshake
  steady_on 0 'afterwards'
}

# Make before break: different priorities, and different slots for the same WANs.
case_other_numbers() {
  steered_tunnel_up
  daemon_stop KILL
  counters_reset
  cat >"$work/wgsteer.toml" <<CONF
[globals]
rule_priority = 200
[[wan]]
name = "second"
device = "${wan_device[1]}"
metric = 20
[[wan]]
name = "first"
device = "${wan_device[0]}"
metric = 10
CONF
  daemon_arguments=(-c "$work/wgsteer.toml")
  daemon_start_and_converge
  await_traffic 'traffic in the new layout'
  nothing_misrouted 'from the old layout to the new'
  equal 'packets lost' 0 "$(packets_lost)"
  equal 'rules of the old layout' '' "$(router_ip rule show | grep -E '^(60|70|80):' || true)"
  check 'rules of the new one' has_line '^210:.*/0xf0000000' router_ip rule show
  steady_on 0 'afterwards'
}

# Somebody has put a route into a table of ours while the daemon ran, which is no reason not to start it again.
case_a_foreign_route_in_a_table_of_ours() {
  steered_tunnel_up
  local table intruder=203.0.113.99
  [[ $family == 4 ]] || intruder=2001:db8:cafe::99
  table=$(router_ip rule show | sed -n '/proto 87/s/.*lookup \([0-9]*\).*/\1/p' | head -n 1)
  router_ip route add "$intruder" dev "${wan_device[1]}" table "$table"
  daemon_stop KILL
  daemon_start_and_converge
  await_traffic 'traffic afterwards'
  check 'the daemon runs' daemon_alive
  equal 'check' 2 "$(code_of wgsteer check)"
  check 'it is named' grep -q "problem: another program's route is in one of our tables: $intruder" "$work/out"
  daemon_stop KILL
  wgsteer flush
  # Nothing of ours looks it up any more: it may be the table of somebody else.
  fails wgsteer run --once || fail 'the table of somebody else is used'
}

run_cases "$@"
