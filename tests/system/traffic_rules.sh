#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Rules for any traffic: which connections they take, where those go, and what is left alone.
set -u
# shellcheck source=../support/traffic.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/traffic.sh"

# ---- The world itself, without the daemon ---------------------------------------------------------------------------

case_world_follows_main() {
  traffic_up
  goes_by 0 tv tcp "$internet" 443
  goes_by 0 pc udp "$internet" 443
  goes_by 0 router tcp "$elsewhere" 80
  pings_by 0 tv "$internet"
  equal 'packets by the second WAN' 0 "$(observed 1 all)"
  wan_link_down 0
  goes_by 1 tv tcp "$internet" 443
  goes_by 1 router udp "$internet" 443
  wan_up 0
  goes_by 0 tv tcp "$internet" 443
  no_foreign_sources 'the world as it is'
}

case_world_drops_foreign_sources() {
  traffic_up
  router_ip rule add pref 10 to "$elsewhere" lookup 9
  router_ip route add default via "${wan_gateway[1]}" dev "${wan_device[1]}" table 9
  goes_by 1 tv tcp "$elsewhere" 443
  no_foreign_sources 'NAT'
  # Nobody translates what the router sends itself.
  goes_where silence router udp "$elsewhere" 443 --source "${wan_address[0]}" --timeout 0.3
  equal 'packets with a foreign source' '0 1' "$(foreign_sources)"
  router nft delete table inet firewall
  goes_where silence pc udp "$internet" 443 --timeout 0.3
  equal 'packets with a foreign source without NAT' '1 1' "$(foreign_sources)"
}

# ---- Order ----------------------------------------------------------------------------------------------------------

video_first() {
  cat <<TOML
[[rule]]
name = "video"
src_ip = ["$tv"]
dest_port = ["443"]
use_policy = "only_lte"
TOML
}

tv_by_fiber() {
  cat <<TOML
[[rule]]
name = "tv"
src_ip = ["$tv"]
use_policy = "fiber_first"
TOML
}

catch_all() { # POLICY
  printf '[[rule]]\nname = "rest"\nuse_policy = "%s"\n' "$1"
}

case_first_match_decides() {
  traffic_up
  { video_first && tv_by_fiber && catch_all lte_first; } | rules_are
  local protocol
  for protocol in tcp udp; do
    goes_by 1 tv "$protocol" "$internet" 443
    goes_by 0 tv "$protocol" "$internet" 80
    goes_by 1 pc "$protocol" "$internet" 443
    goes_by 1 pc "$protocol" "$internet" 80
  done
  pings_by 0 tv "$internet"
  pings_by 1 pc "$internet"

  { tv_by_fiber && video_first && catch_all lte_first; } | rules_are
  for protocol in tcp udp; do
    goes_by 0 tv "$protocol" "$internet" 443
    goes_by 1 pc "$protocol" "$internet" 443
  done
  { catch_all lte_first && tv_by_fiber && video_first; } | rules_are
  goes_by 1 tv tcp "$internet" 443
  goes_by 1 tv tcp "$internet" 80
  no_foreign_sources 'throughout'
}

case_a_disabled_rule_is_skipped() {
  traffic_up
  { video_first && echo 'enabled = false' && tv_by_fiber && catch_all lte_first; } | rules_are
  goes_by 0 tv tcp "$internet" 443
  goes_by 1 pc tcp "$internet" 443
}

# WANs in place instead of a policy's name.
case_wans_in_place() {
  traffic_up
  printf '[[rule]]\nsrc_ip = ["%s"]\nuse_wan = ["lte", "fiber"]\n' "$tv" | rules_are
  goes_by 1 tv tcp "$internet" 443
  goes_by 0 pc tcp "$internet" 443
  wgsteer wan lte down
  goes_by 0 tv tcp "$internet" 443
}

# ---- Selectors ------------------------------------------------------------------------------------------------------

# One rule with these selectors leads to the second WAN.
only() { # LINE...
  { printf '[[rule]]\nname = "chosen"\n' && printf '%s\n' "$@" 'use_policy = "lte_first"'; } | rules_are
}

takes() { goes_by 1 "$@"; }  # HOST PROTOCOL ADDRESS PORT [OPTION]...
leaves() { goes_by 0 "$@"; } # HOST PROTOCOL ADDRESS PORT [OPTION]...

