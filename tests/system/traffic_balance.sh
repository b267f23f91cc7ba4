#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Connections shared among WANs of equal metric, by weight: each by itself, by pairs of addresses, or by sources; and
# sources that go where they went last.
set -u
# shellcheck source=../support/traffic.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/traffic.sh"

# Three of four connections by the first WAN. Among this many, 3 % are more than four standard deviations.
readonly kMany=4000 kTolerance=120

shared() { # BALANCE [LINE OF THE RULE]...
  cat <<TOML
[[policy]]
name = "shared"
use_wan = ["fiber:10:3", "lte:10:1"]
balance = "$1"
$policy_options
[[rule]]
name = "all"
src_iface = ["br-lan"]
use_policy = "shared"
$(printf '%s\n' "${@:2}")
TOML
}

# Half of the connections each.
evenly() { shared "$@" | sed 's/fiber:10:3/fiber:10:1/'; }

# Networks of servers and of clients: every address of them is one of the server's, or of the tv's.
networks_up() {
  traffic_up
  local any wan
  if [[ $family == 4 ]]; then
    servers=198.18.0.1 clients=172.16.0.1 any=0.0.0.0
    in_host server ip route add local 198.18.0.0/16 dev lo
    in_host tv ip route add local 172.16.0.0/16 dev lo
    router ip route add 172.16.0.0/16 via "$tv"
    for wan in 0 1; do in_host "isp$wan" ip route add 198.18.0.0/16 via "100.64.$wan.2"; done
    router nft "add rule inet firewall srcnat oifname { ${wan_device[0]}, ${wan_device[1]} } ip saddr 172.16.0.0/16 masquerade"
  else
    # Each client has a network of 64 bits.
    servers=2001:db8:cafe::1:1 clients=2001:db8:c::1 any=::
    in_host server ip route add local 2001:db8:cafe::/64 dev lo
    in_host tv ip route add local 2001:db8:c::/48 dev lo
    in_host tv sysctl -q -w net.ipv6.ip_nonlocal_bind=1
    router ip route add 2001:db8:c::/48 via "$tv"
    router nft "add rule inet firewall srcnat oifname { ${wan_device[0]}, ${wan_device[1]} } ip6 saddr 2001:db8:c::/48 masquerade"
  fi
  start_in_host server "$work/serve.any" "$python" -S -E "$kAgent" serve "$any" -- 9000
  await 20 'the servers serve' grep -qs serving "$work/serve.any"
}

# Each answer and how often it came.
answers_of() { # HOST PROTOCOL ADDRESS PORT CONNECTIONS [OPTION]...
  in_host "$1" "$python" -S -E "$kAgent" many "$2" "$3" "$4" --flows "$5" "${@:6}"
}

# Networks of 64 bits in IPv6, addresses in IPv4.
sources_of() { # HOW-MANY
  echo --source "$clients" --sources "$1" --stride "$([[ $family == 4 ]] && echo 1 || echo 18446744073709551616)"
}

# How many connections went by each WAN; anything else is a failure.
parts_of() { # HOST PROTOCOL ADDRESS PORT CONNECTIONS [OPTION]...
  local said
  said=$(answers_of "$@")
  echo "$said" | awk -v fiber="${wan_address[0]}" -v lte="${wan_address[1]}" '
    $1 == fiber { first = $2; next } $1 == lte { second = $2; next } { other = other " " $0 }
    END { print first + 0, second + 0 (other == "" ? "" : "; but also" other) }'
}

three_to_one() { # WHAT HOST PROTOCOL ADDRESS PORT [OPTION]...
  local parts first second
  parts=$(parts_of "${@:2:4}" "$kMany" "${@:6}")
  note "$1: $parts of $kMany"
  read -r first second <<<"$parts"
  equal "$1: all are answered" "$kMany" $((first + second))
  check "$1: three of four by the first WAN" test $((first - kMany * 3 / 4)) -le "$kTolerance" -a $((kMany * 3 / 4 - first)) -le "$kTolerance"
}

all_by_one() { # WHAT HOST PROTOCOL ADDRESS PORT CONNECTIONS [OPTION]...
  local parts
  parts=$(parts_of "${@:2}")
  [[ $parts == "$6 0" || $parts == "0 $6" ]] || fail "$1: not all by one WAN: $parts"
}

# ---- Shares ---------------------------------------------------------------------------------------------------------

case_each_connection_by_itself() {
  networks_up
  shared connection | rules_are
  three_to_one 'UDP to one server' tv udp "$internet" 443 --sport 20000
  three_to_one 'TCP to one server' tv tcp "$internet" 443 --sport 20000
  three_to_one 'TCP to as many servers' tv tcp "$servers" 9000 --servers "$kMany"
  no_foreign_sources 'throughout'
}

