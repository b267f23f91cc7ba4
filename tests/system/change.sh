#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The device, address or gateway of a WAN changes while packets flow.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

# Like a DHCP client when the lease comes from another router.
case_new_gateway() {
  local gateway
  if [[ $family == 4 ]]; then gateway=192.0.2.254; else gateway=2001:db8:10::fe; fi
  steered_tunnel_up
  in_host isp0 ip addr add "$gateway/$wan_length" dev customer
  router_ip route del default via "${wan_gateway[0]}" dev "${wan_device[0]}" metric "${wan_metric[0]}"
  router_ip route add default via "$gateway" dev "${wan_device[0]}" metric "${wan_metric[0]}"
  await 5 'the new gateway is in our tables' has_line "via $gateway .*proto 87" router_ip route show table all
  await 5 'the old gateway is gone from our tables' \
    fails has_line "via ${wan_gateway[0]} .*proto 87" router_ip route show table all
  steady_on 0 'new gateway'
}

case_new_address() {
  local address
  if [[ $family == 4 ]]; then address=192.0.2.77; else address=2001:db8:10::77; fi
  steered_tunnel_up
  router_ip addr del "${wan_address[0]}/$wan_length" dev "${wan_device[0]}"
  router_ip addr add "$address/$wan_length" dev "${wan_device[0]}"
  router_ip route replace default via "${wan_gateway[0]}" dev "${wan_device[0]}" metric "${wan_metric[0]}"
  await 5 'converged' converged
  await_traffic 'traffic with the new address'
  steady_on 0 'new address'
}

# Like network managers, which delete the old address first. Meanwhile the IPv6 default route stays, but has no source.
case_new_address_again_and_again() {
  traffic_options=(-i 0.002)
  steered_tunnel_up
  local round old=${wan_address[0]} new=${wan_address[0]%0}1
  for round in {1..30}; do
    router_ip addr del "$old/$wan_length" dev "${wan_device[0]}"
    router_ip addr add "$new/$wan_length" dev "${wan_device[0]}"
    router_ip route replace default via "${wan_gateway[0]}" dev "${wan_device[0]}" metric "${wan_metric[0]}"
    await 5 "converged in round $round" converged
    nothing_misrouted "round $round"
    read -r old new <<<"$new $old"
  done
  steady_on 0 'in the end'
}

# A WAN without an IPv6 address of its own, but with a delegated prefix for the LAN.
case_delegated_prefix_only() {
  [[ $family == 6 ]] || return 0
  steered_tunnel_up
  router ip link add lan0 type veth peer name lan1
  router ip link set lan0 up
  router ip addr add 2001:db8:10::d00:1/128 dev lan0
  router ip route add default from 2001:db8:10::d00:0/112 via "${wan_gateway[0]}" dev "${wan_device[0]}" metric "${wan_metric[0]}"
  router_ip addr del "${wan_address[0]}/$wan_length" dev "${wan_device[0]}"
  router_ip route add 2001:db8:10::/64 dev "${wan_device[0]}"
  in_host isp0 ip route add 2001:db8:10::d00:0/112 via "$(router_link_local "${wan_device[0]}")" dev customer
  await 5 'converged' converged
  steady_on 0 'with the address from the LAN'
}
router_link_local() { router ip -6 -oneline addr show dev "$1" scope link | awk '{ sub("/.*", "", $4); print $4 }'; } # DEVICE

case_device_created_again() {
  steered_tunnel_up
  local before
  before=$(router cat "/sys/class/net/${wan_device[0]}/ifindex")
  router ip link del "${wan_device[0]}"
  steady_on 1 'device gone'
  ip link add again index 20 netns "${holder[router]}" type veth peer name customer netns "${holder[isp0]}"
  router ip link set again name "${wan_device[0]}"
  in_host isp0 ip -batch - <<ISP
addr add ${wan_gateway4[0]}/24 dev customer
addr add ${wan_gateway6[0]}/64 dev customer
link set customer up
ISP
  wan_up 0
  check 'the ifindex has changed' fails prints "$before" router cat "/sys/class/net/${wan_device[0]}/ifindex"
  await 5 'converged' converged
  steady_on 0 'device recreated'
}

# The metrics determine the order of preference.
case_metrics_exchanged() {
  steered_tunnel_up
  router_ip route del default via "${wan_gateway[0]}" dev "${wan_device[0]}" metric "${wan_metric[0]}"
  router_ip route add default via "${wan_gateway[0]}" dev "${wan_device[0]}" metric 300
  await 5 'converged' converged
  steady_on 1 'the second is preferred'
}

run_cases "$@"
