# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154 # wan_address and the like are set by lib.sh
#
# The router is the server: clients contact it over either WAN, and replies leave by the WAN of the request.

# A tunnel on the router without an endpoint, and its peer, a client that contacts the given WAN.
server_on_router_up() { # WAN-THAT-THE-CLIENT-ASKS
  ip -n router link add wg0 type wireguard
  router wg setconf wg0 /dev/stdin <<CONF
[Interface]
PrivateKey = $kRouterKey
ListenPort = 51820
[Peer]
PublicKey = $(public_key "$kServerKey")
AllowedIPs = $inner_server/$endpoint_host_length
CONF
  ip -n router addr add "$inner_router/$inner_prefix_length" dev wg0
  ip -n router link set wg0 up

  ip -n server link add client type wireguard
  in_namespace server wg setconf client /dev/stdin <<CONF
[Interface]
PrivateKey = $kServerKey
[Peer]
PublicKey = $(public_key "$kRouterKey")
AllowedIPs = $inner_router/$endpoint_host_length
Endpoint = $(socket_address "${wan_address[$1]}" 51820)
CONF
  ip -n server addr add "$inner_server/$inner_prefix_length" dev client
  ip -n server link set client up
}

client_asks() { # WAN
  in_namespace server wg set client peer "$(public_key "$kRouterKey")" \
    endpoint "$(socket_address "${wan_address[$1]}" 51820)"
}

client_is_answered() { in_namespace server ping -n -c 1 -W 1 "$inner_router" >/dev/null; }

answered_by() { # WAN DESCRIPTION
  local other=$((1 - $1))
  equal "$2: packets by the other WAN" 0 "$(sent $other)"
  check "$2: packets by the contacted WAN" at_least 1 sent "$1" 4 "${wan_address[$1]}"
  equal "$2: packets with other sources" 0 "$(sent "$1" any "!${wan_address[$1]}")"
  nothing_misrouted "$2"
}

client_comes_by() { # WAN
  server_on_router_up "$1"
  daemon_start_and_converge
  counters_reset
  await 30 'the client is answered' client_is_answered
  check 'a handshake response by the contacted WAN' at_least 1 sent "$1" 2 "${wan_address[$1]}"
  answered_by "$1" 'first contact'
}

case_answers_by_wan1() {
  client_comes_by 1
  counters_reset
  client_asks 0
  await 15 'the client is answered by wan0' client_is_answered
  answered_by 0 'moved to wan0'
}

case_answers_by_wan0() {
  client_comes_by 0
  counters_reset
  client_asks 1
  await 15 'the client is answered by wan1' client_is_answered
  answered_by 1 'moved to wan1'
}

full_tunnel_answers() { router ping -n -c 1 -W 1 "$inner_second_server" >/dev/null; }

# The router also sends everything into a full tunnel, which must not swallow the answers.
case_server_beside_a_full_tunnel() {
  server_on_router_up 1
  second_tunnel_up
  route_halves wg1
  daemon_start_and_converge
  counters_reset
  await 30 'the client is answered' client_is_answered
  check 'the answers leave by wan1' at_least 1 sent 1 4 "${wan_address[1]}"
  await 30 'the full tunnel answers' full_tunnel_answers
  check 'the full tunnel leaves by wan0' at_least 1 sent 0 4 "${wan_address[0]}"
  nothing_misrouted 'server and full tunnel'
}
