# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154 # wan_address and the like are set by lib.sh
#
# A WAN fails in three different ways and comes back. From the event on, every packet has a source address of the WAN by
# which it leaves.

fails_over_and_back() { # BREAK REPAIR
  counters_reset
  "$1" 0
  await 15 'data by wan1' at_least 1 sent 1 4 "${wan_address[1]}"
  await_traffic 'traffic goes on'
  nothing_misrouted 'failover'
  steady_on 1 'after the failover'
  counters_reset
  "$2" 0
  await 20 'failback' at_least 1 sent 0 4 "${wan_address[0]}"
  await_traffic 'traffic goes on after the failback'
  nothing_misrouted 'failback'
  steady_on 0 'after the failback'
  await_converged
}

case_link_down() {
  steered_tunnel_up
  fails_over_and_back wan_link_down wan_link_up
}

case_carrier_loss() {
  steered_tunnel_up
  fails_over_and_back wan_carrier_down wan_carrier_up
}

case_route_removed() {
  steered_tunnel_up
  fails_over_and_back wan_route_delete wan_route_add
}

case_route_removed_leaves_nothing_stale() {
  steered_tunnel_up route_default wg0
  wan_route_delete 0
  await 10 'the gateway is gone from our state' absent_from_own_state "via ${wan_gateway[0]}"
  wan_link_down 1
  await 10 'the other gateway too' absent_from_own_state "via ${wan_gateway[1]}"
  # Without any WAN, the unreachable defaults keep the packets out of the tunnel.
  counters_reset
  local before
  before=$(answers)
  await 10 'packets are sent into the tunnel' at_least $(($(offered) + 10)) offered
  equal 'packets by wan0' 0 "$(sent 0)"
  equal 'packets by wan1' 0 "$(sent 1)"
  nothing_misrouted 'without any WAN'
  equal 'answers without any WAN' "$before" "$(answers)"
  wan_link_up 1
  await_traffic 'the tunnel comes back'
  wan_route_add 0
  await 20 'failback' at_least 1 sent 0 4 "${wan_address[0]}"
  steady_on 0 'in the end'
}

# The last of the three safeguards. What the kernel's WireGuard sends has its device as the input.
case_tunnels_stay_closed_without_our_rules() {
  steered_tunnel_up
  check 'handshakes are counted' at_least 1 named_counter router wgsteer initiations_1
  kill -STOP "$daemon_pid"
  while router_ip rule del proto 87 2>/dev/null; do :; done
  counters_reset
  await 10 'packets are sent into the tunnel' at_least 10 offered
  nothing_misrouted 'without our rules'
  kill -CONT "$daemon_pid"
  await_traffic 'the rules are back'
  nothing_misrouted 'meanwhile'
  steady_on 0 'in the end'
}

# The cable is unplugged and plugged in faster than anything can settle.
case_flapping_carrier() {
  steered_tunnel_up
  counters_reset
  local flap
  for flap in 1 2 3 4 5; do
    wan_carrier_down 0
    wan_carrier_up 0
  done
  await_traffic "traffic goes on after $flap flaps"
  nothing_misrouted 'flapping'
  steady_on 0 'after the flapping'
  await_converged
}
