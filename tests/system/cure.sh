#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The loop, and its cure without a configuration.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

case_loop_without_wgsteer() {
  topology_up
  tunnel_up route_halves
  check 'the lookup ends in the tunnel' has_line "dev $tunnel_device" router ip route get "$endpoint"
  traffic_start
  await 5 'outer packets go into the tunnel' at_least 1 looped
  check 'no handshake' fails holds_within 2 handshake_done
  equal 'outer packets on a WAN' '0 0' "$(right 0) $(right 1)"
}

case_no_configuration() {
  topology_up
  tunnel_up route_halves
  daemon_start_and_converge
  # Reset first: the handshake may happen right after tunnel_forget.
  counters_reset
  tunnel_forget
  traffic_start
  await_handshake
  await_traffic 'packets through the tunnel'
  check 'the handshake initiation by the first WAN' at_least 1 initiations 0
  check 'the handshake response by the first WAN' at_least 1 responses 0
  check 'data by the first WAN' at_least 1 data 0
  equal 'outer packets by the second WAN' 0 "$(right 1)"
  nothing_misrouted 'from the first packet on'
}

# WireGuard keeps retrying by itself: no restart is needed.
case_tunnel_that_was_looping() {
  topology_up
  tunnel_up route_halves
  traffic_start
  await 5 'outer packets go into the tunnel' at_least 1 looped
  daemon_start_and_converge
  await_handshake
  steady_on 0 'cured'
}

case_tunnel_that_comes_later() {
  topology_up
  daemon_start
  await 10 'the daemon is running' quietly wgsteer status
  tunnel_up route_halves
  traffic_start
  await_handshake
  steady_on 0 'a new tunnel'
}

case_run_once() {
  topology_up
  tunnel_up route_halves
  check 'run --once' quietly wgsteer run --once
  tunnel_forget
  traffic_start
  await_handshake
  steady_on 0 'steered without a daemon'
}

run_cases "$@"
