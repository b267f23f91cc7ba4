# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Library for test scripts in the guest: a router with two uplinks, real kernel WireGuard, packet counters on the wire,
# and functions to await a state. A script defines functions `case_<name>`; each runs on a fresh topology per family.
#
#                        +---- isp0: drops foreign sources, counts ----+
#     router  wan0 ------+                                             +------ server
#     (wgsteer, wg0)                                                           203.0.113.55  2001:db8:cafe::55
#             wan1 ------+                                             +------ 203.0.113.56  2001:db8:cafe::56
#                        +---- isp1: drops foreign sources, counts ----+
#
#     wan0  192.0.2.10/24     gateway 192.0.2.1      2001:db8:10::10/64  gateway 2001:db8:10::1   metric 100
#     wan1  198.51.100.10/24  gateway 198.51.100.1   2001:db8:20::10/64  gateway 2001:db8:20::1   metric 200
#
# Every host is a network namespace of the guest, connected by veth. The guest's clock counts executed instructions
# (see run.sh), so waiting is cheap and deadlines do not depend on the load of the machine.

# Variables set here are for the scripts that are sourced after this file.
# shellcheck disable=SC2034

readonly kRouterKey=GJgyWJG5BpAQghZKvPY7zikEKEtZ9WrhVcIg3s65/HE=
readonly kServerKey=oNce4P9nVwaMz2USdlgXZjB5GlK247/+0GBft6LLOXI=
readonly kSecondRouterKey=0Bx3A5V2ccnA5K9TxBl97CRjiKQFrfxc633DSIIsDWM=
readonly kSecondServerKey=uD+Wo+5vHlPvy7vQ9k+wM2iw6dwnepBWv8/Coj4w9G0=

# ---- Reporting ------------------------------------------------------------------------------------------------------

note() { echo "    $*"; }

fail() {
  echo "    FAILED: $*"
  exit 1
}

check() { # DESCRIPTION COMMAND...
  local description=$1
  shift
  "$@" || fail "$description ($*)"
}

equal() { # DESCRIPTION EXPECTED SEEN
  [[ $2 == "$3" ]] || fail "$1: expected \"$2\", seen \"$3\""
}

skip() {
  echo "    SKIPPED: $*"
  exit 77
}

# ---- Time -----------------------------------------------------------------------------------------------------------

now_us() { echo "${EPOCHREALTIME/./}"; }

# A pipe that nobody writes to: reading it with a timeout is a sleep that starts no process.
exec {never}<> <(:)
readonly never
poll_interval() { read -rt "$1" -u "$never" || true; } # SECONDS

# The interval grows, because waiting in the guest costs nothing but each poll does.
holds_within() { # SECONDS COMMAND... -> whether COMMAND succeeded before the deadline
  local deadline=$((${EPOCHREALTIME/./} + $1 * 1000000)) milliseconds=20
  shift
  until "$@"; do
    ((${EPOCHREALTIME/./} < deadline)) || return 1
    poll_interval "0.$(printf %03d $milliseconds)"
    milliseconds=$((milliseconds < 300 ? milliseconds * 3 / 2 : 400))
  done
}

await() { # SECONDS DESCRIPTION COMMAND...
  local seconds=$1 description=$2
  shift 2
  holds_within "$seconds" "$@" || fail "not within $seconds s: $description ($*)"
}

at_least() { # MINIMUM COMMAND... -> whether COMMAND prints at least MINIMUM
  local minimum=$1
  shift
  (($("$@") >= minimum))
}

prints() { # EXPECTED COMMAND... -> whether COMMAND prints EXPECTED
  local expected=$1
  shift
  [[ $("$@") == "$expected" ]]
}

# ---- Families -------------------------------------------------------------------------------------------------------

# A case uses $family, ${wan_address[0]}, ... and so works for both families.
use_family() { # 4|6
  family=$1
  if [[ $family == 4 ]]; then
    wan_address=(192.0.2.10 198.51.100.10)
    wan_gateway=(192.0.2.1 198.51.100.1)
    wan_prefix_length=24
    renewed_address=192.0.2.77
    endpoint=(203.0.113.55 203.0.113.56)
    endpoint_host_length=32
    everything=0.0.0.0/0
    halves=(0.0.0.0/1 128.0.0.0/1)
    inner_router=10.99.0.2 inner_server=10.99.0.1
    inner_second_router=10.99.1.2 inner_second_server=10.99.1.1
    inner_prefix_length=24
  else
    wan_address=(2001:db8:10::10 2001:db8:20::10)
    wan_gateway=(2001:db8:10::1 2001:db8:20::1)
    wan_prefix_length=64
    renewed_address=2001:db8:10::77
    endpoint=(2001:db8:cafe::55 2001:db8:cafe::56)
    endpoint_host_length=128
    everything=::/0
    halves=(::/1 8000::/1)
    inner_router=fd99::2 inner_server=fd99::1
    inner_second_router=fd99:1::2 inner_second_server=fd99:1::1
    inner_prefix_length=64
  fi
}
readonly wan_metric=(100 200)