case_addresses() {
  traffic_up
  only "src_ip = [\"$tv\"]"
  takes tv tcp "$internet" 443
  takes tv udp "$internet" 53
  leaves pc tcp "$internet" 443
  only "src_ip = [\"$lan_prefix\", \"!$pc\"]"
  takes tv tcp "$internet" 443
  leaves pc tcp "$internet" 443
  only "src_ip = [\"!$tv\"]" 'origin = "forwarded"'
  leaves tv tcp "$internet" 443
  takes pc tcp "$internet" 443
  only "dest_ip = [\"$elsewhere\"]"
  takes tv tcp "$elsewhere" 443
  leaves tv tcp "$internet" 443
  only "dest_ip = [\"!$elsewhere\"]"
  leaves tv udp "$elsewhere" 443
  takes tv udp "$internet" 443
  only "src_ip = [\"$tv\"]" "dest_ip = [\"$elsewhere\", \"192.0.2.128/25\", \"2001:db8:99::/48\"]"
  takes tv tcp "$elsewhere" 443
  leaves tv tcp "$internet" 443
  leaves pc tcp "$elsewhere" 443
  no_foreign_sources 'throughout'
}

case_ports_and_protocols() {
  traffic_up
  only 'dest_port = ["443", "7000-7999"]'
  takes tv tcp "$internet" 443
  takes tv udp "$internet" 7000
  leaves tv tcp "$internet" 80
  leaves tv udp "$internet" 8000
  only 'dest_port = ["443"]' 'proto = ["udp"]'
  takes tv udp "$internet" 443
  leaves tv tcp "$internet" 443
  only 'dest_port = ["!443"]' 'proto = ["tcp"]'
  takes tv tcp "$internet" 80
  leaves tv tcp "$internet" 443
  leaves tv udp "$internet" 80
  only 'src_port = ["5000-5009"]'
  takes tv tcp "$internet" 443 --sport 5003
  takes tv udp "$internet" 443 --sport 5009
  leaves tv udp "$internet" 443 --sport 5010
  # Fragments have no ports of their own.
  only 'dest_port = ["443"]' 'proto = ["udp"]'
  takes tv udp "$internet" 443 --size 4000
  leaves tv udp "$internet" 80 --size 4000
  only 'src_port = ["5000-5009"]' 'dest_port = ["80"]' 'proto = ["udp"]'
  takes tv udp "$internet" 80 --sport 5000
  leaves tv udp "$internet" 443 --sport 5000
  leaves tv udp "$internet" 80 --sport 4999
  only 'proto = ["tcp"]'
  takes tv tcp "$internet" 80
  leaves tv udp "$internet" 80
  pings_by 0 tv "$internet"
  only 'proto = ["17"]'
  takes tv udp "$internet" 80
  leaves tv tcp "$internet" 80
  if [[ $family == 4 ]]; then only 'proto = ["icmp"]'; else only 'proto = ["58"]'; fi
  pings_by 1 tv "$internet"
  leaves tv udp "$internet" 80
  no_foreign_sources 'throughout'
}

case_devices_and_hardware_addresses() {
  traffic_up
  guest_up
  only 'src_iface = ["br-lan"]'
  takes tv tcp "$internet" 443
  takes pc udp "$internet" 443
  leaves guest tcp "$internet" 443
  only 'src_iface = ["guest0"]'
  leaves tv tcp "$internet" 443
  takes guest tcp "$internet" 443
  only 'src_iface = ["!br-lan"]' 'origin = "forwarded"'
  leaves tv tcp "$internet" 443
  takes guest udp "$internet" 443
  only "src_mac = [\"$kTvMac\"]"
  takes tv tcp "$internet" 443
  leaves pc tcp "$internet" 443
  only "src_mac = [\"!$kTvMac\"]" 'src_iface = ["br-lan"]'
  leaves tv tcp "$internet" 443
  takes pc tcp "$internet" 443
  only 'dscp = ["ef", "10"]'
  takes tv udp "$internet" 443 --dscp 46
  takes tv udp "$internet" 443 --dscp 10
  leaves tv udp "$internet" 443
  only 'dscp = ["!ef"]' 'src_iface = ["br-lan"]'
  leaves tv tcp "$internet" 443 --dscp 46
  takes tv tcp "$internet" 443
  no_foreign_sources 'throughout'
}

