#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The daemon survives a hostile environment: readers that do not read, names and files of other users, resource limits.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

ask_as_python() { # SCRIPT ARGUMENT...
  router python3 -c "$@"
}

# Deletes a rule: if it is restored, the event loop is alive.
repairs() { # WHAT
  router_ip rule del pref 70
  await 5 "$1: the rule is restored" has_line '^70:' router_ip rule show
}

# Deletes and adds a WAN's default route 250 times per second.
flap() { # TIMES
  local i
  for ((i = 0; i < $1; i++)); do
    printf 'route del default via %s dev %s metric %s\nroute add default via %s dev %s metric %s\n' \
      "${wan_gateway[1]}" "${wan_device[1]}" "${wan_metric[1]}" "${wan_gateway[1]}" "${wan_device[1]}" "${wan_metric[1]}"
  done | ask_as_python '
import subprocess, sys, time
ip = subprocess.Popen(["ip", sys.argv[1], "-batch", "-"], stdin=subprocess.PIPE)
for line in sys.stdin.buffer:
    ip.stdin.write(line)
    ip.stdin.flush()
    time.sleep(0.002)
ip.stdin.close()
ip.wait()' "-$family"
}

case_stderr_that_nobody_reads() {
  topology_up
  tunnel_up route_halves
  mkfifo "$work/stderr"
  exec {reader}<>"$work/stderr"
  # shellcheck disable=SC2016
  start_in_host router "$work/none" bash -c 'exec "$1" run -v 2>"$2"' run "$WGSTEER" "$work/stderr"
  daemon_pid=$started daemon_log=$work/none
  await 10 'the daemon has converged' converged
  # Enough log lines to overfill the pipe.
  flap 400
  flap 400
  repairs 'with a full pipe'
  check 'status answers' quietly wgsteer status
  timeout 1 cat <&"$reader" >"$work/read" || true
  flap 1
  timeout 1 cat <&"$reader" >>"$work/read" || true
  check 'the lines written before are there' grep -q steering "$work/read"
  check 'the number of lost lines is reported' grep -q 'log lines lost: [0-9]' "$work/read"
}

case_a_route_that_flaps_is_not_a_line_each_time() {
  steered_tunnel_up
  local before
  before=$(wc -l <"$daemon_log")
  flap 500
  await 10 'the log reports suppressed lines' grep -q 'similar lines suppressed' "$daemon_log"
  check 'the log stays short' test $(($(wc -l <"$daemon_log") - before)) -le 80
  repairs 'after the flood'
}

# An unprivileged process takes the socket name first.
squat() {
  start_in_host router "$work/squatter" python3 -c '
import os, socket, time
held = socket.socket(socket.AF_UNIX)
os.setgid(65534); os.setuid(65534)
held.bind("\0wgsteer")
held.listen(1)
print("holds", flush=True)
time.sleep(1000)'
  squatter=$started
  await 20 'the name is taken' grep -q holds "$work/squatter"
}

case_a_stranger_has_the_name() {
  topology_up
  tunnel_up route_halves
  squat
  daemon_start_and_converge
  check 'the log reports it' grep -q 'control socket @wgsteer is held by a user other than root' "$daemon_log"
  check 'status still reaches the daemon' has_line "wgsteer is running, pid $daemon_pid" wgsteer status
  equal 'a second daemon exits' 1 "$(code_of wgsteer run)"
  check 'the second daemon says why' grep -q 'wgsteer is already running in this network namespace' "$work/err"
  stop_process "$squatter" KILL
  equal 'a second daemon exits when the name is free again, too' 1 "$(code_of wgsteer run)"
  await 15 'the daemon takes over the name' grep -q 'listening as @wgsteer, which has been released' "$daemon_log"
  check 'it answers at that name' has_line "wgsteer is running, pid $daemon_pid" wgsteer status
  equal 'a second daemon still exits' 1 "$(code_of wgsteer run)"
}

