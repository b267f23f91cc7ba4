#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Installs missing packages, builds, and shows the loop and its cure with real WireGuard between network namespaces.
# This machine's own network is not touched. WGSTEER=BINARY uses that binary instead of building one.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=support/packages.sh
source "$here/support/packages.sh"
# shellcheck source=support/topology.sh
source "$here/support/topology.sh"

bold='' red='' green='' plain=''
if [[ -t 1 ]]; then
  bold=$'\e[1m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
fi
wrong=0

title() { printf '\n%s%s%s\n' "$bold" "$1" "$plain"; }

line() { # EXPECTED(pattern) WHAT SEEN
  local verdict="${green}ok${plain}"
  if [[ ! $3 =~ ^($1)$ ]]; then
    verdict="${red}NOT AS EXPECTED${plain}"
    wrong=$((wrong + 1))
  fi
  printf '  %-44s %-42s %s\n' "$2" "$3" "$verdict"
}

build_wgsteer() {
  local log
  install_missing "${kBuildPackages[@]}" "${kDemoPackages[@]}"
  log=$(mktemp)
  echo 'building'
  if ! { cmake -S "$here/.." -B "$here/../build-demo" -G Ninja -DCMAKE_BUILD_TYPE=Release &&
    cmake --build "$here/../build-demo" --target wgsteer; } >"$log" 2>&1; then
    cat "$log"
    rm -f "$log"
    exit 1
  fi
  rm -f "$log"
  WGSTEER=$(find "$here/../build-demo" -name wgsteer -type f -perm -u+x -print -quit)
  WGSTEER=$(realpath "$WGSTEER")
}

handshake_within() { # SECONDS -> "after N ms" or "none"
  local since
  since=$(now_ms)
  if holds_within "$1" handshake_done; then
    echo "after $(($(now_ms) - since)) ms"
  else
    echo 'none'
  fi
}

# Device and source of the route lookup for the tunnel's own packets.
route_of_outer_packets() {
  local mark
  mark=$(tunnel_mark)
  if [[ $mark == off ]]; then mark=0; fi
  router ip route get "$endpoint" mark "$mark" | sed -n 's/.* dev \([^ ]*\).* src \([^ ]*\).*/\1, source \2/p'
}

# The uplinks that carried packets with a correct source since the counters were reset.
wan_in_use() {
  local wan seen=()
  for wan in 0 1; do
    (($(right $wan) == 0)) || seen+=("${wan_device[wan]}, source ${wan_address[wan]}")
  done
  echo "${seen[*]:-none}"
}

traffic_flows() { holds_within 15 at_least $(($(answers) + 10)) answers; }

# A request counts as lost only once a later one is answered; until then, the outage continues.
lost_so_far() {
  if traffic_flows; then packets_lost; else echo 'all, for 15 s'; fi
}

# Runs an event under traffic; shows how many packets were lost and where packets go afterwards.
event() { # WAN-AFTERWARDS LOST(pattern) COMMAND...
  local wan=$1 lost=$2 on_the_way
  shift 2
  traffic_start
  traffic_flows || true
  counters_reset
  "$@"
  line "$lost" '  packets lost, of 50 a second' "$(lost_so_far)"
  on_the_way=$(misrouted)
  counters_reset
  traffic_flows || true
  line "${wan_device[wan]}, source ${wan_address[wan]}" '  outer packets leave by' "$(wan_in_use)"
  line 0 '  packets misrouted' "$((on_the_way + $(misrouted)))"
  traffic_stop
}

kill_and_restart() {
  daemon_stop KILL
  traffic_flows || true
  daemon_start
  if holds_within 10 converged; then line yes '  adopts what is there' yes; else line yes '  adopts what is there' no; fi
}

show() { # FAMILY
  use_family "$1"
  topology_up
  title "IPv$1: endpoint $endpoint, $tunnel_device carries everything, ${wan_device[*]} are the uplinks"

  echo 'without wgsteer'
  tunnel_up route_halves
  traffic_start
  line none '  handshake' "$(handshake_within 3)"
  line "$tunnel_device, .*" '  ip route get endpoint' "$(route_of_outer_packets)"
  line 0 '  answers through the tunnel' "$(answers)"
  traffic_stop

  echo 'with wgsteer'
  counters_reset
  daemon_start
  local since
  since=$(now_ms)
  if holds_within 10 converged; then
    line 'after .*' '  in the kernel' "after $(($(now_ms) - since)) ms"
  else
    line 'after .*' '  in the kernel' 'never'
  fi
  tunnel_forget
  traffic_start
  line 'after .*' '  handshake' "$(handshake_within 10)"
  line "${wan_device[0]}, source ${wan_address[0]}" '  ip route get endpoint mark of the tunnel' \
    "$(route_of_outer_packets)"
  traffic_flows || true
  line "${wan_device[0]}, source ${wan_address[0]}" '  outer packets leave by' "$(wan_in_use)"
  line '[1-9][0-9]*' '  answers through the tunnel' "$(answers)"
  line 0 '  packets misrouted' "$(misrouted)"
  traffic_stop

  echo "${wan_device[0]} down"
  event 1 '[0-9]' wan_link_down 0
  echo "${wan_device[0]} back"
  event 0 '[0-9]' wan_up 0
  echo 'daemon killed (-9) and started again'
  event 0 0 kill_and_restart
  topology_down
}

topology_trap
# Check this before spending minutes on the build.
unfit=$(machine_unfit)
[[ -z $unfit ]] || skip "this machine cannot show it: $unfit"
[[ -n ${WGSTEER:-} ]] || build_wgsteer
for version in 4 6; do
  show "$version"
done
echo
if ((wrong)); then
  echo "${red}$wrong lines are not as expected${plain}"
  exit 1
fi
echo "${green}all as expected${plain}"