case_families() {
  traffic_up
  only 'family = "ipv4"'
  if [[ $family == 4 ]]; then takes tv tcp "$internet" 443; else leaves tv tcp "$internet" 443; fi
  only 'family = "ipv6"'
  if [[ $family == 6 ]]; then takes tv tcp "$internet" 443; else leaves tv tcp "$internet" 443; fi
  # Values of one family leave the other alone, also to the rules that follow.
  { only_of_ipv4 && catch_all fiber_first; } | rules_are
  if [[ $family == 4 ]]; then takes tv tcp "$internet" 443; else leaves tv tcp "$internet" 443; fi
  only 'src_ip = ["192.168.1.10", "2001:db8:1::10"]'
  takes tv tcp "$internet" 443
  leaves pc tcp "$internet" 443
}

only_of_ipv4() { printf '[[rule]]\nsrc_ip = ["192.168.1.0/24"]\nuse_policy = "lte_first"\n'; }

# ---- Other ends than a policy ---------------------------------------------------------------------------------------

case_main_ends_the_evaluation() {
  traffic_up
  { printf '[[rule]]\nsrc_ip = ["%s"]\ndest_port = ["443"]\nuse_policy = "main"\n' "$tv" && catch_all only_lte; } | rules_are
  observers_reset
  goes_by 0 tv tcp "$internet" 443
  goes_by 0 tv udp "$internet" 443
  check 'packets were counted' at_least 8 marked seen
  equal 'packets with a mark' '0 0' "$(marked meta_marked) $(marked ct_marked)"
  goes_by 1 tv tcp "$internet" 80
  goes_by 1 pc tcp "$internet" 443
}

# One end of a rule: unreachable or blackhole, for the tv alone.
ends_in() { # unreachable|blackhole
  { printf '[[rule]]\nname = "stop"\nsrc_ip = ["%s"]\nuse_policy = "%s"\n' "$tv" "$1" && catch_all lte_first; } | rules_are
  observers_reset
}

fails_at_once() { # HOST PROTOCOL ADDRESS PORT
  local answer
  answer=$(asked_in "$@")
  note "$*: ${answer% *} after ${answer#* } ms"
  check "$*: an error instead of silence" has_line '^(unreachable|refused|reset) ' echo "$answer"
  # Between veth devices the error arrives while TCP is still inside connect(), which for IPv6 means after the second SYN.
  local bound=500
  [[ $family$2 != 6tcp ]] || bound=1500
  check "$*: it comes at once" at_most "$bound" echo "${answer#* }"
}

case_unreachable_fails_at_once() {
  traffic_up
  ends_in unreachable
  fails_at_once tv tcp "$internet" 443
  fails_at_once tv udp "$internet" 443
  equal 'packets that left' '0 0' "$(observed 0 all) $(observed 1 all)"
  goes_by 1 pc tcp "$internet" 443
  # The gateway itself, and what is inside, is still there.
  check 'the gateway answers' quietly in_host tv ping -n -c 1 -W 1 "$lan_router"
}

case_blackhole_is_silent() {
  traffic_up
  ends_in blackhole
  goes_where silence tv tcp "$internet" 443 --timeout 0.7
  goes_where silence tv udp "$internet" 443 --timeout 0.7
  equal 'packets that left' '0 0' "$(observed 0 all) $(observed 1 all)"
  goes_by 1 pc tcp "$internet" 443
  check 'the gateway answers' quietly in_host tv ping -n -c 1 -W 1 "$lan_router"
}

# A policy without a usable exit never falls through to main, unless it says so.
case_a_policy_without_exits() {
  traffic_up
  printf '[[rule]]\nsrc_ip = ["%s"]\nuse_policy = "only_lte"\n' "$tv" | rules_are
  goes_by 1 tv tcp "$internet" 443
  wan_link_down 1
  await 5 'converged' traffic_converged
  observers_reset
  fails_at_once tv tcp "$internet" 443
  fails_at_once tv udp "$internet" 443
  equal 'packets by the first WAN' 0 "$(observed 0 all)"
  goes_by 0 pc tcp "$internet" 443
  wan_up 1
  await 5 'by the second WAN again' answered_by 1 tv tcp "$internet" 443
}

