#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# `explain` describes what really happens to a packet.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

case_loop_before_wan_after() {
  local output
  topology_up
  tunnel_up route_halves
  output=$(wgsteer explain "$(socket_address "$endpoint" "$kPort")") || true
  check 'LOOP before wgsteer' has_line LOOP echo "$output"
  daemon_start_and_converge
  output=$(wgsteer explain "$(socket_address "$endpoint" "$kPort")" --mark "$(tunnel_mark)")
  check 'no LOOP with wgsteer' fails has_line LOOP echo "$output"
  check 'explain names the WAN' has_line "${wan_device[0]}" echo "$output"
  check 'explain names the source' has_line "${wan_address[0]//./\\.}" echo "$output"
}

case_status_shows_it() {
  steered_tunnel_up
  check 'status names the WAN' has_line "${wan_device[0]}" wgsteer status
  check 'status --json is JSON' json_of status --json
}

json_of() { wgsteer "$@" | python3 -c 'import json, sys; json.load(sys.stdin)'; }

case_check_runs() {
  local status=0
  topology_up
  tunnel_up route_halves
  daemon_start_and_converge
  quietly wgsteer check || status=$?
  ((status == 0 || status == 2)) || fail "check: exit code $status"
}

run_cases "$@"
