#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Prefixes of a WAN that cannot be used: a host of the LAN takes both of its addresses from the router advertisements of
# a real dnsmasq, which makes them from the router's own addresses, and sends from the one that is preferred.
#
#     br-lan:  2001:db8:10:a00::1  of fiber (2001:db8:10:a00::/56), preferred for an hour
#              2001:db8:20:b00::1  of lte   (2001:db8:20:b00::/56), preferred for ever
set -u
# shellcheck source=../support/traffic.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/traffic.sh"

isp_prefix6=(2001:db8:10::/48 2001:db8:20::/48)
readonly kDelegated=(2001:db8:10:a00::/56 2001:db8:20:b00::/56)
# How the addresses of the LAN begin, as grep wants it.
readonly kBegin=(2001:db8:10:a00: 2001:db8:20:b00:)
# Deprecated by the administrator, in fiber's prefix.
readonly kOwned=2001:db8:10:a05::1

advertised_up() {
  command -v dnsmasq >/dev/null || skip 'no dnsmasq on this machine'
  traffic_up
  local wan
  for wan in 0 1; do
    in_host "isp$wan" ip -6 route add "${kDelegated[$wan]}" via "${wan_address6[$wan]}"
    source_specific_default "$wan"
    router ip -6 route del default dev "${wan_device[$wan]}" metric "${wan_metric[$wan]}" || true
    router ip -6 route replace default via "${wan_gateway6[$wan]}" dev "${wan_device[$wan]}" \
      metric "${wan_metric[$wan]}"
    source_specific_default "$wan"
  done
  router ip -6 addr flush dev br-lan scope global
  router ip -6 addr add "${kBegin[0]}:1/64" dev br-lan nodad valid_lft 7200 preferred_lft 3600 metric 77
  router ip -6 addr add "${kBegin[1]}:1/64" dev br-lan nodad
  router ip -6 addr add "$kOwned/64" dev br-lan nodad preferred_lft 0
  in_host pc ip -6 addr flush dev lan scope global
  in_host pc ip -6 route flush default
  in_host pc sysctl -q -w net.ipv6.conf.lan.accept_ra=2 net.ipv6.conf.lan.accept_dad=0 net.ipv6.conf.lan.autoconf=1
  start_in_host router "$work/dnsmasq.log" dnsmasq --no-daemon --user=root --port=0 --conf-file=/dev/null \
    --pid-file= --leasefile-ro --enable-ra '--dhcp-range=::,constructor:br-lan,ra-only' --log-dhcp
  in_host pc ip link set lan down
  in_host pc ip link set lan up
  for wan in 0 1; do
    await 15 "the host has an address of ${wan_name[$wan]}" host_prefers "$wan"
  done
  fiber_options="$fiber_options"$'\n'"deprecate = true"$'\n'"source_routing = true"
  lte_options="$lte_options"$'\n'"deprecate = true"$'\n'"source_routing = true"
}

source_specific_default() { # WAN
  router ip -6 route replace default from "${kDelegated[$1]}" via "${wan_gateway6[$1]}" dev "${wan_device[$1]}" \
    metric "${wan_metric[$1]}"
}

addresses_in() { in_host "$1" ip -6 -o addr show dev "$2" | grep -F "inet6 ${kBegin[$3]}"; } # HOST DEVICE WAN
host_prefers() { addresses_in pc lan "$1" | grep -qv deprecated; }                          # WAN
host_deprecates() { addresses_in pc lan "$1" | grep -q deprecated; }                        # WAN
router_prefers() { addresses_in router br-lan "$1" | grep -qv deprecated; }                 # WAN
router_deprecates() { addresses_in router br-lan "$1" | grep -q deprecated; }               # WAN

# What is left of the preferred lifetime of the router's address, in seconds.
preferred_left() { addresses_in router br-lan "$1" | sed -n 's/.*preferred_lft \([0-9]*\)sec.*/\1/p'; } # WAN
valid_left() { addresses_in router br-lan "$1" | sed -n 's/.*valid_lft \([0-9]*\)sec.*/\1/p'; }         # WAN

