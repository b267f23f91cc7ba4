#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Other programs keep bits of their own in the marks of packets and connections: none is lost, and none disturbs us.
set -u
# shellcheck source=../support/traffic.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/traffic.sh"

readonly kTheirPacketBits=0x00543203 kTheirConnectionBits=0x00abcdef kNotOurBits=0x00ffffff
# Packets, counted when they are forwarded and when they leave.
readonly kEnough=100000

# Sets bits of every packet and of every new connection before we see them, and compares after us.
their_marks() {
  router nft -f - <<RULES
table inet theirs {
  counter seen { }
  counter packet_lost { }
  counter connection_lost { }
  counter foreign_to_them { }
  set left_alone { type inet_service; elements = { 8000 }; }
  chain before {
    type filter hook prerouting priority mangle; policy accept;
    meta l4proto { tcp, udp } meta mark set meta mark | $kTheirPacketBits
    meta l4proto { tcp, udp } ct state new ct mark set ct mark | $kTheirConnectionBits
  }
  chain compare {
    meta l4proto != { tcp, udp } return
    counter name seen
    meta mark & $kNotOurBits != $kTheirPacketBits counter name packet_lost
    ct mark & $kNotOurBits != $kTheirConnectionBits counter name connection_lost
    # What no rule matches: whole words.
    th dport @left_alone meta mark != $kTheirPacketBits counter name foreign_to_them
    th dport @left_alone ct mark != $kTheirConnectionBits counter name foreign_to_them
    th sport @left_alone meta mark != $kTheirPacketBits counter name foreign_to_them
    th sport @left_alone ct mark != $kTheirConnectionBits counter name foreign_to_them
  }
  chain forward { type filter hook forward priority 400; policy accept; iifname != "lo" goto compare; }
  chain postrouting { type filter hook postrouting priority 400; policy accept; iif != 0 goto compare; }
}
RULES
}
their_counter() { named_counter router theirs "$1"; }

nothing_of_theirs_is_lost() { # WHAT
  equal "$1: packets whose bits differ: meta, ct, unmatched" '0 0 0' \
    "$(their_counter packet_lost) $(their_counter connection_lost) $(their_counter foreign_to_them)"
}

# Port 8000 is left alone, everything else goes by a policy.
all_but_one_port() { # POLICY
  printf '[[rule]]\nname = "alone"\ndest_port = ["8000"]\nuse_policy = "main"\n'
  printf '[[rule]]\nname = "rest"\nuse_policy = "%s"\n' "$1"
}

forward_to_tv() {
  traffic_family
  local to="ip to $tv"
  [[ $family == 4 ]] || to="ip6 to $tv"
  port_forwards="iifname { ${wan_device[0]}, ${wan_device[1]} } meta nfproto ipv$family meta l4proto { tcp, udp } th dport 7000 dnat $to"
}

case_bits_of_others_are_kept() {
  forward_to_tv
  traffic_up
  serves tv "$tv"
  their_marks
  all_but_one_port lte_first | rules_are
  goes_by 1 tv tcp "$internet" 443
  goes_by 0 tv tcp "$internet" 8000
  flow_start matched-udp tv udp "$internet" 7000 --flows 20 --interval 0.01
  flow_start matched-tcp tv tcp "$internet" 7000 --flows 20 --interval 0.01
  flow_start alone-udp pc udp "$internet" 8000 --flows 20 --interval 0.01
  flow_start alone-tcp pc tcp "$internet" 8000 --flows 20 --interval 0.01
  flow_start inbound-udp server udp "${wan_address[1]}" 7000 --flows 5 --interval 0.01
  flow_start inbound-tcp server tcp "${wan_address[1]}" 7000 --flows 5 --interval 0.01
  local since
  since=$(now_ms)
  await 60 "enough packets" at_least $kEnough their_counter seen
  nothing_of_theirs_is_lost 'steady'
  flow_is_untouched alone-udp "${wan_address[0]}" "$since" 'steady'
  flow_is_untouched matched-udp "${wan_address[1]}" "$since" 'steady'
  flow_is_untouched inbound-udp "$internet" "$since" 'steady'

  wgsteer wan lte down
  flow_is_on matched-udp "${wan_address[0]}" 5 'moved'
  wgsteer wan lte auto
  await 5 'converged' traffic_converged
  goes_by 1 tv tcp "$internet" 443
  all_but_one_port fiber_first | rules_are
  goes_by 0 tv tcp "$internet" 443
  daemon_stop KILL
  daemon_start
  await 15 'the daemon has converged' traffic_converged
  await 60 'more packets' at_least $((2 * kEnough)) their_counter seen
  nothing_of_theirs_is_lost 'after failover, reload and restart'
  flow_is_untouched alone-udp "${wan_address[0]}" "$since" 'throughout'
  flow_is_untouched alone-tcp "${wan_address[0]}" "$since" 'throughout'
  note "$(their_counter seen) packets"
}

