#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A WAN that is up but dead: probes detect that, the tunnel moves, and later moves back.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

# Each WAN is probed by pinging its gateway twice a second.
configuration() { # [FURTHER LINES FOR EACH WAN [AND FOR ALL]]
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
${1:-}
CONF
  done
  echo "${2:-}"
}

# The router gets no notification: the link stays up, but nothing answers.
silent() { # WAN
  in_host "isp$1" nft -f - <<'NFT'
table inet silence {
  chain forward { type filter hook forward priority 300; drop; }
  chain input { type filter hook input priority 300; icmp type echo-request drop; icmpv6 type echo-request drop; }
}
NFT
}
answers_again() { in_host "isp$1" nft delete table inet silence; } # WAN

probed_tunnel_up() { # [FURTHER LINES FOR EACH WAN [AND FOR ALL [ROUTES]]]
  configured_tunnel_up "${3-route_halves}" configuration "${1:-}" "${2:-}"
  steady_on 0 'both WANs answer'
}

case_silent_death_and_return() {
  probed_tunnel_up
  local since
  since=$(now_ms)
  silent 0
  await 10 'the WAN is found dead' grep -q 'WAN w0 is down: 1 of 1 target unanswered' "$daemon_log"
  await_traffic 'traffic by the other WAN'
  note "traffic again after $(($(now_ms) - since)) ms"
  comes_to_rest_on 1 'first WAN dead'
  check 'status gives the reason' has_line 'target unanswered' wgsteer status
  answers_again 0
  await 10 'the WAN is found alive' grep -q 'WAN w0 is up again' "$daemon_log"
  await_traffic 'traffic afterwards'
  comes_to_rest_on 0 'first WAN back'
  equal 'log lines about it' 1 "$(grep -c 'WAN w0 is down' "$daemon_log")"
}

# With settings for quick failover: traffic flows again in under 3.5 seconds.
case_silent_death_in_time() {
  probed_tunnel_up
  sed -i 's/^interval.*/interval = 1/; s/^timeout.*/timeout = 1/' "$work/wgsteer.toml"
  wgsteer reload
  await 5 'both are probed again' has_line 'w0 .*1 of 1 target answers' wgsteer status
  local since before took
  silent 0
  since=$(now_ms)
  before=$(answers)
  # More than could have been in flight.
  holds_within 4 at_least $((before + 5)) answers || fail 'no traffic after a silent death'
  took=$(($(now_ms) - since))
  note "traffic again after $took ms"
  check 'in under 3.5 s' test "$took" -lt 3500
  comes_to_rest_on 1 'first WAN dead'
}

wan_expression() { # WAN PYTHON-EXPRESSION-WITH-wan
  wgsteer status --json | python3 -c '
import json, sys, time
wan = next(w for w in json.load(sys.stdin)["wans"] if w["name"] == sys.argv[1])
print(eval(sys.argv[2]))' "$@"
}

case_status_has_times_reasons_and_figures() {
  probed_tunnel_up
  await 5 'the latency is measured' \
    prints True wan_expression w0 'wan["latency_ms"] is not None and 0 < wan["latency_ms"] < 400'
  equal 'state, reason and loss' '("up", "1 of 1 target answers", 0.0)' \
    "$(wan_expression w0 '(wan["state"], wan["reason"], wan["loss_percent"])' | tr "'" '"')"
  equal 'its target' "[('${wan_gateway[0]}', True)]" \
    "$(wan_expression w0 '[(t["address"], t["answered"]) for t in wan["targets"]]')"
  silent 0
  await 10 'the WAN is found dead' prints down wan_expression w0 'wan["state"]'
  check 'down since now' prints True wan_expression w0 '0 <= time.time() - wan["since"] < 5'
  check 'the other one is up for longer' prints True wan_expression w1 'wan["since"] > 0 and wan["state"] == "up"'
  await 5 'failed rounds are counted' prints True wan_expression w0 \
    '"1 of 1 target unanswered for" in wan["reason"] and int(wan["reason"].split()[-2]) > 3'
  await 10 'loss grows' prints True wan_expression w0 'wan["loss_percent"] > 50 and not wan["targets"][0]["answered"]'
  check 'status as text' has_line 'w0 +'"${wan_gateway[0]}"' +silent' wgsteer status
}

# Half of the answers are lost: too many with check_quality, acceptable without.
case_quality_is_looked_at() {
  local quality=$'count = 4\ncheck_quality = true\nfailure_loss = 40\nrecovery_loss = 10\n'
  probed_tunnel_up "$quality"
  in_host isp0 nft 'add table inet silence; add chain inet silence input { type filter hook input priority 300; };
    add rule inet silence input icmp type echo-request numgen inc mod 2 0 drop;
    add rule inet silence input icmpv6 type echo-request numgen inc mod 2 0 drop'
  await 15 'the WAN is found poor' grep -q 'WAN w0 is down: 1 of 1 target too slow or lossy' "$daemon_log"
  await_traffic 'traffic by the other WAN'
  comes_to_rest_on 1 'first WAN poor'
  answers_again 0
  await 15 'the WAN is found good' grep -q 'WAN w0 is up again' "$daemon_log"
  await_traffic 'traffic afterwards'
  comes_to_rest_on 0 'first WAN back'
}

