# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2034,SC2154 # lib.sh reads daemon_arguments; wan_address and the like are set by lib.sh
#
# A WAN in a VRF: its default route is in the VRF's table, `lookup local` comes after the VRF's rule, and only sockets
# of the VRF receive packets that arrive on it, unless net.ipv4.udp_l3mdev_accept is set.

vrf_up() { # ACCEPT
  router sysctl -q -w net.ipv4.udp_l3mdev_accept="$1"
  ip -n router link add blue type vrf table 10
  ip -n router link set blue up
  # The kernel moves its routes to the VRF's table but drops the default; keep_addr_on_down keeps IPv6 addresses.
  router sysctl -q -w net.ipv6.conf.wan1.keep_addr_on_down=1
  ip -n router link set wan1 master blue
  ip -n router route add default via 198.51.100.1 dev wan1 table 10
  ip -n router -6 route add default via 2001:db8:20::1 dev wan1 table 10
  # As iproute2 recommends, and FRR and networkd do: the VRF's rule comes before the local table.
  local version
  for version in 4 6; do
    ip -n router "-$version" rule add priority 32765 lookup local
    ip -n router "-$version" rule del priority 0
  done
}

both_wans() {
  cat <<'CONF'
[[wan]]
name = "plain"
device = "wan0"
[[wan]]
name = "blue"
device = "wan1"
CONF
}

configured_daemon() {
  both_wans >"$case_results/wgsteer.toml"
  daemon_arguments=(-c "$case_results/wgsteer.toml")
  daemon_start_and_converge
}

check_says() { # TEXT
  wgsteer check -c "$case_results/wgsteer.toml" >"$case_results/check" 2>&1 || true
  grep -qF -e "$1" "$case_results/check"
}

case_fails_over_into_the_vrf() {
  vrf_up 1
  tunnel_up
  route_halves wg0
  configured_daemon
  traffic_start
  await 30 'the handshake' handshake_done wg0
  steady_on 0 'before the event'
  check 'check finds no problem' check_says 'no problems found'
  wan_link_down 0
  await_traffic 'by the VRF' 20
  steady_on 1 'after the event'
}

case_without_configuration_the_vrf_is_left_alone() {
  vrf_up 1
  tunnel_up
  route_halves wg0
  daemon_start_and_converge
  traffic_start
  await 30 'the handshake' handshake_done wg0
  steady_on 0 'steered'
  check 'the VRF answers as before' router ip vrf exec blue ping -q -c 1 -W 1 "${wan_gateway[1]}" >/dev/null
}

# Without the sysctl, answers are lost: wgsteer reports that and does not use the WAN.
case_a_vrf_that_no_socket_hears() {
  vrf_up 0
  tunnel_up
  route_halves wg0
  configured_daemon
  traffic_start
  await 30 'the handshake' handshake_done wg0
  check 'check names the sysctl' check_says net.ipv4.udp_l3mdev_accept=1
  check 'status gives the reason' grep -q udp_l3mdev_accept <(wgsteer status --json)
  steady_on 0 'steered'
  # The kernel does not announce changes of this sysctl; the daemon reads it at start.
  router sysctl -q -w net.ipv4.udp_l3mdev_accept=1
  daemon_kill
  daemon_start_and_converge
  wan_link_down 0
  await_traffic 'by the VRF, with the sysctl set' 20
}
