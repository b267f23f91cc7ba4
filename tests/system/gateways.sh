#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Two routers on one LAN, each with its own ISP: two WANs on one device, distinguished by their gateways.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

readonly kUplink=uplink0
# Link-local traffic, which both routers receive and no ISP forwards.
readonly kNeighbours='icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit } accept\n    ip protocol igmp accept'

# Connects both ISPs' routers to one switch.
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

# As at home: one network, and both routers do NAT.
one_network() {
  local wan
  wan_gateway4=(192.0.2.1 192.0.2.254) wan_gateway6=(2001:db8:10::1 2001:db8:10::fe)
  wan_address4=(192.0.2.10 192.0.2.10) wan_address6=(2001:db8:10::10 2001:db8:10::10)
  use_family "$family"
  # Keep its link-local address: without one, it could not send neighbour solicitations.
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

# The WAN's router still answers, but nothing behind it does.
dead_upstream() { # WAN
  in_host "isp$1" nft add table inet silence
  in_host "isp$1" nft 'add chain inet silence forward { type filter hook forward priority 300; policy drop; }'
}
alive_upstream() { in_host "isp$1" nft delete table inet silence; } # WAN

wans_up() { wan_up 0 && wan_up 1; }

steered() { # COMMAND-THAT-SETS-UP-THE-WANS
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
  await 10 'the first WAN is found dead' grep -q 'WAN w0 is down' "$daemon_log"
  await_traffic 'traffic by the second WAN'
  comes_to_rest_on 1 'the first is dead'
  check 'status shows the second in use' has_line '(^| )w1( |$)' peer_line
  alive_upstream 0
  await 10 'the first WAN is found alive' grep -q 'WAN w0 is up again' "$daemon_log"
  comes_to_rest_on 0 'the first is back'
  check 'status shows the first in use' has_line '(^| )w0( |$)' peer_line
}
peer_line() { wgsteer status | grep -F "$endpoint"; }

case_one_network() {
  topology_up
  one_lan
  one_network
  steered wans_up
  wgsteer check -c "$work/wgsteer.toml" >"$work/check" 2>&1 || fail "check: $(<"$work/check")"
  equal 'gateway in the table of the first WAN' "${wan_gateway[0]}" "$(gateway_in_table 1)"
  equal 'gateway in the table of the second WAN' "${wan_gateway[1]}" "$(gateway_in_table 2)"
  first_dies_and_returns
}
gateway_in_table() { # SLOT-OF-A-WAN
  router_ip route show table $((0x57470000 + $1)) | sed -n 's/^default via \([^ ]*\) .*/\1/p'
}

# The usual state: DHCP or router advertisements announce only one router.
case_only_the_first_has_a_route() {
  topology_up
  one_lan
  one_network
  steered first_alone
  wgsteer check -c "$work/wgsteer.toml" >"$work/check" 2>&1 || fail "check: $(<"$work/check")"
  first_dies_and_returns
}
first_alone() { wan_up 0; }

# Each router has its own network on the LAN, and its ISP accepts no other sources.
case_two_networks() {
  topology_up
  one_lan
  counts_what_is_of 0 "${isp_prefix4[0]}" "${isp_prefix6[0]}"
  counts_what_is_of 1 "${isp_prefix4[1]}" "${isp_prefix6[1]}"
  steered wans_up
  first_dies_and_returns
}

# A host route by the second router selects the second WAN as long as that works.
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
  await 10 'the second WAN is found dead' grep -q 'WAN w1 is down' "$daemon_log"
  await_traffic 'traffic by the first WAN'
  comes_to_rest_on 0 'the second is dead'
}

run_cases "$@"