# wg-quick's chains of a full tunnel, here to a peer that is not there: every UDP packet gets its connection's mark.
wg_quick_chains() {
  local version
  for version in ip ip6; do
    local address=10.2.0.2
    [[ $version == ip ]] || address=fd02::2
    router nft -f - <<RULES
table $version wg-quick-wg9 {
  chain preraw {
    type filter hook prerouting priority -300; policy accept;
    iifname != "wg9" $version daddr $address fib saddr type != local drop
  }
  chain premangle {
    type filter hook prerouting priority -150; policy accept;
    meta l4proto udp meta mark set ct mark
  }
  chain postmangle {
    type filter hook postrouting priority -150; policy accept;
    meta l4proto udp meta mark 0x0000ca6c ct mark set meta mark
  }
}
RULES
  done
}

# By which WAN connections leave that were moved, once theirs is back.
after_return=0
# The same traffic whatever others do: matched, left alone, inbound; a failover; no connection is lost by the way.
all_is_well() { # WHAT [COMMAND-THAT-ENDS-LTE COMMAND-THAT-BRINGS-IT-BACK]
  local protocol since
  for protocol in tcp udp; do
    goes_by 1 tv "$protocol" "$internet" 443
    goes_by 0 tv "$protocol" "$internet" 8000
    equal "$1: $protocol to port 7000 of lte" "$internet" "$(ask server "$protocol" "${wan_address[1]}" 7000)"
    equal "$1: $protocol to port 7000 of fiber" "$internet" "$(ask server "$protocol" "${wan_address[0]}" 7000)"
  done
  flow_start matched-udp tv udp "$internet" 7000 --flows 3
  flow_start matched-tcp tv tcp "$internet" 7000 --flows 3
  flow_start alone-udp pc udp "$internet" 8000 --flows 3
  since=$(now_ms)
  flow_is_on matched-udp "${wan_address[1]}" 3 "$1"
  await 3 "$1: some packets each" at_least 60 answers_to matched-udp
  flow_is_untouched matched-udp "${wan_address[1]}" "$since" "$1"
  flow_is_untouched matched-tcp "${wan_address[1]}" "$since" "$1"
  ${2:-lte_by_hand_down}
  flow_is_on matched-udp "${wan_address[0]}" 3 "$1: the exit is dead"
  flow_is_on matched-tcp "${wan_address[0]}" 3 "$1: the exit is dead"
  goes_by 0 tv tcp "$internet" 443
  ${3:-lte_by_hand_auto}
  await 5 "$1: the exit is back" answered_by 1 tv udp "$internet" 443 --timeout 0.3
  await 5 "$1: converged" traffic_converged
  flow_is_on matched-udp "${wan_address[$after_return]}" 3 "$1: on ${wan_name[$after_return]}"
  flow_is_untouched alone-udp "${wan_address[0]}" "$since" "$1"
  no_foreign_sources "$1"
}
lte_by_hand_down() { wgsteer wan lte down; }
lte_by_hand_auto() { wgsteer wan lte auto; }
lte_link_down() { wan_link_down 1; }
lte_link_up() { wan_up 1; }
answers_to() { flow_answers "$1" 0 | wc -l; } # FLOW