# "address:port" as wg(8) wants it.
socket_address() { # ADDRESS PORT
  if [[ $1 == *:* ]]; then echo "[$1]:$2"; else echo "$1:$2"; fi
}

in_namespace() { # NAMESPACE COMMAND...
  ip netns exec "$@"
}

router() { ip netns exec router "$@"; }

# ip(8) of the case's family, in the router.
router_ip() { ip -n router -"$family" "$@"; }

# ---- Topology -------------------------------------------------------------------------------------------------------

# Makes addresses usable immediately, without DAD.
quiet_ipv6() { # NAMESPACE
  in_namespace "$1" sysctl -q -w net.ipv6.conf.{all,default}.accept_dad=0 \
    net.ipv6.conf.{all,default}.router_solicitations=0 net.ipv{4,6}.conf.all.forwarding=1
}

# Counts what the customer sends by source and WireGuard message type (first byte of the UDP payload: 1 initiation,
# 2 response, 3 cookie, 4 data), then drops sources outside this ISP's prefix (BCP 38).
isp_ruleset() { # IPV4-PREFIX IPV6-PREFIX
  cat <<RULES
table inet isp {
  counter foreign { }
  set strangers { type ipv4_addr . ipv4_addr . inet_proto . inet_service; flags dynamic; size 1024; counter; }
  set sent4 { type ipv4_addr . mark; flags dynamic; size 1024; counter; }
  set sent6 { type ipv6_addr . mark; flags dynamic; size 1024; counter; }
  set received4 { type ipv4_addr . mark; flags dynamic; size 1024; counter; }
  set received6 { type ipv6_addr . mark; flags dynamic; size 1024; counter; }
  chain from_customer {
    type filter hook prerouting priority raw; policy accept;
    iifname != "customer" return
    # The mark is scratch space here: it holds the type in a form that every nft version can put into a set.
    udp dport { 51820, 51821 } meta mark set @th,64,8 map { 1 : 1, 2 : 2, 3 : 3, 4 : 4 }
    udp sport { 51820, 51821 } meta mark set @th,64,8 map { 1 : 1, 2 : 2, 3 : 3, 4 : 4 }
    meta mark != 0 update @sent4 { ip saddr . meta mark }
    meta mark != 0 update @sent6 { ip6 saddr . meta mark }
    # DHCP: a client has no address yet, and a router with a default route forwards the other ISP's offer here.
    udp dport { 67, 68 } return
    # For debugging failures.
    ip saddr != $1 update @strangers { ip saddr . ip daddr . meta l4proto . th dport }
    ip saddr != $1 counter name foreign drop
    ip6 saddr != { $2, fe80::/10, :: } counter name foreign drop
  }
  chain to_customer {
    type filter hook postrouting priority raw; policy accept;
    oifname != "customer" return
    udp dport { 51820, 51821 } meta mark set @th,64,8 map { 1 : 1, 2 : 2, 3 : 3, 4 : 4 }
    udp sport { 51820, 51821 } meta mark set @th,64,8 map { 1 : 1, 2 : 2, 3 : 3, 4 : 4 }
    meta mark != 0 update @received4 { ip daddr . meta mark }
    meta mark != 0 update @received6 { ip6 daddr . meta mark }
  }
}
RULES
}

# A foreign table, like one of a user: counts what the router sends into its tunnels, and outer packets among that.
witness_ruleset() {
  cat <<'RULES'
table inet witness {
  counter offered { }
  counter looped { }
  chain wire {
    type filter hook postrouting priority 400; policy accept;
    oifname "wg*" counter name offered
    oifname "wg*" udp dport { 51820, 51821 } ip daddr 203.0.113.0/24 counter name looped
    oifname "wg*" udp dport { 51820, 51821 } ip6 daddr 2001:db8:cafe::/64 counter name looped
  }
}
RULES
}