case_last_resort_main() {
  traffic_up
  cat <<TOML | rules_are
[[policy]]
name = "lte_or_main"
use_wan = ["lte"]
last_resort = "main"
[[rule]]
src_ip = ["$tv"]
use_policy = "lte_or_main"
TOML
  goes_by 1 tv tcp "$internet" 443
  wan_link_down 1
  await 5 'as main says' answered_by 0 tv tcp "$internet" 443
  wan_up 1
  await 5 'by the second WAN again' answered_by 1 tv tcp "$internet" 443
}

# ---- What is left alone ---------------------------------------------------------------------------------------------

case_what_no_rule_matched_has_no_mark() {
  traffic_up
  guest_up
  site_up
  cat <<TOML | rules_are
[[rule]]
name = "tv"
src_ip = ["$tv"]
use_policy = "lte_first"
[[rule]]
name = "names"
dest_port = ["53"]
use_policy = "lte_first"
TOML
  observers_reset
  goes_by 0 pc tcp "$internet" 443
  goes_by 0 pc udp "$internet" 443
  goes_by 0 guest tcp "$elsewhere" 80
  goes_by 0 router tcp "$internet" 80
  goes_by 0 router udp "$internet" 80
  pings_by 0 pc "$internet"
  pings_by 0 router "$internet"
  check 'pc reaches the guest' quietly in_host pc ping -n -c 1 -W 1 "$guest"
  goes_where "$pc" pc tcp "$site" 80
  goes_where "$guest" guest udp "$site" 80
  local seen
  seen=$(marked seen)
  note "$seen packets"
  ((seen > 40)) || fail 'too few packets were counted'
  equal 'forwarded packets with a mark: meta, ct' '0 0' "$(marked meta_marked) $(marked ct_marked)"
  equal 'local packets with a mark' 0 "$(marked local_marked)"
  equal 'connections with a mark' '' "$(connections 'mark=[1-9]')"
  # The counters do count, and marks stay within our bits.
  goes_by 1 tv tcp "$internet" 443
  check 'a matched connection has a mark' at_least 1 marked ct_marked
  local marks
  marks=$(connections 'mark=[1-9]' | sed -n 's/.* mark=\([0-9]*\) .*/\1/p' | sort -u)
  local mark
  for mark in $marks; do
    equal "bits of mark $mark outside of ours" 0 $((mark & ~kOurBits))
  done
  goes_by 1 pc udp "$internet" 53
  no_foreign_sources 'throughout'
}

# Connections that a rule would have taken, had it been there, stay where they are.
case_connections_from_before_stay() {
  traffic_up
  : | rules_are
  flow_start udp tv udp "$internet" 7000
  flow_start tcp tv tcp "$internet" 7000 --flows 3
  local since
  since=$(now_ms)
  catch_all lte_first | rules_are
  goes_by 1 tv udp "$internet" 443
  goes_by 1 tv tcp "$internet" 443
  flow_is_untouched udp "${wan_address[0]}" "$since" 'a rule is there'
  flow_is_untouched tcp "${wan_address[0]}" "$since" 'a rule is there'
}

# The same beside rules that were there already: such connections stay bit for bit, and new ones go by the new rule.
case_unmatched_connections_stay_when_a_rule_is_added() {
  traffic_up
  pc_by_lte | rules_are
  flow_start udp tv udp "$internet" 7000 --flows 5
  flow_start tcp tv tcp "$internet" 7000 --flows 5
  local since step
  since=$(now_ms)
  for step in 'pc_by_lte tv_by_lte' 'tv_by_lte pc_by_lte' 'pc_by_lte catch_all_by_lte'; do
    for each in $step; do $each; done | rules_are
    await 5 "$step: nothing else is under way" only_theirs_are_forwarded
    observers_reset
    await 3 "$step: packets" at_least 500 marked seen
    equal "$step: their packets with a mark" '0 0' "$(marked meta_marked) $(marked ct_marked)"
    goes_by 1 tv udp "$internet" 443
    goes_by 1 tv tcp "$internet" 443
  done
  daemon_stop KILL
  daemon_start
  await 15 'the daemon has converged' traffic_converged
  flow_is_untouched udp "${wan_address[0]}" "$since" 'rules were added'
  flow_is_untouched tcp "${wan_address[0]}" "$since" 'rules were added'
  equal 'their connections without a mark' 10 "$(connections 'dport=7000 .* mark=0 ' | grep -cE 'udp|ESTABLISHED')"
}

