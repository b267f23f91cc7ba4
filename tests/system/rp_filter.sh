#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Reverse path filtering, off, strict or loose, for all devices, for the WAN and for the tunnel: answers from peers get
# in, although the route back to them leads into the tunnel itself. Only IPv4 has this filter.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

filter() { # ALL WAN TUNNEL
  router sysctl -q -w "net.ipv4.conf.all.rp_filter=$1" "net.ipv4.conf.${wan_device[0]}.rp_filter=$2" \
    "net.ipv4.conf.$tunnel_device.rp_filter=$3"
}

filtered() { # -> packets dropped by the filter
  router cat /proc/net/netstat | awk '$1 == "TcpExt:" && !n { n = split($0, names); next }
    $1 == "TcpExt:" { for (i = 1; i <= n; i++) if (names[i] == "IPReversePathFilter") print $i }'
}

marks_are_valid() { prints "$1" router sysctl -n "net.ipv4.conf.${wan_device[0]}.src_valid_mark"; } # 0|1

# Strict filtering drops all answers unless the daemon makes marks count, which it must do from the start.
case_strict_from_the_start() {
  topology_up
  tunnel_up route_halves
  filter 1 1 1
  daemon_start_and_converge
  tunnel_forget
  traffic_start
  await_handshake
  steady_on 0 'strict'
  equal 'packets dropped by the filter' 0 "$(filtered)"
}

# The kernel uses the maximum of the values for `all` and the device (IN_DEV_RPFILTER in linux/inetdevice.h), so 2 for
# one overrides 1 for the other.
case_every_combination() {
  local all wan tunnel before
  topology_up
  tunnel_up route_halves
  filter 0 0 0
  daemon_start_and_converge
  tunnel_forget
  traffic_start
  await_handshake
  steady_on 0 'no filter'
  for all in 0 1 2; do
    for wan in 0 1 2; do
      for tunnel in 0 1 2; do
        filter "$all" "$wan" "$tunnel"
        await_traffic "all $all, WAN $wan, tunnel $tunnel: answers" 5
        before=$(filtered)
        await_traffic "all $all, WAN $wan, tunnel $tunnel: answers still" 5
        equal "all $all, WAN $wan, tunnel $tunnel: packets dropped by the filter" "$before" "$(filtered)"
      done
    done
  done
  note "$(packets_lost) packets lost in 27 changes, $(filtered) of them to the filter"
  nothing_misrouted 'throughout'
  filter 1 0 0
  await 5 'src_valid_mark is set' marks_are_valid 1
  wgsteer flush
  check 'src_valid_mark is reset by flush' marks_are_valid 0
  filter 0 0 0
}

run_cases 4
