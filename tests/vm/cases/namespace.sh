# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154 # wan_address and the like are set by lib.sh
#
# A WireGuard device that is created on the router and then moved to another namespace, such as a container whose only
# uplink it is: its outer packets leave from the namespace in which it was created, where the device is invisible.

inside() { ip netns exec inside "$@"; }

# The namespace's processes die with the case, however it ends.
namespace_up() {
  trap namespace_down EXIT
  ip netns add inside
  quiet_ipv6 inside
  ip -n inside link set lo up
}
namespace_down() {
  local process
  for process in $(ip netns pids inside 2>/dev/null); do kill -KILL "$process" 2>/dev/null || true; done
  ip netns del inside 2>/dev/null || true
}

device_moves() {
  ip netns pids inside >/dev/null 2>&1 || namespace_up
  ip -n router link set wg0 netns inside
  ip -n inside addr add "$inner_router/$inner_prefix_length" dev wg0
  ip -n inside link set wg0 up
  ip -n inside "-$family" route add default dev wg0
}

fails_to() { ! "$@"; }
answered_inside() { inside ping -q -c 1 -W 1 "$inner_server" >/dev/null 2>&1; }

leaves_by() { # WAN WHAT
  counters_reset
  await 30 "$2" answered_inside
  check "$2: by wan$1" at_least 1 sent "$1" any "${wan_address[$1]}"
  nothing_misrouted "$2"
}

tunnel_is_moved() {
  await_converged
  leaves_by 0 'moved'
  wgsteer check >"$case_results/check" 2>&1 || fail "check: $(<"$case_results/check")"
  wan_link_down 0
  leaves_by 1 'failover'
}

# The device keeps the mark that it was given here, so the policy applies to it.
case_device_that_was_steered() {
  tunnel_up
  daemon_start_and_converge
  await 10 'the tunnel has a mark' prints 0xf0000000 tunnel_mark wg0
  device_moves
  equal 'the mark after the move' 0xf0000000 "$(inside wg show wg0 fwmark)"
  tunnel_is_moved
  wan_link_up 0
  await_converged
  leaves_by 0 'back'
}

# Its packets are unmarked, like those of any program: after failback, IPv6 keeps using the other WAN's address until
# the device is given the mark.
case_device_that_nobody_saw() {
  tunnel_up
  device_moves
  daemon_start_and_converge
  tunnel_is_moved
  wan_link_up 0
  await_converged
  counters_reset
  if [[ $family == 6 ]]; then
    check 'its source is not corrected' fails_to answered_inside
    check "the source is the other WAN's" at_least 1 sent 0 4 "${wan_address[1]}"
  fi
  inside wg set wg0 fwmark "$(wgsteer status --json | grep -o '"mark": *"0xf0000000"' | grep -o '0x[0-9a-f]*')"
  counters_reset
  check 'with the mark' answered_inside
  equal 'packets with a foreign source' 0 "$(foreign 0)"
  check 'packets by the first WAN' at_least 1 sent 0 any "${wan_address[0]}"
}

# A daemon inside the namespace, which has an uplink of its own and would give the tunnel a different mark: that of the
# policy for servers.
daemon_inside_start() {
  namespace_up
  ip -n inside link add up0 type veth peer name up1
  ip -n inside link set up1 up
  ip -n inside link set up0 up
  ip -n inside addr add 172.31.0.2/24 dev up0
  ip -n inside addr add fd31::2/64 dev up0
  ip -n inside -4 route add default via 172.31.0.1 dev up0 metric 2000
  ip -n inside -6 route add default via fd31::1 dev up0 metric 2000
  printf '[[tunnel]]\ninterface = "%s"\nrole = "server"\n' wg0 wg9 >"$case_results/inside.toml"
  daemon_inside_runs
  await 20 'the daemon inside has its rules' inside_has_rules
}
# The two daemons share /run, so this one needs its own state directory.
daemon_inside_runs() {
  mkdir -p "$case_results/inside"
  STATE_DIRECTORY=$case_results/inside ip netns exec inside wgsteer run -c "$case_results/inside.toml" \
    >>"$case_results/inside.log" 2>&1 &
}
inside_has_rules() { inside ip -N rule show | grep -qw 'proto 87'; }
wgsteer_inside() { inside timeout 60 wgsteer "$@"; }
mark_inside() { inside wg show "$1" fwmark; } # DEVICE
inside_says() { # TEXT -> whether it is in the status of the daemon inside
  [[ $(wgsteer_inside status) == *"$1"* ]]
}

readonly kElsewhere='wg0 is left alone: its socket is in another network namespace'
readonly kUntold='wg0 is left alone until it is up: its fwmark'

# A tunnel created inside is steered by the daemon inside, which proves that this daemon has looked.
tunnel_of_its_own() {
  ip -n inside link add wg9 type wireguard
  client_configuration "$kSecondRouterKey" "$kSecondServerKey" "$(socket_address "${endpoint[1]}" 51821)" |
    inside wg setconf wg9 /dev/stdin
  ip -n inside link set wg9 up
  await 10 'a tunnel created inside is steered' prints 0xe0000000 mark_inside wg9
}

case_daemon_on_either_side() {
  tunnel_up
  daemon_start_and_converge
  await 10 'the tunnel has a mark' prints 0xf0000000 tunnel_mark wg0
  daemon_inside_start
  device_moves
  await 10 'the daemon inside leaves it alone' inside_says "$kElsewhere"
  tunnel_of_its_own
  equal 'it keeps its mark' 0xf0000000 "$(mark_inside wg0)"
  wgsteer_inside check >"$case_results/check_inside" 2>&1 || true
  check 'check reports it' grep -q "^advice: $kElsewhere" "$case_results/check_inside"
  check 'check reports no loop' fails_to grep -q 'wg0: .*loop' "$case_results/check_inside"
  check 'the log reports it' grep -q "$kElsewhere" "$case_results/inside.log"
  tunnel_is_moved
  wan_link_up 0
  await_converged
  # A device that is down has no socket.
  ip -n inside link set wg0 down
  ip netns exec inside wgsteer flush >/dev/null
  equal 'the mark of wg0 after flush' 0xf0000000 "$(mark_inside wg0)"
  equal 'the mark of wg9 after flush' off "$(mark_inside wg9)"
  daemon_inside_runs
  await 20 'a daemon started while wg0 is down leaves it alone' inside_says "$kUntold"
  await 10 'it steers wg9' prints 0xe0000000 mark_inside wg9
  equal 'wg0 keeps its mark' 0xf0000000 "$(mark_inside wg0)"
  ip -n inside link set wg0 up
  # The kernel deleted its IPv6 addresses on link down.
  ip -n inside addr replace "$inner_router/$inner_prefix_length" dev wg0
  ip -n inside "-$family" route replace default dev wg0
  await 10 'wg0 is up and still left alone' inside_says "$kElsewhere"
  equal 'the mark of wg0 after link up' 0xf0000000 "$(mark_inside wg0)"
  leaves_by 0 'back'
}

# While the device is down, its socket's namespace is unknown, but no device gets a mark before it is up.
case_daemon_inside_alone() {
  tunnel_up
  daemon_inside_start
  ip -n router link set wg0 netns inside
  await 10 'the daemon inside has looked' inside_says wg0
  equal 'no mark while it is down' off "$(mark_inside wg0)"
  ip -n inside addr add "$inner_router/$inner_prefix_length" dev wg0
  ip -n inside link set wg0 up
  await 10 'the daemon inside leaves it alone' inside_says "$kElsewhere"
  equal 'still no mark' off "$(mark_inside wg0)"
}
