#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Connections that rules have sent by a WAN: they stay there, move when it dies, and survive the daemon.
set -u
# shellcheck source=../support/traffic.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/traffic.sh"

# Milliseconds in which every connection of a dead exit is on another one, and packets that it may lose, at 50 a second.
readonly kMoveMs=1000 kMoveLoss=25

# The tv prefers the first WAN, everybody else the second.
tv_by_fiber_others_by_lte() { # [LINE OF THE FIRST RULE]...
  cat <<TOML
[[rule]]
name = "tv"
src_ip = ["$tv"]
use_policy = "fiber_first"
$(printf '%s\n' "$@")
[[rule]]
name = "rest"
use_policy = "lte_first"
TOML
}

# Of the tv by the first WAN, and of the pc by the second.
flows_up() {
  flow_start tv-udp tv udp "$internet" 7000 --flows 5
  flow_start tv-tcp tv tcp "$internet" 7000 --flows 5
  flow_start pc-udp pc udp "$internet" 7000 --flows 5
  flow_start pc-tcp pc tcp "$internet" 7000 --flows 5
  flow_is_on tv-udp "${wan_address[0]}" 3 'at first'
  flow_is_on tv-tcp "${wan_address[0]}" 3 'at first'
  flow_is_on pc-udp "${wan_address[1]}" 3 'at first'
  flow_is_on pc-tcp "${wan_address[1]}" 3 'at first'
  equal 'lost before anything happens' '0 0 0 0' \
    "$(flow_lost tv-udp) $(flow_lost tv-tcp) $(flow_lost pc-udp) $(flow_lost pc-tcp)"
}

failover_up() { # [failback VALUE]
  traffic_up
  [[ -z ${1:-} ]] || policy_options="failback = \"$1\""
  tv_by_fiber_others_by_lte | rules_are
  flows_up
}

tv_is_untouched() { # WAN SINCE WHAT
  flow_is_untouched tv-udp "${wan_address[$1]}" "$2" "$3"
  flow_is_untouched tv-tcp "${wan_address[$1]}" "$2" "$3"
}

pc_is_untouched() { # SINCE WHAT
  flow_is_untouched pc-udp "${wan_address[1]}" "$1" "$2"
  flow_is_untouched pc-tcp "${wan_address[1]}" "$1" "$2"
}

# All connections of the tv have come to this WAN soon after SINCE. A TCP connection ends there and is opened anew.
tv_moved() { # WAN SINCE WHAT [MILLISECONDS]
  local bound=${4:-$kMoveMs} name took lost
  for name in tv-udp tv-tcp; do
    flow_is_on "$name" "${wan_address[$1]}" 10 "$3"
    took=$(flow_moved_after "$name" "${wan_address[$1]}" "$2") lost=$(flow_lost "$name" "$2")
    note "$3: $name moved after $took ms; $lost lost, $(flow_errors "$name" "$2") ended"
    check "$3: $name moved in time" test "$took" -le "$bound"
  done
  check "$3: packets lost of 5 flows" at_most $((5 * kMoveLoss * bound / kMoveMs)) flow_lost tv-udp "$2"
}

new_ones() { # WAN WHAT -- new connections of the tv
  await 3 "$2: new connections by ${wan_name[$1]}" answered_by "$1" tv udp "$internet" 443 --timeout 0.3
  goes_by "$1" tv tcp "$internet" 443
}

# ---- Pinned ---------------------------------------------------------------------------------------------------------

case_connections_stay_when_main_changes() {
  failover_up
  local since
  since=$(now_ms)
  router_ip route add default via "${wan_gateway[0]}" dev "${wan_device[0]}" metric 300
  router_ip route del default via "${wan_gateway[0]}" dev "${wan_device[0]}" metric 100
  await 5 'converged' traffic_converged
  goes_by 0 tv tcp "$internet" 443
  tv_is_untouched 0 "$since" 'main prefers the second'
  pc_is_untouched "$since" 'main prefers the second'
  wan_up 0
  router_ip route del default via "${wan_gateway[0]}" dev "${wan_device[0]}" metric 300
  await 5 'converged' traffic_converged
  tv_is_untouched 0 "$since" 'main prefers the first again'
  pc_is_untouched "$since" 'main prefers the first again'
}

