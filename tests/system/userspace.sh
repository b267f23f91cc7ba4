#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# User-space WireGuard processes that hang, run as another user, listen elsewhere, or start late: their problems affect
# only themselves, and a tunnel is steered as soon as it can be recognised.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

readonly kUnit=${BASH_SOURCE[0]%/*}/../../src/packaging/systemd/wgsteer.service.in

# ---- Processes that hang --------------------------------------------------------------------------------------------

others=()
others_up() { # COUNT
  local i
  for ((i = 0; i < $1; i++)); do
    wireguard_go router "other$i"
    others+=("$started")
  done
}

all_stopped() { # -> whether all the other processes are stopped
  local pid
  for pid in "${others[@]}"; do
    [[ $(awk '{ print $3 }' "/proc/$pid/stat") == T ]] || return 1
  done
}

others_hang() {
  kill -STOP "${others[@]}"
  await 5 'the others have stopped' all_stopped
}

rule_there() { has_line "^70:.*proto 87" router_ip rule show; }

slowest_repair() { # COUNT -> milliseconds that the slowest of COUNT repairs of a deleted rule took
  local i since slowest=0
  for ((i = 0; i < $1; i++)); do
    router_ip rule del priority 70
    since=$(now_ms)
    await 30 'the rule is restored' rule_there
    since=$(($(now_ms) - since))
    ((since <= slowest)) || slowest=$since
    read -rt 0.$((RANDOM % 4 + 1)) -u "$never" || true
  done
  echo "$slowest"
}

trouble_with() { has_line "^trouble with $1: .*does not answer" wgsteer status; } # TUNNEL

case_processes_that_hang() {
  steered_tunnel_up
  others_up 4
  others_hang
  await 5 'status reports it' trouble_with other3
  equal 'problems found by check' \
    4 "$({ wgsteer check || true; } | grep -c 'problem: wg show other.: its process does not answer')"
  local slowest
  slowest=$(slowest_repair 8)
  note "the slowest of 8 repairs took $slowest ms"
  # Waiting for a single hung process would already take half a second.
  ((slowest < 400)) || fail "a repair took $slowest ms"
  steady_on 0 'with hung processes'
  wan_link_down 0
  await_traffic 'traffic by the second WAN'
  comes_to_rest_on 1 'failover with hung processes'
  kill -CONT "${others[@]}"
  await 5 'they are read again' fails trouble_with other3
}

# The tunnel itself hangs while its WAN fails: as soon as it resumes, it uses the other WAN, and it is steered
# throughout.
case_hangs_during_failover() {
  steered_tunnel_up
  local mark
  mark=$(tunnel_mark)
  others=("$tunnel_pid")
  others_hang
  await 5 'status reports it' trouble_with "$tunnel_device"
  wan_link_down 0
  await 5 'the log reports the failover' grep -q 'leaves by wan1' "$daemon_log"
  check 'its endpoint is still steered' has_line "$endpoint . $kPort" router nft list map inet wgsteer "endpoint$family"
  kill -CONT "$tunnel_pid"
  await_traffic 'traffic by the second WAN'
  comes_to_rest_on 1 'after it resumed'
  equal 'the fwmark' "$mark" "$(tunnel_mark)"
}

case_ends_beside_processes_that_hang() {
  steered_tunnel_up
  others_up 4
  others_hang
  await 5 'status reports it' trouble_with other0
  local since
  since=$(now_ms)
  daemon_stop TERM
  since=$(($(now_ms) - since))
  ((since < 500)) || fail "it took $since ms to end"
  # A new daemon knows nothing about them, so it may wait for them once, for all together.
  daemon_start_and_converge
  await_traffic 'traffic after the start'
  nothing_misrouted 'since the start'
}

# ---- Another user's process ------------------------------------------------------------------------------------------

# A device node of our own, because only root may be able to open the machine's.
tun_for_everybody() {
  mknod -m 666 "$work/tun" c 10 200 && router mount --bind "$work/tun" /dev/net/tun
}

another_users_tunnel_up() {
  router chmod 777 /run/wireguard
  start_in_host router "$work/another.log" setpriv --reuid 1234 --regid 1234 --clear-groups \
    --inh-caps -all,+net_admin --ambient-caps -all,+net_admin wireguard-go -f another
  await 10 'the socket of another user' router test -S /run/wireguard/another.sock
  equal 'its owner' 1234 "$(router stat -c %u /run/wireguard/another.sock)"
  router ip link set another up
}

daemon_start_with() { # CAPABILITY...
  daemon_log=$work/daemon.log
  start_in_host router "$daemon_log" setpriv --bounding-set "-all$(printf ',+%s' "$@")" --no-new-privs "$WGSTEER" run
  daemon_pid=$started
}

another_is_steered() { router wg show another fwmark | grep -q '^0x[1-9a-f]0000000$'; }

case_another_users_socket() {
  topology_up
  tun_for_everybody || skip 'device nodes cannot be created here'
  tunnel_up route_halves
  another_users_tunnel_up
  daemon_start_with net_admin net_raw
  await 10 'the daemon has converged' converged
  check 'the log reports it' grep -q "another.sock: Permission denied: the socket belongs to user 1234" "$daemon_log"
  check 'status reports it' has_line '^trouble with another: .*user 1234' wgsteer status
  check 'the other tunnel is not steered' fails another_is_steered
  tunnel_forget
  traffic_start
  await_handshake
  steady_on 0 'with an unreadable tunnel'
  local mark
  mark=$(tunnel_mark)
  router wg set "$tunnel_device" fwmark 0
  await 5 'the fwmark is restored' prints "$mark" tunnel_mark
}

case_another_users_socket_that_comes_later() {
  topology_up
  tun_for_everybody || skip 'device nodes cannot be created here'
  tunnel_up route_halves
  daemon_start_with net_admin net_raw
  await 10 'the daemon has converged' converged
  another_users_tunnel_up
  await 5 'the log reports it' grep -q "another.sock: Permission denied" "$daemon_log"
  tunnel_forget
  traffic_start
  await_handshake
  tunnel_down
  tunnel_up route_halves
  await_handshake
  steady_on 0 'a recreated tunnel, with an unreadable one'
}

case_another_users_socket_with_what_the_unit_has() {
  topology_up
  tun_for_everybody || skip 'device nodes cannot be created here'
  another_users_tunnel_up
  local capabilities
  read -ra capabilities <<<"$(sed -n 's/^CapabilityBoundingSet=//p' "$kUnit" | tr '[:upper:]' '[:lower:]' | sed 's/cap_//g')"
  daemon_start_with "${capabilities[@]}"
  await 10 'the tunnel is steered' another_is_steered
}

# ---- Where sockets are, and when --------------------------------------------------------------------------------------

# As with amneziawg-go, in a folder that is created while the daemon runs.
case_socket_in_the_other_folder() {
  topology_up
  daemon_start
  await 10 'the daemon answers' quietly wgsteer status
  tunnel_up route_halves
  router mkdir /run/amneziawg
  router mv "/run/wireguard/$tunnel_device.sock" /run/amneziawg/
  router rmdir /run/wireguard
  await 5 'status shows the tunnel' has_line "^$tunnel_device .*client" wgsteer status
  daemon_stop TERM
  daemon_start
  traffic_start
  await_traffic 'traffic of a tunnel in the other folder' 30
  steady_on 0 'in the other folder'
  router mkdir /run/wireguard
  router mv "/run/amneziawg/$tunnel_device.sock" /run/wireguard/
  steady_on 0 'back in its own'
}

# Network namespaces that share /run: the socket belongs to a tunnel in another namespace, the device here to OpenVPN.
case_socket_of_another_namespace() {
  topology_up
  host_up elsewhere
  local -r folder=$work/shared
  mkdir "$folder"
  router mount --bind "$folder" /run/wireguard
  in_host elsewhere mount --bind "$folder" /run/wireguard
  wireguard_go elsewhere ovpn0
  router ip tuntap add ovpn0 mode tun
  router ip link set ovpn0 up
  tunnel_up route_halves
  daemon_start_and_converge
  check 'it is not taken for a tunnel here' fails has_line '^ovpn0 ' wgsteer status
  equal "the other namespace's fwmark" off "$(in_host elsewhere wg show ovpn0 fwmark)"
  router ip link del ovpn0
  wireguard_go elsewhere ovpn1
  router ip tuntap add ovpn1 mode tun
  tunnel_forget
  traffic_start
  await_handshake
  steady_on 0 'with the other tunnel'
  equal "the other namespace's fwmark" off "$(in_host elsewhere wg show ovpn1 fwmark)"
}

# The folder does not exist when the daemon starts.
case_folder_that_comes_later() {
  topology_up
  router rmdir /run/wireguard
  daemon_start
  await 10 'the daemon answers' quietly wgsteer status
  local since
  wireguard_go router "$tunnel_device"
  router ip link set "$tunnel_device" up
  since=$(now_ms)
  await 5 'the tunnel has a mark' has_line '^0x' tunnel_mark
  note "marked $(($(now_ms) - since)) ms after its socket appeared"
}

made_anew() { # COMMAND-THAT-SETS-IT-UP
  stop_process "$tunnel_pid"
  await 5 "$tunnel_device is gone" fails router ip link show "$tunnel_device"
  "$1"
}

# Like wg-quick.
configured_first() {
  wireguard_go router "$tunnel_device"
  tunnel_pid=$started
  tunnel_setconf
  router ip -batch - <<ROUTER
addr add 10.99.0.2/24 dev $tunnel_device
addr add fd99::2/64 dev $tunnel_device
link set $tunnel_device up
ROUTER
  route_halves
}

# There is traffic in the tunnel before it has a peer.
routed_first() { tunnel_up route_halves; }

# The daemon sees a device long before it has a socket.
socket_last() {
  kill -STOP "$daemon_pid"
  wireguard_go router "$tunnel_device"
  tunnel_pid=$started
  tunnel_setconf
  router mv "/run/wireguard/$tunnel_device.sock" /run/aside
  kill -CONT "$daemon_pid"
  router ip link set "$tunnel_device" up
  await 5 'the daemon has seen the link' quietly wgsteer status
  router mv /run/aside "/run/wireguard/$tunnel_device.sock"
  await 1 'the tunnel has a mark' has_line '^0x' tunnel_mark
  router ip -batch - <<ROUTER
addr add 10.99.0.2/24 dev $tunnel_device
addr add fd99::2/64 dev $tunnel_device
ROUTER
  route_halves
}

# Recreates the tunnel repeatedly under traffic, counts the outer packets that enter it, and checks that it works.
# Not one may: the endpoints of a tunnel that has gone are steered for longer than a round takes.
anew_in_traffic() { # TIMES COMMAND-THAT-SETS-IT-UP
  local i before worst=0 all=0 seen
  topology_up
  tunnel_up route_halves
  daemon_start_and_converge
  traffic_start
  await_handshake
  for ((i = 0; i < $1; i++)); do
    before=$(looped)
    made_anew "$2"
    await 20 "a handshake, round $i" handshake_done
    seen=$(($(looped) - before))
    all=$((all + seen))
    ((seen <= worst)) || worst=$seen
  done
  note "$all packets entered the tunnel itself in $1 rounds, at most $worst in one round"
  equal 'packets that entered the tunnel itself' 0 "$all"
  steady_on 0 'after all rounds'
}
case_made_anew_configured_first() { anew_in_traffic 20 configured_first; }
case_made_anew_routed_first() { anew_in_traffic 20 routed_first; }
case_made_anew_with_its_socket_last() { anew_in_traffic 5 socket_last; }

run_cases "$@"