# Tests that use the machine itself as the router override this.
router_namespace() { ip netns add router; }

topology_up() {
  local namespace
  router_namespace
  for namespace in isp0 isp1 server; do ip netns add "$namespace"; done
  for namespace in router isp0 isp1 server; do
    quiet_ipv6 "$namespace"
  done
  for namespace in isp0 isp1; do
    in_namespace "$namespace" sysctl -q -w net.ipv6.conf.{all,default}.keep_addr_on_down=1
  done
  ip -batch - <<'LINKS'
link add wan0 netns router type veth peer name customer netns isp0
link add wan1 netns router type veth peer name customer netns isp1
link add isp0 netns server type veth peer name core netns isp0
link add isp1 netns server type veth peer name core netns isp1
LINKS
  ip -n isp0 -batch - <<'ISP'
link set lo up
addr add 192.0.2.1/24 dev customer
addr add 2001:db8:10::1/64 dev customer
addr add 100.64.0.1/30 dev core
addr add 2001:db8:f0::1/64 dev core
link set customer up
link set core up
ISP
  ip -n isp1 -batch - <<'ISP'
link set lo up
addr add 198.51.100.1/24 dev customer
addr add 2001:db8:20::1/64 dev customer
addr add 100.64.1.1/30 dev core
addr add 2001:db8:f1::1/64 dev core
link set customer up
link set core up
ISP
  ip -n server -batch - <<'SERVER'
link set lo up
addr add 203.0.113.55/32 dev lo
addr add 203.0.113.56/32 dev lo
addr add 2001:db8:cafe::55/128 dev lo
addr add 2001:db8:cafe::56/128 dev lo
addr add 100.64.0.2/30 dev isp0
addr add 2001:db8:f0::2/64 dev isp0
addr add 100.64.1.2/30 dev isp1
addr add 2001:db8:f1::2/64 dev isp1
link set isp0 up
link set isp1 up
route add 192.0.2.0/24 via 100.64.0.1 src 203.0.113.55
route add 198.51.100.0/24 via 100.64.1.1 src 203.0.113.55
route add 2001:db8:10::/64 via 2001:db8:f0::1 src 2001:db8:cafe::55
route add 2001:db8:20::/64 via 2001:db8:f1::1 src 2001:db8:cafe::55
SERVER
  ip -n isp0 -batch - <<'ISP'
route add 203.0.113.0/24 via 100.64.0.2
route add 2001:db8:cafe::/64 via 2001:db8:f0::2
ISP
  ip -n isp1 -batch - <<'ISP'
route add 203.0.113.0/24 via 100.64.1.2
route add 2001:db8:cafe::/64 via 2001:db8:f1::2
ISP
  isp_ruleset 192.0.2.0/24 2001:db8:10::/64 | in_namespace isp0 nft -f -
  isp_ruleset 198.51.100.0/24 2001:db8:20::/64 | in_namespace isp1 nft -f -
  witness_ruleset | router nft -f -
  uplinks_up
}

# Tests with a network manager override this: the manager configures the uplinks.
uplinks_up() {
  ip -n router -batch - <<'ROUTER'
link set lo up
link set wan0 up
link set wan1 up
addr add 192.0.2.10/24 dev wan0
addr add 2001:db8:10::10/64 dev wan0
addr add 198.51.100.10/24 dev wan1
addr add 2001:db8:20::10/64 dev wan1
route add default via 192.0.2.1 dev wan0 metric 100
route add default via 2001:db8:10::1 dev wan0 metric 100
route add default via 198.51.100.1 dev wan1 metric 200
route add default via 2001:db8:20::1 dev wan1 metric 200
ROUTER
  # The kernel delays a carrier announcement by a second if it follows shortly after another one.
  await 5 'both WANs have a carrier' carriers_are_up
}

carriers_are_up() {
  local links
  links=$(ip -n router -oneline link show up)
  [[ $links == *wan0* && $links == *wan1* && $links != *NO-CARRIER* ]]
}

# A kernel thread deletes the namespaces' devices later.
topology_down() {
  local namespace
  for namespace in router isp0 isp1 server; do
    ip netns delete "$namespace" 2>/dev/null || true
  done
}

# ---- WAN events -----------------------------------------------------------------------------------------------------

wan_link_down() { ip -n router link set "wan$1" down; } # WAN

