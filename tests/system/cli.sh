#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The command line, as people, scripts and service managers use it.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

readonly kNobody=65534 kGroupId=64123

# The daemon looks up its group when it starts.
group_exists() {
  { cat /etc/group && echo "wgsteer:x:$kGroupId:"; } >"$work/group"
  router mount --bind "$work/group" /etc/group
}

as_member() { router setpriv --reuid "$kNobody" --regid "$kNobody" --groups "$kGroupId" "$WGSTEER" "$@"; }
as_root_without() { router setpriv --bounding-set "-$1" "$WGSTEER" "${@:2}"; } # CAPABILITY VERB...

has_ended() { ! kill -0 "$daemon_pid" 2>/dev/null; }

flushed_by() { # COMMAND...
  local before code=0
  tunnel_has_addresses
  before=$(kernel_state)
  daemon_start_and_converge
  equal 'exit status' 0 "$(code_of "$@" flush)"
  equal 'no error output' '' "$(<"$work/err")"
  check 'it tells how to start again' grep -q 'to start it again: wgsteer run' "$work/out"
  await 5 'the daemon ends' has_ended
  wait "$daemon_pid" || code=$?
  equal 'its exit status tells the service manager not to restart it' 3 "$code"
  equal 'the kernel state after flush' "$before" "$(kernel_state)"
}

case_flush_ends_the_daemon_for_good() {
  topology_up
  tunnel_up route_halves
  group_exists
  flushed_by wgsteer
  flushed_by as_member
  daemon_start_and_converge
  local code=0
  kill -TERM "$daemon_pid"
  wait "$daemon_pid" || code=$?
  equal 'exit status after SIGTERM' 0 "$code"
  equal 'flush without a daemon' 0 "$(code_of wgsteer flush)"
  equal 'it prints nothing' '' "$(<"$work/out")"
  equal 'flush without privileges' 1 "$(code_of as_member flush)"
  check 'the error names the capability' grep -q 'CAP_NET_ADMIN: run it as root' "$work/err"
}

case_once_beside_a_daemon_is_refused() {
  local before
  steered_tunnel_up
  wgsteer wan wan0 down
  await 5 'traffic by the other WAN' only_by 1
  before=$(own_state)
  equal 'run --once is refused' 1 "$(code_of wgsteer run --once)"
  check 'the error says why' grep -q 'already running' "$work/err"
  equal 'our state is unchanged' "$before" "$(own_state)"
  daemon_stop KILL
  equal 'run --once without the daemon' 0 "$(code_of wgsteer run --once)"
  equal 'the manual override still applies' "$before" "$(own_state)"
}

case_root_without_the_capability_is_told() {
  steered_tunnel_up
  : >"$work/empty.toml"
  local verb
  for verb in check 'explain 8.8.8.8' "plan -c $work/empty.toml"; do
    # shellcheck disable=SC2086
    equal "$verb fails" 1 "$(code_of as_root_without net_admin $verb)"
    check "$verb names the capability" grep -q 'it needs CAP_NET_ADMIN: root lacks it here' "$work/err"
  done
  equal 'a request that the daemon refuses' 1 "$(code_of as_root_without net_admin wan nosuch down)"
  check 'the error is about the WAN' grep -q 'no such WAN' "$work/err"
  equal 'and does not mention a capability' '' "$(grep CAP_ "$work/err" || true)"
}

case_explain_of_somebody_else() {
  local other=198.18.0.1
  [[ $family == 4 ]] || other=2001:db8:18::1
  steered_tunnel_up
  equal 'an address inside the tunnel' 0 "$(code_of wgsteer explain "$other")"
  check 'it goes into the tunnel' grep -q "^goes into tunnel $tunnel_device: no peer has this endpoint" "$work/out"
  daemon_stop TERM
  quietly wgsteer flush
  equal 'the endpoint without wgsteer' 2 "$(code_of wgsteer explain "$endpoint")"
  check 'it loops' grep -q '^LOOP: ends in tunnel' "$work/out"
  equal 'as JSON' 2 "$(code_of wgsteer explain --json "$endpoint")"
  equal 'its fields' "$tunnel_device $(public_key "$kServerKey") True" "$(python3 -c '
import json, sys
walk = json.load(sys.stdin)
print(walk["tunnel"], walk["public_key"], walk["loop"])' <"$work/out")"
}

# From the kernel event on.
case_monitor_has_a_document_a_line() {
  steered_tunnel_up
  start_in_host router "$work/monitor" "$WGSTEER" monitor --json
  local monitor=$started
  await 5 'monitor is connected' has_line ' ESTAB .*@wgsteer' router ss -xH
  wan_link_down 0
  await 5 'the tunnel has moved' grep -q '"moved"' "$work/monitor"
  stop_process "$monitor"
  equal 'each line is a document, one says what has moved' "$tunnel_device wan0 wan1" "$(python3 -c '
import json, sys
documents = [json.loads(line) for line in sys.stdin]
moved = [d["moved"] for d in documents if "moved" in d][0]
print(moved["tunnel"], moved["from"]["wan"], moved["to"]["wan"])' <"$work/monitor")"
}

# plan, the log, monitor and status all count changes as lines of plan.
case_changes_are_counted_as_they_are_printed() {
  topology_up
  tunnel_up route_halves
  local lines
  lines=$({ wgsteer plan || true; } | wc -l)
  check 'the plan is not empty' test "$lines" -gt 20
  check 'status counts pending changes' has_line "; $lines changes pending" wgsteer status
  daemon_start_and_converge
  check 'the log counts the same' grep -q "applied $lines changes in" "$daemon_log"
  check 'status counts the same' has_line "^events .*, changes $lines," wgsteer status
}

lines_over() { # COLUMNS -> lines of status that are wider than a terminal of that width, in characters
  router script -qec "stty cols $1; NO_COLOR=1 '$WGSTEER' status" /dev/null </dev/null | tr -d '\r' |
    python3 -c 'import sys; print(*[l for l in sys.stdin.buffer.read().decode().splitlines() if len(l) > int(sys.argv[1])], sep="\n")' "$1"
}

case_status_on_a_terminal() {
  steered_tunnel_up
  wgsteer wan wan0 down --reason 'größere Störung'
  equal 'too long lines at 80 columns' '' "$(lines_over 80)"
  equal 'too long lines at 60 columns' '' "$(lines_over 60)"
  check 'rows are not wrapped without a terminal' has_line '^wan1 .* up .* 0x20000000$' wgsteer status
}

run_cases "$@"
