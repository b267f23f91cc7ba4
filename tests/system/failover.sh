#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A WAN fails and comes back.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

# The packets, at 50 per second, that may be lost in an event.
readonly kBound=10

bounded() { # WHAT
  local lost
  lost=$(packets_lost)
  note "$1: $lost packets lost"
  ((lost <= kBound)) || fail "$1: $lost packets lost, more than $kBound"
}

case_link_down_and_back() {
  steered_tunnel_up
  wan_link_down 0
  comes_to_rest_on 1 'first WAN down'
  bounded 'first WAN down'
  wan_up 0
  await 5 'converged' converged
  comes_to_rest_on 0 'first WAN back'
  bounded 'down and back'
}

case_carrier_loss_and_back() {
  steered_tunnel_up
  wan_carrier_down 0
  await_traffic 'traffic after the loss'
  comes_to_rest_on 1 'no carrier'
  bounded 'no carrier'
  wan_carrier_up 0
  await 5 'converged' converged
  await_traffic 'traffic after the return'
  comes_to_rest_on 0 'carrier back'
  bounded 'loss and return'
}

# The fwmark belongs to the user here, so it cannot be changed to clear cached sources.
case_fwmark_of_the_user() {
  tunnel_fwmark=0xca6c
  steered_tunnel_up
  wan_carrier_down 0
  await_traffic 'traffic after the loss'
  comes_to_rest_on 1 'no carrier'
  bounded 'no carrier'
  equal 'the fwmark' 0xca6c "$(tunnel_mark)"
}

# The link-layer address of an unused WAN's gateway is known before it is needed (warm gateway).
case_idle_gateway_is_known() {
  topology_up
  tunnel_up route_halves
  router ip neigh flush dev "${wan_device[1]}"
  equal 'neighbours of the second WAN' '' "$(router_ip neigh show dev "${wan_device[1]}" | grep lladdr || true)"
  daemon_start_and_converge
  await 5 'its gateway is resolved' has_line "^${wan_gateway[1]} .*lladdr" router_ip neigh show dev "${wan_device[1]}"
}

# A gateway with a permanent neighbour entry is not probed.
case_permanent_gateway_stays() {
  topology_up
  tunnel_up route_halves
  router_ip neigh replace "${wan_gateway[1]}" lladdr 02:00:00:00:00:99 dev "${wan_device[1]}" nud permanent
  daemon_start_and_converge
  await 5 'the first gateway is resolved' \
    has_line "^${wan_gateway[0]} .*lladdr" router_ip neigh show dev "${wan_device[0]}"
  equal 'the entry of the second gateway' "${wan_gateway[1]} lladdr 02:00:00:00:00:99 PERMANENT" \
    "$(router_ip neigh show dev "${wan_device[1]}" | grep -F "${wan_gateway[1]} " | xargs)"
}

# The stopped daemon later reads a state that equals the one it knew, but answers have meanwhile moved WireGuard to the
# other WAN. In IPv4, wireguard-go's sockets stay on the device until that is cleared, so nothing gets through.
strays() { [[ $family == 4 ]] || await 10 'by the other WAN' only_by 1; }

case_loss_and_return_while_the_daemon_is_stopped() {
  steered_tunnel_up
  kill -STOP "$daemon_pid"
  wan_carrier_down 0
  strays
  wan_carrier_up 0
  kill -CONT "$daemon_pid"
  await 10 'back' only_by 0
  nothing_misrouted 'loss and return'
}

case_link_down_and_up_while_the_daemon_is_stopped() {
  steered_tunnel_up
  kill -STOP "$daemon_pid"
  wan_link_down 0
  strays
  wan_up 0
  kill -CONT "$daemon_pid"
  await 10 'back' only_by 0
  nothing_misrouted 'down and up'
}

# Nothing is misrouted during failover and failback, either.
case_nothing_misrouted_on_the_way() {
  steered_tunnel_up
  counters_reset
  wan_carrier_down 0
  await_traffic 'traffic after the loss'
  wan_carrier_up 0
  await_traffic 'traffic after the return'
  nothing_misrouted 'loss and return'
}

case_both_down() {
  steered_tunnel_up
  counters_reset
  wan_link_down 0
  wan_link_down 1
  await 5 'converged' converged
  equal 'outer packets into the tunnel without any WAN' 0 "$(looped)"
  wan_up 1
  await_traffic 'traffic by the second' 20
  comes_to_rest_on 1 'the second is back'
  equal 'outer packets into the tunnel' 0 "$(looped)"
}

run_cases "$@"
