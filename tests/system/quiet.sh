#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# When the kernel already matches the plan, nothing is written.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

case_plan_is_empty_after_run() {
  topology_up
  tunnel_up route_halves
  local status=0 output
  quietly wgsteer plan || status=$?
  equal 'exit code of plan before' 2 "$status"
  daemon_start_and_converge
  output=$(wgsteer plan)
  equal 'what plan prints while the daemon runs' '' "$output"
  daemon_stop TERM
  output=$(wgsteer plan)
  equal 'what plan prints after the daemon' '' "$output"
}

case_plan_changes_nothing() {
  local before
  topology_up
  tunnel_up route_halves
  tunnel_has_addresses
  before=$(kernel_state)
  quietly wgsteer plan || true
  equal 'the kernel after plan' "$before" "$(kernel_state)"
}

monitors_see() { # TEXT -> whether both have seen it
  grep -q "$1" "$work/ip-monitor" && grep -q "$1" "$work/nft-monitor"
}

# Makes a change of the test's own: whatever the monitors show between two of these was written by wgsteer.
bracket() { # NUMBER
  router ip route add "203.0.113.20$1" via "${wan_gateway4[0]}" dev "${wan_device[0]}"
  router nft add table inet "bracket203.0.113.20$1" 2>/dev/null || router nft add table inet "b20$1"
}

seen_between() { # FILE FIRST LAST
  sed -n "/$2/,/$3/p" "$1" | grep -v -e "$2" -e "$3" -e '^# new generation' || true
}

case_second_run_writes_nothing() {
  topology_up
  tunnel_up route_halves
  quietly wgsteer run --once
  start_in_host router "$work/ip-monitor" stdbuf -oL ip monitor route rule
  start_in_host router "$work/nft-monitor" stdbuf -oL nft monitor
  await 5 'both monitors are listening' monitors_ready
  quietly wgsteer run --once
  router ip route add 203.0.113.202 via "${wan_gateway4[0]}" dev "${wan_device[0]}"
  router nft add table inet b202
  await 5 'both monitors have seen the end' monitors_see '[b.]202'
  equal 'written routes and rules' '' "$(seen_between "$work/ip-monitor" '113\.201' '113\.202')"
  equal 'written nft' '' "$(seen_between "$work/nft-monitor" 'b201' 'b202')"
}

# Makes a change repeatedly until it is seen, because a monitor does not report when it starts to listen.
monitors_ready() {
  router ip route replace 203.0.113.201 via "${wan_gateway4[0]}" dev "${wan_device[0]}"
  router ip route del 203.0.113.201
  router nft add table inet b201
  router nft delete table inet b201
  monitors_see '[b.]201'
}

run_cases "$@"
