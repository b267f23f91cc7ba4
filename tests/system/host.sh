#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Host setups found in practice: what is reachable without wgsteer stays reachable with it, by the same device, and
# foreign state is not touched.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

inner4_site=10.97.0.2 inner6_site=fd97::2

# A tunnel `wgh` of the router to a peer on another host, which answers through it.
site_up() { # HOST ADDRESS
  wireguard_go "$1" site
  tunnel_configuration "$kPhoneKey" "$kServicePort" "$kRouterKey" 10.97.0.1/32,fd97::1/128 |
    in_host "$1" wg setconf site /dev/stdin
  in_host "$1" ip -batch - <<SITE
addr add $inner4_site/24 dev site
addr add $inner6_site/64 dev site
link set site up
SITE
  wireguard_go router wgh
  tunnel_configuration "$kRouterKey" 0 "$kPhoneKey" 10.97.0.0/24,fd97::/64 "$(socket_address "$2" "$kServicePort")" |
    router wg setconf wgh /dev/stdin
  router ip -batch - <<'ROUTER'
addr add 10.97.0.1/24 dev wgh
addr add fd97::1/64 dev wgh
link set wgh up
ROUTER
}

site_answers() {
  local site=$inner4_site
  [[ $family == 4 ]] || site=$inner6_site
  quietly router ping -n -c 1 -W 1 "$site"
}

# A WireGuard server on the router, so that there are rules for its replies.
service_up() {
  wireguard_go router wgs
  tunnel_configuration "$kServerKey" "$kServicePort" "$kPhoneKey" 10.98.0.2/32,fd98::2/128 |
    router wg setconf wgs /dev/stdin
  router ip link set wgs up
}

# Forces a new handshake, so that no cached source or route hides a problem.
site_forget() { # ADDRESS
  local peer
  peer=$(public_key "$kPhoneKey")
  router wg set wgh peer "$peer" remove
  router wg set wgh peer "$peer" endpoint "$(socket_address "$1" "$kServicePort")" allowed-ips 10.97.0.0/24,fd97::/64
}

reached_before_and_after() { # ADDRESS
  await 20 'without wgsteer, the site answers' site_answers
  daemon_start_and_converge
  site_forget "$1"
  await 20 'with wgsteer, the site answers' site_answers
}

# NetworkManager, dhcpcd and netifd (with a metric) add a LAN's prefix as a route, and its address with noprefixroute.
case_lan_without_prefix_route() {
  local lan=192.168.1.50
  [[ $family == 4 ]] || lan=fd01::50
  topology_up
  topology_lan
  router ip -batch - <<'ROUTER'
addr del 192.168.1.1/24 dev lan0
addr del fd01::1/64 dev lan0
addr add 192.168.1.1/24 dev lan0 noprefixroute
addr add fd01::1/64 dev lan0 noprefixroute
route add 192.168.1.0/24 dev lan0 proto kernel scope link src 192.168.1.1 metric 425
route add fd01::/64 dev lan0 proto kernel metric 425
ROUTER
  site_up phone "$lan"
  reached_before_and_after "$lan"
}

# A site behind a router on the LAN; the route is static, or learned by a routing protocol while the daemon runs.
case_behind_a_router_of_the_lan() {
  local site=10.50.0.9 prefix=10.50.0.0/16 via=192.168.1.50
  [[ $family == 4 ]] || site=fd50::9 prefix=fd50::/32 via=fd01::50
  topology_up
  topology_lan
  in_host phone ip -"$family" addr add "$site" dev lo
  router_ip route add "$prefix" via "$via" proto static
  site_up phone "$site"
  reached_before_and_after "$site"
  router_ip route del "$prefix"
  router_ip route add "$prefix" via "$via" proto ospf metric 20
  site_forget "$site"
  await 20 'the site answers by a learned route' site_answers
}

# A company's site behind one of the uplinks, whose router announces it by BGP, before and while the daemon runs.
case_behind_a_wan() {
  local site=10.50.0.9 prefix=10.50.0.0/16
  [[ $family == 4 ]] || site=fd50::9 prefix=fd50::/32
  topology_up
  in_host isp1 ip -"$family" addr add "$site" dev lo
  router_ip route add "$prefix" via "${wan_gateway[1]}" dev wan1 proto bgp metric 20
  site_up isp1 "$site"
  reached_before_and_after "$site"
  router_ip route del "$prefix" proto bgp
  site_forget "$site"
  await 20 'the site is unreachable without the route' fails site_answers
  router_ip route add "$prefix" via "${wan_gateway[1]}" dev wan1 proto bgp metric 20
  site_forget "$site"
  await 20 'the site answers by a route learned meanwhile' site_answers
}