# ---- An exit dies and returns ---------------------------------------------------------------------------------------

dies_and_returns() { # COMMAND-THAT-ENDS-IT COMMAND-THAT-BRINGS-IT-BACK [MILLISECONDS]
  local began since
  began=$(now_ms)
  since=$began
  $1
  tv_moved 1 "$since" 'the exit is dead' "${3:-$kMoveMs}"
  new_ones 1 'the exit is dead'
  pc_is_untouched "$began" 'the other exit is dead'
  await 5 'converged' traffic_converged
  since=$(now_ms)
  $2
  new_ones 0 'the exit is back'
  await 5 'converged' traffic_converged
  if [[ -z $policy_options ]]; then
    tv_is_untouched 1 "$since" 'the exit is back'
  else
    tv_moved 0 "$since" 'the exit is back' 3000
    observers_reset
    await 5 'traffic' flow_is_alive tv-udp "$(now_ms)"
    equal 'connections of the tv that are left on the second WAN' '' "$(tv_left_on_lte)"
  fi
  pc_is_untouched "$began" 'the other exit is back'
  few_foreign_sources 'throughout'
}

# With fixed translation, packets keep the old source until their connection has been deleted, right after the move.
foreign_allowed=0
few_foreign_sources() { # WHAT
  local seen=$(($(foreign 0) + $(foreign 1)))
  ((seen <= foreign_allowed)) || fail "$1: $seen packets with a source of the other WAN, or of none"
}

# UDP connections and established TCP connections of the tv to port 7000 that are translated to the second WAN.
tv_left_on_lte() {
  connections "src=$(as_conntrack "$tv") .* dport=7000 .* dst=$(as_conntrack "${wan_address[1]}") " |
    grep -E 'udp|ESTABLISHED' || true
}

fiber_link_down() { wan_link_down 0; }
fiber_link_up() { wan_up 0; }
fiber_carrier_down() { wan_carrier_down 0; }
fiber_carrier_up() { wan_carrier_up 0; }
fiber_by_hand_down() { wgsteer wan fiber down; }
fiber_by_hand_auto() { wgsteer wan fiber auto; }

case_link_down_and_back() {
  failover_up
  dies_and_returns fiber_link_down fiber_link_up
}

case_carrier_loss_and_back() {
  failover_up
  dies_and_returns fiber_carrier_down fiber_carrier_up
}

# The device works on, so that nothing but the daemon moves the connections.
case_down_by_hand_and_back() {
  failover_up
  dies_and_returns fiber_by_hand_down fiber_by_hand_auto
}

case_link_down_with_failback_move() {
  failover_up move
  dies_and_returns fiber_link_down fiber_link_up
}

case_down_by_hand_with_failback_move() {
  failover_up move
  dies_and_returns fiber_by_hand_down fiber_by_hand_auto
}

case_down_by_hand_with_fixed_translation() {
  traffic_up
  fixed_translation
  tv_by_fiber_others_by_lte | rules_are
  flows_up
  dies_and_returns fiber_by_hand_down fiber_by_hand_auto
}

case_link_down_with_fixed_translation() {
  traffic_up
  fixed_translation
  policy_options='failback = "move"'
  tv_by_fiber_others_by_lte | rules_are
  flows_up
  dies_and_returns fiber_link_down fiber_link_up
}