case_all_of_a_pair_together() {
  networks_up
  shared pair | rules_are
  all_by_one 'UDP of one pair' tv udp "$internet" 443 200 --sport 20000
  all_by_one 'TCP of one pair' tv tcp "$internet" 443 200 --sport 20000
  three_to_one 'TCP to as many servers' tv tcp "$servers" 9000 --servers "$kMany"
  # This host's own are shared by the kernel's multipath route, before their source is chosen.
  shared pair | sed '/src_iface/d' | rules_are
  all_by_one 'UDP of this host' router udp "$internet" 443 200 --sport 20000
  all_by_one 'TCP of this host' router tcp "$internet" 443 200 --sport 20000
  three_to_one 'TCP of this host to as many servers' router tcp "$servers" 9000 --servers "$kMany"
  no_foreign_sources 'throughout'
  # A new daemon knows again what it had made.
  local made
  made=$(router nft -a -s list table inet wgsteer)
  daemon_stop KILL
  daemon_start
  await 15 'the daemon has converged' traffic_converged
  equal 'the table is the same after a restart' "$made" "$(router nft -a -s list table inet wgsteer)"
}

case_all_of_a_source_together() {
  networks_up
  shared source | rules_are
  all_by_one 'TCP of one source' tv tcp "$internet" 443 200 --sport 20000
  all_by_one 'TCP of one source to many servers' tv tcp "$servers" 9000 200 --servers 200
  # Unquoted: several words.
  # shellcheck disable=SC2046
  three_to_one 'UDP of as many sources' tv udp "$internet" 443 $(sources_of "$kMany")
  no_foreign_sources 'throughout'
}

# ---- A WAN goes and comes back --------------------------------------------------------------------------------------

# The address with which each connection was answered last.
flow_addresses() { # NAME
  flow_answers "$1" 0 | awk '{ last[$2] = $4 } END { for (i in last) print i, last[i] }' | sort -n
}

# Connections of a flow that were answered with an address other than the one they had, lost a packet, or ended.
disturbed() { # NAME ADDRESSES SINCE [ADDRESS OF THOSE THAT COUNT]
  flow_answers "$1" "$3" | awk -v had="$2" -v only="${4:-}" '
    BEGIN { words_there = split(had, words); for (i = 1; i < words_there; i += 2) address[words[i]] = words[i + 1] }
    only != "" && address[$2] != only { next }
    ($4 != address[$2] || (($2 in number) && $3 != number[$2] + 1)) && !disturbed[$2]++ { count++ }
    { number[$2] = $3 }
    END { print count + 0 }'
}

goes_and_comes() { # COMMAND-THAT-ENDS-LTE COMMAND-THAT-BRINGS-IT-BACK
  networks_up
  shared connection | rules_are
  flow_start udp tv udp "$internet" 7000 --flows 30
  flow_start tcp tv tcp "$internet" 7000 --flows 30
  local name began since udp tcp
  udp=$(flow_addresses udp) tcp=$(flow_addresses tcp) began=$(now_ms)
  note "UDP and TCP by the second WAN: $(by_lte "$udp") and $(by_lte "$tcp") of 30"
  $1
  flow_is_on udp "${wan_address[0]}" 5 'the second WAN is gone'
  flow_is_on tcp "${wan_address[0]}" 5 'the second WAN is gone'
  all_by_one 'the second WAN is gone' pc udp "$internet" 443 200 --sport 20000
  for name in udp tcp; do
    equal "$name connections of the first WAN that were disturbed" 0 "$(disturbed "$name" "${!name}" "$began" "${wan_address[0]}")"
  done
  since=$(now_ms)
  $2
  await 1 'a new connection by the second WAN' is_shared
  note "new ones are shared again after $(($(now_ms) - since)) ms"
  three_to_one 'both again' pc udp "$internet" 8000 --sport 20000
  await 5 'converged' traffic_converged
  flow_is_untouched udp "${wan_address[0]}" "$since" 'both again'
  flow_is_untouched tcp "${wan_address[0]}" "$since" 'both again'
  no_foreign_sources 'throughout'
}

# Of this many, some go by each, except once in more than 10^11 attempts.
is_shared() { [[ $(parts_of pc udp "$internet" 80 90) != *' 0' ]]; }

lte_by_hand_down() { wgsteer wan lte down; }
lte_by_hand_auto() { wgsteer wan lte auto; }
lte_carrier_down() { wan_carrier_down 1; }
lte_carrier_up() { wan_carrier_up 1; }

case_down_by_hand_and_back() { goes_and_comes lte_by_hand_down lte_by_hand_auto; }
case_carrier_loss_and_back() { goes_and_comes lte_carrier_down lte_carrier_up; }

# The exits of a policy that are not among its best get nothing until there is no other.
case_a_spare_exit_has_no_share() {
  networks_up
  shared connection | sed 's/"lte:10:1"/"lte:20:1"/' | rules_are
  all_by_one 'the better one' tv udp "$internet" 443 200 --sport 20000
  goes_by 0 tv tcp "$internet" 443
  wgsteer wan fiber down
  goes_by 1 tv tcp "$internet" 443
}

