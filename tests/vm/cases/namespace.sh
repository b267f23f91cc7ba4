# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154 # wan_address and the like are set by lib.sh
#
# A WireGuard device that was created in the router and moved to another namespace, as for a container whose only uplink
# it is: its packets leave by the namespace in which it was created, where the device is invisible.

inside() { ip netns exec inside "$@"; }

device_moves() {
  ip netns add inside
  ip -n inside link set lo up
  ip -n router link set wg0 netns inside
  ip -n inside addr add "$inner_router/$inner_prefix_length" dev wg0
  ip -n inside link set wg0 up
  ip -n inside "-$family" route add default dev wg0
}

answered_inside() { inside ping -q -c 1 -W 1 "$inner_server" >/dev/null 2>&1; }

leaves_by() { # WAN WHAT
  counters_reset
  await "$2" 30 answered_inside
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

# It takes the mark along that it was given here, and goes by the policy.
case_device_that_was_steered() {
  tunnel_up
  daemon_start_and_converge
  await 'it has a mark' 10 prints 0xf0000000 tunnel_mark wg0
  device_moves
  equal 'it has its mark' 0xf0000000 "$(inside wg show wg0 fwmark)"
  tunnel_is_moved
  wan_link_up 0
  await_converged
  leaves_by 0 'back'
  ip netns del inside
}

# Its packets have no mark, as any program's; in IPv6 it would go back with the other WAN's address, which nobody corrects.
case_device_that_nobody_saw() {
  tunnel_up
  device_moves
  daemon_start_and_converge
  tunnel_is_moved
  ip netns del inside
}
