#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# `wgsteer wan`: the daemon respects a manual override of a WAN until it is revoked.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

wan_member() { # WAN PYTHON-EXPRESSION-WITH-wan
  wgsteer status --json | python3 -c '
import json, sys
wan = next(w for w in json.load(sys.stdin)["wans"] if w["name"] == sys.argv[1])
print(eval(sys.argv[2]))' "$@"
}

# The first WAN is disabled, and the tunnel uses the other one.
disabled() { # WHAT
  await_traffic "$1: traffic by the other WAN"
  comes_to_rest_on 1 "$1"
}

case_down_is_remembered_until_auto() {
  steered_tunnel_up
  start_in_host router "$work/monitor" "$WGSTEER" monitor
  local since
  since=$(wan_member wan0 "wan['since']")
  wgsteer wan wan0 down --reason maintenance
  disabled 'by hand'
  check 'status gives the reason' has_line 'wan0 .*by hand: maintenance' wgsteer status
  equal 'status --json gives the reason' 'down by hand: maintenance True' \
    "$(wan_member wan0 "wan['state'], wan['reason'], wan['by_hand']" | tr -d "(),'")"
  check 'status --json gives the time' test "$(wan_member wan0 "wan['since']")" -ge "$since"
  wgsteer wan wan0 down --reason maintenance
  equal 'reports in the log' 1 "$(grep -c 'WAN wan0 is down: by hand: maintenance' "$daemon_log")"
  equal 'reports in monitor' 1 "$(grep -c 'WAN wan0 is down: by hand: maintenance' "$work/monitor")"

  # No packet leaves by it while the daemon is killed and restarted.
  counters_reset
  daemon_stop KILL
  check 'the plan without a daemon is empty' quietly wgsteer plan
  check 'status without a daemon knows the override' has_line 'by hand: maintenance' wgsteer status
  daemon_start_and_converge
  await_traffic 'after kill -9'
  equal 'packets by the disabled WAN' 0 "$(right 0)"
  nothing_misrouted 'during kill -9'
  daemon_stop TERM
  daemon_start_and_converge
  disabled 'after a restart'

  wgsteer wan wan0 auto
  await_traffic 'auto: traffic'
  comes_to_rest_on 0 'auto'
  check 'the file with overrides is gone' test ! -e "/proc/${holder[router]}/root/var/run/wgsteer/wans"
  daemon_stop KILL
  daemon_start_and_converge
  await_traffic 'auto: traffic after kill -9'
  comes_to_rest_on 0 'auto after kill -9'
}

case_wrong_words() {
  steered_tunnel_up
  equal 'an unknown WAN' 1 "$(code_of wgsteer wan wan7 down)"
  check 'the error lists the known WANs' grep -q 'no such WAN: wan7 (known: wan0, wan1)' "$work/err"
  equal 'an unknown state' 64 "$(code_of wgsteer wan wan0 off)"
  equal 'no state' 64 "$(code_of wgsteer wan wan0)"
  equal 'a reason of two lines' 1 "$(code_of wgsteer wan wan0 down --reason $'a\nb')"
  equal 'help' 0 "$(code_of wgsteer wan --help)"
  check 'help mentions the reason' grep -q -- '--reason' "$work/out"
  steady_on 0 'nothing has changed'
  daemon_stop TERM
  equal 'no daemon' 1 "$(code_of wgsteer wan wan0 down)"
  check 'the error says so' grep -q 'wgsteer is not running' "$work/err"
}

case_full_disk_and_rubbish() {
  steered_tunnel_up
  router mkdir -p /var/run/wgsteer
  router mount -t tmpfs -o size=4k none /var/run/wgsteer
  router bash -c 'head -c 4096 /dev/zero >/var/run/wgsteer/full'
  equal 'a full disk is not an error' 0 "$(code_of wgsteer wan wan0 down)"
  check 'but it causes a warning' grep -q 'override is lost when the daemon stops: .*No space left' "$work/err"
  disabled 'with a full disk'
  router rm /var/run/wgsteer/full
  equal 'with free space again' '0 ' "$(code_of wgsteer wan wan0 down --reason again) $(<"$work/err")"
  disabled 'with free space again'
  daemon_stop KILL
  router bash -c 'echo rubbish >/var/run/wgsteer/wans'
  daemon_start_and_converge
  check 'the log reports the invalid file' grep -q '/var/run/wgsteer/wans: not written by' "$daemon_log"
  await_traffic 'invalid file: traffic'
  comes_to_rest_on 0 'an invalid file is ignored'
}