# Connected routes with their metrics; whether they end, but not when.
connected() { router ip -6 route show dev br-lan | sed 's/expires [0-9]*sec/expires/'; }

sends_from() { # WAN -> new connections of the host
  local protocol seen
  for protocol in tcp udp; do
    seen=$(ask pc "$protocol" "$internet" 443)
    [[ $seen == "${kBegin[$1]}"* ]] || fail "$protocol: sent from $seen, not from ${wan_name[$1]}"
  done
}

is_deprecated() { # WAN SINCE WHAT
  await 3 "$3: the router deprecates ${wan_name[$1]}" router_deprecates "$1"
  local router
  router=$(($(now_ms) - $2))
  await 3 "$3: the host deprecates ${wan_name[$1]}" host_deprecates "$1"
  note "$3: the router knew after $router ms, the host after $(($(now_ms) - $2)) ms"
  sends_from "$((1 - $1))"
  check "$3: status" has_line "deprecated: ${kBegin[$1]}:/64 on br-lan" wgsteer status
}

is_preferred() { # WAN SINCE WHAT
  await 3 "$3: the host prefers ${wan_name[$1]}" host_prefers "$1"
  note "$3: the host knew after $(($(now_ms) - $2)) ms"
  check "$3: the router's address" router_prefers "$1"
}

owned_is_untouched() {
  check 'the address that the administrator has deprecated' \
    grep -q deprecated <(router ip -6 -o addr show dev br-lan to "$kOwned")
}

case_a_wan_dies_and_comes_back() {
  advertised_up
  local before since wan
  : | rules_are
  before=$(connected)
  for wan in 0 1; do
    since=$(now_ms)
    wgsteer wan "${wan_name[$wan]}" down
    is_deprecated "$wan" "$since" "${wan_name[$wan]} is down"
    equal 'connected routes' "$before" "$(connected)"
    check 'the other one' host_prefers "$((1 - wan))"
    owned_is_untouched
    flow_start "kept$wan" pc udp "$internet" 7000
    since=$(now_ms)
    wgsteer wan "${wan_name[$wan]}" auto
    is_preferred "$wan" "$since" "${wan_name[$wan]} is back"
    equal 'connected routes' "$before" "$(connected)"
    await 5 'converged' traffic_converged
    equal 'records' '' "$(router nft list set inet wgsteer deprecated | grep elements || true)"
  done
  check 'what is left of the hour' at_least 3500 preferred_left 0
  check 'what is left of the hour' at_most 3600 preferred_left 0
  check 'valid as before' at_least 7100 valid_left 0
  owned_is_untouched
  check 'the log says so' grep -q "br-lan: ${kBegin[0]}:1 (WAN fiber) is deprecated" "$daemon_log"
  check 'the log says so' grep -q "br-lan: ${kBegin[0]}:1 (WAN fiber) has its preferred lifetime back" "$daemon_log"
  no_foreign_sources 'throughout'
}

# A carrier, and a device that is down: its routes are gone then, and with them what names its prefix.
case_its_link() {
  fiber_options="prefixes = [\"${kDelegated[0]}\"]"
  advertised_up
  : | rules_are
  local since
  since=$(now_ms)
  wan_carrier_down 0
  is_deprecated 0 "$since" 'no carrier'
  since=$(now_ms)
  wan_carrier_up 0
  is_preferred 0 "$since" 'carrier'
  since=$(now_ms)
  wan_link_down 0
  is_deprecated 0 "$since" 'link down'
  wan_up 0
  since=$(now_ms)
  source_specific_default 0
  is_preferred 0 "$since" 'link up'
}

case_without_another_way_out() {
  advertised_up
  : | rules_are
  wgsteer wan fiber down
  is_deprecated 0 "$(now_ms)" 'fiber is down'
  wgsteer wan lte down
  is_preferred 0 "$(now_ms)" 'all are down'
  check 'lte as well' router_prefers 1
  wgsteer wan lte auto
  is_deprecated 0 "$(now_ms)" 'lte is back'
  wgsteer wan fiber auto
  is_preferred 0 "$(now_ms)" 'fiber is back'
}

