# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154 # wan_address and the like are set by lib.sh
#
# The real wg-quick(8) with a full tunnel on kernel WireGuard, started before and after the daemon. wg-quick adopts any
# fwmark that its device has and creates rules with that mark and a table of that number. Its rules have no explicit
# priority, so the kernel puts them before ours if ours were there first.

# For all traffic of both families.
quick_configuration() {
  # shellcheck disable=SC2034 # read by client_configuration
  local everything=0.0.0.0/0,::/0
  sed '/PrivateKey/a Address = 10.99.0.2/24, fd99::2/64' \
    <(client_configuration "$kRouterKey" "$kServerKey" "$(socket_address "${endpoint[0]}" 51820)")
}

quick() { # up|down
  router wg-quick "$1" wg0 >>"$case_results/wg-quick.log" 2>&1 ||
    fail "wg-quick $1: $(tail -n 3 "$case_results/wg-quick.log")"
}

quick_topology() {
  mkdir -p /etc/wireguard
  quick_configuration >/etc/wireguard/wg0.conf
  chmod 600 /etc/wireguard/wg0.conf
  server_tunnel_up wgs0 "$kServerKey" 51820 "$kRouterKey" "$inner_router" "$inner_server"
  in_namespace server wg set wgs0 peer "$(public_key "$kRouterKey")" allowed-ips 10.99.0.2/32,fd99::2/128
  [[ $family == 4 ]] || ip -n server addr add 10.99.0.1/24 dev wgs0
  [[ $family == 6 ]] || ip -n server addr add fd99::1/64 dev wgs0
  foreign_before=$(foreign_rules)
}

foreign_rules() {
  router ip rule show | grep -v 'proto 87'
  router ip -6 rule show | grep -v 'proto 87'
}

tunnel_works() { # WHAT
  traffic_start
  await 30 "$1: the handshake" handshake_done wg0
  steady_on 0 "$1"
  check "$1: IPv4 inside" answers_inside 10.99.0.1
  check "$1: IPv6 inside" answers_inside fd99::1
  traffic_stop
}

answers_inside() { router ping -q -c 1 -W 1 "$1" >/dev/null; } # ADDRESS

second_tunnel_answers() { answers_inside "$inner_second_server"; }

nothing_stands_in_the_way() { # WHAT
  wgsteer check >"$case_results/check" 2>&1 || fail "$1: check: $(<"$case_results/check")"
}

# The package's boot order: the daemon starts before any tunnel.
case_up_while_the_daemon_runs() {
  quick_topology
  daemon_start_and_converge
  counters_reset
  quick up
  traffic_start
  await 30 'the first handshake' handshake_done wg0
  traffic_stop
  nothing_misrouted 'the first packets of wg-quick'
  await_converged
  tunnel_works 'wg-quick after the daemon'
  second_tunnel_up
  await 30 'the second tunnel answers' second_tunnel_answers
  counters_reset
  check 'the second tunnel still answers' second_tunnel_answers
  nothing_misrouted 'both tunnels'
  nothing_stands_in_the_way 'both tunnels'
  daemon_kill KILL
  daemon_start_and_converge
  tunnel_works 'restarted after kill -9'
  check 'the second tunnel after the restart' second_tunnel_answers
  daemon_kill TERM
  tunnel_works 'without the daemon'
  ip -n router link del wg1
  wgsteer flush >/dev/null
  tunnel_works 'after flush'
  quick down
  equal 'remaining foreign rules' "$foreign_before" "$(foreign_rules)"
  equal 'our remaining state' '' "$(own_state)"
}

case_up_before_the_daemon() {
  quick_topology
  quick up
  daemon_start_and_converge
  tunnel_works 'the daemon after wg-quick'
  wan_link_down 0
  traffic_start
  await_traffic 'failover' 20
  check 'by the other WAN' at_least 1 sent 1 4 "${wan_address[1]}"
  traffic_stop
  wan_link_up 0
  await 20 'the better WAN has its route' prints 1 routes_of_wan0
  quick down
  equal 'remaining foreign rules' "$foreign_before" "$(foreign_rules)"
  await_converged
  quick up
  await_converged
  tunnel_works 'up again'
  quick down
  equal 'remaining foreign rules in the end' "$foreign_before" "$(foreign_rules)"
}

routes_of_wan0() { router_ip route show default dev wan0 | wc -l; }

# The usual way to change a tunnel that is up: the file has no FwMark, so wg clears the mark.
case_syncconf_forgets_the_mark() {
  quick_topology
  quick up
  daemon_start_and_converge
  tunnel_works 'before'
  counters_reset
  router wg-quick strip wg0 >"$case_results/stripped"
  router wg syncconf wg0 "$case_results/stripped"
  traffic_start
  await_traffic 'traffic after syncconf' 30
  nothing_misrouted 'after syncconf'
  traffic_stop
  await 10 'wg0 has its mark back' prints 0xca6c tunnel_mark wg0
  tunnel_works 'with its own mark again'
  quick down
  equal 'remaining foreign rules' "$foreign_before" "$(foreign_rules)"
}

# Repeated up and down: neither wg-quick's rules nor ours may creep towards priority 0.
case_up_and_down_again_and_again() {
  local lowest
  quick_topology
  daemon_start_and_converge
  for _ in {1..4}; do
    quick up
    await_converged
    quick down
    await_converged
  done
  equal 'remaining foreign rules' "$foreign_before" "$(foreign_rules)"
  quick up
  await_converged
  lowest=$(router_ip rule show | sed -n '2s/:.*//p')
  check "the first rule is at priority $lowest" test "$lowest" -ge 60
  tunnel_works 'in the end'
}

# Removing the package stops the daemon and flushes its state, in any order relative to wg-quick.
case_flush_with_the_tunnel_up() {
  quick_topology
  daemon_start_and_converge
  quick up
  await_converged
  tunnel_works 'before'
  daemon_kill TERM
  quick down
  wgsteer flush >/dev/null
  equal 'remaining foreign rules' "$foreign_before" "$(foreign_rules)"
  equal 'our remaining state' '' "$(own_state)"
  quick up
  tunnel_works 'wg-quick alone'
  quick down
  equal 'remaining foreign rules in the end' "$foreign_before" "$(foreign_rules)"
}

# Sends its first packet as soon as it is up.
second_tunnel_with_keepalive_up() {
  server_tunnel_up wgs1 "$kSecondServerKey" 51821 "$kSecondRouterKey" "$inner_second_router" "$inner_second_server"
  ip -n router link add wg1 type wireguard
  {
    client_configuration "$kSecondRouterKey" "$kSecondServerKey" "$(socket_address "${endpoint[1]}" 51821)"
    echo 'PersistentKeepalive = 1'
  } | router wg setconf wg1 /dev/stdin
  ip -n router addr add "$inner_second_router/$inner_prefix_length" dev wg1
  ip -n router link set wg1 up
}

case_second_tunnel_that_talks_first() {
  quick_topology
  daemon_start_and_converge
  quick up
  await_converged
  tunnel_works 'wg-quick'
  counters_reset
  second_tunnel_with_keepalive_up
  await 30 'the second tunnel answers' second_tunnel_answers
  nothing_misrouted 'the first packets of the second tunnel'
}
