#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# One family of a WAN is dead upstream: tunnels of that family move, those of the other family stay.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

other() { echo $((10 - family)); }

# Each WAN is probed twice a second through its gateways of these families.
configuration() { # FAMILIES [METHOD]
  local wan version targets
  for wan in 0 1; do
    targets=''
    for version in $1; do
      [[ $version == 4 ]] && targets+="\"${wan_gateway4[$wan]}\", " || targets+="\"${wan_gateway6[$wan]}\", "
    done
    cat <<CONF
[[wan]]
name = "w$wan"
device = "${wan_device[$wan]}"
track_ip = [${targets%, }]
track_method = "${2:-icmp}"
interval = 0.5
timeout = 0.4
down = 2
up = 2
CONF
  done
}

# The router gets no notification: the link stays up, but nothing answers in this family.
silent() { # WAN FAMILY
  in_host "isp$1" nft -f - <<NFT
table inet silence$2 {
  chain forward { type filter hook forward priority 300; meta nfproto ipv$2 drop; }
  chain input {
    type filter hook input priority 300
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    meta nfproto ipv$2 drop
  }
}
NFT
}
answers_again() { in_host "isp$1" nft delete table inet "silence$2"; } # WAN FAMILY

member() { # WAN PYTHON-EXPRESSION-WITH-wan
  wgsteer status --json | python3 -c '
import json, sys
wan = next(w for w in json.load(sys.stdin)["wans"] if w["name"] == sys.argv[1])
print(eval(sys.argv[2]))' "$@"
}
states() { member w0 '" ".join(wan[key]["state"] for key in ("ipv4", "ipv6"))'; } # -> both states of the first WAN

probed_tunnel_up() { # FAMILIES
  configured_tunnel_up route_halves configuration "$1"
  steady_on 0 'both WANs answer'
}

case_a_dead_family_moves_alone() {
  probed_tunnel_up '4 6'
  start_in_host router "$work/monitor" "$WGSTEER" monitor
  silent 0 "$family"
  await 15 'the family is found dead' grep -q "WAN w0: IPv$family is down: 1 of 1 target unanswered" "$daemon_log"
  await_traffic 'traffic by the other WAN'
  comes_to_rest_on 1 'one family dead'
  equal 'the other family stays up' up "$(member w0 "wan['ipv$(other)']['state']")"
  equal 'the WAN as a whole is up' up "$(member w0 'wan["state"]')"
  check 'status names the family' has_line "w0 .* up .*IPv$family down: 1 of 1 target unanswered" wgsteer status
  check 'metrics say that it is down' \
    has_line "wgsteer_wan_up\{wan=\"w0\",device=\"wan0\",family=\"ipv$family\"\} 0" wgsteer metrics
  check 'metrics say that the other one is up' \
    has_line "wgsteer_wan_up\{wan=\"w0\",device=\"wan0\",family=\"ipv$(other)\"\} 1" wgsteer metrics
  check 'monitor shows it' has_line "WAN w0: IPv$family is down" cat "$work/monitor"
  answers_again 0 "$family"
  await 15 'the family is found alive' grep -q 'WAN w0 is up again' "$daemon_log"
  await_traffic 'traffic afterwards'
  comes_to_rest_on 0 'the family is back'
}

case_the_other_familys_death_moves_nothing() {
  probed_tunnel_up '4 6'
  silent 0 "$(other)"
  await 15 'the family is found dead' grep -q "WAN w0: IPv$(other) is down" "$daemon_log"
  steady_on 0 'the other family is dead'
  silent 0 "$family"
  await 15 'the whole WAN is found dead' grep -q 'WAN w0 is down: IPv4: .*; IPv6: ' "$daemon_log"
  equal 'both families' 'down down' "$(states)"
  await_traffic 'traffic by the other WAN'
  comes_to_rest_on 1 'both families dead'
  answers_again 0 "$family"
  await 15 'the family is found alive' grep -q "WAN w0: IPv$family is up again" "$daemon_log"
  comes_to_rest_on 0 'the family is back, the other is not'
}

case_a_family_without_targets_follows() {
  probed_tunnel_up "$(other)"
  silent 0 "$(other)"
  await 15 'the WAN is found dead' grep -q 'WAN w0 is down: 1 of 1 target unanswered' "$daemon_log"
  equal 'both families' 'down down' "$(states)"
  await_traffic 'traffic by the other WAN'
  comes_to_rest_on 1 'the only probed family is dead'
}

case_by_hand_is_for_both() {
  probed_tunnel_up '4 6'
  wgsteer wan w0 down
  await_traffic 'traffic by the other WAN'
  comes_to_rest_on 1 'by hand'
  equal 'both families' 'down down' "$(states)"
  check 'the log reports both in one line' grep -q 'WAN w0 is down: by hand' "$daemon_log"
}

# A family without addresses is not probed, so it is not found dead when it comes.
case_a_family_that_comes_late_is_used_at_once() {
  router_families=("$(other)")
  topology_up
  tunnel_up route_halves
  configuration '4 6' >"$work/wgsteer.toml"
  daemon_arguments=(-c "$work/wgsteer.toml")
  daemon_start_and_converge
  await 10 'the other family answers' prints up member w0 "wan['ipv$(other)']['state'] if wan['targets'][0]['answered'] or wan['targets'][1]['answered'] else ''"
  # Wait twice as long as it takes to find a probed family dead.
  await 10 'the second WAN has been probed for some rounds' prints True member w1 "wan['loss_percent'] is not None"
  read -rt 3 -u "$never" || true
  check 'the family is not reported down' fails grep -q "IPv$family is down" "$daemon_log"
  check 'nor is the WAN' fails grep -q 'WAN w0 is down' "$daemon_log"
  router_families=(4 6)
  wan_up 0
  wan_up 1
  await 10 'converged' converged
  equal 'both families are used at once' 'up up' "$(states)"
  tunnel_forget
  traffic_start
  await_handshake
  steady_on 0 'the family has come'
}

case_mwan3_has_two_interfaces() {
  topology_up
  tunnel_up route_halves
  router mkdir -p /run/mwan3/iface_state
  says() { router bash -c "echo $2 >/run/mwan3/iface_state/$1"; } # INTERFACE WORD
  says w0 online
  says w06 online
  says w1 online
  configuration '' mwan3 | sed '/track_ip/d' >"$work/wgsteer.toml"
  daemon_arguments=(-c "$work/wgsteer.toml")
  daemon_start_and_converge
  tunnel_forget
  traffic_start
  await_handshake
  steady_on 0 'all online'
  if [[ $family == 6 ]]; then says w0 offline; else says w06 offline; fi
  await 10 'the other family is down' grep -q "WAN w0: IPv$(other) is down: mwan3 reports it offline" "$daemon_log"
  steady_on 0 'the other interface is offline'
  if [[ $family == 6 ]]; then says w06 offline; else says w0 offline; fi
  await 10 'both are down' grep -q 'WAN w0 is down: mwan3 reports it offline' "$daemon_log"
  await_traffic 'traffic by the other WAN'
  comes_to_rest_on 1 'both interfaces are offline'
  # A WAN without a second mwan3 interface has a single verdict.
  says w0 online
  says w06 online
  await 10 'all online again' prints 'up up' states
  says w1 offline
  await 10 'the log reports the WAN as a whole' grep -q 'WAN w1 is down: mwan3 reports it offline' "$daemon_log"
}

run_cases "$@"
