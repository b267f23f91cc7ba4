#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Two peers of one tunnel: one follows the tunnel, the other is pinned and prefers the second WAN; or both are balanced,
# each assigned to a WAN by its key.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

# The packets, at 50 per second, that may be lost in an event.
readonly kBound=10
readonly kPinnedKey=uEvydGMpQcCIZL9kP1zsFl0Rhmv4gnSAyq5MxaBTT1I=

# ---- A second peer, at the server's second address -------------------------------------------------------------------

write_configuration() {
  cat >"$work/wgsteer.toml" <<CONFIGURATION
[[wan]]
name = "first"
device = "${wan_device[0]}"
[[wan]]
name = "second"
device = "${wan_device[1]}"
[[tunnel]]
interface = "$tunnel_device"
role = "client"
[[peer]]
tunnel = "$tunnel_device"
public_key = "$(public_key "$kPinnedKey")"
use_wan = ["second:1", "first:2"]
CONFIGURATION
}

# Equal metrics: each peer is assigned to one of the two WANs.
write_balanced_configuration() {
  cat >"$work/wgsteer.toml" <<CONFIGURATION
[[wan]]
name = "first"
device = "${wan_device[0]}"
metric = 1
[[wan]]
name = "second"
device = "${wan_device[1]}"
metric = 1
[[tunnel]]
interface = "$tunnel_device"
role = "client"
balance = true
CONFIGURATION
}

# It answers from the address that was contacted: wireguard-go does that by itself.
pinned_server_up() {
  wireguard_go server wgs1
  tunnel_configuration "$kPinnedKey" 51821 "$kRouterKey" 10.97.0.2/32,fd97::2/128 |
    in_host server wg setconf wgs1 /dev/stdin
  in_host server ip -batch - <<'SERVER'
addr add 10.97.0.1/24 dev wgs1
addr add fd97::1/64 dev wgs1
link set wgs1 up
SERVER
  router ip addr add 10.97.0.2/24 dev "$tunnel_device"
  router ip addr add fd97::2/64 dev "$tunnel_device"
}

pinned_peer_up() {
  local address=203.0.113.56
  [[ $family == 4 ]] || address=2001:db8:cafe::56
  router wg set "$tunnel_device" peer "$(public_key "$kPinnedKey")" \
    endpoint "$(socket_address "$address" 51821)" allowed-ips 10.97.0.0/24,fd97::/64
}

# Counts packets to the pinned peer, before any are dropped, by correct and foreign source.
pinned_witness_up() { # WAN
  in_host "isp$1" nft -f - <<RULES
table inet pinned {
  counter right { }
  counter wrong { }
  chain from_customer {
    type filter hook prerouting priority raw - 1; policy accept;
    iifname "customer" udp dport 51821 ip saddr ${isp_prefix4[$1]} counter name right
    iifname "customer" udp dport 51821 ip saddr != ${isp_prefix4[$1]} counter name wrong
    iifname "customer" udp dport 51821 ip6 saddr ${isp_prefix6[$1]} counter name right
    iifname "customer" udp dport 51821 ip6 saddr != ${isp_prefix6[$1]} counter name wrong
  }
}
RULES
}

pinned_right() { named_counter "isp$1" pinned right; } # WAN
pinned_wrong() { echo $(($(named_counter isp0 pinned wrong) + $(named_counter isp1 pinned wrong))); }

pinned_reset() {
  local wan
  counters_reset
  for wan in 0 1; do
    in_host "isp$wan" nft reset counters table inet pinned >/dev/null
  done
}

# ---- Traffic of both peers -------------------------------------------------------------------------------------------

# The functions of topology.sh, for the pinned peer.
pinned_log=''
pinned_traffic_start() {
  local inner=10.97.0.1
  [[ $family == 4 ]] || inner=fd97::1
  pinned_log=$work/pinned.$((${EPOCHREALTIME/./}))
  start_in_host router "$pinned_log" ping -n -i 0.02 "$inner"
}
pinned_answers() { traffic_log=$pinned_log answers; }
pinned_lost() { traffic_log=$pinned_log packets_lost; }
await_pinned() { await 15 "$1" at_least $(($(pinned_answers) + 5)) pinned_answers; } # WHAT

