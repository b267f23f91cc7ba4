#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A WAN fails and comes back.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

# How many packets, at 50 per second, an event may cost.
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

# The cached source cannot be cleared by setting another fwmark here.
case_fwmark_of_the_user() {
  tunnel_fwmark=0xca6c
  steered_tunnel_up
  wan_carrier_down 0
  await_traffic 'traffic after the loss'
  comes_to_rest_on 1 'no carrier'
  bounded 'no carrier'
  equal 'the fwmark' 0xca6c "$(tunnel_mark)"
}

# The gateway of a WAN that nobody uses is known before it is needed.
case_idle_gateway_is_known() {
  topology_up
  tunnel_up route_halves
  router ip neigh flush dev "${wan_device[1]}"
  equal 'neighbours of the second WAN' '' "$(router_ip neigh show dev "${wan_device[1]}" | grep lladdr || true)"
  daemon_start_and_converge
  await 5 'its gateway is known' has_line "^${wan_gateway[1]} .*lladdr" router_ip neigh show dev "${wan_device[1]}"
}

# What somebody has said for good about a gateway is not asked for again.
case_permanent_gateway_stays() {
  topology_up
  tunnel_up route_halves
  router_ip neigh replace "${wan_gateway[1]}" lladdr 02:00:00:00:00:99 dev "${wan_device[1]}" nud permanent
  daemon_start_and_converge
  await 5 'the other gateway is known' has_line "^${wan_gateway[0]} .*lladdr" router_ip neigh show dev "${wan_device[0]}"
  equal 'the second gateway' "${wan_gateway[1]} lladdr 02:00:00:00:00:99 PERMANENT" \
    "$(router_ip neigh show dev "${wan_device[1]}" | grep -F "${wan_gateway[1]} " | xargs)"
}

# What it hears in the end is what it knew before, but answers have led WireGuard to the other WAN meanwhile. In IPv4
# wireguard-go's sockets hold on to the device until somebody clears that, so nothing gets through.
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

# Nothing misrouted between the two steady states either.
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
  equal 'into the tunnel while there is no WAN' 0 "$(looped)"
  wan_up 1
  await_traffic 'traffic by the second' 20
  comes_to_rest_on 1 'the second is back'
  equal 'into the tunnel' 0 "$(looped)"
}

run_cases "$@"