# A full feed is recognised as one: none of it is mirrored, and check reports that.
case_a_feed_by_a_wan() {
  topology_up
  tunnel_up route_halves
  daemon_start_and_converge
  local i
  for ((i = 0; i < 1500; i++)); do
    if [[ $family == 4 ]]; then
      echo "route add 100.$((i / 250)).$((i % 250)).0/24 via ${wan_gateway[1]} dev wan1 proto bgp"
    else
      echo "route add 2001:db9:$i::/48 via ${wan_gateway[1]} dev wan1 proto bgp"
    fi
  done | router_ip -batch -
  await 10 'none of it is in our tables' fails has_line '^(100\.|2001:db9:).* proto 87' router_ip route show table all
  await 5 'check reports the feed' \
    has_line 'too many specific routes to track: those learned from routers on WANs' wgsteer check
  tunnel_forget
  traffic_start
  await_handshake
  steady_on 0 'with a feed'
}

# `throw` ends the lookup in main; later rules continue, to the table `default`.
case_thrown_by_main() {
  local site=10.50.0.9 via=192.168.1.50
  [[ $family == 4 ]] || site=fd50::9 via=fd01::50
  topology_up
  topology_lan
  in_host phone ip -"$family" addr add "$site" dev lo
  router_ip rule add pref 32767 lookup default 2>/dev/null || true
  router_ip route add throw "$site"
  router_ip route add default via "$via" dev lan0 table default
  site_up phone "$site"
  reached_before_and_after "$site"
}

# A host that is blocked by a route (fail2ban, by hand) stays blocked, until that is taken back.
case_refused_by_main() {
  topology_up
  tunnel_up route_halves
  router_ip route add prohibit "$endpoint"
  daemon_start_and_converge
  tunnel_forget
  check 'check reports the route' has_line 'cannot be reached: route prohibit .* refuses it' wgsteer check
  traffic_start
  check 'explain says so' has_line '.*prohibit' wgsteer explain "$endpoint"
  equal 'no packet to a blocked host by a WAN' '0 0' "$(right 0) $(right 1)"
  router_ip route del prohibit "$endpoint"
  await_handshake
  steady_on 0 'no longer blocked'
  router_ip rule add pref 1000 to "$endpoint" prohibit
  await 5 'the rule keeps its effect' has_line '.*to .* prohibit proto 87' router_ip rule show
}

# A second tunnel whose server is reached through the first is left alone, and check reports that.
case_tunnel_in_a_tunnel() {
  local site=10.60.0.9 prefix=10.60.0.0/16
  [[ $family == 4 ]] || site=fd60::9 prefix=fd60::/32
  topology_up
  in_host server ip -"$family" addr add "$site" dev lo
  tunnel_up
  router_ip route add "$prefix" dev "$tunnel_device"
  site_up server "$site"
  reached_before_and_after "$site"
  check 'check reports it' has_line "wgh: peer .* is left alone: main reaches it through a tunnel" wgsteer check
  equal 'the fwmark of wgh' off "$(router wg show wgh fwmark)"
}

# A static host route selects a WAN, as long as that works.
case_host_route_chooses_a_wan() {
  endpoint=203.0.113.56
  [[ $family == 4 ]] || endpoint=2001:db8:cafe::56
  topology_up
  router_ip route add "$endpoint" via "${wan_gateway[1]}" dev wan1
  tunnel_up route_halves
  daemon_start_and_converge
  tunnel_forget
  traffic_start
  await_handshake
  steady_on 1 'host route'
  wan_link_down 1
  comes_to_rest_on 0 'the WAN of the host route is down'
}

# VRF hosts move `lookup local` to 32765, just before main, Cilium to 100, between our rules and it.
local_table_is_asked_at() { # PRIORITY
  topology_up
  router_ip rule add pref "$1" lookup local
  router_ip rule del pref 0
  tunnel_up route_halves
  service_up
  daemon_start_and_converge
  check 'the rule stays where it is' prints "$1" priority_of_local
  counters_reset
  tunnel_forget
  traffic_start
  await_handshake
  nothing_misrouted 'from the first packet on'
  steady_on 0 'steered'
  wan_link_down 0
  await_traffic 'traffic by the second WAN'
  comes_to_rest_on 1 'failover'
  daemon_stop TERM
  quietly wgsteer flush
  check 'the rule stays after flush' prints "$1" priority_of_local
}
priority_of_local() { router_ip rule show | sed -n '/proto 87/d; s/:.*lookup local.*//p'; }
case_local_table_is_asked_last() { local_table_is_asked_at 32765; }
case_local_table_is_asked_after_ours() { local_table_is_asked_at 100; }