pc_by_lte() { printf '[[rule]]\nname = "pc"\nsrc_ip = ["%s"]\nuse_policy = "lte_first"\n' "$pc"; }
catch_all_by_lte() { catch_all lte_first; }

# Ends of connections by the new rule have been forwarded.
only_theirs_are_forwarded() {
  local before
  before=$(marked ct_marked)
  read -rt 0.2 -u "$never" || true
  [[ $(marked ct_marked) == "$before" ]]
}

# ---- Inside ---------------------------------------------------------------------------------------------------------

case_inside_destinations_stay_inside() {
  traffic_up
  guest_up
  site_up
  serves pc "$pc"
  serves router "$lan_router" "$guest_router"
  catch_all only_lte | rules_are
  observers_reset
  local protocol
  for protocol in tcp udp; do
    goes_where "$tv" tv "$protocol" "$site" 80
    goes_where "$guest" guest "$protocol" "$site" 80
    goes_where "$tv" tv "$protocol" "$pc" 80
    goes_where "$guest" guest "$protocol" "$pc" 80
    goes_where "$tv" tv "$protocol" "$lan_router" 80
    goes_where "$tv" tv "$protocol" "$guest_router" 80
    goes_where "$(router_address_towards_site)" router "$protocol" "$site" 80
  done
  check 'tv reaches the guest' quietly in_host tv ping -n -c 1 -W 1 "$guest"
  check 'the site reaches the tv' quietly in_host site ping -n -c 1 -W 1 "$tv"
  check "tv reaches the router's address on the first WAN" quietly in_host tv ping -n -c 1 -W 1 "${wan_address[0]}"
  check "tv reaches the router's address on the second WAN" quietly in_host tv ping -n -c 1 -W 1 "${wan_address[1]}"
  check 'the router reaches the tv' quietly in_host router ping -n -c 1 -W 1 "$tv"
  equal 'packets that left' '0 0' "$(observed 0 all) $(observed 1 all)"
  goes_by 1 tv tcp "$internet" 443
}

router_address_towards_site() { echo "$site_router"; }

# A route of main that appears later wins, for connections that are pinned already as well.
case_a_route_that_appears_later_wins() {
  traffic_up
  site_up
  catch_all lte_first | rules_are
  goes_by 1 tv udp "$elsewhere" 7000
  flow_start udp tv udp "$elsewhere" 7000
  flow_start other tv udp "$internet" 7000
  local since
  since=$(now_ms)
  router_ip route add "$elsewhere/$host_length" via "$site_next"
  flow_is_on udp "$tv" 3 'the route is there'
  note "the flow moved after $(flow_moved_after udp "$tv" "$since") ms, $(flow_lost udp) packets lost"
  check 'packets lost' at_most 10 flow_lost udp
  goes_where "$tv" tv tcp "$elsewhere" 443
  flow_is_untouched other "${wan_address[1]}" "$since" 'the other destination'
  router_ip route del "$elsewhere/$host_length" via "$site_next"
  goes_by 1 tv tcp "$elsewhere" 443
}

# A host that another program sends into its VPN or nowhere, and a network that an administrator lets out nowhere.
case_refusals_of_others_stay() {
  traffic_up
  site_up
  guest_up
  router_ip route add default via "$site_next" dev site0 table 300 metric 10
  router_ip route add unreachable default table 300 metric 1000
  router_ip rule add pref 1000 from "$tv" lookup 300
  router_ip rule add pref 1001 iif guest0 to "$pc" lookup main
  router_ip rule add pref 1002 iif guest0 prohibit
  serves pc "$pc"
  catch_all lte_first | rules_are
  goes_where "$tv" tv udp "$elsewhere" 443
  goes_where "$guest" guest tcp "$pc" 80
  goes_by 1 pc tcp "$internet" 443
  observers_reset
  fails_at_once guest tcp "$internet" 443
  router ip link set site0 down
  await 5 'converged' traffic_converged
  fails_at_once tv tcp "$elsewhere" 443
  fails_at_once tv udp "$elsewhere" 443
  equal 'packets that left' '0 0' "$(observed 0 all) $(observed 1 all)"
  goes_by 1 pc tcp "$internet" 443
}

