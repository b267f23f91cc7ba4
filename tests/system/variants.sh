#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The cure also works for other common ways to set up a tunnel.
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

# Like wg-quick, but without its rules, so that our rule 80 alone decides the lookup.
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
  check 'the rule for the fwmark' has_line '^80:.*fwmark 0xca6c iif lo lookup .*proto 87' router_ip rule show
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
  steady_on 0 'other device names'
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

# The peer is a neighbour on the first WAN's link, which the second cannot reach.
case_endpoint_on_link() {
  topology_up
  if [[ $family == 4 ]]; then endpoint=192.0.2.99; else endpoint=2001:db8:10::99; fi
  in_host isp0 ip addr add "$endpoint/$wan_length" dev customer
  # The ISP's router answers for the address by proxy ARP/NDP and forwards to the server, which has the address.
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
  steady_on 0 'on-link endpoint'
  check 'not by the gateway' fails has_line via router_ip route get "$endpoint" mark "$(tunnel_mark)"
}

run_cases "$@"
