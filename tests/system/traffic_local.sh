#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the router itself sends: rules for it choose the source as well, and everything that is bound, local or for a group
# stays where it is. Nobody translates its packets here: with the source of another WAN, they are dropped.
set -u
# shellcheck source=../support/traffic.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/traffic.sh"

# One rule for what the router sends.
local_rule() { # POLICY LINE...
  printf '[[rule]]\nname = "own"\norigin = "local"\n'
  printf '%s\n' "${@:2}" "use_policy = \"$1\""
}

# At once: no retransmission, no timeout.
soon_by() { # WAN PROTOCOL ADDRESS PORT [OPTION]...
  local answer
  answer=$(asked_in router "${@:2}")
  equal "router ${*:2} by ${wan_name[$1]}" "${wan_address[$1]}" "${answer% *}"
  check "router ${*:2}: at once (${answer#* } ms)" at_most 700 echo "${answer#* }"
}

case_catch_all_takes_the_router_as_well() {
  traffic_up
  printf '[[rule]]\nname = "all"\nuse_policy = "lte_first"\n' | rules_are
  observers_reset
  soon_by 1 tcp "$internet" 443
  soon_by 1 udp "$internet" 443
  soon_by 1 tcp "$elsewhere" 80
  pings_by 1 router "$internet"
  goes_by 1 tv tcp "$internet" 443
  equal 'packets of TCP and UDP by the first WAN' 0 "$(observed 0 all)"
  no_foreign_sources 'throughout'
}

case_origins() {
  traffic_up
  local_rule lte_first | rules_are
  soon_by 1 tcp "$internet" 443
  soon_by 1 udp "$internet" 443
  goes_by 0 tv tcp "$internet" 443
  printf '[[rule]]\norigin = "forwarded"\nuse_policy = "lte_first"\n' | rules_are
  soon_by 0 tcp "$internet" 443
  soon_by 0 udp "$internet" 443
  goes_by 1 tv tcp "$internet" 443
  no_foreign_sources 'throughout'
}

case_destinations_protocols_and_ports() {
  traffic_up
  local_rule lte_first "dest_ip = [\"$elsewhere\"]" | rules_are
  soon_by 1 tcp "$elsewhere" 443
  soon_by 1 udp "$elsewhere" 80
  pings_by 1 router "$elsewhere"
  soon_by 0 tcp "$internet" 443
  soon_by 0 udp "$internet" 443
  pings_by 0 router "$internet"
  local_rule lte_first 'dest_port = ["443"]' 'proto = ["tcp"]' | rules_are
  soon_by 1 tcp "$internet" 443
  soon_by 0 udp "$internet" 443
  soon_by 0 tcp "$internet" 80
  local_rule lte_first 'dest_port = ["7000-7999"]' | rules_are
  soon_by 1 tcp "$internet" 7000
  soon_by 1 udp "$internet" 7000
  soon_by 0 udp "$internet" 8000
  local_rule lte_first "dest_ip = [\"$internet\"]" 'dest_port = ["53"]' 'proto = ["udp"]' | rules_are
  soon_by 1 udp "$internet" 53
  soon_by 0 tcp "$internet" 53
  soon_by 0 udp "$elsewhere" 53
  no_foreign_sources 'throughout'
}

case_first_match_decides() {
  traffic_up
  { local_rule main "dest_ip = [\"$elsewhere\"]" 'dest_port = ["443"]' 'proto = ["tcp"]' &&
    local_rule only_lte "dest_ip = [\"$elsewhere\"]" | sed 's/"own"/"own2"/' &&
    local_rule fiber_first | sed 's/"own"/"own3"/'; } | rules_are
  soon_by 0 tcp "$elsewhere" 443
  soon_by 1 udp "$elsewhere" 443
  soon_by 1 tcp "$elsewhere" 80
  soon_by 0 tcp "$internet" 443
  # The order of the file, not of what is more specific.
  { local_rule fiber_first && local_rule only_lte "dest_ip = [\"$elsewhere\"]" | sed 's/"own"/"own2"/'; } | rules_are
  soon_by 0 tcp "$elsewhere" 443
  soon_by 0 udp "$elsewhere" 80
}

