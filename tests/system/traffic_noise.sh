#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What happens on any gateway all the time changes nothing of ours: router advertisements, renewals of addresses, routes
# of a LAN that come and go.
set -u
# shellcheck source=../support/traffic.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/traffic.sh"

# Of everything happens more in this time than in ten minutes of a usual day.
readonly kNoiseSeconds=12
# Hundredths of a second of one CPU that the daemon may take in that time.
readonly kCpu=$((kNoiseSeconds * 20))

noisy_rules() {
  cat <<TOML
[[policy]]
name = "shared"
use_wan = ["fiber:10:3", "lte:10:1"]
[[rule]]
name = "tv"
src_ip = ["$tv"]
use_policy = "lte_first"
[[rule]]
name = "shared"
dest_port = ["443"]
use_policy = "shared"
sticky = true
[[rule]]
name = "rest"
use_policy = "fiber_first"
TOML
}

# Both WANs get their IPv6 addresses and routes from advertisements, and nothing else.
wans_are_advertised() {
  local wan device
  for wan in 0 1; do
    device=${wan_device[$wan]}
    router ip -6 addr flush dev "$device" scope global
    router ip -6 route flush dev "$device" default
    router sysctl -q -w "net.ipv6.conf.$device.accept_ra=2" "net.ipv6.conf.$device.autoconf=1" \
      "net.ipv6.conf.$device.ra_defrtr_metric=${wan_metric[$wan]}"
    start_in_host "isp$wan" "$work/advertised.$wan" "$python" -S -E "$kAgent" advertise customer "${isp_prefix6[$wan]%/*}" 0.1
    await 10 "$device has an address and a route" is_advertised "$device"
    wan_address6[wan]=$(router ip -6 -oneline addr show dev "$device" scope global | awk 'NR == 1 { sub("/.*", "", $4); print $4 }')
  done
  use_family "$family"
}

is_advertised() { # DEVICE
  [[ -n $(router ip -6 addr show dev "$1" scope global) && -n $(router ip -6 route show default dev "$1" proto ra) ]]
}

# Renewals as by a DHCP client, and routes as by a routing daemon, ten a second each.
noise_starts() {
  local wan renewals=()
  for wan in 0 1; do
    renewals+=("addr change ${wan_address4[$wan]}/24 dev ${wan_device[$wan]} valid_lft")
  done
  # Expanded inside.
  # shellcheck disable=SC2016
  start_in_host router "$work/renewed" bash -c 'for ((i = 0; ; i++)); do
      for renewal in "$@"; do ip $renewal $((3600 + i)) preferred_lft $((1800 + i)); done
      echo renewed
      read -rt 0.1 <> <(:)
    done' renewals "${renewals[@]}"
  noise=("$started")
  # shellcheck disable=SC2016
  start_in_host router "$work/flapped" bash -c 'while true; do
      ip -"$1" route add "$2" via "$3"; echo flapped; read -rt 0.1 <> <(:)
      ip -"$1" route del "$2" via "$3"; echo flapped; read -rt 0.1 <> <(:)
    done' flaps "$family" "$([[ $family == 4 ]] && echo 172.20.0.0/16 || echo fd20::/48)" "$pc"
  noise+=("$started")
}

cpu() { # -> hundredths of a second that the daemon has run
  awk '{ print $14 + $15 }' "/proc/$daemon_pid/stat"
}

# A change of the test's own shows that both monitors listen, and that they have said all.
monitors_reach() { # NUMBER
  router ip rule add pref "2000$1" lookup 9999
  router nft add table inet "mark$1"
  await 5 "the monitors show change $1" monitors_show "$1"
}
monitors_show() { grep -q "^2000$1:" "$work/ip-monitor" && grep -q "mark$1" "$work/nft-monitor"; }
listening() {
  router ip rule add pref 20000 lookup 9999
  router ip rule del pref 20000
  router nft add table inet mark0
  router nft delete table inet mark0
  monitors_show 0
}

# Rules and elements that anybody changed, and our routes.
written() {
  sed -n '/^20001:/,/^20002:/p' "$work/ip-monitor" | grep -v '^2000[12]:' || true
  sed -n '/mark1/,/mark2/p' "$work/nft-monitor" | grep -v -e 'mark[12]' -e '^# new generation' || true
}

case_noise() {
  traffic_up
  wans_are_advertised
  fiber_options=$(printf 'track_ip = ["%s"]\ninterval = 0.5\ntimeout = 0.4' "$elsewhere")
  noisy_rules | rules_are
  flow_start tv-udp tv udp "$internet" 7000 --flows 10 --interval 0.01
  flow_start pc-udp pc udp "$internet" 7000 --flows 5 --interval 0.02
  flow_start pc-tcp pc tcp "$internet" 443 --flows 5 --interval 0.02
  flow_is_on tv-udp "${wan_address[1]}" 5 'at first'
  start_in_host router "$work/ip-monitor" stdbuf -oL ip monitor rule
  start_in_host router "$work/routes-monitor" stdbuf -oL ip monitor route
  start_in_host router "$work/nft-monitor" stdbuf -oL nft monitor
  await 5 'the monitors listen' listening
  monitors_reach 1
  noise_starts
  local since ran own
  since=$(now_ms) ran=$(cpu)
  await $((kNoiseSeconds + 20)) 'enough noise' test_noise "$since"
  ran=$(($(cpu) - ran))
  stop_process "${noise[0]}" KILL
  stop_process "${noise[1]}" KILL
  monitors_reach 2
  note "$(wc -l <"$work/renewed") renewals, $(wc -l <"$work/flapped") changes of a route, $(cat "$work"/advertised.? | wc -l) advertisements;" \
    "$((ran * 10)) ms of CPU, $(flow_answers tv-udp "$since" | wc -l) packets"
  equal 'rules and elements that were written' '' "$(written)"
  own=$(grep -c 'proto 87' "$work/routes-monitor" || true)
  note "$own of our routes were written"
  flow_is_untouched tv-udp "${wan_address[1]}" "$since" 'noise'
  flow_is_untouched pc-udp "${wan_address[0]}" "$since" 'noise'
  equal 'pc-tcp: lost, ended' '0 0' "$(flow_lost pc-tcp "$since") $(flow_errors pc-tcp "$since")"
  check "the daemon's CPU time" test "$ran" -le "$kCpu"
  await 5 'converged' traffic_converged
  no_foreign_sources 'throughout'
}

test_noise() { (($(now_ms) - $1 >= kNoiseSeconds * 1000)); } # SINCE

run_cases "$@"
