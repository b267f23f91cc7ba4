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

# The kill switch of wg-quick(8), its commands unchanged. They also reject neighbour discovery, without which IPv6 has no
# gateway, so that is let out first.
kill_switch() {
  local table action
  for action in I D; do
    [[ $action == I ]] && echo -n 'PostUp = ' || echo -n 'PreDown = '
    for table in iptables ip6tables; do
      echo -n "$table -$action OUTPUT ! -o %i -m mark ! --mark \$(wg show %i fwmark) -m addrtype ! --dst-type LOCAL -j REJECT"
      [[ $table == ip6tables ]] && echo || echo -n ' && '
    done
    for table in solicitation advertisement; do
      [[ $action == I ]] && echo -n 'PostUp = ' || echo -n 'PreDown = '
      echo "ip6tables -$action OUTPUT -p icmpv6 --icmpv6-type neighbour-$table -j ACCEPT"
    done
  done
}

firewall_rules() {
  router iptables -S
  router ip6tables -S
}

# A ping to the gateway is sent with the kill switch gone, and not before.
outside_is_reached() { quietly router ping -n -c 1 -W 1 "${wan_gateway[0]}"; }

# Whose mark the kill switch has depends on who was first: wg-quick keeps the one that the daemon gives a new device.
case_kill_switch() {
  local rules firewall mark
  quick_topology
  need_iptables
  rules=$(foreign_rules) firewall=$(firewall_rules)
  kill_switch | in_host router sed -i '/^Address/r /dev/stdin' /etc/wireguard/wg0.conf
  daemon_start_and_converge
  counters_reset
  quick up
  await 10 'converged' converged
  mark=$(tunnel_mark)
  note "its mark is $mark"
  check 'the kill switch has that mark' has_line "-m mark ! --mark $mark .*REJECT" firewall_rules
  check 'nothing else gets out' fails outside_is_reached
  traffic_start
  await_handshake
  nothing_misrouted 'from the first packet on'
  steady_on 0 'behind the kill switch'
  wan_link_down 0
  await_traffic 'failover'
  comes_to_rest_on 1 'failover'
  wan_up 0
  comes_to_rest_on 0 'failback'
  equal 'the mark' "$mark" "$(tunnel_mark)"
  quick down
  equal 'remaining foreign rules' "$rules" "$(foreign_rules)"
  equal 'remaining rules of the firewall' "$firewall" "$(firewall_rules)"
  check 'others get out again' outside_is_reached
  await 10 'converged' converged
}

# The kill switch goes with the mark that it came with, even if the daemon has gone meanwhile.
case_kill_switch_without_the_daemon() {
  local rules firewall
  quick_topology
  need_iptables
  rules=$(foreign_rules) firewall=$(firewall_rules)
  kill_switch | in_host router sed -i '/^Address/r /dev/stdin' /etc/wireguard/wg0.conf
  daemon_start_and_converge
  quick up
  await 10 'converged' converged
  daemon_stop TERM
  quietly wgsteer flush
  traffic_start
  await_handshake
  steady_on 0 'after flush'
  traffic_stop
  quick down
  equal 'remaining foreign rules' "$rules" "$(foreign_rules)"
  equal 'remaining rules of the firewall' "$firewall" "$(firewall_rules)"
}

more_diagnostics() {
  echo '    --- plan'
  wgsteer plan || true
}

run_cases "$@"