# Down and up faster than connections move: none gets stuck with the address of the wrong WAN.
exit_flaps() {
  policy_options='failback = "move"'
  tv_by_fiber_others_by_lte | rules_are
  flows_up
  local began round
  began=$(now_ms)
  for ((round = 0; round < 15; round++)); do
    fiber_by_hand_down
    read -rt "0.0$((round * 6 % 10))" -u "$never" || true
    fiber_by_hand_auto
    read -rt "0.0$((round * 7 % 10))" -u "$never" || true
  done
  await 5 'converged' traffic_converged
  flow_is_on tv-udp "${wan_address[0]}" 5 'afterwards'
  flow_is_on tv-tcp "${wan_address[0]}" 5 'afterwards'
  pc_is_untouched "$began" 'the other exit flaps'
  note "$(flow_lost tv-udp "$began") packets lost, $(flow_errors tv-tcp "$began") connections ended in 30 moves of 5 flows"
}

case_exit_flaps() {
  traffic_up
  exit_flaps
  no_foreign_sources 'throughout'
}

case_exit_flaps_with_fixed_translation() {
  traffic_up
  fixed_translation
  exit_flaps
}

probed_by_icmp() {
  printf 'track_ip = ["%s"]\ninterval = 0.3\ntimeout = 0.25\ndown = 2\nup = 2\n' "$1"
}

# The ISP forwards nothing any more, or only no probes.
isp_forwards_nothing() { # WAN
  in_host "isp$1" nft 'add table inet silence; add chain inet silence forward { type filter hook forward priority 300; policy drop; }'
}
isp_is_mute() { # WAN
  in_host "isp$1" nft 'add table inet silence; add chain inet silence forward { type filter hook forward priority 300; };
    add rule inet silence forward icmp type echo-request drop; add rule inet silence forward icmpv6 type echo-request drop'
}
isp_works() { in_host "isp$1" nft delete table inet silence; } # WAN

fiber_upstream_dead() { isp_forwards_nothing 0; }
fiber_upstream_back() { isp_works 0; }

case_upstream_dies_and_returns() {
  traffic_up
  fiber_options=$(probed_by_icmp "$elsewhere")
  tv_by_fiber_others_by_lte | rules_are
  flows_up
  dies_and_returns_late
}

# Probes need their rounds, and TCP then waits for its next retransmission, at twice the intervals each time.
dies_and_returns_late() {
  local began since
  began=$(now_ms)
  since=$began
  fiber_upstream_dead
  await 10 'probes find the WAN dead' grep -q 'WAN fiber is down' "$daemon_log"
  note "found dead after $(($(now_ms) - since)) ms"
  since=$(now_ms)
  tv_moved 1 "$since" 'found dead' 4000
  pc_is_untouched "$began" 'the other exit is dead'
  fiber_upstream_back
  await 10 'probes find it alive' grep -q 'WAN fiber is up again' "$daemon_log"
  since=$(now_ms)
  new_ones 0 'the exit is back'
  tv_is_untouched 1 "$since" 'the exit is back'
  pc_is_untouched "$began" 'the exit is back'
}