# The chains refuse, and the kernel does not tell a TCP socket about a packet that they stopped.
case_unreachable() {
  traffic_up
  local_rule unreachable "dest_ip = [\"$elsewhere\"]" | rules_are
  local answer
  answer=$(asked_in router tcp "$elsewhere" 443)
  equal 'TCP' silence "${answer% *}"
  goes_where unreachable router udp "$elsewhere" 443
  soon_by 0 tcp "$internet" 443
}

# What somebody else asked this host is no new connection of its own.
case_a_refusal_spares_answers() {
  local rule
  port_forwards="iifname ${wan_device[0]} meta l4proto { tcp, udp } th dport 7000 dnat ip to 192.168.1.1
    iifname ${wan_device[0]} meta l4proto { tcp, udp } th dport 7000 dnat ip6 to 2001:db8:1::1"
  traffic_up
  serves router "$lan_router" "${wan_address[@]}"
  for rule in unreachable only_lte; do
    local_rule "$rule" | rules_are
    wan_link_down 1
    await 5 'converged' traffic_converged
    goes_where unreachable router udp "$internet" 443
    equal "$rule: the WAN's service" "$internet" "$(ask server tcp "${wan_address[0]}" 443)"
    equal "$rule: a service in the LAN" "$internet" "$(ask server tcp "${wan_address[0]}" 7000)"
    equal "$rule: the same by UDP" "$internet" "$(ask server udp "${wan_address[0]}" 7000)"
    check "$rule: ping from the LAN" quietly in_host tv ping -n -c 1 -W 1 "$lan_router"
    wan_up 1
  done
}

# Without a route, IPv6 chooses any source and asks again: rules for that source must not open another way.
case_a_policy_without_exits() {
  traffic_up
  local_rule only_lte "dest_ip = [\"$elsewhere\"]" | rules_are
  soon_by 1 tcp "$elsewhere" 443
  wan_link_down 1
  await 5 'converged' traffic_converged
  observers_reset
  goes_where silence router tcp "$elsewhere" 443
  goes_where unreachable router udp "$elsewhere" 443
  equal 'packets by the first WAN' '0 0' "$(observed 0 all) $(foreign 0)"
  soon_by 0 tcp "$internet" 443
  wan_up 1
  await 5 'by the second WAN again' answered_by 1 router tcp "$elsewhere" 443 --timeout 0.3
}

case_failover() {
  traffic_up
  local_rule lte_first | rules_are
  soon_by 1 tcp "$internet" 443
  wan_link_down 1
  await 5 'by the first WAN' answered_by 0 router tcp "$internet" 443 --timeout 0.3
  soon_by 0 udp "$internet" 443
  wan_up 1
  await 5 'by the second WAN again' answered_by 1 router tcp "$internet" 443 --timeout 0.3
  wgsteer wan lte down
  soon_by 0 tcp "$internet" 443
  soon_by 0 udp "$internet" 443
  wgsteer wan lte auto
  await 5 'by the second WAN again' answered_by 1 router udp "$internet" 443 --timeout 0.3
  # No daemon, and the link is gone.
  daemon_stop KILL
  wan_link_down 1
  await 5 'by the first WAN without a daemon' answered_by 0 router tcp "$internet" 443 --timeout 0.3
  no_foreign_sources 'throughout'
}