# Probes wrongly find the first WAN dead.
case_up_whatever_probes_say() {
  topology_up
  tunnel_up route_halves
  local wan
  for wan in 0 1; do
    printf '[[wan]]\nname = "w%s"\ndevice = "%s"\ntrack_ip = ["%s"]\ninterval = 0.5\ntimeout = 0.4\ndown = 2\nup = 2\n' \
      "$wan" "${wan_device[$wan]}" "${wan_gateway[$wan]}"
  done >"$work/wgsteer.toml"
  daemon_arguments=(-c "$work/wgsteer.toml")
  daemon_start_and_converge
  tunnel_forget
  traffic_start
  await_handshake
  in_host isp0 nft 'add table inet mute; add chain inet mute input { type filter hook input priority 300; };
    add rule inet mute input icmp type echo-request drop; add rule inet mute input icmpv6 type echo-request drop'
  await 10 'probes find the WAN dead' grep -q 'WAN w0 is down: 1 of 1 target unanswered' "$daemon_log"
  disabled 'probes'
  wgsteer wan w0 up --reason 'probes lie'
  await_traffic 'up: traffic'
  comes_to_rest_on 0 'up by hand'
  check 'status shows the override' has_line 'w0 .* up .*by hand: probes lie' wgsteer status
  wan_carrier_down 0
  disabled 'up by hand without a carrier'
  check 'status shows the missing carrier' has_line 'w0 .*no carrier' wgsteer status
  wan_carrier_up 0
  await 5 'converged' converged
  await_traffic 'carrier back: traffic'
  comes_to_rest_on 0 'carrier back'
  wgsteer wan w0 auto
  await 10 'probes decide again' has_line 'w0 .*down .*1 of 1 target unanswered' wgsteer status
  disabled 'probes again'
}

# The screen is updated on events, not just periodically.
case_watch_follows() {
  steered_tunnel_up
  start_in_host router "$work/watch" "$WGSTEER" status --watch --json
  local watch=$started
  screens() { grep -c '^{' "$work/watch" || true; }
  await 5 'the first screen' at_least 1 screens
  local before
  before=$(screens)
  wgsteer wan wan0 down --reason maintenance
  await 1 'the change is shown before the next periodic update' grep -q 'by hand: maintenance' "$work/watch"
  check 'it is shown only once' test "$(screens)" -le $((before + 3))
  daemon_stop TERM
  await 3 'it continues without a daemon' prints '"daemon":null' last_daemon
  daemon_start_and_converge
  await 3 'it reconnects to the new daemon' prints '"daemon":{' last_daemon
  wgsteer wan wan0 auto
  await 2 'it shows changes again' fails has_line 'by hand' last_reasons
  equal 'exit status after SIGTERM' 0 "$(stop_code "$watch")"
}

# From the last screen, which is one line.
last_daemon() { tail -n 1 "$work/watch" | grep -o '"daemon":\(null\|{\)'; }
last_reasons() { tail -n 1 "$work/watch" | grep -o '"reason":[^,}]*'; }

stop_code() { # PID -> 0 once the process has been ended by SIGTERM
  stop_process "$1" TERM && echo 0
}

case_handshakes_are_counted() {
  steered_tunnel_up
  check 'initiations by the first WAN' test "$(wan_member wan0 "wan['handshakes']['initiations']")" -ge 1
  check 'responses by the first WAN' test "$(wan_member wan0 "wan['handshakes']['responses']")" -ge 1
  equal 'initiations by the second WAN' 0 "$(wan_member wan1 "wan['handshakes']['initiations']")"
  check 'the table of status shows them' has_line 'wan0 .* [1-9][0-9]* / [1-9][0-9]* ' wgsteer status
}

run_cases "$@"