# Halves of a default, as of a tunnel for everything, are a default, too, and nothing inside.
case_halves_of_a_default_are_no_inside_routes() {
  traffic_up
  local half halves=(0.0.0.0/1 128.0.0.0/1)
  [[ $family == 4 ]] || halves=(::/1 8000::/1)
  router ip tuntap add dev vpn0 mode tun
  router ip link set vpn0 up
  for half in "${halves[@]}"; do
    router_ip route add "$half" dev vpn0
  done
  printf '[[rule]]\nsrc_ip = ["%s"]\nuse_policy = "lte_first"\n' "$tv" | rules_are
  goes_by 1 tv tcp "$elsewhere" 443
  goes_by 1 tv udp "$elsewhere" 443
  # Everybody else follows main, where nobody answers.
  observers_reset
  goes_where silence pc udp "$elsewhere" 443 --timeout 0.3
  equal 'packets that left' '0 0' "$(observed 0 all) $(observed 1 all)"
}

# Frames between hosts of one bridge pass through our chains where Docker has loaded br_netfilter.
case_hosts_of_one_bridge() {
  traffic_up
  [[ -n $(router sysctl -n net.bridge.bridge-nf-call-iptables 2>/dev/null) ]] || skip 'this kernel has no br_netfilter'
  bridge_netfilter 1
  serves pc "$pc"
  catch_all only_lte | rules_are
  observers_reset
  goes_where "$tv" tv tcp "$pc" 80
  goes_where "$tv" tv udp "$pc" 80
  check 'ping' quietly in_host tv ping -n -c 1 -W 1 "$pc"
  equal 'connections with a mark' '' "$(connections 'mark=[1-9]')"
  equal 'packets that left' '0 0' "$(observed 0 all) $(observed 1 all)"
  goes_by 1 tv tcp "$internet" 443
  goes_by 1 tv udp "$internet" 443
}

# ---- Without rules --------------------------------------------------------------------------------------------------

case_without_rules_nothing_differs() {
  traffic_up
  router nft delete table inet marks  # its counters would differ
  ruling_state >"$work/without_daemon"
  : | rules_are
  ruling_state >"$work/before"
  catch_all lte_first | rules_are
  ruling_state >"$work/with"
  goes_by 1 tv tcp "$internet" 443
  check 'a rule changes something' fails cmp "$work/before" "$work/with"
  : | rules_are
  await 5 'rules, routes and ruleset are as before' same_as before
  goes_by 0 tv tcp "$internet" 443
  catch_all lte_first | rules_are
  await 5 'the same rule makes the same' same_as with
  daemon_stop TERM
  wgsteer flush
  check 'flush removes everything' same_as without_daemon
  : | rules_are
  await 5 'a new start without rules' same_as before
}

same_as() { ruling_state | diff "$work/$1" - >"$work/own_state.diff"; } # LISTING

# Others delete what is ours.
case_deleted_by_others() {
  traffic_up
  catch_all lte_first | rules_are
  ruling_state | sed '/inet marks/,$d' >"$work/with"
  local version
  for version in 4 6; do
    router ip -"$version" rule flush proto 87
  done
  await 5 'rules are back' our_part_is_as with
  goes_by 1 tv tcp "$internet" 443
  router nft delete table inet wgsteer
  await 5 'by the second WAN again' answered_by 1 tv tcp "$internet" 443
  await 5 'converged' traffic_converged
  for version in 4 6; do
    router ip -"$version" rule show | awk '/proto 87/ && !deleted++ { print "rule del pref " $1 + 0 }' | router ip -"$version" -batch -
  done
  await 5 'converged' traffic_converged
  goes_by 1 tv udp "$internet" 443
}

# The rest of the ruleset is in another order once a table has been made anew.
our_part_is_as() { ruling_state | sed '/inet marks/,$d' | cmp -s "$work/$1" -; } # LISTING

# ---- Two gateways on one device -------------------------------------------------------------------------------------

