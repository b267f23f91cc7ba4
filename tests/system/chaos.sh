#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Ten minutes of random hostile acts, while a steered peer's outer packets are counted on the wire: none may enter a
# tunnel or leave with a foreign source, and after each act the kernel must match the plan. Half of that time there are
# rules for a LAN as well: nothing that they match may leave by a WAN that their policy does not contain, or as main
# says, which is into the tunnel, and bits of others are kept in all marks.
#
#   CHAOS_SECONDS=N   duration, for all cases together (600)
#   CHAOS_SEED=N      repeats the acts of an earlier run in the same order
set -u
# shellcheck source=../support/traffic.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/traffic.sh"

readonly kSeconds=${CHAOS_SECONDS:-600} kSeed=${CHAOS_SEED:-$((${EPOCHREALTIME/./} % 1000000))}
kFakeTime=$(echo /usr/lib/*/faketime/libfaketime.so.1)
readonly kFakeTime
# KiB. A daemon may keep the memory that it allocated in a flood; a leak would keep growing.
readonly kMemoryGrowth=6000
readonly kName=vpn.example.test

other_endpoint() { if [[ $family == 4 ]]; then echo 203.0.113.56; else echo 2001:db8:cafe::56; fi; }
drawn() { echo $((RANDOM % $1)); } # LIMIT
one_of() { echo "${@:RANDOM % $# + 1:1}"; }
tell() { echo "    $(((${EPOCHREALTIME/./} - began) / 1000000)) s: $*" >>"$work/acts"; }

# ---- The daemon and its world -----------------------------------------------------------------------------------------

configuration() { # [LINE...]
  printf '%s\n' "$@"
  cat <<CONF
[[wan]]
name = "w0"
device = "${wan_device[0]}"
[[wan]]
name = "w1"
device = "${wan_device[1]}"
[[tunnel]]
interface = "$tunnel_device"
role = "client"
[[peer]]
tunnel = "$tunnel_device"
public_key = "$(public_key "$kServerKey")"
endpoint = "$kName:$kPort"
CONF
  ! $with_rules || lan_rules
}

name_means() { echo "$1 $kName" >"$work/names"; } # ADDRESS

name_server_up() {
  name_means "$endpoint"
  start_in_host server "$work/dnsmasq.log" dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts \
    --addn-hosts="$work/names" --local=/test/ --local-ttl=5 --user=root --pid-file=
  name_server_pid=$started
  await 10 'the name server listens' has_line ':53 ' in_host server ss -lun
  echo "nameserver $(other_endpoint)" >"$work/resolv.conf"
  router mount --bind "$work/resolv.conf" /etc/resolv.conf
}

# Asks for the daemon's own plan, because the file on disk may be newer than the configuration in use.
in_order() {
  daemon_alive || fail "the daemon ended: $(tail -n 3 "$daemon_log")"
  has_line 'proto 87' router ip rule show && quietly wgsteer plan
}

# Runs with a fake clock, which can be set without affecting other processes.
chaos_daemon_start() {
  start_in_host router "$work/daemon.log" env LD_PRELOAD="$kFakeTime" FAKETIME_TIMESTAMP_FILE="$work/clock" \
    FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 "$WGSTEER" run "${daemon_arguments[@]}"
  daemon_log=$work/daemon.log daemon_pid=$started
  await 15 'the daemon has converged' in_order
  memory_before=$(memory) descriptors_before=$(descriptors)
}

memory() { awk '$1 == "VmRSS:" { print $2 }' "/proc/$daemon_pid/status"; } # -> KiB
descriptors() { find "/proc/$daemon_pid/fd" -mindepth 1 2>/dev/null | wc -l; }

# Checked before each daemon is ended.
nothing_leaked() {
  # With rules, one for conntrack is opened when connections are deleted for the first time.
  local most=$descriptors_before
  ! $with_rules || most=$((most + 1))
  # A pending DNS query may still hold a descriptor.
  await 10 "no more descriptors than at the start ($most)" at_most "$most" descriptors
  (($(memory) - memory_before < kMemoryGrowth)) || fail "memory: $memory_before KiB, now $(memory)"
}

ended_by_an_act() {
  wait "$daemon_pid" 2>/dev/null || true
  lives=$((lives + 1))
  chaos_daemon_start
}

# ---- Hostile acts -----------------------------------------------------------------------------------------------------

own_rules() { router ip -"$(one_of 4 6)" rule show | grep 'proto 87' || true; }
own_tables() { router_ip rule show | sed -n 's/.*lookup \([0-9]*\) proto 87.*/\1/p'; }

act_rule_deleted() {
  local rules rule
  mapfile -t rules < <(router_ip rule show | sed -n 's/^\([0-9]*\):.*\(fwmark [^ ]*\) .*proto 87.*/priority \1 \2/p')
  ((${#rules[@]})) || return 0
  rule=${rules[RANDOM % ${#rules[@]}]}
  # Unquoted: several words.
  # shellcheck disable=SC2086
  router_ip rule del $rule 2>/dev/null || true
}

act_rules_flushed() {
  router sh -c "while ip -$family rule del proto 87 2>/dev/null; do :; done"
}

act_table_flushed() {
  local tables
  mapfile -t tables < <(own_tables)
  ((${#tables[@]})) || return 0
  router_ip route flush table "${tables[RANDOM % ${#tables[@]}]}" 2>/dev/null || true
}

# The table of the tunnel's policy: the route is not ours and stays, so that a rule's traffic would follow it for good.
# Its mark has all bits of the mask, wherever its rule stands after it was deleted and repaired.
act_table_filled() {
  router_ip route add default dev "$tunnel_device" metric 1 table "$(tunnels_table)" 2>/dev/null || true
}
tunnels_table() { router_ip rule show | sed -n 's/.*fwmark \(0x[0-9a-f]*\)\/\1 iif lo lookup \([0-9]*\) proto 87.*/\2/p'; }

act_nft_table_deleted() { router nft delete table inet wgsteer 2>/dev/null || true; }
act_nft_table_emptied() { router nft flush table inet wgsteer 2>/dev/null || true; }

# The same transaction restores the witness table; its count so far is carried over.
act_ruleset_flushed() {
  looped_before=$((looped_before + $(looped)))
  { echo 'flush ruleset' && witness_ruleset && { ! $with_rules || lan_ruleset; }; } | router nft -f -
}

act_map_emptied() { router nft flush map inet wgsteer "$(one_of endpoint4 endpoint6 source4 source6 arrival \
  pinned4 pinned6 arrive4 arrive6 leaving)" 2>/dev/null || true; }
act_fwmark_reset() { router wg set "$tunnel_device" fwmark 0; }
# With the current endpoint: a new one would only be steered once the daemon has seen it.
act_configured_anew() {
  tunnel_configuration "$kRouterKey" 0 "$kServerKey" 0.0.0.0/0,::/0 \
    "$(router wg show "$tunnel_device" endpoints | cut -f 2)" "" | router wg setconf "$tunnel_device" /dev/stdin
}

act_link_flaps() {
  local wan
  wan=$(drawn 2)
  wan_link_down "$wan"
  pause
  wan_up "$wan"
  await 5 'both WANs have a carrier' carriers_are_up
}

act_carrier_flaps() {
  local wan count
  wan=$(drawn 2)
  for ((count = $(drawn 4); count >= 0; --count)); do
    wan_carrier_down "$wan"
    pause
    wan_carrier_up "$wan"
  done
  await 5 'both WANs have a carrier' carriers_are_up
  wan_up "$wan"
}

act_gateway_changes() {
  local wan
  wan=$(drawn 2)
  router_ip route replace default via "$(one_of "${wan_gateway[$wan]}" "$(other_gateway "$wan")")" dev "${wan_device[$wan]}" \
    metric "${wan_metric[$wan]}"
}
other_gateway() { echo "${wan_gateway[$1]%1}7"; } # WAN

act_address_changes() {
  local wan old new
  wan=$(drawn 2)
  old=$(router_ip -oneline addr show dev "${wan_device[$wan]}" scope global | awk 'NR == 1 { print $4 }')
  new=$(one_of "${wan_address[$wan]}" "${wan_address[$wan]%0}1")/$wan_length
  [[ $old != "$new" ]] || return 0
  router_ip addr del "$old" dev "${wan_device[$wan]}"
  router_ip addr replace "$new" dev "${wan_device[$wan]}"
  router_ip route replace default via "${wan_gateway[$wan]}" dev "${wan_device[$wan]}" metric "${wan_metric[$wan]}"
}

act_name_changes() {
  name_means "$(one_of "$endpoint" "$(other_endpoint)")"
  kill -HUP "$name_server_pid"
}

# A new tunnel is steered only once the daemon has seen it, so packets before that do not count.
act_tunnel_made_anew() {
  local before
  before=$(looped)
  tunnel_down
  tunnel_up route_halves
  await 20 'converged' in_order
  looped_before=$((looped_before + before - $(looped)))
}

act_reload_of_a_good_file() {
  local mask=0xf0000000
  ! $with_rules || mask=0xff000000  # their marks need eight bits
  configuration "[globals]" "mark_mask = \"$mask\"" "rule_priority = $(one_of 70 200 5000)" >"$work/wgsteer.toml"
  quietly wgsteer reload || true
}

# Those of configuration() stay.
act_reload_of_other_rules() {
  if $with_rules; then
    { configuration && more_rules; } >"$work/wgsteer.toml"
    quietly wgsteer reload || true
  fi
}

act_reload_of_a_bad_file() {
  cp "$work/wgsteer.toml" "$work/good.toml"
  { configuration && one_of '[[wan]]' 'nonsense' 'x = "' '[[wan]] name = "w0"'; } >"$work/wgsteer.toml"
  fails wgsteer reload || fail 'a bad file was accepted'
  mv "$work/good.toml" "$work/wgsteer.toml"
}

act_wan_by_hand() {
  quietly wgsteer wan "$(one_of w0 w1)" down --reason chaos || true
  pause
  quietly wgsteer wan w0 auto && quietly wgsteer wan w1 auto
}

act_killed() {
  nothing_leaked
  kill -KILL "$daemon_pid"
  ended_by_an_act
}

# Another act happens while the daemon is stopped.
act_stopped() {
  kill -STOP "$daemon_pid"
  "act_$(one_of rule_deleted rules_flushed table_flushed nft_table_deleted map_emptied fwmark_reset carrier_flaps link_flaps \
    configured_anew address_changes)"
  pause
  kill -CONT "$daemon_pid"
}

# More events than the daemon's socket buffer holds.
act_flood() {
  kill -STOP "$daemon_pid"
  for _ in 1 2 3; do
    seq 10001 14000 | sed 's/.*/rule add priority & lookup main/' >"$work/add"
    sed 's/rule add/rule del/' "$work/add" >"$work/del"
    router ip -"$family" -batch "$work/add"
    router ip -"$family" -batch "$work/del"
  done
  kill -CONT "$daemon_pid"
}

# Some of the daemon's system calls fail.
act_errors_injected() {
  timeout 2 strace -qq -o /dev/null -p "$daemon_pid" -e trace=sendto,sendmsg,recvmsg,recvfrom \
    -e inject="$(one_of sendto,sendmsg recvmsg,recvfrom)":error="$(one_of ENOBUFS ENOMEM EINTR EAGAIN)":when="$(one_of 1 2 3 4+5)" &
  local tracer=$!
  await 5 'strace is attached' traced
  act_rule_deleted
  act_carrier_flaps
  wait "$tracer" || true
}
traced() { ! grep -q '^TracerPid:[[:space:]]*0$' "/proc/$daemon_pid/status"; }

act_clock_jumps() { one_of '+0' '+1d' '-1d' '+3650d' '-400d' '+30' '-30' >"$work/clock"; }

# The daemon may die of this, but must not misbehave.
act_memory_is_short() {
  nothing_leaked
  local limit
  limit=$(($(awk '$1 == "VmSize:" { print $2 }' "/proc/$daemon_pid/status") * 1024 + $(drawn 300000)))
  prlimit --pid "$daemon_pid" --as="$limit:"
  act_name_changes
  act_carrier_flaps
  quietly timeout 5 "$WGSTEER" version
  if daemon_alive && quietly timeout 5 nsenter --target "${holder[router]}" --net --mount -- "$WGSTEER" status; then
    prlimit --pid "$daemon_pid" --as=unlimited:
  else
    kill -KILL "$daemon_pid" 2>/dev/null || true
    ended_by_an_act
  fi
}

act_rubbish_for_the_control_socket() {
  router python3 - <<'PYTHON' || true
import os, random, socket
for _ in range(20):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("\0wgsteer")
        client.settimeout(1)
        try:
            client.sendall(os.urandom(random.randrange(1, 9000)))
        except OSError:
            pass
PYTHON
}

pause() { read -rt "0.$(drawn 10)" -u "$never" || true; }

# ---- Rules for a LAN ---------------------------------------------------------------------------------------------------

with_rules=false
readonly kTheirPacketBits=0x00543203 kTheirConnectionBits=0x00abcdef kNotOurBits=0x00ffffff

# Port 7000 goes by the second WAN or nowhere, port 8000 by either. Main sends the rest into the tunnel.
lan_rules() {
  cat <<'TOML'
[[rule]]
name = "second"
src_iface = ["lan0"]
dest_port = ["7000"]
use_wan = ["w1"]
[[rule]]
name = "either"
src_iface = ["lan0"]
dest_port = ["8000"]
use_wan = ["w0:10", "w1:20"]
TOML
}

more_rules() {
  local i
  for ((i = RANDOM % 5; i >= 0; --i)); do
    printf '[[rule]]\nname = "r%s"\ndest_port = ["%s"]\nsticky = %s\nuse_wan = [%s]\n' "$i" $((9000 + RANDOM % 100)) \
      "$(one_of true false)" "$(one_of '"w0"' '"w0:10:3", "w1:10:1"' '"w1", "w0"')"
  done
}

# NAT as of a firewall; bits of others in each mark; and what went wrong.
lan_ruleset() {
  cat <<RULES
table inet lan {
  counter seen { }
  counter bits_lost { }
  counter fallen { }
  chain srcnat {
    type nat hook postrouting priority srcnat; policy accept;
    oifname { ${wan_device[0]}, ${wan_device[1]} } ip saddr 192.168.1.0/24 masquerade
    oifname { ${wan_device[0]}, ${wan_device[1]} } ip6 saddr fd01::/64 masquerade
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    oifname { ${wan_device[0]}, ${wan_device[1]} } ct state invalid drop
  }
  chain before {
    type filter hook prerouting priority mangle; policy accept;
    iifname "lan0" meta l4proto { tcp, udp } meta mark set meta mark | $kTheirPacketBits
    iifname "lan0" meta l4proto { tcp, udp } ct state new ct mark set ct mark | $kTheirConnectionBits
  }
  chain wire {
    type filter hook postrouting priority 400; policy accept;
    iifname != "lan0" return
    th dport != { 7000, 8000 } return
    counter name seen
    meta mark & $kNotOurBits != $kTheirPacketBits counter name bits_lost
    ct mark & $kNotOurBits != $kTheirConnectionBits counter name bits_lost
    oifname "$tunnel_device" counter name fallen
  }
}
RULES
}

# The ISPs count what the rules sent apart from the tunnel's packets, and drop foreign sources of both.
lan_at_isp() { # WAN
  in_host "isp$1" nft -f - <<RULES
table inet lan {
  counter port7000 { }
  counter foreign { }
  chain from_customer {
    type filter hook prerouting priority raw - 1; policy accept;
    iifname != "customer" return
    th dport 7000 counter name port7000
    th dport { 7000, 8000 } ip saddr != ${isp_prefix4[$1]} counter name foreign drop
    th dport { 7000, 8000 } ip6 saddr != ${isp_prefix6[$1]} counter name foreign drop
  }
}
RULES
}

lan_up() {
  topology_lan
  lan_ruleset | router nft -f -
  lan_at_isp 0
  lan_at_isp 1
  # Not by serves(): the name server has port 53.
  start_in_host server "$work/serve.server" "$python" -S -E "$kAgent" serve "$endpoint" -- 7000 8000
  await 20 'the server serves' grep -qs serving "$work/serve.server"
}

lan_flows_start() {
  flow_start second phone udp "$endpoint" 7000 --flows 3 --interval 0.03
  flow_start either phone udp "$endpoint" 8000 --flows 3 --interval 0.03
}

# A WAN's address may be another one than at first.
is_of() { # WAN ADDRESS
  local start=${wan_address[$1]%10}
  [[ -n $2 && $2 == "$start"* ]]
}
asks_by() { is_of "$1" "$(ask phone "$2" "$endpoint" "$3" --timeout 0.5)"; } # WAN PROTOCOL PORT

lan_counter() { named_counter router lan "$1"; } # COUNTER

lan_misrouted() {
  echo "port 7000 by the first WAN $(named_counter isp0 lan port7000)," \
    "into the tunnel $(lan_counter fallen), bits of others lost $(lan_counter bits_lost)"
}

# While rules or chains of ours are missing, nothing holds packets back; and a connection that began then is not
# translated, and its client has to open another one.
lan_is_right() { # ACT
  local kind
  case $1 in
    rules_flushed | table_filled | nft_table_deleted | nft_table_emptied | ruleset_flushed | stopped)
      flow_stop second either
      lan_flows_start
      router nft reset counters table inet lan >/dev/null
      in_host isp0 nft reset counters table inet lan >/dev/null
      gaps=$((gaps + 1))
      ;;
  esac
  for kind in udp tcp; do
    await 10 "after $1: $kind by the second WAN" asks_by 1 "$kind" 7000
    await 10 "after $1: $kind by the first WAN" asks_by 0 "$kind" 8000
  done
  await 10 "after $1: old connections by the second WAN" flow_is_alive second "$(now_ms)"
  await 10 "after $1: old connections by either" flow_is_alive either "$(now_ms)"
  equal "the LAN's packets up to $1" 'port 7000 by the first WAN 0, into the tunnel 0, bits of others lost 0' "$(lan_misrouted)"
}

# ---- The cases ---------------------------------------------------------------------------------------------------------

more_diagnostics() {
  echo '    --- the pending plan'
  timeout 5 nsenter --target "${holder[router]}" --net --mount -- "$WGSTEER" plan || true
  echo '    --- the last acts'
  tail -n 8 "$work/acts"
  echo "    to repeat this run: CHAOS_SEED=$kSeed CHAOS_SECONDS=$kSeconds ONLY=$($with_rules && echo rules || echo acts)-v$family"
}

misrouted_ever() { echo $(($(misrouted) + looped_before)); }

act() {
  local acts
  mapfile -t acts < <(declare -F | sed -n 's/^declare -f act_//p')
  local name=${acts[RANDOM % ${#acts[@]}]}
  tell "$name"
  "act_$name"
  count[$name]=$((${count[$name]:-0} + 1))
  await 20 "converged after $name" in_order
  await_traffic "traffic after $name" 30
  equal "misrouted packets in all acts up to $name" 0 "$(misrouted_ever)"
  ! $with_rules || lan_is_right "$name"
}

case_hostile_acts() { hostile_acts; }

case_hostile_acts_beside_rules() {
  with_rules=true
  hostile_acts
}

hostile_acts() {
  [[ -e $kFakeTime ]] || skip 'no libfaketime'
  command -v strace dnsmasq >/dev/null || skip 'no strace, or no dnsmasq'
  RANDOM=$((kSeed + family))
  local -A count=()
  began=${EPOCHREALTIME/./} looped_before=0 lives=1 gaps=0
  topology_up
  local wan
  for wan in 0 1; do
    in_host "isp$wan" ip -"$family" addr add "$(other_gateway "$wan")/$wan_length" dev customer
  done
  name_server_up
  tunnel_up route_halves
  ! $with_rules || lan_up
  configuration >"$work/wgsteer.toml"
  echo '+0' >"$work/clock"
  daemon_arguments=(-c "$work/wgsteer.toml")
  chaos_daemon_start
  tunnel_forget
  traffic_start
  await_handshake
  counters_reset
  ! $with_rules || lan_flows_start
  until ((${EPOCHREALTIME/./} - began > kSeconds * 250000)); do act; done
  nothing_leaked
  echo '+0' >"$work/clock"
  wan_up 0
  await 20 'converged in the end' in_order
  await 20 'traffic by the first WAN' only_by 0
  steady_on 0 'in the end'
  if $with_rules; then
    lan_is_right 'the end'
    note "$(flow_lost second) and $(flow_lost either) packets of the LAN lost, $gaps times without chains or rules," \
      "$(named_counter isp0 lan foreign) and $(named_counter isp1 lan foreign) with a foreign source"
  fi
  note "seed $kSeed: $(wc -l <"$work/acts") acts, $lives daemons, $(packets_lost) packets lost, 0 misrouted"
  for name in "${!count[@]}"; do printf '        %4d %s\n' "${count[$name]}" "$name"; done | sort -k2
}

note "CHAOS_SEED=$kSeed CHAOS_SECONDS=$kSeconds"
run_cases "$@"
