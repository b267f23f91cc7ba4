#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# More events than the daemon can read in time: no change is missed, and none delays the others.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

daemon_member() { wgsteer status --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["daemon"][sys.argv[1]])' "$1"; }
daemon_ticks() { # -> user and system time used
  awk '{ print $14 + $15 }' "/proc/$daemon_pid/stat"
}

# While the daemon is stopped, its socket overflows (8 MB hold about 20 000 events), and then the state changes.
case_overrun() {
  steered_tunnel_up
  kill -STOP "$daemon_pid"
  for _ in 1 2 3 4 5 6 7 8; do
    seq 10001 13000 | sed "s/.*/rule add priority & lookup main/" >"$work/add"
    sed 's/rule add/rule del/' "$work/add" >"$work/del"
    router ip -"$family" -batch "$work/add"
    router ip -"$family" -batch "$work/del"
  done
  router_ip rule del priority 70
  wan_carrier_down 0
  kill -CONT "$daemon_pid"
  await 10 'converged' converged
  check 'events were lost' at_least 1 daemon_member overruns
  check 'there was a resync' at_least 1 daemon_member resyncs
  check 'the log reports it' has_line 'warn.*netlink events were lost: everything is read again' cat "$daemon_log"
  check 'metrics count it' has_line '^wgsteer_overruns_total [1-9]' wgsteer metrics
  await_traffic 'traffic by the second WAN'
  comes_to_rest_on 1 'after the overrun'
}

# Thirty thousand foreign routes cost the daemon almost nothing.
route_feed() { # ROUTE-OPTIONS, such as the table or protocol
  steered_tunnel_up
  local before after via
  via=$(router_ip route show default dev "${wan_device[0]}" | sed -n 's/.*via \([^ ]*\).*/\1/p' | sed -n 1p)
  if [[ $family == 4 ]]; then
    seq 0 29999 | awk -v via="$via" -v feed="$1" '{ printf "route add 100.%d.%d.%d/32 via %s %s\n", $1 / 65536 + 64, $1 / 256 % 256, $1 % 256, via, feed }' >"$work/feed"
  else
    seq 0 29999 | awk -v via="$via" -v dev="${wan_device[0]}" -v feed="$1" '{ printf "route add 2001:db8:f00d::%x/128 via %s dev %s %s\n", $1, via, dev, feed }' >"$work/feed"
  fi
  before=$(daemon_ticks)
  router ip -"$family" -batch "$work/feed"
  after=$(daemon_ticks)
  note "30000 routes cost the daemon $((after - before)) ticks"
  ((after - before <= 10)) || fail "30000 routes cost the daemon $((after - before)) ticks of 10 ms"
  equal 'no event was lost' '0 0' "$(daemon_member overruns) $(daemon_member resyncs)"
  wan_carrier_down 0
  await_traffic 'traffic after the loss'
  steady_on 1 'failover with the feed'
}

case_route_feed() { route_feed 'table 77'; }

# Into the main table, like a border router that learns routes over its WANs.
case_learned_feed() { route_feed 'proto bgp'; }

case_storm_of_flaps() {
  steered_tunnel_up
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    wan_carrier_down 0
    wan_carrier_down 1
    wan_carrier_up 1
    wan_carrier_up 0
  done
  await 10 'converged' converged
  await_traffic 'traffic after the storm'
  steady_on 0 'after the storm'
}

run_cases "$@"
