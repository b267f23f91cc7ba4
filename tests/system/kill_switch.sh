#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A local firewall that blocks all probes, like wg-quick(8)'s kill switch: then nothing is known about the WANs, so they
# must not be found dead.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

method=icmp

configuration() {
  local wan
  for wan in 0 1; do
    cat <<CONF
[[wan]]
name = "w$wan"
device = "${wan_device[$wan]}"
track_ip = ["${wan_gateway4[$wan]}", "${wan_gateway6[$wan]}"]
track_method = "$method"
interval = 0.5
timeout = 0.4
down = 2
up = 2
CONF
  done
  printf '[[tunnel]]\ninterface = "%s"\nstall = 3\n' "$tunnel_device"
}

# The PostUp commands from the manual; %i is the tunnel.
kill_switch() { # I|D
  local mark
  mark=$(tunnel_mark)
  router iptables "-$1" OUTPUT ! -o "$tunnel_device" -m mark ! --mark "$mark" -m addrtype ! --dst-type LOCAL -j REJECT
  router ip6tables "-$1" OUTPUT ! -o "$tunnel_device" -m mark ! --mark "$mark" -m addrtype ! --dst-type LOCAL -j REJECT
}

# A name server that refuses a query still counts as an answer, as does a TCP reset from a closed port.
answering() {
  local wan
  [[ $method == dns ]] || return 0
  for wan in 0 1; do
    start_in_host "isp$wan" "$work/dnsmasq" dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts \
      --pid-file= --user=root --bind-interfaces --listen-address="${wan_gateway4[$wan]},${wan_gateway6[$wan]}"
  done
}

told() { grep -c "WAN w$1.*cannot be probed: send to" "$daemon_log" || true; } # WAN

kill_switch_is_survived() {
  tunnel_fwmark=51820
  topology_up
  need_iptables
  answering
  tunnel_up route_halves
  configuration >"$work/wgsteer.toml"
  daemon_arguments=(-c "$work/wgsteer.toml")
  daemon_start_and_converge
  tunnel_forget
  traffic_start
  await_handshake
  await 10 'both families of the first WAN answer' prints 2 answering_targets
  steady_on 0 'before the kill switch'
  kill_switch I
  await 10 'refused probes are reported for each family of each WAN' at_least 4 told_of_all
  # Wait for longer than it takes to find a WAN dead.
  await 10 'probing continues' rounds_go_on
  steady_on 0 'behind the kill switch'
  check 'no WAN is found dead' fails grep -qE 'WAN w[01].* is down' "$daemon_log"
  equal 'one report for each family of each WAN' '2 2' "$(told 0) $(told 1)"
  check 'status reports it' has_line 'w0 .* up .*cannot be probed: send to ' wgsteer status
  check 'metrics report it' \
    has_line "wgsteer_wan_probes_refused\{wan=\"w0\",device=\"wan0\",family=\"ipv$family\"\} 1" wgsteer metrics
  equal 'check finds a problem' 2 "$(code_of wgsteer check)"
  check 'check names it' grep -q 'problem: WAN w0 cannot be probed: send to ' "$work/out"
  the_fix_works
}

told_of_all() { echo $(($(told 0) + $(told 1))); }
answering_targets() {
  wgsteer status --json | python3 -c '
import json, sys
print(sum(t["answered"] for t in json.load(sys.stdin)["wans"][0]["targets"]))'
}

rounds_go_on() {
  local seen=${rounds_seen:-}
  rounds_seen=$(($(router iptables -nvxL OUTPUT | awk '/REJECT/ { print $1 }') + 0))
  rounds_first=${rounds_first:-$rounds_seen}
  [[ -n $seen ]] && ((rounds_seen >= rounds_first + 12))
}

# Runs the commands that `check` prints, unchanged.
let_probes_out() {
  local command
  grep -oE 'ip6?tables -I OUTPUT .*' "$work/out" >"$work/fix"
  equal 'commands: one for each family of each WAN' 4 "$(sort -u "$work/fix" | wc -l)"
  while read -r command; do
    # Unquoted: the words of a command.
    # shellcheck disable=SC2086
    router $command </dev/null
  done <"$work/fix"
}

the_fix_works() {
  let_probes_out
  await 10 'probes are answered again' prints 2 answering_targets
  await 10 'the log reports it' grep -qE 'WAN w0.* can be probed again' "$daemon_log"
  steady_on 0 'probes are allowed'
  in_host isp0 nft 'add table inet silence; add chain inet silence forward { type filter hook forward priority 300; drop; };
    add chain inet silence input { type filter hook input priority 300; drop; };
    insert rule inet silence input icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept'
  await 15 'probes detect a dead WAN again' grep -qE 'WAN w0.* is down' "$daemon_log"
  await_traffic 'traffic by the other WAN'
  comes_to_rest_on 1 'first WAN dead'
}

case_icmp() { kill_switch_is_survived; }
case_dns() {
  command -v dnsmasq >/dev/null || skip 'no dnsmasq'
  method=dns
  kill_switch_is_survived
}
case_tcp() {
  method=tcp
  kill_switch_is_survived
}

# The kill switch is there from the start, so there has never been a probe result.
case_from_the_start() {
  tunnel_fwmark=51820
  topology_up
  need_iptables
  tunnel_up route_halves
  kill_switch I
  # The kill switch also blocks neighbour discovery; in the other cases, the gateways are resolved before it comes.
  router ip6tables -I OUTPUT -p icmpv6 --icmpv6-type neighbour-solicitation -j ACCEPT
  router ip6tables -I OUTPUT -p icmpv6 --icmpv6-type neighbour-advertisement -j ACCEPT
  configuration >"$work/wgsteer.toml"
  daemon_arguments=(-c "$work/wgsteer.toml")
  daemon_start_and_converge
  tunnel_forget
  traffic_start
  await_handshake
  await 10 'refused probes are reported' at_least 4 told_of_all
  await 10 'probing continues' rounds_go_on
  steady_on 0 'behind the kill switch'
  check 'check names it' has_line 'WAN w0 cannot be probed' wgsteer check
  wgsteer check >"$work/out" || true
  let_probes_out
  # A diverted peer has the WAN's bits in addition to the tunnel's own mark; the same commands must allow that, too.
  in_host isp0 nft 'add table inet silence; add chain inet silence forward { type filter hook forward priority 300; drop; }'
  await 30 'the peer is moved' grep -q ': peer .* trying w1' "$daemon_log"
  await_traffic 'traffic by the other WAN' 30
  comes_to_rest_on 1 'the peer has been moved'
}

run_cases "$@"