case_killed() {
  advertised_up
  : | rules_are
  wgsteer wan fiber down
  is_deprecated 0 "$(now_ms)" 'fiber is down'
  await 5 'converged' traffic_converged
  # Back again while nobody is looking, and not.
  daemon_stop KILL
  check 'it stays' router_deprecates 0
  daemon_start
  await 15 'the daemon has converged' traffic_converged
  is_deprecated 0 "$(now_ms)" 'fiber is still down'
  daemon_stop KILL
  router rm /var/run/wgsteer/wans
  daemon_start
  is_preferred 0 "$(now_ms)" 'fiber is back'
  await 15 'the daemon has converged' traffic_converged
  check 'what is left of the hour' at_least 3500 preferred_left 0
  owned_is_untouched
}

case_flush_puts_it_back() {
  advertised_up
  : | rules_are
  local each
  for each in running killed; do
    wgsteer wan fiber down
    is_deprecated 0 "$(now_ms)" 'fiber is down'
    [[ $each != killed ]] || daemon_stop KILL
    wgsteer flush
    is_preferred 0 "$(now_ms)" "flushed, $each"
    check 'what is left of the hour' at_least 3500 preferred_left 0
    owned_is_untouched
    daemon_pid=''
    [[ $each == killed ]] || : | rules_are
  done
}

# netifd, at a renewal and when a delegation ends.
case_others_write_lifetimes() {
  advertised_up
  : | rules_are
  wgsteer wan fiber down
  is_deprecated 0 "$(now_ms)" 'fiber is down'
  await 5 'converged' traffic_converged
  router ip -6 addr change "${kBegin[0]}:1/64" dev br-lan valid_lft 6000 preferred_lft 2000
  await 2 'deprecated again' router_deprecates 0
  await 5 'converged' traffic_converged
  # A program that insists.
  local i before after
  before=$(router nft -s list set inet wgsteer deprecated | wc -l)
  start_in_host router "$work/addresses" ip -6 -o monitor address
  await 3 'addresses are watched' watched
  : >"$work/addresses"
  for ((i = 0; i < 40; i++)); do
    router ip -6 addr change "${kBegin[0]}:1/64" dev br-lan valid_lft 6000 preferred_lft 1000
    read -rt 0.05 -u "$never" || true
  done
  after=$(grep -c "${kBegin[0]}:1.*deprecated" "$work/addresses" || true)
  note "deprecated $after times against 40 renewals in more than 2 s"
  check 'once a second at most' at_most 5 echo "$after"
  check 'but it is' at_least 1 echo "$after"
  await 3 'deprecated again' router_deprecates 0
  await 5 'converged' traffic_converged
  equal 'one record' "$before" "$(router nft -s list set inet wgsteer deprecated | wc -l)"
  wgsteer wan fiber auto
  is_preferred 0 "$(now_ms)" 'fiber is back'
  check 'the last lifetime counts' at_most 1000 preferred_left 0
  # What somebody else deprecates meanwhile is theirs.
  wgsteer wan fiber down
  is_deprecated 0 "$(now_ms)" 'fiber is down'
  await 5 'converged' traffic_converged
  router ip -6 addr change "${kBegin[0]}:1/64" dev br-lan valid_lft 5000 preferred_lft 0
  await 5 'converged' traffic_converged
  wgsteer wan fiber auto
  await 5 'converged' traffic_converged
  check 'theirs' router_deprecates 0
}

watched() {
  router ip -6 addr change "${kBegin[1]}:1/64" dev br-lan
  [[ -s $work/addresses ]]
}

case_without_the_option() {
  advertised_up
  fiber_options='' lte_options=''
  : | rules_are
  wgsteer wan fiber down
  await 5 'converged' traffic_converged
  check 'nothing is done' router_prefers 0
  router ip -6 addr change "${kBegin[0]}:1/64" dev br-lan valid_lft 7000 preferred_lft 3000
  fiber_options='deprecate = true'
  : | rules_are
  is_deprecated 0 "$(now_ms)" 'with the option'
  fiber_options=''
  : | rules_are
  is_preferred 0 "$(now_ms)" 'without it'
}

run_cases "${@:-6}"