case_silent_clients() {
  steered_tunnel_up
  start_in_host router "$work/silent" python3 -c '
import socket, time
held = [socket.socket(socket.AF_UNIX) for _ in range(40)]
for each in held: each.connect("\0wgsteer")
print("there", flush=True)
time.sleep(1000)'
  await 20 'the clients are connected' grep -q there "$work/silent"
  check 'root can still connect' has_line 'wgsteer is running' wgsteer status
}

# A monitor client that has stopped reading sends requests whose results go to all monitor clients.
case_a_client_that_is_let_go_while_it_is_served() {
  steered_tunnel_up
  local i
  for i in 1 2 3 4 5 6; do
    ask_as_python '
import socket, sys
client = socket.socket(socket.AF_UNIX)
client.connect("\0wgsteer")
client.send(b"{\"version\":1,\"request\":\"monitor\"}\n")
client.recv(200)
client.shutdown(socket.SHUT_RD)
client.settimeout(5)
use = "down" if int(sys.argv[1]) % 2 else "auto"
request = "{\"version\":1,\"request\":\"wan\",\"name\":\"wan1\",\"use\":\"%s\"}\n" % use
try:
    client.send(request.encode() * 2 + b"x" * 300)
except OSError:
    pass' "$i"
  done
  check 'the daemon is still running' daemon_alive
  check 'status answers' quietly wgsteer status
}

# Linux allows everything except '/', ':' and white space in a device name.
case_escape_sequences_in_names() {
  steered_tunnel_up
  local name=$'e\x1b]0;x\x07'
  start_in_host router "$work/monitor" "$WGSTEER" monitor
  router ip link add "$name" type veth peer name escapes
  router ip link set "$name" up
  router ip link set escapes up
  router ip address add 172.30.0.2/24 dev "$name"
  router ip route add default via 172.30.0.1 dev "$name" metric 50
  await 10 'it is a WAN' has_line 'e\\x1b\]0;x\\x07' wgsteer status
  await 10 'monitor shows it' grep -qF 'e\x1b]0;x\x07' "$work/monitor"
  wgsteer wan "$name" down --reason test
  await 10 'the log shows it' grep -qF 'WAN e\x1b]0;x\x07 is down: by hand: test' "$daemon_log"
  wgsteer status >"$work/said"
  wgsteer check >>"$work/said" 2>&1 || true
  wgsteer plan >>"$work/said" 2>&1 || true
  wgsteer wan "$name" down --reason $'a\u009b2Jb' >>"$work/said" 2>&1 || true
  wgsteer status >>"$work/said"
  cat "$daemon_log" "$work/monitor" >>"$work/said"
  fails grep -q $'[\x1b\x07]' "$work/said" || fail "escape sequences: $(grep -a $'[\x1b\x07]' "$work/said" | cat -v | head -n 3)"
  fails grep -q $'\u009b' "$work/said" || fail "a reason: $(grep -a $'\u009b' "$work/said" | cat -v | head -n 3)"
}

case_standard_output() {
  steered_tunnel_up
  local verb
  for verb in status check metrics 'status --json' --help version; do
    # shellcheck disable=SC2016,SC2086
    equal "$verb on a full disk" 1 "$(code_of router bash -c 'exec "$@" >/dev/full' verb "$WGSTEER" $verb)"
    check 'the error says why' grep -q 'standard output: ' "$work/err"
  done
  # shellcheck disable=SC2016
  equal 'without a standard output' 1 "$(code_of router bash -c 'exec "$1" status >&-' verb "$WGSTEER")"
  # shellcheck disable=SC2016
  equal 'status --watch into a closed pipe' 0 \
    "$(code_of timeout 5 nsenter -t "${holder[router]}" -n -m bash -c 'set -o pipefail; "$1" status --watch | head -n 1; exit 0' \
      verb "$WGSTEER")"
  # shellcheck disable=SC2016
  equal 'monitor into a closed pipe' \
    0 "$(code_of timeout 5 nsenter -t "${holder[router]}" -n -m bash -c '"$1" monitor | true' verb "$WGSTEER")"
}

case_without_standard_streams() {
  topology_up
  tunnel_up route_halves
  # shellcheck disable=SC2016
  start_in_host router "$work/none" bash -c 'exec "$1" run -v <&- >&- 2>&-' run "$WGSTEER"
  daemon_pid=$started daemon_log=$work/none
  await 10 'the daemon has converged' converged
  flap 20
  repairs 'without standard streams'
}

