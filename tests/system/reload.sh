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
  topology_up
  tunnel_up route_halves
  configuration two one >"$work/wgsteer.toml"
  daemon_arguments=(-c "$work/wgsteer.toml")
  daemon_start_and_converge
  tunnel_forget
  traffic_start
  await_handshake
  steady_on 1 'as configured'
  configuration one nonsense >"$work/wgsteer.toml"
  kill -HUP "$daemon_pid"
  await 5 'the log says where' has_line 'wgsteer\.toml:[0-9]+' cat "$daemon_log"
  check 'the daemon lives' daemon_alive
  steady_on 1 'the good one is kept'
  check 'status says that it was refused, and why' has_line '^refused: .*, the previous configuration stays in use: .*wgsteer\.toml:[0-9]+.*nonsense' wgsteer status
  check 'and so does its JSON' has_line '"error": ".*wgsteer\.toml:[0-9]+.*nonsense' wgsteer status --json
  configuration one two >"$work/wgsteer.toml"
  kill -HUP "$daemon_pid"
  await 5 'the new one is used' at_least "$(($(right 0) + 5))" right 0
  steady_on 0 'the good new one'
  check 'and nothing is refused any more' lacks_line '^refused' wgsteer status
}

case_reload_verb() {
  topology_up
  tunnel_up route_halves
  configuration one two >"$work/wgsteer.toml"
  daemon_arguments=(-c "$work/wgsteer.toml")
  daemon_start_and_converge
  tunnel_forget
  traffic_start
  await_handshake
  steady_on 0 'as configured'
  configuration two one >"$work/wgsteer.toml"
  check 'reload' quietly wgsteer reload
  await 5 'the new one is used' at_least 5 right 1
  steady_on 1 'after reload'
}

case_bad_file_at_start() {
  topology_up
  configuration one nonsense >"$work/wgsteer.toml"
  local status=0 output
  output=$(timeout 10 nsenter --target "${holder[router]}" --net --mount -- "$WGSTEER" run \
    -c "$work/wgsteer.toml" 2>&1) || status=$?
  equal 'exit code' 1 "$status"
  check 'the message says where' has_line 'wgsteer\.toml:[0-9]+' echo "$output"
}

run_cases "$@"
