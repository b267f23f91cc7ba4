#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The real wg-quick with a full tunnel, before, during and after a run of the daemon. wg-quick adopts any fwmark that
# its device has and creates rules with that mark and a table of that number.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

quick_conf() {
  cat <<CONF
[Interface]
PrivateKey = $kRouterKey
Address = 10.99.0.2/24, fd99::2/64
[Peer]
PublicKey = $(public_key "$kServerKey")
AllowedIPs = 0.0.0.0/0, ::/0
Endpoint = $(socket_address "$endpoint" "$kPort")
CONF
}

quick() { # up|down
  router env WG_QUICK_USERSPACE_IMPLEMENTATION=wireguard-go PATH="$PATH" wg-quick "$1" wg0 >>"$work/wg-quick.log" 2>&1 ||
    fail "wg-quick $1: $(tail -n 3 "$work/wg-quick.log")"
}

quick_topology() {
  command -v wg-quick >/dev/null || skip 'no wg-quick on this machine'
  topology_up
  quick_conf >"$work/wg0.conf"
  in_host router cp "$work/wg0.conf" /etc/wireguard/wg0.conf
  # A host on the LAN, which must stay reachable with a full tunnel.
  topology_lan
}

lan_is_reached() {
  local host=192.168.1.50
  [[ $family == 4 ]] || host=fd01::50
  quietly router ping -n -c 1 -W 1 "$host"
}

foreign_rules() {
  router ip rule show | grep -v 'proto 87'
  router ip -6 rule show | grep -v 'proto 87'
}

tunnel_works() { # WHAT
  traffic_start
  await_handshake
  steady_on 0 "$1"
  traffic_stop
  await 5 "$1: the LAN is reachable" lan_is_reached
}

case_up_while_the_daemon_runs() {
  local before
  quick_topology
  before=$(foreign_rules)
  daemon_start_and_converge
  quick up
  await 10 'converged' converged
  tunnel_works 'wg-quick after the daemon'
  second_tunnel_up
  await 15 'the second tunnel leaves by the WAN' second_leaves_by 0
  quietly wgsteer check || fail "check: $(wgsteer check)"
  daemon_stop KILL
  daemon_start_and_converge
  tunnel_works 'daemon restarted'
  daemon_stop TERM
  # Without wgsteer, wgx would go through wg-quick's full tunnel.
  router ip link del wgx
  quietly wgsteer flush
  tunnel_works 'after flush'
  quick down
  equal 'remaining foreign rules' "$before" "$(foreign_rules)"
}

case_down_while_the_daemon_runs() {
  local before
  quick_topology
  before=$(foreign_rules)
  quick up
  daemon_start_and_converge
  tunnel_works 'the daemon after wg-quick'
  wan_link_down 0
  traffic_start
  comes_to_rest_on 1 'failover'
  traffic_stop
  wan_up 0
  quick down
  equal 'remaining foreign rules' "$before" "$(foreign_rules)"
  await 10 'converged' converged
  quick up
  await 10 'converged' converged
  tunnel_works 'up again'
  quick down
  equal 'remaining foreign rules in the end' "$before" "$(foreign_rules)"
}

more_diagnostics() {
  echo '    --- plan'
  wgsteer plan || true
}

run_cases "$@"
