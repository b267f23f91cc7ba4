#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Two routers on one LAN, each to an ISP of its own: two WANs on one device, told apart by their gateways.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

readonly kUplink=uplink0
# What no ISP forwards, and both routers hear.
readonly kNeighbours='icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit } accept\n    ip protocol igmp accept'

# Both ISPs' routers are behind one switch.
one_lan() {
  local wan
  router ip link add "$kUplink" type bridge
  for wan in 0 1; do
    router ip addr flush dev "${wan_device[$wan]}"
    router ip link set "${wan_device[$wan]}" master "$kUplink"
  done
  router ip link set "$kUplink" up
  wan_device=("$kUplink" "$kUplink")
}

counts_what_is_of() { # WAN IPV4-PREFIX IPV6-PREFIX
  in_host "isp$1" nft delete table inet isp
  isp_ruleset "$2" "$3" | sed "s/^    ip saddr != .*/    $kNeighbours\n&/" | in_host "isp$1" nft -f -
}

# As at home: one network, and each router translates.
one_network() {
  local wan
  wan_gateway4=(192.0.2.1 192.0.2.254) wan_gateway6=(2001:db8:10::1 2001:db8:10::fe)
  wan_address4=(192.0.2.10 192.0.2.10) wan_address6=(2001:db8:10::10 2001:db8:10::10)
  use_family "$family"
  # Not its link-local address: without one, the router could solicit no neighbours.
  in_host isp1 ip addr flush dev customer scope global
  in_host isp1 ip addr add "${wan_gateway4[1]}/24" dev customer
  in_host isp1 ip addr add "${wan_gateway6[1]}/64" dev customer nodad
  for wan in 0 1; do
    counts_what_is_of "$wan" "${isp_prefix4[0]}" "${isp_prefix6[0]}"
    in_host "isp$wan" nft -f - <<'NFT'
table inet translation {
  chain postrouting { type nat hook postrouting priority srcnat; oifname "core" masquerade; }
}
NFT
  done
}

configuration() {
  local wan
  for wan in 0 1; do
    cat <<CONF
[[wan]]
name = "w$wan"
device = "$kUplink"
gateway = ["${wan_gateway4[$wan]}", "${wan_gateway6[$wan]}"]
track_ip = ["203.0.113.56", "2001:db8:cafe::56"]
interval = 0.5
timeout = 0.4
down = 2
up = 2
CONF
  done
}

# Its router answers, and what is behind it does not.
dead_upstream() { # WAN
  in_host "isp$1" nft add table inet silence
  in_host "isp$1" nft 'add chain inet silence forward { type filter hook forward priority 300; policy drop; }'
}
alive_upstream() { in_host "isp$1" nft delete table inet silence; } # WAN

wans_up() { wan_up 0 && wan_up 1; }

steered() { # COMMAND THAT MAKES THE WANS
  "$1"
  tunnel_up route_halves
  configuration >"$work/wgsteer.toml"
  daemon_arguments=(-c "$work/wgsteer.toml")
  daemon_start_and_converge
  tunnel_forget
  traffic_start
  await_handshake
  steady_on 0 'both routers work'
}

first_dies_and_returns() {
  dead_upstream 0
  await 10 'it is found dead' grep -q 'WAN w0 is down' "$daemon_log"
  await_traffic 'traffic by the other'
  comes_to_rest_on 1 'the first is dead'
  check 'the other is told to be in use' has_line '(^| )w1( |$)' peer_line
  alive_upstream 0
  await 10 'it is found well' grep -q 'WAN w0 is up again' "$daemon_log"
  comes_to_rest_on 0 'the first is back'
  check 'and it again' has_line '(^| )w0( |$)' peer_line
}
peer_line() { wgsteer status | grep -F "$endpoint"; }

case_one_network() {
  topology_up
  one_lan
  one_network
  steered wans_up
  wgsteer check -c "$work/wgsteer.toml" >"$work/check" 2>&1 || fail "check: $(<"$work/check")"
  equal 'of the first' "${wan_gateway[0]}" "$(gateway_in_table 1)"
  equal 'of the second' "${wan_gateway[1]}" "$(gateway_in_table 2)"
  first_dies_and_returns
}
gateway_in_table() { # NUMBER OF A WAN
  router_ip route show table $((0x57470000 + $1)) | sed -n 's/^default via \([^ ]*\) .*/\1/p'
}

# The usual state: DHCP or router advertisements told of one router alone.
case_only_the_first_has_a_route() {
  topology_up
  one_lan
  one_network
  steered first_alone
  wgsteer check -c "$work/wgsteer.toml" >"$work/check" 2>&1 || fail "check: $(<"$work/check")"
  first_dies_and_returns
}
first_alone() { wan_up 0; }

# Each router has a network of its own on the LAN, and its ISP takes no other.
case_two_networks() {
  topology_up
  one_lan
  counts_what_is_of 0 "${isp_prefix4[0]}" "${isp_prefix6[0]}"
  counts_what_is_of 1 "${isp_prefix4[1]}" "${isp_prefix6[1]}"
  steered wans_up
  first_dies_and_returns
}

# A host route by the second router is a decision for the second WAN, and ends with it.
case_host_route_by_the_second() {
  topology_up
  one_lan
  one_network
  wans_up
  router_ip route add "$endpoint" via "${wan_gateway[1]}" dev "$kUplink"
  tunnel_up route_halves
  configuration >"$work/wgsteer.toml"
  daemon_arguments=(-c "$work/wgsteer.toml")
  daemon_start_and_converge
  tunnel_forget
  traffic_start
  await_handshake
  comes_to_rest_on 1 'as the route says'
  dead_upstream 1
  await 10 'it is found dead' grep -q 'WAN w1 is down' "$daemon_log"
  await_traffic 'traffic by the first'
  comes_to_rest_on 0 'the second is dead'
}

run_cases "$@"