# A client that opens the same UDP ports again and again must not keep its connections on the worse WAN.
case_failback_without_a_gap() {
  traffic_up
  policy_options='failback = "move"'
  tv_by_fiber_others_by_lte | rules_are
  flow_start calls tv udp "$internet" 7000 --flows 4 --sport 6000 --interval 0.01
  local round since took worst=0 last
  for round in 1 2 3 4 5; do
    fiber_by_hand_down
    flow_is_on calls "${wan_address[1]}" 5 "round $round: down"
    since=$(now_ms)
    fiber_by_hand_auto
    flow_is_on calls "${wan_address[0]}" 5 "round $round: back"
    took=$(flow_moved_after calls "${wan_address[0]}" "$since")
    ((took <= worst)) || worst=$took
    # The last answer by the second WAN, counted from the first one by the first.
    last=$(flow_answers calls "$since" | awk -v old="${wan_address[1]}" '
      $4 != old && !first { first = $1 } $4 == old { last = $1 } END { print (last > first ? last - first : 0) }')
    check "round $round: nothing lingers on the second WAN ($last ms)" test "$last" -le 200
    equal "round $round: connections left on the second WAN" '' "$(tv_left_on_lte)"
  done
  note "back after at most $worst ms, $(flow_lost calls) of $(flow_answers calls 0 | wc -l) packets lost in 10 moves of 4 flows"
  check 'packets lost' at_most $((10 * 4 * 10)) flow_lost calls
  no_foreign_sources 'throughout'
}

# A connection that nobody has answered on the worse WAN has nothing to lose there, whatever `failback` says.
case_unanswered_connections_come_back() {
  traffic_up
  tv_by_fiber_others_by_lte | rules_are
  fiber_by_hand_down
  await 5 'down' answered_by 1 tv udp "$internet" 7000
  flow_start talk tv udp "$internet" 7000 --sport 6000
  flow_is_on talk "${wan_address[1]}" 3 'answered on the second WAN'
  isp_forwards_nothing 1
  flow_begin silent tv udp "$internet" 7000 --sport 6001
  await 3 'a connection without an answer' unanswered_on_lte 6001
  fiber_by_hand_auto
  flow_is_on silent "${wan_address[0]}" 3 'what was not answered is on the first WAN'
  local since
  isp_works 1
  since=$(now_ms)
  flow_is_on talk "${wan_address[1]}" 3 'what was answered stays'
  flow_is_untouched talk "${wan_address[1]}" "$since" 'what was answered'
}
unanswered_on_lte() { # SOURCE-PORT
  [[ -n $(connections "udp .*src=$(as_conntrack "$tv") .*sport=$1 dport=7000 .*UNREPLIED") ]]
}
left_on_lte() { # SOURCE-PORT
  [[ -n $(connections "src=$(as_conntrack "$tv") .*sport=$1 dport=7000 .* dst=$(as_conntrack "${wan_address[1]}") ") ]]
}
gone_from_lte() { ! left_on_lte "$1"; } # SOURCE-PORT

# As many firewalls of providers do it.
isp_forwards_only_what_it_knows() { # WAN
  in_host "isp$1" nft -f - <<'RULES'
table inet stateful {
  counter unknown { }
  chain forward {
    type filter hook forward priority -1; policy accept;
    ct state invalid drop
    ct state new tcp flags & (syn | rst) == 0 counter name unknown drop
  }
}
RULES
}

# TCP of the tv by the first WAN, which dies: died_at.
tcp_of_a_dead_exit() { # [OPTION-OF-THE-POLICY]
  traffic_up
  isp_forwards_only_what_it_knows 1
  policy_options=${1:-}
  tv_by_fiber_others_by_lte | rules_are
  flow_start tv-tcp tv tcp "$internet" 7000 --flows 5
  flow_is_on tv-tcp "${wan_address[0]}" 3 'at first'
  died_at=$(now_ms)
  fiber_by_hand_down
}

case_reset() {
  local died_at since
  tcp_of_a_dead_exit 'reset = true'
  flow_is_on tv-tcp "${wan_address[1]}" 3 'opened anew'
  note "moved after $(flow_moved_after tv-tcp "${wan_address[1]}" "$died_at") ms"
  equal 'connections that were reset' 5 "$(flow_errors tv-tcp "$died_at")"
  since=$(now_ms)
  fiber_by_hand_auto
  await 5 'new ones by the first WAN' answered_by 0 tv udp "$internet" 7000
  flow_is_untouched tv-tcp "${wan_address[1]}" "$since" 'it is back'
}

unknown_packets() { (($(named_counter isp1 stateful unknown) >= $1)); } # COUNT
case_without_reset_they_hang() {
  local died_at
  tcp_of_a_dead_exit
  await 10 'they go on by another exit, in vain' unknown_packets 15
  equal 'connections that have ended' 0 "$(flow_errors tv-tcp "$died_at")"
}

connection_marks() { connections "dport=7000 .*mark=[1-9]" | wc -l; }
case_flush_clears_the_marks_of_connections() {
  failover_up
  check 'connections have marks' test "$(connection_marks)" -ge 20
  wgsteer flush
  equal 'marks of connections' 0 "$(connection_marks)"
}

# What is idle on the worse WAN leaves it, what is busy stays.
case_drain() {
  traffic_up
  policy_options=$'failback = "drain"\ndrain_after = 5'
  tv_by_fiber_others_by_lte | rules_are
  fiber_by_hand_down
  await 5 'down' answered_by 1 tv udp "$internet" 7000
  flow_start busy-udp tv udp "$internet" 7000 --flows 3
  flow_start busy-tcp tv tcp "$internet" 7000 --flows 3
  flow_is_on busy-udp "${wan_address[1]}" 3 'busy'
  flow_is_on busy-tcp "${wan_address[1]}" 3 'busy'
  goes_by 1 tv udp "$internet" 7000 --sport 6001
  check 'the idle one is there' left_on_lte 6001
  local since
  since=$(now_ms)
  fiber_by_hand_auto
  await 5 'new ones by the first WAN' answered_by 0 tv udp "$internet" 7000
  check 'it is left alone at first' left_on_lte 6001
  await 20 'the idle one is gone' gone_from_lte 6001
  check 'not before it was idle for a while' test $(($(now_ms) - since)) -ge 5000
  goes_by 0 tv udp "$internet" 7000 --sport 6001
  flow_is_untouched busy-udp "${wan_address[1]}" "$since" 'what is busy'
  flow_is_untouched busy-tcp "${wan_address[1]}" "$since" 'what is busy'
  check 'the log says so' grep -q 'idle connections with the mark' "$daemon_log"
}

# ---- Nowhere to go --------------------------------------------------------------------------------------------------

# Probes may lie: without another exit, no connection is given up.
case_nowhere_to_go() {
  traffic_up
  fiber_options=$(probed_by_icmp "$elsewhere")
  wan_link_down 1
  printf '[[rule]]\nname = "tv"\nsrc_ip = ["%s"]\nuse_policy = "fiber_first"\n' "$tv" | rules_are
  flow_start tv-udp tv udp "$internet" 7000 --flows 5
  flow_start tv-tcp tv tcp "$internet" 7000 --flows 5
  local since
  since=$(now_ms)
  isp_is_mute 0
  await 10 'probes find the only WAN dead' grep -q 'WAN fiber is down' "$daemon_log"
  await 5 'settled' daemon_settled
  tv_is_untouched 0 "$since" 'probes fail'
  check 'status says so' has_line 'fiber .*down' wgsteer status
  wgsteer reload
  await 5 'settled' daemon_settled
  tv_is_untouched 0 "$since" 'reloaded while probes fail'
  since=$(now_ms)
  wan_up 1
  tv_moved 1 "$since" 'another exit appears' 3000
  isp_works 0
}

# The last exit is gone by its link and returns: connections go on.
case_the_only_exit_returns() {
  traffic_up
  printf '[[rule]]\nname = "tv"\nsrc_ip = ["%s"]\nuse_policy = "only_lte"\n' "$tv" | rules_are
  flow_start tv-tcp tv tcp "$internet" 7000 --flows 3
  flow_is_on tv-tcp "${wan_address[1]}" 3 'at first'
  local since
  since=$(now_ms)
  observers_reset
  wan_carrier_down 1
  await 5 'status says so' has_line 'lte .*(down|no carrier)' wgsteer status
  wan_carrier_up 1
  flow_is_on tv-tcp "${wan_address[1]}" 10 'the carrier is back'
  note "answered again after $(($(now_ms) - since)) ms; $(flow_errors tv-tcp "$since") connections ended"
  equal 'packets by the other WAN' 0 "$(observed 0 all)"
}

# ---- The WAN's address changes --------------------------------------------------------------------------------------

case_another_address() {
  local new old=${wan_address[0]}
  new=192.0.2.77
  [[ $family == 4 ]] || new=2001:db8:10::77
  # Without any address it may be left for a moment, in which masquerading takes that of another device.
  foreign_allowed=100
  failover_up move
  local since
  since=$(now_ms)
  router_ip addr del "$old/$wan_length" dev "${wan_device[0]}"
  router_ip addr add "$new/$wan_length" dev "${wan_device[0]}"
  router_ip route replace default via "${wan_gateway[0]}" dev "${wan_device[0]}" metric 100
  wan_address[0]=$new
  tv_moved 0 "$since" 'another address' 3000
  pc_is_untouched "$since" 'another address'
  few_foreign_sources 'throughout'
}

has_foreign_sources() { (($(foreign 1) > 0)); }

# In IPv6 its routes stay, and masquerading gives connections that begin meanwhile the address of another device for as
# long as they live.
case_the_only_exit_loses_its_address_and_has_it_again() {
  traffic_up
  printf '[[rule]]\nname = "tv"\nsrc_ip = ["%s"]\nuse_policy = "only_lte"\n' "$tv" | rules_are
  flow_start tv-udp tv udp "$internet" 7000 --flows 3
  flow_start tv-tcp tv tcp "$internet" 7000 --flows 3
  flow_is_on tv-udp "${wan_address[1]}" 3 'at first'
  flow_is_on tv-tcp "${wan_address[1]}" 3 'at first'
  router_ip addr del "${wan_address[1]}/$wan_length" dev "${wan_device[1]}"
  await 5 'settled' daemon_settled
  [[ $family == 4 ]] || await 5 'packets have a foreign source' has_foreign_sources
  router_ip addr add "${wan_address[1]}/$wan_length" dev "${wan_device[1]}"
  router_ip route replace default via "${wan_gateway[1]}" dev "${wan_device[1]}" metric 200
  flow_is_on tv-udp "${wan_address[1]}" 5 'it has its address again'
  flow_is_on tv-tcp "${wan_address[1]}" 5 'it has its address again'
  [[ $family == 4 ]] || check 'the log says so' grep -q 'translated to the address of another WAN' "$daemon_log"
}

# ---- The daemon is killed, restarted, reloaded ----------------------------------------------------------------------

# Many connections by both WANs; the pc's would go elsewhere if the kernel were asked anew.
established_up() {
  traffic_up
  tv_by_fiber_others_by_lte | rules_are
  flow_start tv-udp tv udp "$internet" 7000 --flows 20 --interval 0.05
  flow_start tv-tcp tv tcp "$internet" 7000 --flows 20 --interval 0.05
  flow_start pc-udp pc udp "$internet" 7000 --flows 20 --interval 0.05
  flow_start pc-tcp pc tcp "$internet" 7000 --flows 20 --interval 0.05
  # These have been moved once, and so are pinned to a WAN that is not the best one.
  fiber_by_hand_down
  flow_is_on tv-udp "${wan_address[1]}" 5 'moved'
  flow_is_on tv-tcp "${wan_address[1]}" 5 'moved'
  fiber_by_hand_auto
  await 5 'new ones by the first WAN' answered_by 0 tv udp "$internet" 443
  flow_start new-udp tv udp "$internet" 8000 --flows 10 --interval 0.05
  flow_start new-tcp tv tcp "$internet" 8000 --flows 10 --interval 0.05
  flow_is_on new-udp "${wan_address[0]}" 3 'new'
  flow_is_on new-tcp "${wan_address[0]}" 3 'new'
  await 5 'converged' traffic_converged
}

nothing_is_lost() { # SINCE WHAT
  tv_is_untouched 1 "$1" "$2"
  pc_is_untouched "$1" "$2"
  flow_is_untouched new-udp "${wan_address[0]}" "$1" "$2"
  flow_is_untouched new-tcp "${wan_address[0]}" "$1" "$2"
  no_foreign_sources "$2"
  note "$2: 0 of 100 connections, 0 packets lost"
}

starts_again() {
  daemon_start
  await 15 'the daemon has converged' traffic_converged
}

case_killed_and_restarted() {
  established_up
  local since
  since=$(now_ms)
  daemon_stop KILL
  goes_by 0 tv tcp "$internet" 443
  goes_by 1 pc tcp "$internet" 443
  nothing_is_lost "$since" 'killed'
  starts_again
  nothing_is_lost "$since" 'killed and restarted'
  # At arbitrary moments of its start.
  local round
  for round in 1 2 3 4 5 6 7 8; do
    daemon_stop KILL
    daemon_start
    read -rt "0.0$((round * 2))" -u "$never" || true
  done
  await 15 'the daemon has converged' traffic_converged
  nothing_is_lost "$since" 'killed while it starts'
}

# The kernel alone finds another exit for connections of a dead link, and nobody moves them back.
case_link_down_and_up_while_the_daemon_is_dead() {
  failover_up
  daemon_stop KILL
  local began since
  began=$(now_ms)
  fiber_link_down
  tv_moved 1 "$began" 'the exit is dead'
  new_ones 1 'the exit is dead'
  since=$(now_ms)
  fiber_link_up
  tv_is_untouched 1 "$since" 'the exit is back'
  starts_again
  new_ones 0 'the daemon is back'
  tv_is_untouched 1 "$since" 'the daemon is back'
  pc_is_untouched "$began" 'throughout'
  no_foreign_sources 'throughout'
}

case_stopped_and_started() {
  established_up
  local since
  since=$(now_ms)
  daemon_stop TERM
  goes_by 0 tv tcp "$internet" 443
  nothing_is_lost "$since" 'stopped'
  starts_again
  nothing_is_lost "$since" 'stopped and started'
  goes_by 0 tv tcp "$internet" 443
  goes_by 1 pc tcp "$internet" 443
}

case_reloaded() {
  established_up
  local since
  since=$(now_ms)
  wgsteer reload
  await 5 'converged' traffic_converged
  nothing_is_lost "$since" 'the same file'
  global_options=$'[globals]\nlog_level = "debug"'
  lte_options='weight = 3'
  tv_by_fiber_others_by_lte | rules_are
  nothing_is_lost "$since" 'other options'
}

case_reloaded_with_one_more_rule() {
  established_up
  local since
  since=$(now_ms)
  { tv_by_fiber_others_by_lte && printf '[[rule]]\nname = "never"\nuse_policy = "only_lte"\n'; } | rules_are
  nothing_is_lost "$since" 'one more rule, after the others'
  { printf '[[rule]]\nname = "names"\ndest_port = ["53"]\nuse_policy = "only_lte"\n' && tv_by_fiber_others_by_lte; } | rules_are
  nothing_is_lost "$since" 'one more rule, before the others'
  goes_by 1 tv udp "$internet" 53
  tv_by_fiber_others_by_lte | rules_are
  nothing_is_lost "$since" 'without it'
}

# What a rule has taken stays, although it would not take it again.
case_reloaded_with_a_rule_that_takes_less() {
  established_up
  local since
  since=$(now_ms)
  tv_by_fiber_others_by_lte 'dest_port = ["443"]' | rules_are
  nothing_is_lost "$since" 'a rule takes less'
  goes_by 0 tv tcp "$internet" 443
  goes_by 1 tv tcp "$internet" 80
}

case_reloaded_with_one_more_policy() {
  established_up
  local since
  since=$(now_ms)
  # The new one comes before the others, and a rule uses it.
  { traffic_configuration && printf '[[policy]]\nname = "another"\nuse_wan = ["lte"]\n' && traffic_policies &&
    printf '[[rule]]\nname = "names"\ndest_port = ["53"]\nuse_policy = "another"\n' && tv_by_fiber_others_by_lte; } >"$work/wgsteer.toml"
  configuration_is_used
  nothing_is_lost "$since" 'one more policy'
  goes_by 1 tv udp "$internet" 53
  daemon_stop TERM
  starts_again
  nothing_is_lost "$since" 'one more policy, restarted'
}

# The new one comes first; without a device it is down.
case_reloaded_with_one_more_wan() {
  established_up
  local since
  since=$(now_ms)
  { printf '[[wan]]\nname = "cable"\ndevice = "cable0"\nmetric = 9\n' && traffic_configuration && traffic_policies &&
    tv_by_fiber_others_by_lte; } >"$work/wgsteer.toml"
  configuration_is_used
  nothing_is_lost "$since" 'one more WAN'
  goes_by 0 tv tcp "$internet" 443
  goes_by 1 pc tcp "$internet" 443
}

# The table is made anew for the first tunnel: without any, its packets do not pass through chains for tunnels.
case_the_first_tunnel_comes_and_goes() {
  established_up
  local since
  fails has_line 'chain (output|sent|prerouting)' router nft list table inet wgsteer || fail 'there are chains for tunnels'
  since=$(now_ms)
  wireguard_go router wg0
  tunnel_configuration "$kRouterKey" 0 "$kServerKey" 10.99.0.1/32 "[2001:db8:cafe::55]:51820" |
    router wg setconf wg0 /dev/stdin
  router ip link set wg0 up
  await 5 'chains for tunnels' has_line 'chain output' router nft list table inet wgsteer
  await 5 'the tunnel is steered' has_line 'fwmark: 0xf' router wg show wg0
  nothing_is_lost "$since" 'the first tunnel'
  since=$(now_ms)
  router ip link del wg0
  await 5 'the tunnel has gone' fails has_line wg0 wgsteer status
  check 'the chains stay' has_line 'chain output' router nft list table inet wgsteer
  nothing_is_lost "$since" 'the tunnel has gone'
}

# Without rules everything follows main again, at once, and nothing is left behind.
case_rules_are_removed() {
  traffic_up
  printf '[[rule]]\nname = "all"\nuse_policy = "lte_first"\n' | rules_are
  flow_start udp tv udp "$internet" 7000 --flows 5
  flow_start tcp tv tcp "$internet" 7000 --flows 5
  flow_is_on udp "${wan_address[1]}" 3 'at first'
  local since
  since=$(now_ms)
  : | rules_are
  goes_by 0 tv tcp "$internet" 443
  flow_is_on udp "${wan_address[0]}" 5 'without rules'
  flow_is_on tcp "${wan_address[0]}" 5 'without rules'
  note "moved after $(flow_moved_after udp "${wan_address[0]}" "$since") and $(flow_moved_after tcp "${wan_address[0]}" "$since") ms"
  flow_stop udp tcp
  await 5 'nothing is under way' traffic_is_quiet
  observers_reset
  goes_by 0 pc udp "$internet" 443
  equal 'packets with a mark' '0 0' "$(marked meta_marked) $(marked ct_marked)"
}

# The kernel moves connections of a dead link by itself.
case_link_down_without_a_daemon() {
  failover_up
  daemon_stop KILL
  local since
  since=$(now_ms)
  wan_link_down 0
  await 5 'new connections by the second WAN' answered_by 1 tv udp "$internet" 443 --timeout 0.3
  flow_is_on tv-udp "${wan_address[1]}" 5 'without a daemon'
  note "UDP moved after $(flow_moved_after tv-udp "${wan_address[1]}" "$since") ms, $(flow_lost tv-udp "$since") lost"
  pc_is_untouched "$since" 'without a daemon'
}

run_cases "$@"