# ---- Sources that stay ----------------------------------------------------------------------------------------------

# The exit of each source, one per line.
exits_of() { # SOURCES CONNECTIONS [OPTION]...
  # Unquoted: several words.
  # shellcheck disable=SC2046
  answers_of tv udp "$internet" 443 "$2" --each $(sources_of "$1") "${@:3}"
}

# Sources whose connections did not all go by the same exit.
wavering() { # SOURCES ANSWERS
  awk -v sources="$1" '
    { source = $1 % sources }
    (source in way) && way[source] != $2 && !wavers[source]++ { count++ }
    { way[source] = $2 }
    END { print count + 0 }' <<<"$2"
}

by_lte() { grep -c " ${wan_address[1]}$" <<<"$1" || true; } # ANSWERS

remembered() { # -> elements in all sets of sources
  router nft list table inet wgsteer | tr ',' '\n' | grep -c 'expires' || true
}

case_sticky_sources_stay() {
  networks_up
  evenly connection 'sticky = true' | rules_are
  local said
  all_by_one 'one source' tv udp "$internet" 443 100 --sport 20000
  all_by_one 'one source to many servers' tv tcp "$servers" 9000 100 --servers 100
  said=$(exits_of 64 640)
  note "64 sources, 10 connections each: $(by_lte "$said") by the second WAN"
  equal 'sources that wavered' 0 "$(wavering 64 "$said")"
  check 'some by each' test "$(by_lte "$said")" -ge 80 -a "$(by_lte "$said")" -le 560
  # Those of the dead exit go elsewhere, and stay there when it is back.
  wgsteer wan lte down
  equal 'by the dead exit' 0 "$(by_lte "$(exits_of 64 64 --sport 30000)")"
  wgsteer wan lte auto
  await 1 'another source by it' is_by_lte
  equal 'by the exit that is back' 0 "$(by_lte "$(exits_of 64 64 --sport 31000)")"
  no_foreign_sources 'throughout'
}

# Sources that have not been seen before.
fresh=64
is_by_lte() {
  fresh=$((fresh + 1))
  [[ $(exits_of $((fresh + 1)) $((fresh + 1)) | tail -n 1) == *" ${wan_address[1]}" ]]
}

# In IPv6, all hosts of 64 bits are one source.
case_sticky_by_prefix() {
  [[ $family == 6 ]] || return 0
  networks_up
  evenly connection 'sticky = true' | rules_are
  local said
  said=$(answers_of tv udp "$internet" 443 100 --each --source "$clients" --sources 100)
  equal 'ways of 100 hosts of one prefix' 1 "$(awk '{ print $2 }' <<<"$said" | sort -u | wc -l)"
  said=$(exits_of 64 64)
  check 'prefixes go by both' test "$(by_lte "$said")" -ge 10 -a "$(by_lte "$said")" -le 54
}

# After that time without a new connection a source may go elsewhere, and not before.
case_sticky_ends() {
  networks_up
  evenly connection 'sticky = true' 'timeout = 3' | rules_are
  local first again since
  first=$(exits_of 64 64)
  since=$(now_ms)
  while (($(now_ms) - since < 4000)); do
    again=$(exits_of 64 64)
    equal 'while there are new connections' "$first" "$again"
    read -rt 0.4 -u "$never" || true
  done
  await 10 'nothing is remembered' prints 0 remembered
  again=$(exits_of 64 64)
  check 'some go elsewhere then' test "$(comm -13 <(sort <<<"$first") <(sort <<<"$again") | wc -l)" -ge 10
}

# The kernel keeps at most 65535 of them: whoever comes later is served all the same.
case_sticky_and_full() {
  networks_up
  evenly connection 'sticky = true' | rules_are
  local set sets said
  mapfile -t sets < <(router nft list sets inet | sed -n "s/.*set \(rule_all_by_[0-9]*_src$family\) {/\1/p")
  equal 'sets of sources' 2 "${#sets[@]}"
  for set in "${sets[@]}"; do
    "$python" -S -E -c '
import ipaddress, sys
first = ipaddress.ip_address(sys.argv[2])
step = 1 if first.version == 4 else 1 << 64
print("add element inet wgsteer", sys.argv[1], "{", ", ".join(str(first + i * step) for i in range(65535)), "}")' \
      "$set" "$([[ $family == 4 ]] && echo 10.0.0.0 || echo fd00::)" | router nft -f -
  done
  said=$(exits_of 64 640)
  check 'sources are no longer remembered' test "$(wavering 64 "$said")" -ge 40
  equal 'all are answered' 640 "$(grep -cE " (${wan_address[0]}|${wan_address[1]})$" <<<"$said")"
  await 5 'converged' traffic_converged
  no_foreign_sources 'throughout'
}

run_cases "$@"
