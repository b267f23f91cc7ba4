#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The daemon survives its surroundings: readers that do not read, names and files of other users, resource limits.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

ask_as_python() { # SCRIPT ARGUMENT...
  router python3 -c "$@"
}

# Puts back what somebody has deleted, so the loop runs.
repairs() { # WHAT
  router_ip rule del pref 70
  await 5 "$1: the rule is back" has_line '^70:' router_ip rule show
}

# 250 times a second, a WAN's default route goes and comes.
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
  # Until nothing more goes into the pipe, then some.
  flap 400
  flap 400
  repairs 'with a full pipe'
  check 'status answers' quietly wgsteer status
  timeout 1 cat <&"$reader" >"$work/read" || true
  flap 1
  timeout 1 cat <&"$reader" >>"$work/read" || true
  check 'what was written until then is there' grep -q steering "$work/read"
  check 'how many were lost is told' grep -q 'log lines lost: [0-9]' "$work/read"
}

case_a_route_that_flaps_is_not_a_line_each_time() {
  steered_tunnel_up
  local before
  before=$(wc -l <"$daemon_log")
  flap 500
  await 10 'what was left out is told' grep -q 'similar lines suppressed' "$daemon_log"
  check 'few lines' test $(($(wc -l <"$daemon_log") - before)) -le 80
  repairs 'after the flood'
}

# Whoever is nobody has the name first.
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
  check 'it is said' grep -q 'control socket @wgsteer is held by a user other than root' "$daemon_log"
  check 'the daemon is asked all the same' has_line "wgsteer is running, pid $daemon_pid" wgsteer status
  equal 'a second daemon leaves' 1 "$(code_of wgsteer run)"
  check 'and says why' grep -q 'wgsteer is already running in this network namespace' "$work/err"
  stop_process "$squatter" KILL
  equal 'also when the name is free again' 1 "$(code_of wgsteer run)"
  await 15 'the name is taken back' grep -q 'listening as @wgsteer, which has been released' "$daemon_log"
  check 'it answers there' has_line "wgsteer is running, pid $daemon_pid" wgsteer status
  equal 'and a second daemon leaves' 1 "$(code_of wgsteer run)"
}

case_silent_clients() {
  steered_tunnel_up
  start_in_host router "$work/silent" python3 -c '
import socket, time
held = [socket.socket(socket.AF_UNIX) for _ in range(40)]
for each in held: each.connect("\0wgsteer")
print("there", flush=True)
time.sleep(1000)'
  await 20 'they are there' grep -q there "$work/silent"
  check 'root gets in' has_line 'wgsteer is running' wgsteer status
}

# A watcher that reads no more asks for what is told to watchers.
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
  check 'the daemon lives' daemon_alive
  check 'and answers' quietly wgsteer status
}

# Linux allows all but '/' and white space in the name of a device.
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
  await 10 'monitor has it' grep -qF 'e\x1b]0;x\x07' "$work/monitor"
  wgsteer wan "$name" down --reason test
  await 10 'the log has it' grep -qF 'WAN e\x1b]0;x\x07 is down: by hand: test' "$daemon_log"
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
    check 'which is said' grep -q 'standard output: ' "$work/err"
  done
  # shellcheck disable=SC2016
  equal 'without a standard output' 1 "$(code_of router bash -c 'exec "$1" status >&-' verb "$WGSTEER")"
  # shellcheck disable=SC2016
  equal 'watching for one who has left' 0 \
    "$(code_of timeout 5 nsenter -t "${holder[router]}" -n -m bash -c 'set -o pipefail; "$1" status --watch | head -n 1; exit 0' \
      verb "$WGSTEER")"
  # shellcheck disable=SC2016
  equal 'and monitor' 0 "$(code_of timeout 5 nsenter -t "${holder[router]}" -n -m bash -c '"$1" monitor | true' verb "$WGSTEER")"
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
  equal 'a FIFO beside it' 0 "$(code_of router timeout 5 "$WGSTEER" metrics --textfile "$work/prom/wgsteer.prom")"
  check 'written' grep -q wgsteer_up "$work/prom/wgsteer.prom"
  rm "$work/prom/wgsteer.prom"
  mkfifo "$work/prom/wgsteer.prom"
  equal 'a FIFO in its place' 1 "$(code_of router timeout 5 "$WGSTEER" metrics --textfile "$work/prom/wgsteer.prom")"
  check 'stays' test -p "$work/prom/wgsteer.prom"
  rm "$work/prom/wgsteer.prom"
  echo old >"$work/target"
  ln -s "$work/target" "$work/prom/wgsteer.prom"
  chown -h 65534 "$work/prom/wgsteer.prom"
  equal 'a link of theirs' 1 "$(code_of wgsteer metrics --textfile "$work/prom/wgsteer.prom")"
  equal 'is not followed' old "$(<"$work/target")"
  # Of our own: those of the machine are everybody's.
  mkdir "$work/dev"
  router mount -t tmpfs none "$work/dev"
  router mknod "$work/dev/null" c 1 3
  router mknod "$work/dev/full" c 1 7
  equal 'a device' 0 "$(code_of wgsteer metrics --textfile "$work/dev/null")"
  check 'stays one' router test -c "$work/dev/null"
  equal 'one that is full' 1 "$(code_of wgsteer metrics --textfile "$work/dev/full")"
  check 'stays one' router test -c "$work/dev/full"
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
  await 10 'the daemon runs' grep -q steering "$daemon_log"
  check 'it is said' grep -q '/etc/resolv.conf: not a regular file' "$daemon_log"
  repairs 'with a FIFO as resolv.conf'
}

# What cannot be opened costs itself only, and comes back.
case_no_descriptor_is_left() {
  steered_tunnel_up
  local open
  open=$(find "/proc/$daemon_pid/fd" -mindepth 1 | wc -l)
  prlimit --pid "$daemon_pid" --nofile="$open:1024"
  repairs 'with no descriptor left'
  check 'it lives' daemon_alive
  prlimit --pid "$daemon_pid" --nofile=1024:1024
  await 5 'status answers again' quietly wgsteer status
}

# Never half a daemon: it runs, or ends and says why.
case_few_descriptors_at_start() {
  topology_up
  tunnel_up route_halves
  local limit
  for limit in 6 8 10 12 14 16 18 20 24; do
    start_in_host router "$work/few.$limit" prlimit --nofile="$limit:$limit" "$WGSTEER" run
    daemon_pid=$started
    await 10 "with $limit descriptors it runs or ends" runs_or_ended "$work/few.$limit"
    if daemon_alive; then
      repairs "with $limit descriptors"
      daemon_stop TERM
    else
      check "with $limit it says why" grep -q 'Too many open files' "$work/few.$limit"
    fi
    wgsteer flush
  done
}

runs_or_ended() { ! daemon_alive || grep -q steering "$1"; } # LOG

# The daemon is the same in both families.
run_cases "${@:-4}"
