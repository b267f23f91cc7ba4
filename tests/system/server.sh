#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A WireGuard server on the router, for phones on the LAN and outside.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

service_up() {
  wireguard_go router wgs
  tunnel_configuration "$kServerKey" "$kServicePort" "$kPhoneKey" 10.98.0.2/32,fd98::2/128 |
    router wg setconf wgs /dev/stdin
  router ip -batch - <<'ROUTER'
addr add 10.98.0.1/24 dev wgs
addr add fd98::1/64 dev wgs
link set wgs up
ROUTER
}

phone_up() { # ADDRESS-OF-THE-SERVICE
  wireguard_go phone wgp
  tunnel_configuration "$kPhoneKey" 0 "$kServerKey" 10.98.0.0/24,fd98::/64 "$(socket_address "$1" "$kServicePort")" |
    in_host phone wg setconf wgp /dev/stdin
  in_host phone ip -batch - <<'PHONE'
addr add 10.98.0.2/24 dev wgp
addr add fd98::2/64 dev wgp
link set wgp up
PHONE
}

phone_is_answered() { quietly in_host phone ping -n -c 1 -W 1 "$inner_service"; }

# The reply must go to the LAN, whatever mark the tunnel has.
case_phone_in_the_lan() {
  topology_up
  topology_lan
  tunnel_up route_halves
  service_up
  daemon_start_and_converge
  if [[ $family == 4 ]]; then phone_up 192.168.1.1; else phone_up fd01::1; fi
  await 20 'the phone is answered' phone_is_answered
  check 'the phone is answered again' phone_is_answered
}

phone_goes_out() {
  local wan
  topology_lan
  in_host phone ip link set lan down
  ip link add away netns "${holder[phone]}" type veth peer name phone netns "${holder[server]}"
  in_host phone ip -batch - <<'PHONE'
addr add 203.0.113.130/25 dev away
addr add 2001:db8:cafe:1::2/64 dev away
link set away up
PHONE
  in_host server ip -batch - <<'SERVER'
addr add 203.0.113.129/25 dev phone
addr add 2001:db8:cafe:1::1/64 dev phone
link set phone up
SERVER
  in_host phone ip route replace default via 203.0.113.129
  in_host phone ip -6 route replace default via 2001:db8:cafe:1::1 dev away
  for wan in 0 1; do
    in_host "isp$wan" ip route replace 2001:db8:cafe:1::/64 via "2001:db8:f$wan::2"
  done
}

# The phone is outside and contacts the second WAN.
case_phone_outside() {
  topology_up
  phone_goes_out
  tunnel_up route_halves
  service_up
  daemon_start_and_converge
  counters_reset
  phone_up "${wan_address[1]}"
  await 20 'the phone is answered' phone_is_answered
  equal 'foreign sources' '0 0' "$(foreign 0) $(foreign 1)"
}

# The service has addresses that no device has; the phone's firewall accepts replies from the contacted address only.
# IPv4 only: wireguard-go cannot reply from such an IPv6 address, with or without us (IPV6_PKTINFO needs a local one).
case_phone_asks_on_an_address_of_no_device() {
  [[ $family == 4 ]] || return 0
  topology_up
  phone_goes_out
  router ip route add local 192.0.2.64/26 dev lo
  in_host isp0 ip route add 192.0.2.64/26 via "${wan_address4[0]}" dev customer
  in_host phone nft -f - <<'RULES'
table inet firewall {
  chain in { type filter hook input priority 0; ct state established,related accept; meta l4proto udp drop; }
}
RULES
  tunnel_up route_halves
  service_up
  daemon_start_and_converge
  phone_up 192.0.2.77
  await 20 'the phone is answered' phone_is_answered
}

run_cases "$@"
