#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Other programs delete our state: it is restored immediately, on the notification.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

mended() { # WHAT COMMAND...
  local what=$1 before
  shift
  before=$(own_state)
  "$@"
  await 5 "repaired: $what" own_state_is "$before"
  steady_on 0 "after $what"
}

own_table() { router_ip rule show | sed -n 's/^70:.*lookup \([0-9]*\).*/\1/p' | sed -n 1p; }

case_rules_flushed() {
  steered_tunnel_up
  # Like a rule flush, but keeps the kernel's own three rules, without which nothing else would work, either.
  mended 'all rules deleted' router sh -c "
    while ip -$family rule del proto 87 2>/dev/null; do :; done"
}

case_table_flushed() {
  steered_tunnel_up
  mended 'the table flushed' router_ip route flush table "$(own_table)"
}

case_ruleset_flushed() {
  steered_tunnel_up
  mended 'the ruleset flushed' router sh -c "
    nft list table inet witness >$work/witness.nft
    nft flush ruleset
    nft -f $work/witness.nft"
}

case_nft_table_deleted() {
  steered_tunnel_up
  mended 'our table deleted' router nft delete table inet wgsteer
}

case_elements_and_chains_deleted() {
  steered_tunnel_up
  mended 'elements deleted' router nft flush map inet wgsteer "endpoint$family"
  mended 'a chain flushed' router nft flush chain inet wgsteer source
}

case_fwmark_reset() {
  steered_tunnel_up
  local mark
  mark=$(tunnel_mark)
  router wg set "$tunnel_device" fwmark 0
  await 5 'the fwmark is restored' prints "$mark" tunnel_mark
  steady_on 0 'after the fwmark was reset'
}

# A look that was held up by a hung tunnel is soon followed by the next one.
case_fwmark_reset_after_a_hung_tunnel() {
  steered_tunnel_up
  local mark
  mark=$(tunnel_mark)
  kill -STOP "$tunnel_pid"
  local noticed=yes
  holds_within 5 grep -q "wg show $tunnel_device: its process does not answer" "$daemon_log" || noticed=no
  kill -CONT "$tunnel_pid"
  equal 'the log reports the hung tunnel' yes "$noticed"
  router wg set "$tunnel_device" fwmark 0
  await 5 'the fwmark is restored' prints "$mark" tunnel_mark
  steady_on 0 'after the tunnel hung'
}

case_sysctl_reset() {
  steered_tunnel_up
  local key="net.ipv$family.conf.${wan_device[0]}.ignore_routes_with_linkdown"
  equal 'the sysctl is on' 1 "$(router sysctl -n "$key")"
  router sysctl -q -w "$key=0"
  await 5 'the sysctl is on again' prints 1 router sysctl -n "$key"
}

# The same rule is deleted again and again: one report in the log, and the rule is restored in the end.
case_fight() {
  steered_tunnel_up
  local before
  before=$(own_state)
  router sh -c "i=0; while [ \$i -lt 3000 ]; do ip -$family rule del priority 70 2>/dev/null; i=\$((i + 1)); done"
  await 5 'the rule is restored' own_state_is "$before"
  equal 'reports of the fight' 1 "$(grep -c 'keeps deleting our state' "$daemon_log")"
  check 'the log names the rule' grep -q 'rule deleted by port [0-9]*: priority 70' "$daemon_log"
  equal 'fights in status' \
    1 "$(wgsteer status --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["daemon"]["fights"])')"
  steady_on 0 'after the fight'
}

# Causes repairs until the monitor, once it has subscribed, shows one.
repair_is_shown() { # FILE
  quietly router_ip rule del priority 70
  grep -q 'rule add priority 70' "$1"
}

case_monitor_shows_it() {
  steered_tunnel_up
  local out=$work/monitor
  start_in_host router "$out" "$WGSTEER" monitor
  await 10 'the repair is shown' repair_is_shown "$out"
  check 'monitor shows the cause' grep -q 'rule deleted by port [0-9]*: priority 70' "$out"
  check 'monitor shows how long it took' grep -qE '1 change in [0-9]+ us' "$out"
  check 'status shows the latency' has_line 'rule +[0-9]' wgsteer status
}

run_cases "$@"
