#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The kernel keeps steering without the daemon, and the next one adopts what it finds.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

case_killed_and_restarted() {
  steered_tunnel_up
  counters_reset
  daemon_stop KILL
  await_traffic 'traffic without a daemon'
  daemon_start_and_converge
  await_traffic 'traffic with the next daemon'
  nothing_misrouted 'killed and restarted'
  equal 'packets by the other WAN' 0 "$(right 1)"
  equal 'handshakes (the session continues)' '0 0' "$(initiations 0) $(initiations 1)"
  equal 'packets lost' 0 "$(packets_lost)"
}

case_stopped_and_restarted() {
  steered_tunnel_up
  counters_reset
  daemon_stop TERM
  await_traffic 'traffic without a daemon'
  daemon_start_and_converge
  await_traffic 'traffic with the next daemon'
  nothing_misrouted 'stopped and restarted'
  equal 'packets lost' 0 "$(packets_lost)"
}

# Killed several times, at arbitrary points of its start.
case_killed_while_it_starts() {
  local round
  steered_tunnel_up
  quietly daemon_stop KILL
  counters_reset
  for round in 1 2 3 4 5 6 7 8; do
    daemon_start
    read -rt "0.00$round" -u "$never" || true
    daemon_stop KILL
  done
  daemon_start_and_converge
  await_traffic 'traffic afterwards'
  nothing_misrouted 'killed while it starts'
  equal 'packets lost' 0 "$(packets_lost)"
}

# The kernel fails over by itself. But wireguard-go binds IPv4 to the interface on which it last received until it sees
# a route change, and link down removes routes without notification. So set the endpoint again, like a tunnel restart.
case_failover_without_a_daemon() {
  steered_tunnel_up
  daemon_stop KILL
  wan_link_down 0
  counters_reset
  [[ $family == 6 ]] || tunnel_forget
  await 10 'outer packets by the second WAN' at_least 5 right 1
  equal 'outer packets into the tunnel' 0 "$(looped)"
}

run_cases "$@"
