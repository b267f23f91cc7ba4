#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A WAN that is up but dead: probes notice, the tunnel moves, and back.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

# Each WAN is asked by its gateway, twice a second.
configuration() {
  local wan
  for wan in 0 1; do
    cat <<CONF
[[wan]]
name = "w$wan"
device = "${wan_device[$wan]}"
track_ip = ["${wan_gateway[$wan]}"]
track_method = "icmp"
interval = 0.5
timeout = 0.4
down = 2
up = 2
CONF
  done
}

# Nothing is said of it on the router: its link stays up, and nobody answers.
silent() { # WAN
  in_host "isp$1" nft -f - <<'NFT'
table inet silence {
  chain forward { type filter hook forward priority 300; drop; }
  chain input { type filter hook input priority 300; icmp type echo-request drop; icmpv6 type echo-request drop; }
}
NFT
}
answers_again() { in_host "isp$1" nft delete table inet silence; } # WAN

probed_tunnel_up() {
  topology_up
  tunnel_up route_halves
  configuration >"$work/wgsteer.toml"
  daemon_arguments=(-c "$work/wgsteer.toml")
  daemon_start_and_converge
  tunnel_forget
  traffic_start
  await_handshake
  steady_on 0 'both WANs answer'
}

case_silent_death_and_return() {
  probed_tunnel_up
  local since
  since=$(now_ms)
  silent 0
  await 10 'the WAN is found dead' grep -q 'WAN w0 is down: 1 of 1 target unanswered' "$daemon_log"
  await_traffic 'traffic by the other'
  note "traffic again after $(($(now_ms) - since)) ms"
  steady_on 1 'first WAN dead'
  check 'status says why' has_line 'target unanswered' wgsteer status
  answers_again 0
  await 10 'the WAN is found well' grep -q 'WAN w0 is up again' "$daemon_log"
  await_traffic 'traffic afterwards'
  steady_on 0 'first WAN back'
  equal 'told once' 1 "$(grep -c 'WAN w0 is down' "$daemon_log")"
}

case_link_that_returns_is_trusted_at_once() {
  probed_tunnel_up
  wan_carrier_down 0
  await_traffic 'traffic by the other'
  steady_on 1 'no carrier'
  wan_carrier_up 0
  await 5 'converged' converged
  await_traffic 'traffic afterwards'
  steady_on 0 'carrier back'
}

run_cases "$@"