# A tunnel whose peer is on this host, at the WAN's address, such as a container with a published port.
own_endpoint_with_local_table_at() { # PRIORITY
  topology_up
  router_ip rule add pref "$1" lookup local
  router_ip rule del pref 0
  service_up
  wireguard_go router wgh
  router ip link set wgh up
  own_peer_set
  await 10 'without wgsteer, the peer answers' own_peer_answers
  daemon_start_and_converge
  own_peer_set
  await 10 'with wgsteer, the peer answers' own_peer_answers
}
own_peer_set() { # makes WireGuard start a handshake
  tunnel_configuration "$kPhoneKey" 0 "$kServerKey" 10.98.0.0/24,fd98::/64 \
    "$(socket_address "${wan_address[0]}" "$kServicePort")" | router wg setconf wgh /dev/stdin
  router wg set wgh peer "$(public_key "$kServerKey")" persistent-keepalive 1
}
own_peer_answers() { [[ $(router wg show wgh latest-handshakes) == *[[:blank:]][1-9]* ]]; }
case_own_endpoint_with_local_table_last() { own_endpoint_with_local_table_at 32765; }
case_own_endpoint_with_local_table_after_ours() { own_endpoint_with_local_table_at 100; }
case_own_endpoint_with_local_table_first() { own_endpoint_with_local_table_at 1; }

# The public address is on lo, and the route has it as its source; the WAN's own address belongs to a transfer network.
case_source_on_the_loopback_device() {
  local service=192.0.2.200
  [[ $family == 4 ]] || service=2001:db8:10::200
  topology_up
  router_ip addr add "$service" dev lo
  in_host isp0 ip -"$family" route add "$service" via "${wan_address[0]}" dev customer
  router_ip route replace default via "${wan_gateway[0]}" dev wan0 src "$service" metric 100
  tunnel_up route_halves
  daemon_start_and_converge
  tunnel_forget
  traffic_start
  await_handshake
  check "the server sees the route's source" has_line "[[:blank:]]\[?${service//./\\.}\]?:" server_sees
  steady_on 0 'steered'
  router_ip route replace default via "${wan_gateway[0]}" dev wan0 metric 100
}

two_wans() {
  printf '[[wan]]\nname = "dsl1"\ndevice = "wan0"\n[[wan]]\nname = "dsl2"\ndevice = "wan1"\n'
}

# Two tunnels to the same endpoint, each over its own WAN: the endpoint alone does not distinguish them.
case_two_tunnels_to_one_server() {
  topology_up
  { two_wans; printf '[[tunnel]]\ninterface = "wg0"\nuse_wan = ["dsl1"]\n[[tunnel]]\ninterface = "wgx"\nuse_wan = ["dsl2"]\n'; } \
    >"$work/wgsteer.toml"
  daemon_arguments=(-c "$work/wgsteer.toml")
  tunnel_up route_halves
  second_tunnel_up
  daemon_start_and_converge
  tunnel_forget
  traffic_start
  await_handshake
  counters_reset
  await_traffic 'the first tunnel'
  await 10 'the first tunnel by its WAN' at_least 5 right 0
  await 10 'the second tunnel by its WAN' at_least 2 right 1
  nothing_misrouted 'two tunnels'
  check 'the second tunnel has not roamed' second_leaves_by 1
}

