#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Connections in a flowtable of the firewall: their packets pass no chain and ask no rule, until the daemon deletes them
# because their exit has died. In a virtual machine (tests/vm/cases/offload.sh), since not every kernel has flowtables.
set -u
# shellcheck source=../support/traffic.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/traffic.sh"

# Connections of each kind.
readonly kFlows=10

# As fw4 does it: in `forward`, before everything else.
flowtable_up() { # DEVICE...
  router nft -f - <<RULES || skip 'the kernel has no flowtables'
table inet fast {
  counter forwarded { }
  flowtable flows {
    hook ingress priority filter
    devices = { $(printf '%s, ' "$@" | sed 's/, $//') }
  }
  chain forward {
    type filter hook forward priority filter - 1; policy accept;
    th dport 7000 counter name forwarded
    meta l4proto { tcp, udp } flow add @flows
  }
}
RULES
}

two_policies() {
  cat <<TOML
[[rule]]
name = "tv"
src_ip = ["$tv"]
use_policy = "fiber_first"
[[rule]]
name = "rest"
use_policy = "lte_first"
TOML
}

offloaded() { # SOURCE -> connections to port 7000 that are in the flowtable
  connections "src=$(as_conntrack "$1") .* dport=7000 .*\[OFFLOAD\]" | wc -l
}

all_are_offloaded() {
  (($(offloaded "$tv") >= 2 * kFlows && $(offloaded "$pc") >= 2 * kFlows))
}

# Only the flowtable forwards, so that no chain counts.
nothing_passes_the_chains() {
  local before
  before=$(named_counter router fast forwarded)
  read -rt 0.3 -u "$never" || true
  (($(named_counter router fast forwarded) == before))
}

offload_up() { # DEVICE...
  traffic_up
  flowtable_up "$@"
  fiber_options=$(printf 'track_ip = ["%s"]\ninterval = 0.3\ntimeout = 0.25\ndown = 2\nup = 2' "$elsewhere")
  two_policies | rules_are
  flow_start tv-udp tv udp "$internet" 7000 --flows $kFlows
  flow_start tv-tcp tv tcp "$internet" 7000 --flows $kFlows
  flow_start pc-udp pc udp "$internet" 7000 --flows $kFlows
  flow_start pc-tcp pc tcp "$internet" 7000 --flows $kFlows
  flow_is_on tv-udp "${wan_address[0]}" 5 'at first'
  flow_is_on pc-udp "${wan_address[1]}" 5 'at first'
  await 10 'all connections are offloaded' all_are_offloaded
  await 5 'no chain sees them' nothing_passes_the_chains
  # Both directions, also of those whose WAN is not the one that main prefers.
  local since
  since=$(now_ms)
  flow_is_untouched tv-udp "${wan_address[0]}" "$since" 'offloaded'
  flow_is_untouched tv-tcp "${wan_address[0]}" "$since" 'offloaded'
  flow_is_untouched pc-udp "${wan_address[1]}" "$since" 'offloaded'
  flow_is_untouched pc-tcp "${wan_address[1]}" "$since" 'offloaded'
  no_foreign_sources 'offloaded'
}

# Probes die, nothing else does: offloaded packets would use the exit for ever.
probes_die() { in_host isp0 nft 'add table inet silence; add chain inet silence forward { type filter hook forward priority 300; };
    add rule inet silence forward icmp type echo-request drop; add rule inet silence forward icmpv6 type echo-request drop'; }
probes_live() { in_host isp0 nft delete table inet silence; }

# When the daemon said that connections of this family are routed again, in milliseconds since the epoch.
deleted_at() {
  local day hour
  read -r day hour _ < <(grep -m 1 "are routed again.*IPv$family" "$daemon_log")
  date -d "$day $hour" +%s%3N
}

# The last answer by the first WAN, in milliseconds after that.
lingered() { # FLOW
  flow_answers "$1" 0 | awk -v dead="${wan_address[0]}" -v deleted="$(deleted_at)" '
    $4 == dead && $1 > last { last = $1 } END { print last - deleted }'
}

case_an_exit_of_offloaded_connections_dies() {
  offload_up br-lan "${wan_device[@]}"
  local since name
  since=$(now_ms)
  probes_die
  await 20 'probes find the WAN dead' grep -q "are routed again.*IPv$family" "$daemon_log"
  flow_is_on tv-udp "${wan_address[1]}" 10 'the exit is dead'
  flow_is_on tv-tcp "${wan_address[1]}" 10 'the exit is dead'
  for name in tv-udp tv-tcp; do
    note "$name: the last answer by the dead exit $(lingered "$name") ms after it, all moved after" \
      "$(flow_moved_after "$name" "${wan_address[1]}" "$(deleted_at)") ms, $(flow_lost "$name" "$since") lost," \
      "$(flow_errors "$name" "$since") ended"
    check "$name: nothing lingers on the dead exit" at_most 50 lingered "$name"
  done
  flow_is_untouched pc-udp "${wan_address[1]}" "$since" 'the other exit is dead'
  flow_is_untouched pc-tcp "${wan_address[1]}" "$since" 'the other exit is dead'
  await 10 'they are offloaded again' all_are_offloaded
  observers_reset
  await 5 'traffic' flow_is_alive tv-udp "$(now_ms)"
  equal 'packets by the dead exit, other than probes' 0 "$(observed 0 flows)"
  since=$(now_ms)
  probes_live
  await 20 'new connections by the exit that is back' answered_by 0 tv udp "$internet" 443 --timeout 0.3
  flow_is_untouched tv-udp "${wan_address[1]}" "$since" 'it is back'
  flow_is_untouched tv-tcp "${wan_address[1]}" "$since" 'it is back'
  no_foreign_sources 'throughout'
}

run_cases "$@"
