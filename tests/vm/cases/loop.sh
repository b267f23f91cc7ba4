# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154 # wan_address and the like are set by lib.sh
#
# Without wgsteer: the topology works, its ISPs are as strict as real ones, and the loop occurs.

case_topology_is_sound() {
  tunnel_up
  traffic_start
  await_traffic 'a tunnel without routes works'
  equal 'packets by wan1' 0 "$(sent 1)"
  check 'handshake initiation seen at isp0' at_least 1 sent 0 1 "${wan_address[0]}"
  check 'response seen at isp0' at_least 1 received 0 2 "${wan_address[0]}"
  check 'data seen at isp0' at_least 1 sent 0 4 "${wan_address[0]}"
  nothing_misrouted 'the tunnel alone'
}

case_isp_drops_foreign_sources() {
  # Send by wan0 with an address of wan1.
  router_ip route add "${endpoint[1]}" via "${wan_gateway[0]}" dev wan0 src "${wan_address[1]}"
  router ping -n -c 1 -q -W 1 "${endpoint[1]}" && fail 'the ISP let a foreign source pass'
  equal 'foreign packets at isp0' 1 "$(foreign 0)"
  # The server answers if the source is correct.
  router_ip route del "${endpoint[1]}"
  check 'the server answers by wan0' router ping -n -c 1 -q -W 5 "${endpoint[1]}"
  wan_route_delete 0
  check 'the server answers by wan1' router ping -n -c 1 -q -W 5 "${endpoint[1]}"
}

loops() {
  traffic_start
  await 10 'outer packets enter the tunnel' at_least 2 looped
  equal 'packets by wan0' 0 "$(sent 0)"
  equal 'packets by wan1' 0 "$(sent 1)"
  handshake_done wg0 && fail 'a handshake succeeded: this topology does not reproduce the loop'
  equal 'answers' 0 "$(answers)"
}

case_halves_loop() {
  tunnel_up
  route_halves wg0
  loops
}

case_default_route_loops() {
  tunnel_up
  route_default wg0
  loops
}