# The NixOS firewall and older firewalld check the reverse path at priority mangle, newer ones later; all with the mark.
case_reverse_path_filters_of_nftables() {
  local priority
  steered_tunnel_up
  for priority in mangle 'mangle + 10' 'filter + 10'; do
    router nft -f - <<RULES
table inet rpfilter {
  chain filter {
    type filter hook prerouting priority $priority; policy accept;
    icmpv6 type { nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept
    fib saddr . mark . iif oif missing counter drop
  }
}
RULES
    await_traffic "a filter at $priority"
    equal "dropped at $priority" 0 "$(router nft list table inet rpfilter | awk '$8 == "packets" || /packets/ { for (i = 1; i < NF; i++) if ($i == "packets") print $(i + 1) }')"
    router nft delete table inet rpfilter
  done
}

# udhcpc and route(8) add defaults with the same metric: IPv4 uses the first one. IPv6 would merge them into one route.
case_defaults_of_one_metric() {
  topology_up
  router_ip route flush default
  if [[ $family == 4 ]]; then
    router_ip route add default via "${wan_gateway[1]}" dev wan1
    router_ip route append default via "${wan_gateway[0]}" dev wan0
  else
    router_ip route add default via "${wan_gateway[1]}" dev wan1 metric 10
    router_ip route add default via "${wan_gateway[0]}" dev wan0 metric 20
  fi
  tunnel_up route_halves
  daemon_start_and_converge
  tunnel_forget
  traffic_start
  await_handshake
  steady_on 1 'by the first default'
  router_ip route del default dev wan1
  await_traffic 'by the remaining default'
  steady_on 0 'by the remaining default'
}

# UniFi, and networkd with RouteTable=: each WAN's default is in its own table, and main has none.
case_defaults_that_are_not_in_main() {
  topology_up
  router_ip route flush default
  router_ip route add default via "${wan_gateway[0]}" dev wan0 table 201
  router_ip route add default via "${wan_gateway[1]}" dev wan1 table 202
  router_ip rule add pref 32501 fwmark 0x1c0000/0x7e0000 lookup 202
  router_ip rule add pref 32767 lookup 201
  tunnel_up route_halves
  daemon_start_and_converge
  tunnel_forget
  traffic_start
  await_handshake
  steady_on 0 'without a configuration'
}

# networkd's rules for a tunnel come before ours and match everything with a different mark.
case_foreign_rules_before_ours() {
  tunnel_fwmark=911
  topology_up
  tunnel_up
  router_ip route add default dev "$tunnel_device" table 1000
  router_ip rule add pref 10 lookup main suppress_prefixlength 0
  router_ip rule add pref 11 not fwmark 911 lookup 1000
  second_tunnel_up
  daemon_start_and_converge
  traffic_start
  await_handshake
  await 10 'the second tunnel does not go through the first' second_leaves_by 0
  # Without wgsteer it would.
  steady_on 0 'two tunnels'
  router_ip rule del pref 10
  router_ip rule del pref 11
  await 5 'the rules before the foreign ones are gone' fails has_line goto router_ip rule show
}

# A foreign rule that matches everything, at the priority of one of ours, and ahead of it.
case_foreign_rule_among_ours() {
  local priority
  topology_up
  tunnel_up
  service_up
  router_ip route add default dev "$tunnel_device" table 500
  for priority in 60 65 70; do
    router_ip rule add pref "$priority" lookup 500
    daemon_start_and_converge
    tunnel_forget
    traffic_start
    await_handshake
    steady_on 0 "a rule at $priority"
    daemon_stop TERM
    quietly wgsteer flush
    router_ip rule del pref "$priority"
  done
}

# A user's fwmark inside our mask, which only a firewall refers to: it stays through a restart and after flush.
case_own_fwmark_of_our_bits() {
  tunnel_fwmark=0x10000000
  topology_up
  tunnel_up route_halves
  router nft -f - <<'RULES'
table inet kill_switch {
  chain out { type filter hook output priority 0; udp dport 51820 meta mark != 0x10000000 drop; }
}
RULES
  daemon_start_and_converge
  equal 'the mark while the daemon runs' 0x10000000 "$(tunnel_mark)"
  tunnel_forget
  traffic_start
  await_handshake
  steady_on 0 'with its own mark'
  daemon_stop KILL
  daemon_start_and_converge
  steady_on 0 'after a restart'
  equal 'the mark after a restart' 0x10000000 "$(tunnel_mark)"
  quietly wgsteer flush
  equal 'the mark after flush' 0x10000000 "$(tunnel_mark)"
}

# If one kind of object cannot be written, all others still are.

case_read_only_sysctls() {
  topology_up
  router mount --bind /proc/sys /proc/sys
  router mount -o remount,ro,bind /proc/sys
  daemon_start
  await 10 'rules are installed' has_line 'proto 87' router_ip rule show
  tunnel_up route_halves
  await 5 'a new tunnel is marked' prints 0xf0000000 tunnel_mark
  traffic_start
  await_handshake
  steady_on 0 'steered'
  daemon_stop TERM
  quietly wgsteer flush
  equal 'our remaining rules' '' "$(router_ip rule show | grep 'proto 87' || true)"
}

case_somebody_elses_table_of_our_name() {
  steered_tunnel_up
  router nft -f - <<'RULES'
delete table inet wgsteer
table inet wgsteer {
  chain theirs { type filter hook input priority 0; }
}
RULES
  await 5 'check reports it' has_line 'table inet wgsteer belongs to another program' wgsteer check
  wireguard_go router wgx
  router ip link set wgx up
  await 5 'a new tunnel is marked without the table' prints 0xf0000000 router wg show wgx fwmark
  steady_on 0 'without a table'
  check 'the foreign table stays' has_line 'chain theirs' router nft list table inet wgsteer
  router nft delete table inet wgsteer
  await 5 'our table is restored' converged
}

run_cases "$@"