case_textfile_in_a_folder_of_somebody_else() {
  steered_tunnel_up
  mkdir "$work/prom"
  chown 65534 "$work/prom"
  mkfifo "$work/prom/wgsteer.prom.new"
  equal 'a FIFO with the name of the temporary file' \
    0 "$(code_of router timeout 5 "$WGSTEER" metrics --textfile "$work/prom/wgsteer.prom")"
  check 'the metrics are written' grep -q wgsteer_up "$work/prom/wgsteer.prom"
  rm "$work/prom/wgsteer.prom"
  mkfifo "$work/prom/wgsteer.prom"
  equal 'a FIFO as the target' 1 "$(code_of router timeout 5 "$WGSTEER" metrics --textfile "$work/prom/wgsteer.prom")"
  check 'the FIFO stays' test -p "$work/prom/wgsteer.prom"
  rm "$work/prom/wgsteer.prom"
  echo old >"$work/target"
  ln -s "$work/target" "$work/prom/wgsteer.prom"
  chown -h 65534 "$work/prom/wgsteer.prom"
  equal "another user's symbolic link" 1 "$(code_of wgsteer metrics --textfile "$work/prom/wgsteer.prom")"
  equal 'the link is not followed' old "$(<"$work/target")"
  # Our own device nodes: those of the machine are shared.
  mkdir "$work/dev"
  router mount -t tmpfs none "$work/dev"
  router mknod "$work/dev/null" c 1 3
  router mknod "$work/dev/full" c 1 7
  equal 'a device' 0 "$(code_of wgsteer metrics --textfile "$work/dev/null")"
  check 'the device stays' router test -c "$work/dev/null"
  equal 'a full device' 1 "$(code_of wgsteer metrics --textfile "$work/dev/full")"
  check 'the full device stays' router test -c "$work/dev/full"
}

case_a_fifo_as_resolv_conf() {
  topology_up
  tunnel_up route_halves
  mkfifo "$work/fifo"
  router mount --bind "$work/fifo" /etc/resolv.conf
  printf '[[peer]]\ntunnel = "%s"\npublic_key = "%s"\nendpoint = "vpn.example.test:%s"\n' \
    "$tunnel_device" "$(public_key "$kServerKey")" "$kPort" >"$work/wgsteer.toml"
  daemon_arguments=(-c "$work/wgsteer.toml")
  daemon_start
  await 10 'the daemon is running' grep -q steering "$daemon_log"
  check 'the log reports it' grep -q '/etc/resolv.conf: not a regular file' "$daemon_log"
  repairs 'with a FIFO as resolv.conf'
}

# What needs a new descriptor fails and later works again; nothing else is affected.
case_no_descriptor_is_left() {
  steered_tunnel_up
  local open
  open=$(find "/proc/$daemon_pid/fd" -mindepth 1 | wc -l)
  prlimit --pid "$daemon_pid" --nofile="$open:1024"
  repairs 'with no descriptor left'
  check 'the daemon is still running' daemon_alive
  prlimit --pid "$daemon_pid" --nofile=1024:1024
  await 5 'status answers again' quietly wgsteer status
}

# The daemon either works completely, or exits and says why.
case_few_descriptors_at_start() {
  topology_up
  tunnel_up route_halves
  local limit
  for limit in 6 8 10 12 14 16 18 20 24; do
    start_in_host router "$work/few.$limit" prlimit --nofile="$limit:$limit" "$WGSTEER" run
    daemon_pid=$started
    await 10 "with $limit descriptors it runs or exits" runs_or_ended "$work/few.$limit"
    if daemon_alive; then
      repairs "with $limit descriptors"
      daemon_stop TERM
    else
      check "with $limit descriptors it says why" grep -q 'Too many open files' "$work/few.$limit"
    fi
    wgsteer flush
  done
}

runs_or_ended() { ! daemon_alive || grep -q steering "$1"; } # LOG

# One family is enough: none of this depends on it.
run_cases "${@:-4}"