case_link_that_returns_is_trusted_at_once() {
  probed_tunnel_up
  wan_carrier_down 0
  await_traffic 'traffic by the other WAN'
  comes_to_rest_on 1 'no carrier'
  wan_carrier_up 0
  await 5 'converged' converged
  await_traffic 'traffic afterwards'
  comes_to_rest_on 0 'carrier back'
}

found_dead() { grep -cE 'WAN w[01] is down' "$daemon_log" || true; }

both_silent() {
  silent 0
  silent 1
  await 10 'both WANs are found dead' at_least 2 found_dead
}

into_tunnel() { router cat "/sys/class/net/$tunnel_device/statistics/tx_packets"; }

# Awaits enough packets in the tunnel that outer packets would show up if any left.
much_to_send() { await 10 'packets for the tunnel' at_least $(($(into_tunnel) + 50)) into_tunnel; }

recovers_by_itself() {
  answers_again 1
  await 10 'the second is found alive' grep -q 'WAN w1 is up again' "$daemon_log"
  await_traffic 'traffic by the WAN that is back' 20
  comes_to_rest_on 1 'second WAN back'
  answers_again 0
  await 10 'the first is found alive' grep -q 'WAN w0 is up again' "$daemon_log"
  comes_to_rest_on 0 'both back'
}

# No outer packet is sent while no WAN works, and the first WAN that comes back is used automatically.
case_all_dead_unreachable() {
  probed_tunnel_up
  both_silent
  counters_reset
  much_to_send
  equal 'packets by the first WAN' 0 "$(right 0)"
  equal 'packets by the second WAN' 0 "$(right 1)"
  nothing_misrouted 'all dead'
  recovers_by_itself
}

# With last resort `main`, the main table, whose default is the first WAN, routes them meanwhile.
case_all_dead_main() {
  probed_tunnel_up '' $'[[policy]]\nname = "any"\nuse_wan = ["w0", "w1"]\nlast_resort = "main"\n
[[tunnel]]\ninterface = "wg0"\nuse_policy = "any"' ''
  both_silent
  counters_reset
  much_to_send
  check 'packets by the first WAN' at_least 1 right 0
  equal 'packets by the second WAN' 0 "$(right 1)"
  nothing_misrouted 'all dead'
  recovers_by_itself
}

# A tunnel `wgx` for everything that main routes, by the first WAN. The server answers through it, too.
default_tunnel_up() {
  second_tunnel_up
  in_host server wg set wgs0 peer "$(public_key "$kPhoneKey")" allowed-ips 10.96.0.2/32,fd96::2/128
  in_host server ip route add 10.96.0.2 dev wgs0
  in_host server ip route add fd96::2 dev wgs0
  router wg set wgx peer "$(public_key "$kServerKey")" allowed-ips 0.0.0.0/0,::/0
  router ip -batch - <<'ROUTER'
addr add 10.96.0.2/24 dev wgx
addr add fd96::2/64 dev wgx nodad
route add 0.0.0.0/0 dev wgx metric 5
route add ::/0 dev wgx metric 5
ROUTER
}

inside_the_other() { [[ $(server_sees) =~ $(public_key "$kRouterKey")[[:blank:]]\[?(10\.96\.0\.2|fd96::2)\]?: ]]; }

# Where main leads into another tunnel, the last resort `main` goes there, too: nothing else of wgsteer may enter one.
case_all_dead_main_is_a_tunnel() {
  configured_tunnel_up default_tunnel_up configuration '' $'[[policy]]\nname = "second"\nuse_wan = ["w1"]
last_resort = "main"\n[[tunnel]]\ninterface = "wg0"\nuse_policy = "second"'
  await 10 'the default tunnel leaves by the first WAN' second_leaves_by 0
  await_traffic 'traffic by the second WAN'
  check 'not through the default tunnel' fails inside_the_other
  silent 1
  await 10 'the WAN is found dead' grep -q 'WAN w1 is down' "$daemon_log"
  await 20 'the peer answers through the default tunnel' inside_the_other
  counters_reset
  await_traffic 'traffic through the default tunnel'
  check 'outer packets by the first WAN' at_least 5 right 0
  equal 'outer packets by the second WAN' 0 "$(right 1)"
  equal 'outer packets of the default tunnel in itself' '0 0' "$(foreign 0) $(looped)"
  check 'the default tunnel leaves by the first WAN' second_leaves_by 0
  answers_again 1
  await 10 'the WAN is found alive' grep -q 'WAN w1 is up again' "$daemon_log"
  await 20 'out of the default tunnel' fails inside_the_other
  await_traffic 'traffic by the second WAN again'
}

run_cases "$@"
