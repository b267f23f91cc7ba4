# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154 # wan_address and the like are set by lib.sh
#
# Hosts that filter incoming packets: strict and loose reverse path filters, and a stateful firewall.

# A sysctl for IPv4; for IPv6 the equivalent in nft, as in firewalld (IPv6_rpfilter).
reverse_path_filter() { # strict|loose
  local key='saddr . mark'
  if [[ $family == 4 ]]; then
    if [[ $1 == strict ]]; then set -- 1; else set -- 2; fi
    router sysctl -q -w "net.ipv4.conf.all.rp_filter=$1" net.ipv4.conf.{default,wan0,wan1,wg0}.rp_filter="$1"
    return
  fi
  [[ $1 == loose ]] || key+=' . iif'
  router nft -f - <<RULES
table inet reverse_path {
  chain filter {
    type filter hook prerouting priority mangle + 10; policy accept;
    icmpv6 type { nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept
    meta nfproto ipv6 fib $key oif missing counter drop
  }
}
RULES
}

works_and_fails_over() { # DESCRIPTION
  daemon_start_and_converge
  traffic_start
  await 30 'the handshake' handshake_done wg0
  steady_on 0 "$1"
  counters_reset
  wan_carrier_down 0
  await_traffic "$1: traffic after the failover"
  nothing_misrouted "$1: failover"
  steady_on 1 "$1: after the failover"
  counters_reset
  wan_carrier_up 0
  await 20 "$1: failback" at_least 1 sent 0 4 "${wan_address[0]}"
  nothing_misrouted "$1: failback"
  steady_on 0 "$1: after the failback"
}

case_rp_filter_strict() {
  tunnel_up
  route_halves wg0
  reverse_path_filter strict
  works_and_fails_over 'strict'
}

case_rp_filter_loose() {
  tunnel_up
  route_halves wg0
  reverse_path_filter loose
  works_and_fails_over 'loose'
}

firewall() { # [RULES]
  router nft -f - <<RULES
table inet firewall {
  chain input {
    type filter hook input priority filter; policy drop;
    ct state established,related accept
    iifname { lo, "wg*" } accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } accept
    counter
  }
  ${1:-}
}
RULES
}

case_stateful_firewall() {
  tunnel_up
  route_halves wg0
  firewall
  works_and_fails_over 'stateful'
}

# As on most routers: everything that leaves by a WAN is also masqueraded.
case_firewall_with_masquerade() {
  tunnel_up
  route_halves wg0
  firewall 'chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname { wan0, wan1 } masquerade
  }'
  works_and_fails_over 'masquerade'
}
