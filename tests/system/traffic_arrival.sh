#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Connections that come in by a WAN are answered by it, with its address, whatever main and the rules prefer.
set -u
# shellcheck source=../support/traffic.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/traffic.sh"

# Ports 7000 and 7001 of both WANs lead to the tv, where nobody answers on 7001; port 8000 leads to the site.
arrival_up() {
  local to to_site
  traffic_family
  to="ip to $tv" to_site="ip to $site"
  [[ $family == 4 ]] || { to="ip6 to $tv" to_site="ip6 to $site"; }
  port_forwards="iifname { ${wan_device[0]}, ${wan_device[1]} } meta nfproto ipv$family meta l4proto { tcp, udp } th dport { 7000, 7001 } dnat $to
    iifname { ${wan_device[0]}, ${wan_device[1]} } meta nfproto ipv$family meta l4proto { tcp, udp } th dport 8000 dnat $to_site"
  traffic_up
  serves tv "$tv"
  serves router "${wan_address[@]}"
}

# Rules of which none is about what comes in.
a_rule_for_the_pc() { printf '[[rule]]\nname = "pc"\nsrc_ip = ["%s"]\nuse_policy = "lte_first"\n' "$pc"; }
all_by() { printf '[[rule]]\nname = "all"\nuse_policy = "%s"\n' "$1"; } # POLICY

strict_filter() {
  router sysctl -q -w net.ipv4.conf.all.rp_filter=1 "net.ipv4.conf.${wan_device[0]}.rp_filter=1" \
    "net.ipv4.conf.${wan_device[1]}.rp_filter=1"
}

# The answer, if there is one, comes from the contacted address: the client's sockets take no other.
reached() { # WAN PORT WHAT
  local protocol
  for protocol in tcp udp; do
    equal "$3: $protocol to port $2 of ${wan_name[$1]}" "$internet" "$(ask server "$protocol" "${wan_address[$1]}" "$2")"
  done
}

router_is_reached() { # WAN WHAT
  local address=${wan_address[$1]}
  reached "$1" 443 "$2"
  goes_where refused server tcp "$address" 9999
  goes_where refused server udp "$address" 9999
  check "$2: ping to ${wan_name[$1]}" quietly in_host server ping -n -c 2 -i 0.1 -W 1 "$address"
}

case_world_answers_by_main() {
  arrival_up
  reached 0 7000 'by main'
  router_is_reached 0 'by main'
  goes_where silence server tcp "${wan_address[1]}" 7000 --timeout 0.5
  goes_where silence server udp "${wan_address[1]}" 7000 --timeout 0.5
  goes_where silence server udp "${wan_address[1]}" 443 --timeout 0.5
  check 'answers were dropped at the first ISP' at_least 3 foreign 0
  # So it is with the daemon, too, as long as there is no rule.
  : | rules_are
  goes_where silence server tcp "${wan_address[1]}" 7000 --timeout 0.5
}

case_port_forward() {
  local rules
  arrival_up
  site_up
  for rules in a_rule_for_the_pc 'all_by fiber_first' 'all_by only_lte'; do
    $rules | rules_are
    observers_reset
    for wan in 0 1; do
      reached "$wan" 7000 "$rules"
      reached "$wan" 8000 "$rules, behind the site's router"
    done
    no_foreign_sources "$rules"
  done
}

case_port_forward_with_strict_filter() {
  [[ $family == 4 ]] || return 0 # only IPv4 has this filter
  local rules
  arrival_up
  strict_filter
  goes_where silence server tcp "${wan_address[1]}" 7000 --timeout 0.5
  for rules in a_rule_for_the_pc 'all_by fiber_first' 'all_by only_lte'; do
    $rules | rules_are
    reached 0 7000 "$rules"
    reached 1 7000 "$rules"
    router_is_reached 0 "$rules"
    router_is_reached 1 "$rules"
    # What the rules send by the WAN that main does not prefer is let back in.
    [[ $rules != *only_lte ]] || goes_by 1 tv tcp "$internet" 443
    [[ $rules != *only_lte ]] || goes_by 1 tv udp "$internet" 443
  done
  # Turned off and on while the daemon runs.
  router sysctl -q -w net.ipv4.conf.all.rp_filter=0 "net.ipv4.conf.${wan_device[1]}.rp_filter=0"
  reached 1 7000 'no filter'
  strict_filter
  await 5 'strict again' reaches_tv 1
  no_foreign_sources 'throughout'
}

reaches_tv() { [[ $(ask server tcp "${wan_address[$1]}" 7000 --timeout 0.5) == "$internet" ]]; } # WAN

# firewalld's forward-port and others mark a packet and compare the whole mark later.
case_marked_by_the_firewall() {
  local to
  arrival_up
  to="ip to $tv:7000"
  [[ $family == 4 ]] || to="ip6 to [$tv]:7000"
  router nft -f - <<RULES
table inet by_mark {
  chain marks {
    type filter hook prerouting priority mangle; policy accept;
    iifname { ${wan_device[0]}, ${wan_device[1]} } meta l4proto { tcp, udp } th dport { 9000, 443 } meta mark set 0x64
  }
  chain forwards {
    type nat hook prerouting priority dstnat; policy accept;
    meta mark 0x64 meta nfproto ipv$family meta l4proto { tcp, udp } th dport 9000 dnat $to
  }
  chain in {
    type filter hook input priority filter; policy accept;
    iifname { ${wan_device[0]}, ${wan_device[1]} } meta l4proto { tcp, udp } th dport 443 meta mark != 0x64 drop
  }
}
RULES
  a_rule_for_the_pc | rules_are
  for wan in 0 1; do
    reached "$wan" 9000 'forwarded by its mark'
    reached "$wan" 443 'let in by its mark'
  done
  no_foreign_sources 'throughout'
}