# Like ifupdown or a DHCP client after link up: restores the IPv6 address and the routes, which the kernel dropped.
wan_link_up() { # WAN
  ip -n router link set "wan$1" up
  router_ip addr replace "${wan_address[$1]}/$wan_prefix_length" dev "wan$1"
  wan_route_add "$1"
}

wan_route_add() { # WAN
  router_ip route replace default via "${wan_gateway[$1]}" dev "wan$1" metric "${wan_metric[$1]}"
}

wan_route_delete() { # WAN
  router_ip route del default via "${wan_gateway[$1]}" dev "wan$1" metric "${wan_metric[$1]}"
}

# Unplugs the cable: the router sees NO-CARRIER, while the device stays up with its addresses and routes.
wan_carrier_down() { ip -n "isp$1" link set customer down; } # WAN
wan_carrier_up() { ip -n "isp$1" link set customer up; } # WAN

# Like dhclient-script when the lease is for a different address.
wan_renew_address() { # WAN OLD NEW
  router_ip addr del "$2/$wan_prefix_length" dev "wan$1"
  router_ip addr add "$3/$wan_prefix_length" dev "wan$1"
  wan_route_add "$1"
}

# ---- Tunnels --------------------------------------------------------------------------------------------------------

public_key() { wg pubkey <<<"$1"; } # PRIVATE-KEY

# The router's tunnel (wg0), without routes, and its peer on the server (wgs0), which listens on all addresses.
tunnel_up() {
  server_tunnel_up wgs0 "$kServerKey" 51820 "$kRouterKey" "$inner_router" "$inner_server"
  client_tunnel_up wg0 "$kRouterKey" "$kServerKey" "$(socket_address "${endpoint[0]}" 51820)" "$inner_router"
}

second_tunnel_up() {
  server_tunnel_up wgs1 "$kSecondServerKey" 51821 "$kSecondRouterKey" "$inner_second_router" "$inner_second_server"
  client_tunnel_up wg1 "$kSecondRouterKey" "$kSecondServerKey" "$(socket_address "${endpoint[1]}" 51821)" \
    "$inner_second_router"
}

server_tunnel_up() { # DEVICE KEY PORT PEER-KEY PEER-INNER-ADDRESS INNER-ADDRESS
  ip -n server link add "$1" type wireguard
  in_namespace server wg setconf "$1" /dev/stdin <<CONF
[Interface]
PrivateKey = $2
ListenPort = $3
[Peer]
PublicKey = $(public_key "$4")
AllowedIPs = $5/$endpoint_host_length
CONF
  ip -n server addr add "$6/$inner_prefix_length" dev "$1"
  ip -n server link set "$1" up
}

# A typical user's file: no FwMark.
client_configuration() { # KEY PEER-KEY ENDPOINT
  cat <<CONF
[Interface]
PrivateKey = $1
[Peer]
PublicKey = $(public_key "$2")
AllowedIPs = $everything
Endpoint = $3
CONF
}

client_tunnel_up() { # DEVICE KEY PEER-KEY ENDPOINT INNER-ADDRESS
  ip -n router link add "$1" type wireguard
  client_configuration "$2" "$3" "$4" | router wg setconf "$1" /dev/stdin
  ip -n router addr add "$5/$inner_prefix_length" dev "$1"
  ip -n router link set "$1" up
}

# The two common ways to route all traffic into a tunnel.
route_halves() { # DEVICE
  router_ip route add "${halves[0]}" dev "$1"
  router_ip route add "${halves[1]}" dev "$1"
}

route_default() { # DEVICE [METRIC]
  router_ip route add default dev "$1" metric "${2:-5}"
}

tunnel_mark() { router wg show "$1" fwmark; } # DEVICE -> 0x... or off

