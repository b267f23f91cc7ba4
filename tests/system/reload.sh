#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A bad configuration never replaces a good one.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

configuration() { # FIRST SECOND
  cat <<TOML
[[wan]]
name = "one"
device = "wan0"

[[wan]]
name = "two"
device = "wan1"

[[tunnel]]
interface = "wg0"
use_wan = ["$1", "$2"]
TOML
}

lacks_line() { ! has_line "$@"; }

case_bad_file_keeps_the_good_one() {
  configured_tunnel_up route_halves configuration two one
  steady_on 1 'as configured'
  configuration one nonsense >"$work/wgsteer.toml"
  kill -HUP "$daemon_pid"
  await 5 'the log names the line' has_line 'wgsteer\.toml:[0-9]+' cat "$daemon_log"
  check 'the daemon is still running' daemon_alive
  steady_on 1 'the good configuration is kept'
  check 'status shows the refused file and the error' \
    has_line '^refused: .*, the previous configuration stays in use: .*wgsteer\.toml:[0-9]+.*nonsense' wgsteer status
  check 'so does status --json' has_line '"error": ".*wgsteer\.toml:[0-9]+.*nonsense' wgsteer status --json
  configuration one two >"$work/wgsteer.toml"
  kill -HUP "$daemon_pid"
  await 5 'the new configuration is used' at_least "$(($(right 0) + 5))" right 0
  steady_on 0 'the new configuration'
  check 'status no longer shows a refused file' lacks_line '^refused' wgsteer status
}

case_reload_verb() {
  configured_tunnel_up route_halves configuration one two
  steady_on 0 'as configured'
  configuration two one >"$work/wgsteer.toml"
  check 'reload' quietly wgsteer reload
  await 5 'the new configuration is used' at_least 5 right 1
  steady_on 1 'after reload'
}

case_bad_file_at_start() {
  topology_up
  configuration one nonsense >"$work/wgsteer.toml"
  local status=0 output
  output=$(timeout 10 nsenter --target "${holder[router]}" --net --mount -- "$WGSTEER" run \
    -c "$work/wgsteer.toml" 2>&1) || status=$?
  equal 'exit code' 1 "$status"
  check 'the error names the line' has_line 'wgsteer\.toml:[0-9]+' echo "$output"
}

# A router that boots with a typo in its file uses the last good configuration.
case_bad_file_at_start_after_a_good_one() {
  topology_up
  tunnel_up route_halves
  configuration two one >"$work/wgsteer.toml"
  daemon_arguments=(-c "$work/wgsteer.toml")
  daemon_start_and_converge
  daemon_stop KILL
  quietly wgsteer flush
  equal 'rules before' '' "$(router_ip rule show | grep 'proto 87' || true)"
  configuration one nonsense >"$work/wgsteer.toml"

  equal 'check fails' 1 "$(code_of wgsteer check -c "$work/wgsteer.toml")"
  check 'check names the line' has_line 'wgsteer\.toml:[0-9]+:.*nonsense' cat "$work/err"
  check 'check says what a start would do' \
    has_line 'a start would use the last good configuration of 20[0-9-]+ [0-9:]+ ' cat "$work/err"
  equal 'plan does not use the last good one' 1 "$(code_of wgsteer plan -c "$work/wgsteer.toml")"
  equal 'run --once does not, either' 1 "$(code_of wgsteer run --once -c "$work/wgsteer.toml")"
  equal 'rules after these commands' '' "$(router_ip rule show | grep 'proto 87' || true)"

  : >"$work/daemon.log"
  daemon_start
  await 10 'rules are installed' has_line 'proto 87' router_ip rule show
  await 5 'status answers' quietly wgsteer status
  tunnel_forget
  traffic_start
  await_handshake
  steady_on 1 'the last good configuration'
  check 'the log names the line' has_line 'error.*wgsteer\.toml:[0-9]+:.*nonsense' cat "$daemon_log"
  check 'the log says what is used instead' \
    has_line 'warn.*the last good configuration of 20[0-9-]+ [0-9:]+ .* is used' cat "$daemon_log"
  check 'status shows the refused file and the error' \
    has_line '^refused: configuration at the start .*, the last good one is in use: .*wgsteer\.toml:[0-9]+.*nonsense' wgsteer status
  check 'so does status --json' has_line '"error": ".*wgsteer\.toml:[0-9]+.*nonsense' wgsteer status --json
  check 'a reload refuses the file, too' fails wgsteer reload
  steady_on 1 'still the last good configuration'

  configuration one two >"$work/wgsteer.toml"
  check 'reload of the corrected file' quietly wgsteer reload
  await 5 'the new configuration is used' at_least 5 right 0
  comes_to_rest_on 0 'the corrected file'
  check 'status no longer shows a refused file' lacks_line '^refused' wgsteer status
  # Expanded inside.
  # shellcheck disable=SC2016
  check 'a copy of it is kept' router bash -c 'cmp "$1" /var/run/wgsteer/last_good.*' cmp "$work/wgsteer.toml"
  # There is no copy of any other file.
  configuration one nonsense >"$work/other.toml"
  equal 'check of another file' 1 "$(code_of wgsteer check -c "$work/other.toml")"
  check 'check says that a start would fail' has_line 'a start would fail' cat "$work/err"
}

# If the copy cannot be written, only a later start with a broken file is affected.
case_state_that_cannot_be_written() {
  topology_up
  tunnel_up route_halves
  router mkdir -p /var/run/wgsteer
  router mount -t tmpfs -o ro none /var/run/wgsteer
  configuration two one >"$work/wgsteer.toml"
  daemon_arguments=(-c "$work/wgsteer.toml")
  daemon_start_and_converge
  tunnel_forget
  traffic_start
  await_handshake
  steady_on 1 'as configured'
  check 'the log reports it' \
    has_line 'warn.*cannot keep a copy of this configuration for a start with a broken file: /var/run/wgsteer/last_good.*: Read-only' cat "$daemon_log"
  equal 'reports in the log' 1 "$(grep -c 'cannot keep a copy' "$daemon_log")"
}

run_cases "$@"
