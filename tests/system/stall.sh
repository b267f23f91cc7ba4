#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A WAN that carries everything except one tunnel: its peer stalls, and only this peer moves to another path.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

configuration() {
  local wan
  for wan in 0 1; do printf '[[wan]]\nname = "w%s"\ndevice = "%s"\n' "$wan" "${wan_device[$wan]}"; done
  printf '[[tunnel]]\ninterface = "%s"\nrole = "client"\nstall = 3\nhold = 4\n' "$tunnel_device"
}

# Drops only packets of the case's family.
isp_drops() { # WAN MATCH
  in_host "isp$1" nft -f - <<NFT
table inet dropping {
  chain dropping { type filter hook forward priority 300; meta nfproto ipv$family $2 drop; }
}
NFT
}
isp_relents() { in_host "isp$1" nft delete table inet dropping; } # WAN

watched_tunnel_up() {
  configured_tunnel_up route_halves configuration
  steady_on 0 'both WANs answer'
}

moves_to_the_second_wan() { # WHAT
  local since
  since=$(now_ms)
  await 20 "$1: the stall is detected" grep -q ': trying w1' "$daemon_log"
  await_traffic "$1: traffic by the other WAN" 20
  note "$1: traffic again after $(($(now_ms) - since)) ms"
  comes_to_rest_on 1 "$1"
  check "$1: the WAN itself stays up" has_line 'w0 .* up' wgsteer status
}

case_port_dropped() {
  watched_tunnel_up
  isp_drops 0 'udp dport 51820'
  moves_to_the_second_wan 'port dropped'
  check 'status shows the stalled peer' has_line 'stalled: .*using w1' wgsteer status
}

case_answers_dropped() {
  watched_tunnel_up
  isp_drops 0 'udp sport 51820'
  moves_to_the_second_wan 'answers dropped'
}

# Handshakes and other small packets still pass.
case_large_packets_dropped() {
  watched_tunnel_up
  traffic_stop
  isp_drops 0 'meta length > 400'
  traffic_options=(-s 600)
  traffic_start
  moves_to_the_second_wan 'large packets dropped'
}

case_back_when_it_works_again() {
  watched_tunnel_up
  isp_drops 0 'udp dport 51820'
  moves_to_the_second_wan 'port dropped'
  isp_relents 0
  traffic_stop
  await 40 'the first WAN is tried while there is no traffic' grep -q 'trying w0' "$daemon_log"
  traffic_start
  await_traffic 'traffic afterwards'
  comes_to_rest_on 0 'first WAN again'
}

# Nothing helps a peer that is switched off; the other peer and the WANs must not be affected.
case_a_peer_that_is_off_moves_alone() {
  watched_tunnel_up
  local off inner=10.98.0.1 prefix=10.98.0.0/24 endpoint=203.0.113.56
  [[ $family == 4 ]] || inner=fd98::1 prefix=fd98::/64 endpoint=2001:db8:cafe::56
  off=$(public_key "$kPhoneKey")
  router wg set "$tunnel_device" peer "$off" endpoint "$(socket_address "$endpoint" 51821)" \
    allowed-ips "$prefix"
  router_ip route add "$prefix" dev "$tunnel_device"
  await 5 'the peer is known' has_line "${off:0:8}" wgsteer status
  start_in_host router "$work/off" ping -n -i 0.2 "$inner"
  await 60 'all paths were tried' grep -q 'no path works' "$daemon_log"
  steady_on 0 'the other peer stays'
  equal 'packets of the other peer lost' 0 "$(packets_lost)"
  equal 'moved peers' 1 "$(grep -o 'peer [^ ]*: .*trying' "$daemon_log" | cut -d' ' -f2 | sort -u | wc -l)"
  check 'the number of attempts is bounded' test "$(grep -c 'trying w' "$daemon_log")" -le 3
}

# The WAN of a diverted peer fails: its policy applies again immediately.
case_the_way_out_goes_as_well() {
  watched_tunnel_up
  isp_drops 0 'udp dport 51820'
  moves_to_the_second_wan 'port dropped'
  isp_relents 0
  wan_carrier_down 1
  await_traffic 'traffic by the first WAN'
  comes_to_rest_on 0 'second WAN gone'
}

run_cases "$@"
