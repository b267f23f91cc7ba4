# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154 # wan_address and the like are set by lib.sh
#
# `wgsteer run` without a configuration, on a tunnel that captures its own packets; and complete removal by flush.

cured() {
  traffic_start
  await 10 'outer packets enter the tunnel' at_least 1 looped
  local plan_status=0
  wgsteer plan >"$case_results/plan" || plan_status=$?
  equal 'exit status of plan before' 2 "$plan_status"
  daemon_start
  await 30 'the handshake' handshake_done wg0
  await_converged
  check 'the handshake went by wan0' at_least 1 sent 0 1 "${wan_address[0]}"
  steady_on 0 'cured'
}

case_cures_halves() {
  tunnel_up
  route_halves wg0
  cured
}

case_cures_default_route() {
  tunnel_up
  route_default wg0
  cured
}

# The order at boot: the daemon starts before the tunnel, the tunnel before the WANs have routes.
case_daemon_first() {
  wan_route_delete 0
  wan_route_delete 1
  daemon_start
  tunnel_up
  route_halves wg0
  traffic_start
  wan_route_add 1
  await 30 'the handshake' handshake_done wg0
  steady_on 1 'with wan1 alone'
  counters_reset
  wan_route_add 0
  await 20 'the better WAN is used' at_least 1 sent 0 4 "${wan_address[0]}"
  steady_on 0 'with both'
}

# Two tunnels that compete for the default route, each with a route to the other's endpoint.
case_two_tunnels() {
  tunnel_up
  second_tunnel_up
  route_default wg0 5
  route_default wg1 6
  router_ip route add "${endpoint[0]}" dev wg1
  router_ip route add "${endpoint[1]}" dev wg0
  daemon_start_and_converge
  traffic_start
  await 30 'the handshake of wg0' handshake_done wg0
  await 30 'the second tunnel answers' second_tunnel_answers
  steady_on 0 'two tunnels'
  counters_reset
  wan_carrier_down 0
  await_traffic 'wg0 after the failover'
  await 15 'wg1 after the failover' second_tunnel_answers
  nothing_misrouted 'failover of two tunnels'
}

second_tunnel_answers() { router ping -n -c 1 -W 1 -I wg1 "$inner_second_server" >/dev/null; }

# wg-quick's scheme: the mark belongs to the user and stays; wgsteer only adds the choice of the WAN.
case_users_own_mark() {
  tunnel_up
  router wg set wg0 fwmark 0xca6c
  router_ip route add default dev wg0 table 51820
  router_ip rule add not fwmark 0xca6c table 51820
  router_ip rule add table main suppress_prefixlength 0
  local rules_of_the_user
  rules_of_the_user=$(router_ip rule show)
  daemon_start_and_converge
  traffic_start
  steady_on 0 "with the user's mark"
  equal 'the mark' 0xca6c "$(tunnel_mark wg0)"
  counters_reset
  wan_carrier_down 0
  await_traffic 'after the carrier loss'
  nothing_misrouted "failover with the user's mark"
  steady_on 1 'after the failover'
  counters_reset
  wan_carrier_up 0
  await 20 'failback' at_least 1 sent 0 4 "${wan_address[0]}"
  nothing_misrouted "failback with the user's mark"
  steady_on 0 'after the failback'
  equal 'the mark afterwards' 0xca6c "$(tunnel_mark wg0)"
  daemon_kill TERM
  wgsteer flush
  equal "the user's rules" "$rules_of_the_user" "$(router_ip rule show)"
}

case_flush_leaves_nothing() {
  tunnel_up
  route_halves wg0
  # Foreign rules and routes next to ours.
  router_ip rule add pref 61 fwmark 0x100/0x3f00 lookup 4242
  router_ip route add unreachable default table 4242 metric 4294967295
  local before after
  before=$(kernel_state)
  daemon_start_and_converge
  traffic_start
  await_traffic 'the tunnel works'
  [[ -n $(own_state) ]] || fail 'nothing was installed'
  traffic_stop
  daemon_kill TERM
  [[ -n $(own_state) ]] || fail 'the state is gone after the daemon ended, although on_exit is keep'
  wgsteer flush
  after=$(kernel_state)
  if [[ $before != "$after" ]]; then
    diff <(echo "$before") <(echo "$after") || true
    fail 'flush left something of ours or removed something foreign (< before, > after)'
  fi
}