both_up() { # [COMMAND-THAT-WRITES-THE-CONFIGURATION]
  topology_up
  pinned_witness_up 0
  pinned_witness_up 1
  tunnel_up route_halves
  pinned_server_up
  "${1:-write_configuration}"
  daemon_arguments=(-c "$work/wgsteer.toml")
  pinned_peer_up
  daemon_start_and_converge
  tunnel_forget
  traffic_start
  await_handshake
  pinned_reset
  pinned_traffic_start
  await_pinned 'the pinned peer answers'
}

# From now on, all outer packets to the pinned peer leave by one WAN with that WAN's source; likewise for the other
# peer.
pinned_steady_on() { # WAN-OF-PINNED WAN-OF-THE-OTHER WHAT
  local name="$3"
  await_pinned "$name: pinned traffic"
  await_traffic "$name: traffic"
  pinned_reset
  await_pinned "$name: steady pinned traffic"
  await_traffic "$name: steady traffic"
  check "$name: pinned packets by the WAN" at_least 1 pinned_right "$1"
  equal "$name: pinned packets by the other WAN" 0 "$(pinned_right $((1 - $1)))"
  equal "$name: pinned packets with a wrong source" 0 "$(pinned_wrong)"
  check "$name: packets of the other peer" at_least 1 right "$2"
  equal "$name: packets of the other peer by the other WAN" 0 "$(right $((1 - $2)))"
  nothing_misrouted "$name"
}

bounded() { # WHAT
  local lost
  lost=$(pinned_lost)
  note "$1: $lost packets of the pinned peer lost"
  ((lost <= kBound)) || fail "$1: $lost packets lost, more than $kBound"
}

# ---- Cases -----------------------------------------------------------------------------------------------------------

case_right_from_the_first_packet() {
  both_up
  equal 'packets of the pinned peer with a wrong source' 0 "$(pinned_wrong)"
  equal 'packets of the pinned peer by the first WAN' 0 "$(pinned_right 0)"
  pinned_steady_on 1 0 'both'
}

case_carrier_loss_and_back() {
  both_up
  wan_carrier_down 1
  pinned_steady_on 0 0 'no carrier'
  bounded 'no carrier'
  wan_carrier_up 1
  await 5 'converged' converged
  pinned_steady_on 1 0 'carrier back'
  bounded 'loss and return'
}

case_link_down_and_back() {
  both_up
  wan_link_down 1
  pinned_steady_on 0 0 'link down'
  wan_up 1
  await 5 'converged' converged
  pinned_steady_on 1 0 'link back'
  bounded 'down and back'
}

# The other peer's WAN fails: the first route lookup for the pinned peer's packets fails over, which must not affect it.
case_the_other_wan_goes() {
  both_up
  wan_carrier_down 0
  pinned_steady_on 1 1 'no carrier'
  wan_carrier_up 0
  await 5 'converged' converged
  pinned_steady_on 1 0 'carrier back'
  bounded 'loss and return'
}

# A mere change of the metrics, without a link event.
case_pinned_elsewhere() {
  both_up
  sed -i 's/use_wan = .*/use_wan = ["first:1", "second:2"]/' "$work/wgsteer.toml"
  kill -HUP "$daemon_pid"
  await 5 'converged' converged
  pinned_steady_on 0 0 'reloaded'
}

way() { # COMMAND -> the WAN for which COMMAND counts packets
  if (($("$1" 0) > 0)); then echo 0; else echo 1; fi
}

case_shared_out() {
  local other pinned
  both_up write_balanced_configuration
  await_traffic 'traffic'
  other=$(way right) pinned=$(way pinned_right)
  equal 'WANs of the two peers, by their keys' '1 0' "$other $pinned"
  check 'status shows the pinned peer' \
    has_line "$(public_key "$kPinnedKey" | cut -c1-8).* first \\(balanced\\) " wgsteer status
  check 'status shows the other peer' \
    has_line "$(public_key "$kServerKey" | cut -c1-8).* second \\(balanced\\) " wgsteer status
  equal 'balanced peers in status --json' 2 "$(wgsteer status --json | grep -c '"balanced": true')"
  pinned_steady_on "$pinned" "$other" 'balanced'
  wan_carrier_down "$pinned"
  pinned_steady_on $((1 - pinned)) $((1 - pinned)) 'no carrier'
  wan_carrier_up "$pinned"
  await 5 'converged' converged
  pinned_steady_on "$pinned" "$other" 'each is back on its own WAN'
  bounded 'loss and return'
}

run_cases "$@"