# A socket keeps the source that was chosen for it, and is not sent by another WAN with that; one that is not connected
# chooses anew each time.
case_connections_move() {
  traffic_up
  local_rule lte_first | rules_are
  flow_start udp router udp "$internet" 7000 --flows 3 --unconnected
  flow_start tcp router tcp "$internet" 7000 --flows 3
  flow_start connected router udp "$internet" 7000 --flows 3
  flow_is_on udp "${wan_address[1]}" 3 'at first'
  flow_is_on tcp "${wan_address[1]}" 3 'at first'
  local since
  since=$(now_ms)
  wgsteer wan lte down
  flow_is_on udp "${wan_address[0]}" 5 'lte is down'
  note "moved after $(flow_moved_after udp "${wan_address[0]}" "$since") ms"
  goes_by 0 router tcp "$internet" 443
  since=$(now_ms)
  wgsteer wan lte auto
  flow_is_on udp "${wan_address[1]}" 5 'lte is back'
  goes_by 1 router tcp "$internet" 443
  daemon_stop KILL
  daemon_start
  await 15 'the daemon has converged' traffic_converged
  since=$(now_ms)
  flow_is_on udp "${wan_address[1]}" 3 'killed and restarted'
  flow_is_on tcp "${wan_address[1]}" 3 'killed and restarted'
  flow_is_untouched udp "${wan_address[1]}" "$since" 'killed and restarted'
  flow_is_untouched tcp "${wan_address[1]}" "$since" 'killed and restarted'
  no_foreign_sources 'throughout'
  # The address is gone with the link's.
  since=$(now_ms)
  router_ip addr flush dev "${wan_device[1]}"
  wan_link_down 1
  flow_is_on udp "${wan_address[0]}" 5 'the link is down'
  wan_up 1
  await 5 'the link is back' answered_by 1 router tcp "$internet" 443 --timeout 0.3
}

case_what_no_rule_matched_is_untouched() {
  traffic_up
  { local_rule lte_first "dest_ip = [\"$elsewhere\"]" && printf '[[rule]]\nsrc_ip = ["%s"]\nuse_policy = "lte_first"\n' "$tv"; } | rules_are
  observers_reset
  soon_by 0 tcp "$internet" 443
  soon_by 0 udp "$internet" 443
  pings_by 0 router "$internet"
  check 'the router reaches the LAN' quietly in_host router ping -n -c 1 -W 1 "$tv"
  check 'packets were counted' at_least 6 marked local_seen
  equal 'packets with a mark' 0 "$(marked local_marked)"
  equal 'connections with a mark' '' "$(connections 'mark=[1-9]')"
}

# ---- What is bound, inside or for groups ----------------------------------------------------------------------------

# Against all of these, everything goes by the second WAN.
all_by_lte() {
  printf '[[rule]]\nname = "all"\nuse_policy = "only_lte"\n' | rules_are
  soon_by 1 udp "$internet" 443
  observers_reset
}

case_bound_sockets_stay() {
  traffic_up
  all_by_lte
  pings_by 0 router "$internet" -I "${wan_device[0]}"
  pings_by 1 router "$internet" -I "${wan_device[1]}"
  soon_by 0 udp "$internet" 443 --device "${wan_device[0]}"
  soon_by 0 tcp "$internet" 443 --device "${wan_device[0]}"
  # Sources as well, of a WAN that the policy does not exclude.
  printf '[[rule]]\nname = "all"\nuse_policy = "lte_first"\n' | rules_are
  soon_by 0 udp "$internet" 443 --source "${wan_address[0]}"
  soon_by 0 tcp "$internet" 443 --source "${wan_address[0]}"
  soon_by 1 tcp "$internet" 443 --source "${wan_address[1]}"
  pings_by 0 router "$internet" -I "${wan_address[0]}"
  # And the other way round, where the policy would take the first.
  printf '[[rule]]\nname = "all"\nuse_policy = "fiber_first"\n' | rules_are
  pings_by 1 router "$internet" -I "${wan_device[1]}"
  soon_by 1 udp "$internet" 443 --device "${wan_device[1]}"
  soon_by 1 tcp "$internet" 443 --device "${wan_device[1]}"
  soon_by 1 tcp "$internet" 443 --source "${wan_address[1]}"
  no_foreign_sources 'throughout'
}