case_wg_quick() {
  forward_to_tv
  traffic_up
  serves tv "$tv"
  wg_quick_chains
  all_but_one_port lte_first | rules_are
  all_is_well 'beside wg-quick'
  flow_stop matched-udp matched-tcp alone-udp
  await 5 'nothing is under way' traffic_is_quiet
  observers_reset
  goes_by 0 tv udp "$internet" 8000
  goes_by 0 tv tcp "$internet" 8000
  check 'packets were counted' at_least 8 marked seen
  equal 'packets with a mark' '0 0' "$(marked meta_marked) $(marked ct_marked)"
}

# Under strict reverse path filtering as well.
case_wg_quick_with_strict_filter() {
  [[ $family == 4 ]] || return 0 # only IPv4 has this filter
  forward_to_tv
  traffic_up
  serves tv "$tv"
  router sysctl -q -w net.ipv4.conf.all.rp_filter=1
  wg_quick_chains
  all_but_one_port lte_first | rules_are
  all_is_well 'strict, beside wg-quick'
}

# Programs that save the mark of each packet as its connection's, and restore it, whole: nothing holds connections where
# they are then, so that they go wherever their policy leads.
case_whole_words_saved_and_restored() {
  forward_to_tv
  traffic_up
  serves tv "$tv"
  router nft -f - <<'RULES'
table inet savers {
  chain restore { type filter hook prerouting priority mangle; policy accept; meta mark set ct mark; }
  chain save { type filter hook postrouting priority mangle; policy accept; iif != 0 ct mark set meta mark; }
}
RULES
  all_but_one_port lte_first | rules_are
  after_return=1
  all_is_well 'whole words' lte_link_down lte_link_up
}

# Bits of others alone, without a rule that matches: a packet with a foreign mark is nobody's, and follows main.
case_foreign_marks_are_routed_by_others() {
  traffic_up
  router nft -f - <<RULES
table inet theirs {
  chain before { type filter hook prerouting priority mangle; policy accept; th dport 7000 meta mark set 0x00000100; }
}
RULES
  router_ip rule add pref 1001 fwmark 0x100/0x3f00 lookup 9
  router_ip route add default via "${wan_gateway[1]}" dev "${wan_device[1]}" table 9
  printf '[[rule]]\nsrc_ip = ["%s"]\nuse_policy = "fiber_first"\n' "$pc" | rules_are
  goes_by 1 tv udp "$internet" 7000
  goes_by 1 tv tcp "$internet" 7000
  goes_by 0 tv udp "$internet" 8000
  goes_by 0 pc udp "$internet" 8000
  no_foreign_sources 'throughout'
}

overwriters() { wgsteer check -c "$work/wgsteer.toml" | grep -E '^(conflict|problem|advice): .* overwrites ' || true; }

named() { # WHAT CHAIN HOOK RULE
  check "$1: check names it" has_line "^problem: table .*, chain $2 \\($3, priority -?[0-9]+\\): \"$4\" overwrites" overwriters
}

not_named() { equal "$1: what check says" '' "$(overwriters)"; } # WHAT

# By nft, in a table of its own, which is deleted again.
theirs() { # HOOK RULE
  router nft "table inet theirs { chain c { type filter hook $1; policy accept; $2; }; }"
}

breaks_tcp() { # WHAT
  check "$1: TCP breaks off" fails answered_by 1 tv tcp "$internet" 443 --timeout 1
}