handshake_done() { # DEVICE -> whether there has been a handshake with its peer
  local age
  age=$(router wg show "$1" latest-handshakes)
  [[ -n $age && ${age##*[[:blank:]]} != 0 ]]
}

# ---- Traffic --------------------------------------------------------------------------------------------------------

# 20 packets per second through a tunnel until the case ends.
traffic_start() {
  traffic_log=$case_results/traffic
  ip netns exec router ping -n -i 0.05 "$inner_server" >"$traffic_log" 2>&1 &
  traffic_pid=$!
}

traffic_stop() {
  kill "$traffic_pid"
  wait "$traffic_pid" 2>/dev/null || true
}

traffic_pause() { kill -STOP "$traffic_pid"; }
traffic_resume() { kill -CONT "$traffic_pid"; }

answers() { grep -c 'bytes from' "$traffic_log" || true; }

# Awaits answers that arrive after this call.
await_traffic() { # DESCRIPTION [SECONDS]
  await "${2:-15}" "$1" at_least $(($(answers) + 5)) answers
}

# ---- Counters -------------------------------------------------------------------------------------------------------

# Adds up the counters of elements such as "192.0.2.10 . 0x00000004 counter packets 3 bytes 444".
sum_of_elements() { # NAMESPACE SET TYPE|any SOURCE|!SOURCE|any
  ip netns exec "$1" nft list set inet isp "$2" | awk -v type="$3" -v source="$4" '
    BEGIN { RS = "[,{}\n]" }
    $2 == "." && $4 == "counter" {
      seen = $3; sub(/^0x0*/, "", seen)
      if (type != "any" && seen != type) next
      if (source == "any" || (source ~ /^!/ ? "!" $1 != source : $1 == source)) sum += $6
    }
    END { print sum + 0 }'
}

# Packets that reached this ISP from the router, dropped or not.
sent() { sum_of_elements "isp$1" "sent$family" "${2:-any}" "${3:-any}"; } # WAN [TYPE|any [SOURCE|!SOURCE]]
received() { sum_of_elements "isp$1" "received$family" "${2:-any}" "${3:-any}"; } # WAN [TYPE|any [DESTINATION]]

named_counter() { # NAMESPACE TABLE NAME
  ip netns exec "$1" nft list counter inet "$2" "$3" | awk '$1 == "packets" { print $2 }'
}

foreign() { named_counter "isp$1" isp foreign; } # WAN -> packets with a source outside this ISP's prefix
looped() { named_counter router witness looped; }
offered() { named_counter router witness offered; } # all packets routed into a tunnel

counters_reset() {
  local isp
  for isp in isp0 isp1; do
    in_namespace "$isp" nft -f - <<'RESET'
flush set inet isp sent4
flush set inet isp sent6
flush set inet isp received4
flush set inet isp received6
reset counter inet isp foreign
RESET
  done >/dev/null
  router nft reset counter inet witness looped >/dev/null
}

# No packet was misrouted since the last reset.
nothing_misrouted() { # DESCRIPTION
  local seen
  seen="foreign sources at isp0 $(foreign 0), at isp1 $(foreign 1), into a tunnel $(looped)"
  equal "$1" 'foreign sources at isp0 0, at isp1 0, into a tunnel 0' "$seen"
}

# From now on, all outer packets leave by one WAN, with that WAN's source.
steady_on() { # WAN DESCRIPTION
  local other=$((1 - $1))
  counters_reset
  await_traffic "$2: steady traffic"
  equal "$2: packets that left by the other WAN" 0 "$(sent $other)"
  check "$2: packets that left by the WAN" at_least 1 sent "$1" 4 "${wan_address[$1]}"
  equal "$2: packets with other sources" 0 "$(sent "$1" any "!${wan_address[$1]}")"
  nothing_misrouted "$2"
}

# ---- The daemon -----------------------------------------------------------------------------------------------------

daemon_pid='' daemon_log=''
# Arguments for `run`; usually none, a case may set them.
daemon_arguments=()

daemon_start() {
  [[ -x /usr/sbin/wgsteer ]] || skip 'no wgsteer binary given'
  daemon_log=${daemon_log:-$case_results/daemon.log}
  # `ip netns exec` execs the daemon, so this process ID is the daemon's.
  ip netns exec router wgsteer run "${daemon_arguments[@]}" >>"$daemon_log" 2>&1 &
  daemon_pid=$!
}

# Any other verb, run on the router. A hang costs only guest time.
wgsteer() { router timeout 60 wgsteer "$@"; }

# The daemon is running and the kernel matches the plan.
converged() {
  daemon_alive || fail "the daemon ended: $(tail -n 3 "$daemon_log")"
  router_ip -N rule show | grep -qw 'proto 87' && wgsteer plan >"$case_results/plan" 2>&1
}

daemon_alive() { kill -0 "$daemon_pid" 2>/dev/null; }

await_converged() { await 20 'the daemon has converged' converged; }

daemon_start_and_converge() {
  daemon_start
  await_converged
}

# The state from which most cases start: a tunnel for all traffic, steered over wan0, with traffic in it.
steered_tunnel_up() { # [COMMAND THAT SETS ROUTES [ARGUMENTS]...]
  tunnel_up
  if (($#)); then "$@"; else route_halves wg0; fi
  daemon_start_and_converge
  traffic_start
  steady_on 0 'before the event'
}

daemon_kill() { # [SIGNAL]
  kill "-${1:-TERM}" "$daemon_pid"
  wait "$daemon_pid" 2>/dev/null || true
  daemon_pid=''
}

# ---- What is in the kernel ------------------------------------------------------------------------------------------

# Everything that wgsteer may touch, as text.
kernel_state() {
  router ip -4 rule show
  router ip -6 rule show
  # Lifetimes change by themselves and are not state.
  router ip -4 route show table all
  router ip -6 route show table all | sed 's/ expires [0-9]*sec//'
  router nft -s list ruleset
  router wg show all fwmark
  # Expanded inside: the devices are the router's.
  # shellcheck disable=SC2016
  router bash -c 'cd /proc/sys/net; grep -H . ipv4/conf/*/{rp_filter,src_valid_mark,ignore_routes_with_linkdown} \
    ipv6/conf/*/ignore_routes_with_linkdown'
}

# The part that is ours, without counters.
own_state() {
  router ip -N -4 rule show | grep -w 'proto 87' || true
  router ip -N -6 rule show | grep -w 'proto 87' || true
  router ip -4 route show table all proto 87
  router ip -6 route show table all proto 87
  router nft -s list table inet wgsteer 2>/dev/null || true
}

# Whether TEXT does not occur in our state as a whole word (an address or gateway that is gone).
absent_from_own_state() { ! own_state | grep -qF -w -e "$1"; } # TEXT

# ---- Running the cases ----------------------------------------------------------------------------------------------

diagnostics() {
  echo '    --- rules, routes'
  ip -n router -"$family" rule show
  ip -n router -"$family" route show table all | grep -v 'table local'
  echo '    --- links, addresses'
  ip -n router addr show
  echo '    --- wg'
  router wg show all
  echo '    --- nft'
  router nft list ruleset
  in_namespace isp0 nft list table inet isp
  in_namespace isp1 nft list table inet isp
  [[ ! -f $case_results/plan ]] || { echo '    --- plan'; cat "$case_results/plan"; }
  if [[ -f $case_results/daemon.log ]]; then
    echo '    --- daemon, last lines'
    tail -n 60 "$case_results/daemon.log"
  fi
}

# Kills what the case left running and deletes its namespaces.
end_case() {
  local namespace process
  for namespace in router isp0 isp1 server; do
    for process in $(ip netns pids "$namespace" 2>/dev/null); do
      kill -KILL "$process" 2>/dev/null || true
    done
  done
  topology_down
  rm -rf /run/wgsteer
}

# Runs in a subshell, so that a case ends at its first failure.
run_case() ( # NAME FAMILY
  set -eEu
  trap 'echo "    FAILED: ${BASH_SOURCE[0]##*/}:$LINENO: $BASH_COMMAND"' ERR
  use_family "$2"
  case_results=/results/$1-v$2
  mkdir -p "$case_results"
  topology_up
  "case_$1"
  [[ -z $daemon_pid ]] || daemon_alive || fail "the daemon ended unexpectedly: $(tail -n 3 "$daemon_log")"
)

run_cases() {
  local name version status started failures=0 passed=0 skipped=0 pattern
  pattern=$(<"${BASH_SOURCE[0]%/*}/only")
  local names
  mapfile -t names < <(sed -n 's/^case_\([a-z0-9_]*\)().*/\1/p' /test/script)
  for name in "${names[@]}"; do
    for version in 4 6; do
      [[ $name-v$version =~ $pattern ]] || continue
      started=$(now_us)
      echo "--- $name-v$version"
      run_case "$name" "$version"
      status=$?
      local took=$((($(now_us) - started) / 100000))
      case $status in
        0) passed=$((passed + 1)) && echo "    ok, $((took / 10)).$((took % 10)) s" ;;
        77) skipped=$((skipped + 1)) ;;
        *)
          failures=$((failures + 1))
          use_family "$version"
          case_results=/results/$name-v$version diagnostics >"/results/$name-v$version/diagnostics" 2>&1
          cat "/results/$name-v$version/diagnostics"
          ;;
      esac
      end_case
    done
  done
  echo "$passed passed, $failures failed, $skipped skipped"
  ((passed + failures + skipped)) || { echo "no case matches \"$pattern\""; return 1; }
  ((failures == 0)) || return 1
  ((passed)) || return 77
}