# A DHCP client renews its lease with a packet to a server in the WAN's own network.
case_neighbours_on_a_wan_stay_there() {
  traffic_up
  serves isp0 "${wan_gateway[0]}"
  all_by_lte
  goes_where "${wan_address[0]}" router udp "${wan_gateway[0]}" 443
  goes_where "${wan_address[0]}" router tcp "${wan_gateway[0]}" 443
  pings_by 0 router "${wan_gateway[0]}"
  # Hosts of the LAN reach it, too, as a connected network of main (a modem's page).
  goes_where "${wan_address[0]}" tv tcp "${wan_gateway[0]}" 443
}

case_inside_is_reached() {
  traffic_up
  site_up
  serves tv "$tv"
  all_by_lte
  local protocol
  for protocol in tcp udp; do
    goes_where "$lan_router" router "$protocol" "$tv" 443
    goes_where "$site_router" router "$protocol" "$site" 443
  done
  router_ip neigh flush all
  check 'neighbours are found' quietly in_host router ping -n -c 1 -W 1 "$tv"
  check 'by their LAN, too' quietly in_host tv ping -n -c 1 -W 1 "$lan_router"
  equal 'packets that left' '0 0' "$(observed 0 all) $(observed 1 all)"
}

# What the tv hears of groups and broadcasts.
tv_listens() {
  in_host tv nft -f - <<'RULES'
table inet heard {
  counter groups4 { }
  counter groups6 { }
  counter broadcasts4 { }
  chain in {
    type filter hook prerouting priority raw; policy accept;
    ip daddr { 224.0.0.251, 239.255.255.250 } counter name groups4
    ip6 daddr { ff02::fb, ff05::c } counter name groups6
    ip daddr { 255.255.255.255, 192.168.1.255 } counter name broadcasts4
  }
}
RULES
}
heard() { named_counter tv heard "$1"; } # COUNTER

sends() { # DESTINATION PORT OPTION... -- nobody answers
  goes_where silence router udp "$1" "$2" --timeout 0.05 "${@:3}"
}

case_groups_and_broadcasts_stay_in_the_lan() {
  local groups=(224.0.0.251 239.255.255.250)
  [[ $family == 4 ]] || groups=(ff02::fb ff05::c)
  traffic_up
  tv_listens
  router sysctl -q -w net.bridge.bridge-nf-call-iptables=0 2>/dev/null || true
  router bash -c 'echo 0 >/sys/class/net/br-lan/bridge/multicast_snooping' || true
  all_by_lte
  sends "${groups[0]}" 5353 --group-device br-lan
  sends "${groups[1]}" 1900 --group-device br-lan
  sends "${groups[0]}" 5353 --device br-lan
  equal 'heard in the LAN' 3 "$(heard "groups$family")"
  if [[ $family == 4 ]]; then
    sends 255.255.255.255 68 --device br-lan
    sends 192.168.1.255 68
    equal 'broadcasts heard in the LAN' 2 "$(heard broadcasts4)"
    sends "${groups[0]}" 5353 --source 192.168.1.1 --group-device br-lan
    equal 'heard in the LAN, with a source' 4 "$(heard groups4)"
  fi
  equal 'packets to groups at the ISPs' '0 0' "$(observed 0 groups) $(observed 1 groups)"
  # A group by a WAN, as for IPTV, leaves by that WAN.
  sends "${groups[1]}" 1900 --group-device "${wan_device[0]}"
  equal 'packets to groups at the ISPs' '1 0' "$(observed 0 groups) $(observed 1 groups)"
  no_foreign_sources 'throughout'
}

# A DHCP server answers a client without an address by its device; a client asks by its WAN's.
case_dhcp_stays() {
  [[ $family == 4 ]] || return 0
  traffic_up
  tv_listens
  all_by_lte
  sends 255.255.255.255 67 --device "${wan_device[0]}" --sport 68
  equal 'discovery at the ISPs' '1 0' "$(observed 0 groups) $(observed 1 groups)"
  sends 255.255.255.255 68 --device br-lan --sport 67
  equal 'offers heard in the LAN' 1 "$(heard broadcasts4)"
}

run_cases "$@"
