#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# `explain` describes what really happens to a packet.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

case_loop_before_wan_after() {
  local output
  topology_up
  tunnel_up route_halves
  output=$(wgsteer explain "$(socket_address "$endpoint" "$kPort")") || true
  check 'LOOP before wgsteer' has_line LOOP echo "$output"
  daemon_start_and_converge
  output=$(wgsteer explain "$(socket_address "$endpoint" "$kPort")" --mark "$(tunnel_mark)")
  check 'no LOOP with wgsteer' fails has_line LOOP echo "$output"
  check 'explain names the WAN' has_line "${wan_device[0]}" echo "$output"
  check 'explain names the source' has_line "${wan_address[0]//./\\.}" echo "$output"
}

case_status_shows_it() {
  steered_tunnel_up
  check 'status names the WAN' has_line "${wan_device[0]}" wgsteer status
  check 'status --json is JSON' json_of status --json
}

json_of() { wgsteer "$@" | python3 -c 'import json, sys; json.load(sys.stdin)'; }

case_check_runs() {
  local status=0
  topology_up
  tunnel_up route_halves
  daemon_start_and_converge
  quietly wgsteer check || status=$?
  ((status == 0 || status == 2)) || fail "check: exit code $status"
}

traffic_configuration() {
  cat <<'TOML'
[[wan]]
name = "fiber"
device = "wan0"
[[wan]]
name = "lte"
device = "wan1"
[[policy]]
name = "lte_first"
use_wan = ["lte:1", "fiber:2"]
[[rule]]
name = "shut"
dest_port = [81]
use_policy = "unreachable"
[[rule]]
name = "tv"
proto = "tcp"
src_iface = "lan0"
use_policy = "lte_first"
TOML
}

# A phone's connection to PORT.
traffic_explained() { # PORT [OPTION...]
  local phone=192.168.1.50
  [[ $family == 4 ]] || phone=fd01::50
  wgsteer explain "${daemon_arguments[@]}" --in lan0 --from "$phone" "${@:2}" "$(socket_address "$endpoint" "$1")"
}

case_a_rule_for_the_lan() {
  topology_up
  topology_lan
  traffic_configuration >"$work/wgsteer.toml"
  daemon_arguments=(-c "$work/wgsteer.toml")
  check 'not applied yet' has_line 'not in the kernel: this is what' traffic_explained 443
  daemon_start_and_converge
  check 'the rule and its WAN' has_line '^rule tv, policy lte_first: by WAN lte$' traffic_explained 443
  check 'its device' has_line '^leaves by wan1 ' traffic_explained 443
  check 'not its protocol' has_line '^no rule matches: left alone$' traffic_explained 443 --proto udp
  check 'refused' has_line '^rule shut refuses it: unreachable$' traffic_explained 81
  check 'it leaves by that WAN' phone_is_seen_by 1
  check 'JSON' has_line '^  "rule": "tv",$' traffic_explained 443 --json
  printf '[[rule]]\nname = "last"\nuse_policy = "main"\n' >>"$work/wgsteer.toml"
  check 'another file' has_line 'are not those of the file' traffic_explained 443
}

# The first packet of a connection, which need not be answered.
phone_is_seen_by() { # WAN
  router nft -f - <<END
table inet seen {
  counter wan$1 { }
  chain out {
    type filter hook postrouting priority 400;
    oifname "wan$1" tcp dport 443 counter name "wan$1"
  }
}
END
  quietly in_host phone timeout 0.3 bash -c "exec 3<>/dev/tcp/$endpoint/443" || :
  (($(named_counter router seen "wan$1") > 0))
}

run_cases "$@"
