#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The same cure for other common ways to set up a tunnel.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

case_default_with_metric() {
  topology_up
  tunnel_up route_default
  daemon_start_and_converge
  tunnel_forget
  traffic_start
  await_handshake
  steady_on 0 'default route by the tunnel'
}

# As wg-quick does it, whose rules we leave out: the lookup is what rule 80 makes it.
case_fwmark_of_the_user() {
  tunnel_fwmark=0xca6c
  topology_up
  tunnel_up route_halves
  daemon_start_and_converge
  tunnel_forget
  traffic_start
  await_handshake
  steady_on 0 'fwmark of the user'
  equal 'the fwmark' 0xca6c "$(tunnel_mark)"
  check 'its rule' has_line '^80:.*fwmark 0xca6c iif lo lookup .*proto 87' router_ip rule show
}

case_other_names() {
  tunnel_device=home
  wan_device=(ppp-fiber usb0)
  topology_up
  tunnel_up route_halves
  daemon_start_and_converge
  tunnel_forget
  traffic_start
  await_handshake
  steady_on 0 'devices by other names'
}

# The router has one family only.
case_one_family() {
  router_families=("$family")
  topology_up
  tunnel_up route_halves
  daemon_start_and_converge
  tunnel_forget
  traffic_start
  await_handshake
  steady_on 0 'one family'
}

# The peer is a neighbour on the first WAN's own wire, which the second cannot reach.
case_endpoint_on_link() {
  topology_up
  if [[ $family == 4 ]]; then endpoint=192.0.2.99; else endpoint=2001:db8:10::99; fi
  in_host isp0 ip addr add "$endpoint/$wan_length" dev customer
  # The neighbour hands it on to the server, which knows the address as its own.
  in_host isp0 ip addr del "$endpoint/$wan_length" dev customer
  in_host server ip addr add "$endpoint" dev lo
  in_host isp0 ip route add "$endpoint" via "$([[ $family == 4 ]] && echo 100.64.0.2 || echo 2001:db8:f0::2)"
  in_host isp0 sysctl -q -w net.ipv4.conf.customer.proxy_arp=1 net.ipv6.conf.customer.proxy_ndp=1
  in_host isp0 ip neigh add proxy "$endpoint" dev customer
  tunnel_up route_halves
  daemon_start_and_converge
  tunnel_forget
  traffic_start
  await_handshake
  steady_on 0 'endpoint on the wire of a WAN'
  check 'not by the gateway' fails has_line via router_ip route get "$endpoint" mark "$(tunnel_mark)"
}

run_cases "$@"