# Both ISPs' routers are on one network and do NAT; the server sees their outer addresses.
one_network() {
  local wan
  wan_gateway4=(192.0.2.1 192.0.2.254) wan_gateway6=(2001:db8:10::1 2001:db8:10::fe)
  use_family "$family"
  router ip link add uplink0 type bridge
  for wan in 0 1; do
    router ip addr flush dev "${wan_device[$wan]}"
    router ip link set "${wan_device[$wan]}" master uplink0
    in_host "isp$wan" nft delete table inet isp
    isp_ruleset 192.0.2.0/24 2001:db8:10::/64 | in_host "isp$wan" nft -f -
    in_host "isp$wan" nft 'add table inet translation;
      add chain inet translation postrouting { type nat hook postrouting priority srcnat; };
      add rule inet translation postrouting oifname "core" masquerade'
  done
  in_host isp1 ip addr flush dev customer scope global
  in_host isp1 ip addr add "${wan_gateway4[1]}/24" dev customer
  in_host isp1 ip addr add "${wan_gateway6[1]}/64" dev customer nodad
  wan_device=(uplink0 uplink0) wan_address4=(192.0.2.10 192.0.2.10) wan_address6=(2001:db8:10::10 2001:db8:10::10)
  use_family "$family"
  wan_up 0
  wan_up 1
  router nft 'add rule inet firewall srcnat oifname "uplink0" ip saddr 192.168.0.0/16 masquerade;
    add rule inet firewall srcnat oifname "uplink0" ip6 saddr 2001:db8:1::/64 masquerade'
  if [[ $family == 4 ]]; then wan_address=(100.64.0.1 100.64.1.1); else wan_address=(2001:db8:f0::1 2001:db8:f1::1); fi
}

case_two_gateways_on_one_device() {
  traffic_up
  one_network
  goes_by 0 tv tcp "$internet" 443
  fiber_options="gateway = [\"${wan_gateway4[0]}\", \"${wan_gateway6[0]}\"]"
  lte_options="gateway = [\"${wan_gateway4[1]}\", \"${wan_gateway6[1]}\"]"
  tv_by_lte | rules_are
  goes_by 1 tv tcp "$internet" 443
  goes_by 1 tv udp "$internet" 443
  goes_by 0 pc tcp "$internet" 443
  flow_start tv-udp tv udp "$internet" 7000 --flows 3
  flow_start pc-udp pc udp "$internet" 7000 --flows 3
  flow_is_on tv-udp "${wan_address[1]}" 3 'at first'
  local since
  since=$(now_ms)
  wgsteer wan lte down
  flow_is_on tv-udp "${wan_address[0]}" 3 'lte is down'
  goes_by 0 tv tcp "$internet" 443
  wgsteer wan lte auto
  await 5 'lte is back' answered_by 1 tv tcp "$internet" 443
  flow_is_untouched pc-udp "${wan_address[0]}" "$since" 'the other gateway'
}

# The second router does not even answer ARP any more, while the device is as before.
case_one_of_two_gateways_is_silent() {
  traffic_up
  one_network
  fiber_options="gateway = [\"${wan_gateway4[0]}\", \"${wan_gateway6[0]}\"]"
  lte_options="gateway = [\"${wan_gateway4[1]}\", \"${wan_gateway6[1]}\"]"$'\n'"track_ip = [\"$elsewhere\"]"
  lte_options+=$'\ninterval = 0.3\ntimeout = 0.25\ndown = 2\nup = 2'
  tv_by_lte | rules_are
  flow_start tv-udp tv udp "$internet" 7000 --flows 3
  flow_start tv-tcp tv tcp "$internet" 7000 --flows 3
  flow_start pc-udp pc udp "$internet" 7000 --flows 3
  flow_start pc-tcp pc tcp "$internet" 7000 --flows 3
  flow_is_on tv-udp "${wan_address[1]}" 3 'at first'
  local since
  since=$(now_ms)
  wan_carrier_down 1
  await 10 'probes find the gateway dead' grep -q 'WAN lte is down' "$daemon_log"
  note "found dead after $(($(now_ms) - since)) ms"
  flow_is_on tv-udp "${wan_address[0]}" 5 'the second router is silent'
  flow_is_on tv-tcp "${wan_address[0]}" 10 'the second router is silent'
  goes_by 0 tv tcp "$internet" 443
  wan_carrier_up 1
  await 10 'the second router is back' answered_by 1 tv udp "$internet" 443 --timeout 0.3
  goes_by 1 tv tcp "$internet" 443
  flow_is_untouched pc-udp "${wan_address[0]}" "$since" 'the other router'
  flow_is_untouched pc-tcp "${wan_address[0]}" "$since" 'the other router'
}