case_who_overwrites_ours_is_named_by_nft() {
  forward_to_tv
  traffic_up
  serves tv "$tv"
  fixed_translation
  all_but_one_port lte_first | rules_are
  not_named 'nobody'

  theirs 'forward priority 0' 'ct mark set 0x1'
  named 'connections' c forward 'ct mark set 0x1'
  breaks_tcp 'connections'
  router nft delete table inet theirs
  theirs 'forward priority 0' 'ct mark set ct mark and 0xff000000 or 0x1'
  not_named 'connections, as advised'
  goes_by 1 tv tcp "$internet" 443
  router nft delete table inet theirs

  theirs 'forward priority 0' 'ct state new ct mark set 0x1'
  named 'what comes in' c forward '.*ct mark set 0x1'
  check 'what comes in is not answered' fails answered_inside --timeout 1
  router nft delete table inet theirs
  check 'what comes in is answered without it' answered_inside

  theirs 'prerouting priority dstnat' 'meta mark set 0x1'
  named 'packets' c prerouting 'meta mark set 0x1'
  goes_by 0 tv udp "$internet" 443
  router nft delete table inet theirs
  theirs 'prerouting priority dstnat' 'meta mark set meta mark and 0xff000000 or 0x1'
  not_named 'packets, as advised'
  goes_by 1 tv udp "$internet" 443
  goes_by 1 tv tcp "$internet" 443
}
answered_inside() { [[ $(ask server tcp "${wan_address[1]}" 7000 "$@") == "$internet" ]]; } # [OPTION]...

case_who_overwrites_ours_is_named_by_iptables() {
  local tables=iptables-nft
  command -v $tables >/dev/null || skip 'no iptables-nft'
  traffic_up
  fixed_translation
  [[ $family == 4 ]] || tables=ip6tables-nft
  all_but_one_port lte_first | rules_are

  router $tables -t mangle -A POSTROUTING -j MARK --set-mark 0x1
  named 'packets' POSTROUTING postrouting 'meta mark set 0x1'
  breaks_tcp 'packets'
  router $tables -t mangle -F
  router $tables -t mangle -A POSTROUTING -j MARK --set-xmark 0x1/0xffffff
  not_named 'packets, as advised'
  goes_by 1 tv tcp "$internet" 443

  router $tables -A FORWARD -j CONNMARK --set-mark 0x1
  named 'connections' FORWARD forward 'ct mark set 0x1'
  breaks_tcp 'connections'
  router $tables -F
  router $tables -A FORWARD -j CONNMARK --set-xmark 0x1/0xffffff
  not_named 'connections, as advised'
  goes_by 1 tv tcp "$internet" 443

  # Restored before us and saved after us.
  router $tables -t mangle -F
  router $tables -t mangle -A PREROUTING -j CONNMARK --restore-mark
  not_named 'restored'
  router $tables -t mangle -A POSTROUTING -j CONNMARK --save-mark
  named 'saved' POSTROUTING postrouting 'ct mark set meta mark'
  router $tables -t mangle -R POSTROUTING 1 -j CONNMARK --save-mark --nfmask 0xffffff --ctmask 0xffffff
  not_named 'saved, as advised'
  goes_by 1 tv tcp "$internet" 443
}

# mwan3's chains, reduced: they keep to their own bits.
case_who_keeps_ours_is_not_named() {
  local tables=iptables-nft
  command -v $tables >/dev/null || skip 'no iptables-nft'
  traffic_up
  [[ $family == 4 ]] || tables=ip6tables-nft
  local mangle=(router "$tables" -t mangle)
  all_but_one_port lte_first | rules_are
  "${mangle[@]}" -N mwan3_hook
  "${mangle[@]}" -A PREROUTING -j mwan3_hook
  "${mangle[@]}" -A OUTPUT -j mwan3_hook
  "${mangle[@]}" -A mwan3_hook -j CONNMARK --restore-mark --nfmask 0x3f00 --ctmask 0x3f00
  "${mangle[@]}" -A mwan3_hook -m mark --mark 0/0x3f00 -j MARK --set-xmark 0x100/0x3f00
  "${mangle[@]}" -A mwan3_hook -j CONNMARK --save-mark --nfmask 0x3f00 --ctmask 0x3f00
  wg_quick_chains
  theirs 'forward priority mangle' 'meta mark set meta mark and 0xff00ffff or 0x00010000'
  not_named 'mwan3, wg-quick and pbr'
  goes_by 1 tv tcp "$internet" 443
  goes_by 0 tv tcp "$internet" 8000
}

run_cases "$@"
