# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154 # wan_address and the like are set by lib.sh
#
# The daemon is killed and restarted under traffic. Its state in the kernel keeps working and is adopted unchanged.

case_killed_and_restarted() {
  steered_tunnel_up
  local before round
  before=$(own_state)
  counters_reset
  for round in 1 2 3; do
    daemon_kill KILL
    equal "state after kill $round" "$before" "$(own_state)"
    await_traffic "traffic without a daemon, round $round"
    daemon_start
    await_converged
    equal "state after restart $round" "$before" "$(own_state)"
  done
  await_traffic 'traffic at the end'
  equal 'packets by wan1' 0 "$(sent 1)"
  nothing_misrouted 'restarts'
}

# Killed at arbitrary points of its start, from the first instructions on. The delays are the point of the test.
case_killed_while_starting() {
  steered_tunnel_up
  daemon_kill KILL
  counters_reset
  local milliseconds
  for milliseconds in 001 003 006 010 015 025 040; do
    daemon_start
    poll_interval "0.$milliseconds"
    daemon_kill KILL
  done
  daemon_start
  await_converged
  await_traffic 'traffic at the end'
  equal 'packets by wan1' 0 "$(sent 1)"
  nothing_misrouted 'kills'
}

# The very first start, killed at arbitrary points: the next one completes what it left.
case_killed_while_installing() {
  tunnel_up
  route_halves wg0
  local milliseconds
  for milliseconds in 004 008 012 016 024 032; do
    daemon_start
    poll_interval "0.$milliseconds"
    daemon_kill KILL
  done
  daemon_start
  await_converged
  traffic_start
  await 30 'the handshake' handshake_done wg0
  steady_on 0 'after the kills'
}

# Without a daemon, the kernel fails over by itself, and the next start continues from there.
fails_over_without_daemon() { # BREAK REPAIR
  steered_tunnel_up
  daemon_kill KILL
  counters_reset
  "$1" 0
  await 15 'the kernel fails over by itself' at_least 1 sent 1 4 "${wan_address[1]}"
  await_traffic 'traffic goes on'
  nothing_misrouted 'failover without a daemon'
  daemon_start
  await_converged
  steady_on 1 'after the restart'
  counters_reset
  "$2" 0
  await 20 'failback' at_least 1 sent 0 4 "${wan_address[0]}"
  nothing_misrouted 'failback'
  steady_on 0 'after the failback'
}

case_link_down_without_daemon() { fails_over_without_daemon wan_link_down wan_link_up; }

# In IPv6 the kernel does not fail over by itself: carrier loss does not change the FIB's serial number, so the route
# that WireGuard has cached stays valid (fib6_ifdown; on 6.1, 50 of 50 packets stayed on the dead WAN). So the next
# start has to move the tunnel, although rules and tables already match the plan.
case_carrier_loss_without_daemon() {
  if [[ $family == 4 ]]; then
    fails_over_without_daemon wan_carrier_down wan_carrier_up
    return
  fi
  steered_tunnel_up
  daemon_kill KILL
  counters_reset
  wan_carrier_down 0
  await 10 'packets are sent into the tunnel' at_least $(($(offered) + 10)) offered
  daemon_start
  await 15 'data by wan1' at_least 1 sent 1 4 "${wan_address[1]}"
  nothing_misrouted 'failover at the start'
  steady_on 1 'after the restart'
}

case_once() {
  tunnel_up
  route_halves wg0
  [[ -x /usr/sbin/wgsteer ]] || skip 'no wgsteer binary given'
  check 'run --once' wgsteer run --once
  check 'plan afterwards' wgsteer plan
  traffic_start
  await 30 'the handshake' handshake_done wg0
  steady_on 0 'after run --once'
}