# ---- Configuration --------------------------------------------------------------------------------------------------

case_a_bad_rule_changes_nothing() {
  traffic_up
  tv_by_lte | rules_are
  goes_by 1 tv tcp "$internet" 443
  ruling_state >"$work/before"
  local line
  for line in 'dest_port = ["443", "99999"]' 'src_ip = ["192.168.1.300"]' 'use_policy = "nobody"' 'proto = ["nonsense"]' \
    'src_mac = ["02:00"]' 'dscp = ["64"]' 'origin = "moon"' 'src_ip = ["198.51.100.7/24x"]'; do
    { traffic_configuration && traffic_policies && tv_by_lte && printf '[[rule]]\nname = "bad"\n%s\n' "$line" &&
      { [[ $line == use_policy* ]] || echo 'use_policy = "fiber_first"'; }; } >"$work/wgsteer.toml"
    check "check refuses $line" fails wgsteer check -c "$work/wgsteer.toml"
    check "the error of $line names file and line" has_line 'wgsteer\.toml:[0-9]+' cat_check
    check "reload refuses $line" fails wgsteer reload
  done
  check 'nothing has changed' same_as before
  goes_by 1 tv tcp "$internet" 443
  goes_by 0 pc tcp "$internet" 443
}

tv_by_lte() { printf '[[rule]]\nname = "tv"\nsrc_ip = ["%s"]\nuse_policy = "lte_first"\n' "$tv"; }
cat_check() { wgsteer check -c "$work/wgsteer.toml" 2>&1 || true; }

# Hundreds of rules: the last is asked when no other matches, and a reload stays fast.
case_many_rules() {
  traffic_up
  local since
  many_rules 400 | rules_are
  goes_by 1 tv tcp "$internet" 443
  goes_by 0 pc tcp "$internet" 443
  since=$(now_ms)
  many_rules 401 | rules_are
  note "reload of 401 rules and convergence: $(($(now_ms) - since)) ms"
  check 'it is fast enough' test $(($(now_ms) - since)) -le 10000
  goes_by 1 tv tcp "$internet" 443
}

many_rules() { # COUNT
  local i policy prefix=10.20
  [[ $family == 4 ]] || prefix=2001:db8:77
  for ((i = 1; i < $1; i++)); do
    policy=fiber_first
    ((i % 3)) || policy=only_lte
    if [[ $family == 4 ]]; then
      printf '[[rule]]\nname = "r%s"\nsrc_ip = ["%s.%s.%s"]\nuse_policy = "%s"\n' "$i" "$prefix" $((i / 200)) $((i % 200)) "$policy"
    else
      printf '[[rule]]\nname = "r%s"\nsrc_ip = ["%s::%x"]\nuse_policy = "%s"\n' "$i" "$prefix" "$i" "$policy"
    fi
  done
  tv_by_lte
}

# What explain says is what happens.
case_explain_agrees() {
  traffic_up
  { video_first && tv_by_fiber; } | rules_are
  explained tcp "$tv" "$internet" 443 video lte
  explained tcp "$tv" "$internet" 80 tv fiber
  goes_by 1 tv tcp "$internet" 443
  goes_by 0 tv tcp "$internet" 80
  wgsteer wan fiber down
  explained udp "$tv" "$internet" 80 tv lte
  goes_by 1 tv udp "$internet" 80
}

explained() { # PROTOCOL SOURCE DESTINATION PORT RULE WAN
  wgsteer explain "${daemon_arguments[@]}" --proto "$1" --in br-lan --from "$2" "$(socket_address "$3" "$4")" >"$work/explain" 2>&1 ||
    fail "explain: $(<"$work/explain")"
  check "explain names rule $5" grep -qw "$5" "$work/explain"
  check "explain names WAN $6" grep -qwE "$6" "$work/explain"
}

run_cases "$@"
