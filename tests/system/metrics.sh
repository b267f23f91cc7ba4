#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The Prometheus metrics, checked by promtool.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"
readonly kDashboard=${BASH_SOURCE[0]%/*}/../../docs/grafana.json kPage=${BASH_SOURCE[0]%/*}/../../docs/metrics.md

need_promtool() { command -v promtool >/dev/null || skip 'no promtool'; }
metric() { wgsteer metrics | awk -v name="$1" '!found && index($0, name) == 1 { found = 1; print $NF }'; } # START-OF-LINE

case_of_a_failover() {
  need_promtool
  steered_tunnel_up
  wgsteer metrics >"$work/before"
  promtool check metrics <"$work/before" >"$work/said" 2>&1 || fail "promtool: $(<"$work/said")"
  equal 'the output of promtool' '' "$(<"$work/said")"
  equal 'the daemon is running' 1 "$(metric 'wgsteer_up ')"
  equal 'the first WAN is up' 1 "$(metric "wgsteer_wan_up{wan=\"wan0\",device=\"wan0\",family=\"ipv$family\"}")"
  check 'a handshake was counted' at_least 1 metric 'wgsteer_wan_handshake_responses_total{wan="wan0"'
  wan_link_down 0
  await_traffic 'traffic by the second WAN'
  equal 'the first WAN is down' 0 "$(metric "wgsteer_wan_up{wan=\"wan0\",device=\"wan0\",family=\"ipv$family\"}")"
  check 'the failover is counted' at_least 1 metric 'wgsteer_failovers_total '
  equal 'the policy uses the second WAN' \
    1 "$(metric "wgsteer_policy_wan_info{policy=\"default\",family=\"ipv$family\",wan=\"wan1\"}")"
  equal 'the count equals the last bucket' "$(metric 'wgsteer_event_to_applied_seconds_count{kind="link"}')" \
    "$(metric 'wgsteer_event_to_applied_seconds_bucket{kind="link",le="+Inf"}')"
  wgsteer metrics | promtool check metrics || fail 'promtool after the failover'
}

case_into_a_file() {
  need_promtool
  steered_tunnel_up
  mkdir "$work/full"
  router mount -t tmpfs -o size=64k none "$work/full"
  equal 'writing the file' 0 "$(code_of wgsteer metrics --textfile "$work/full/wgsteer.prom")"
  router cat "$work/full/wgsteer.prom" >"$work/prom"
  promtool check metrics <"$work/prom" || fail 'promtool'
  router bash -c "head -c 65536 /dev/zero >$work/full/filler" 2>/dev/null || true
  equal 'a full disk is an error' 1 "$(code_of wgsteer metrics --textfile "$work/full/wgsteer.prom")"
  check 'the error says why' grep -q 'No space left' "$work/err"
  equal 'the old file is unchanged' "$(<"$work/prom")" "$(router cat "$work/full/wgsteer.prom")"
  equal 'no other file is left' 'filler wgsteer.prom ' "$(router ls "$work/full" | tr '\n' ' ')"
}

case_without_a_daemon() {
  need_promtool
  topology_up
  tunnel_up route_halves
  equal 'exit status' 0 "$(code_of wgsteer metrics)"
  equal 'the daemon is not running' 0 "$(metric 'wgsteer_up ')"
  wgsteer metrics | promtool check metrics || fail 'promtool'
}

a_rule() {
  cat <<'EOF'
[[wan]]
name = "first"
device = "wan0"
[[wan]]
name = "second"
device = "wan1"
[[rule]]
name = "web"
dest_port = ["80", "60000-65535"]  # more than ip rules can say: these do not count
proto = ["udp"]
use_wan = ["second"]
EOF
}

send_web() { # COUNT
  local i address=198.18.0.1
  ((family == 4)) || address=2001:2::1
  for ((i = 0; i < $1; ++i)); do router bash -c ": >/dev/udp/$address/80 && echo >/dev/udp/$address/80" || true; done
}

case_of_rules() {
  need_promtool
  configured_tunnel_up route_halves a_rule
  equal 'no connection yet' 0 "$(metric 'wgsteer_rule_connections_total{rule="web"}')"
  send_web 3
  equal 'the rule counts connections' 3 "$(metric 'wgsteer_rule_connections_total{rule="web"}')"
  equal 'they stay on its WAN' 3 "$(metric 'wgsteer_exit_connections{wan="second"}')"
  equal 'and on no other' 0 "$(metric 'wgsteer_exit_connections{wan="first"}')"
  wgsteer metrics | promtool check metrics || fail 'promtool'
  wgsteer status >"$work/status"
  check 'status has the rule' grep -Eq '^web +.* second .* 3 ' "$work/status"
  check 'status has the connections of the WAN' grep -Eq '^second +3 +0 ' "$work/status"
}

case_dashboard_and_page_know_them() {
  configured_tunnel_up route_halves a_rule
  local names name
  mapfile -t names < <(wgsteer metrics | sed -n 's/^# TYPE \([^ ]*\) .*/\1/p')
  for name in "${names[@]}"; do grep -q "\`$name" "$kPage" || fail "docs/metrics.md does not mention $name"; done
  python3 -m json.tool "$kDashboard" /dev/null || fail 'docs/grafana.json is not valid JSON'
  local drawn
  mapfile -t drawn < <(grep -o 'wgsteer_[a-z_]*' "$kDashboard" | sort -u)
  ((${#drawn[@]})) || fail 'docs/grafana.json has no metrics'
  for name in "${drawn[@]}"; do
    name=${name%_bucket}
    [[ " ${names[*]} " == *" $name "* ]] || fail "docs/grafana.json uses $name, which does not exist"
  done
}

run_cases "$@"
