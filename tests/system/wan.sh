#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# `wgsteer wan`: the daemon respects an override of a WAN by hand until it is taken back.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

wan_member() { # WAN PYTHON-EXPRESSION OF wan
  wgsteer status --json | python3 -c '
import json, sys
wan = next(w for w in json.load(sys.stdin)["wans"] if w["name"] == sys.argv[1])
print(eval(sys.argv[2]))' "$@"
}

# The WAN is disabled, and the tunnel goes by the other.
disabled() { # WHAT
  await_traffic "$1: traffic by the other"
  comes_to_rest_on 1 "$1"
}

case_down_is_remembered_until_auto() {
  steered_tunnel_up
  start_in_host router "$work/monitor" "$WGSTEER" monitor
  local since
  since=$(wan_member wan0 "wan['since']")
  wgsteer wan wan0 down --reason maintenance
  disabled 'by hand'
  check 'status says why' has_line 'wan0 .*by hand: maintenance' wgsteer status
  equal 'JSON says why' 'down by hand: maintenance True' \
    "$(wan_member wan0 "wan['state'], wan['reason'], wan['by_hand']" | tr -d "(),'")"
  check 'and since when' test "$(wan_member wan0 "wan['since']")" -ge "$since"
  wgsteer wan wan0 down --reason maintenance
  equal 'the log has it once' 1 "$(grep -c 'WAN wan0 is down: by hand: maintenance' "$daemon_log")"
  equal 'monitor has it once' 1 "$(grep -c 'WAN wan0 is down: by hand: maintenance' "$work/monitor")"

  # Not one packet by it, over the daemon's end and its return.
  counters_reset
  daemon_stop KILL
  check 'without a daemon nothing is to be changed' quietly wgsteer plan
  check 'and status knows' has_line 'by hand: maintenance' wgsteer status
  daemon_start_and_converge
  await_traffic 'after kill -9'
  equal 'by the disabled WAN' 0 "$(right 0)"
  nothing_misrouted 'over kill -9'
  daemon_stop TERM
  daemon_start_and_converge
  disabled 'after a restart'

  wgsteer wan wan0 auto
  await_traffic 'auto: traffic'
  comes_to_rest_on 0 'auto'
  check 'nothing is left of it' test ! -e "/proc/${holder[router]}/root/var/run/wgsteer/wans"
  daemon_stop KILL
  daemon_start_and_converge
  await_traffic 'auto: traffic after kill -9'
  comes_to_rest_on 0 'auto after kill -9'
}

case_wrong_words() {
  steered_tunnel_up
  equal 'an unknown WAN' 1 "$(code_of wgsteer wan wan7 down)"
  check 'names those that are known' grep -q 'no such WAN: wan7 (known: wan0, wan1)' "$work/err"
  equal 'no such state' 64 "$(code_of wgsteer wan wan0 off)"
  equal 'nothing to do' 64 "$(code_of wgsteer wan wan0)"
  equal 'two lines' 1 "$(code_of wgsteer wan wan0 down --reason $'a\nb')"
  equal 'help' 0 "$(code_of wgsteer wan --help)"
  check 'which tells of the reason' grep -q -- '--reason' "$work/out"
  steady_on 0 'nothing happened'
  daemon_stop TERM
  equal 'no daemon' 1 "$(code_of wgsteer wan wan0 down)"
  check 'which is said' grep -q 'wgsteer is not running' "$work/err"
}

case_full_disk_and_rubbish() {
  steered_tunnel_up
  router mkdir -p /var/run/wgsteer
  router mount -t tmpfs -o size=4k none /var/run/wgsteer
  router bash -c 'head -c 4096 /dev/zero >/var/run/wgsteer/full'
  equal 'a full disk is no error' 0 "$(code_of wgsteer wan wan0 down)"
  check 'but is said' grep -q 'override is lost when the daemon stops: .*No space left' "$work/err"
  disabled 'with a full disk'
  router rm /var/run/wgsteer/full
  equal 'with room again' '0 ' "$(code_of wgsteer wan wan0 down --reason again) $(<"$work/err")"
  disabled 'with room again'
  daemon_stop KILL
  router bash -c 'echo rubbish >/var/run/wgsteer/wans'
  daemon_start_and_converge
  check 'rubbish is said' grep -q '/var/run/wgsteer/wans: not written by' "$daemon_log"
  await_traffic 'rubbish: traffic'
  comes_to_rest_on 0 'rubbish counts as no decision'
}

# Probes say that the first WAN is dead, and are wrong.
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
  await 10 'probes say that it is dead' grep -q 'WAN w0 is down: 1 of 1 target unanswered' "$daemon_log"
  disabled 'probes'
  wgsteer wan w0 up --reason 'probes lie'
  await_traffic 'up: traffic'
  comes_to_rest_on 0 'up by hand'
  check 'which is said' has_line 'w0 .* up .*by hand: probes lie' wgsteer status
  wan_carrier_down 0
  disabled 'up by hand without a carrier'
  check 'which is said' has_line 'w0 .*no carrier' wgsteer status
  wan_carrier_up 0
  await 5 'converged' converged
  await_traffic 'carrier back: traffic'
  comes_to_rest_on 0 'carrier back'
  wgsteer wan w0 auto
  await 10 'probes count again' has_line 'w0 .*down .*1 of 1 target unanswered' wgsteer status
  disabled 'probes again'
}

# The screen follows what happens, not the clock.
case_watch_follows() {
  steered_tunnel_up
  start_in_host router "$work/watch" "$WGSTEER" status --watch --json
  local watch=$started
  screens() { grep -c '^{' "$work/watch" || true; }
  await 5 'the first screen' at_least 1 screens
  local before
  before=$(screens)
  wgsteer wan wan0 down --reason maintenance
  await 1 'the change is shown before the next regular look' grep -q 'by hand: maintenance' "$work/watch"
  check 'at once, not again and again' test "$(screens)" -le $((before + 3))
  daemon_stop TERM
  await 3 'it goes on without a daemon' prints '"daemon":null' last_daemon
  daemon_start_and_converge
  await 3 'and with it again' prints '"daemon":{' last_daemon
  wgsteer wan wan0 auto
  await 2 'and is told again' fails has_line 'by hand' last_reasons
  equal 'ends when asked' 0 "$(stop_code "$watch")"
}

# Of the last screen, which is a line.
last_daemon() { tail -n 1 "$work/watch" | grep -o '"daemon":\(null\|{\)'; }
last_reasons() { tail -n 1 "$work/watch" | grep -o '"reason":[^,}]*'; }

stop_code() { # PID -> its exit status after SIGTERM... which is 0 when it no longer exists as well
  stop_process "$1" TERM && echo 0
}

case_handshakes_are_counted() {
  steered_tunnel_up
  check 'sent by the first' test "$(wan_member wan0 "wan['handshakes']['initiations']")" -ge 1
  check 'answered there' test "$(wan_member wan0 "wan['handshakes']['responses']")" -ge 1
  equal 'none by the second' 0 "$(wan_member wan1 "wan['handshakes']['initiations']")"
  check 'in the table as well' has_line 'wan0 .* [1-9][0-9]* / [1-9][0-9]* ' wgsteer status
}

run_cases "$@"