case_services_of_the_router() {
  local rules
  arrival_up
  for rules in a_rule_for_the_pc 'all_by fiber_first' 'all_by only_lte'; do
    $rules | rules_are
    observers_reset
    router_is_reached 0 "$rules"
    router_is_reached 1 "$rules"
    no_foreign_sources "$rules"
  done
}

# Long connections, while the policy's WANs come and go.
case_failback_leaves_inbound_alone() {
  arrival_up
  policy_options='failback = "move"'
  all_by fiber_first | rules_are
  flow_start forwarded-tcp server tcp "${wan_address[1]}" 7000 --flows 3
  flow_start forwarded-udp server udp "${wan_address[1]}" 7000 --flows 3
  flow_start local-tcp server tcp "${wan_address[1]}" 443 --flows 3
  flow_start local-udp server udp "${wan_address[1]}" 443 --flows 3
  local since name
  since=$(now_ms)
  wgsteer wan fiber down
  await 5 'by the second' answered_by 1 pc udp "$internet" 443 --timeout 0.3
  wgsteer wan fiber auto
  await 5 'by the first' answered_by 0 pc udp "$internet" 443 --timeout 0.3
  wan_link_down 0
  await 5 'by the second' answered_by 1 pc udp "$internet" 443 --timeout 0.3
  wan_up 0
  await 5 'by the first' answered_by 0 pc udp "$internet" 443 --timeout 0.3
  await 5 'converged' traffic_converged
  daemon_stop KILL
  daemon_start
  await 15 'the daemon has converged' traffic_converged
  for name in forwarded-tcp forwarded-udp local-tcp local-udp; do
    flow_is_untouched "$name" "$internet" "$since" 'throughout'
  done
  no_foreign_sources 'throughout'
}

# ---- ICMP errors ----------------------------------------------------------------------------------------------------

# From the WAN that the connection came in by, with its address: others are dropped at the ISP before they are counted.
errors_by() { # WAN WHAT
  check "$2: errors by ${wan_name[$1]}" at_least 1 observed "$1" errors
  equal "$2: errors by the other WAN" 0 "$(observed $((1 - $1)) errors)"
  no_foreign_sources "$2"
}

case_closed_port_of_a_lan_host() {
  arrival_up
  a_rule_for_the_pc | rules_are
  local wan
  for wan in 0 1; do
    observers_reset
    goes_where refused server udp "${wan_address[$wan]}" 7001
    goes_where refused server tcp "${wan_address[$wan]}" 7001
    errors_by "$wan" 'closed port'
  done
}

# The router itself says that packets from outside are too big for its LAN.
case_too_big_for_the_lan() {
  local wan rules
  arrival_up
  for rules in a_rule_for_the_pc 'all_by fiber_first'; do
    $rules | rules_are
    router ip link set br-lan mtu 1300
    for wan in 0 1; do
      observers_reset
      in_host server ip -"$family" route flush cache
      goes_where too-big server udp "${wan_address[$wan]}" 7000 --size 1400 --df --tries 3 --timeout 0.5
      errors_by "$wan" "$rules: too big"
      goes_where "$internet" server tcp "${wan_address[$wan]}" 7000 --size 30000
    done
    router ip link set br-lan mtu 1500
    in_host server ip -"$family" route flush cache
  done
}

# The router says to its LAN that packets are too big for the exit, of connections in either direction.
case_too_big_for_the_exit() {
  arrival_up
  printf '[[rule]]\nname = "tv"\nsrc_ip = ["%s"]\nuse_policy = "lte_first"\n' "$tv" | rules_are
  router ip link set "${wan_device[1]}" mtu 1400
  await 5 'converged' traffic_converged
  goes_where too-big tv udp "$internet" 443 --size 1450 --df --tries 3 --timeout 0.5
  in_host tv ip -"$family" route flush cache
  goes_by 1 tv tcp "$internet" 443 --size 30000
  in_host tv ip -"$family" route flush cache
  goes_where "$internet" server tcp "${wan_address[1]}" 7000 --reply 30000
  no_foreign_sources 'throughout'
}

# Hops are shown to the LAN by the router's LAN address.
case_hops_are_shown() {
  arrival_up
  all_by only_lte | rules_are
  check 'the first hop is the router' has_line "From $lan_router.*(Time to live exceeded|Hop limit)" \
    in_host tv ping -n -c 1 -W 1 -t 1 "$internet"
  check "the second hop is the second WAN's gateway" has_line "From ${wan_gateway[1]}.*(Time to live exceeded|Hop limit)" \
    in_host tv ping -n -c 1 -W 1 -t 2 "$internet"
}

run_cases "$@"
