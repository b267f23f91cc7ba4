# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A gateway without any tunnel: a LAN of two hosts, two WANs whose ISPs drop foreign sources, and servers that tell each
# client the address they see. The firewall, which is not ours, does NAT for the LAN alone, so that packets which the
# router itself sends with a wrong source are dropped.
#
#     tv ---+                             +---- isp0: drops foreign sources, counts ----+
#           br-lan --- router --- wan0 ---+                                             +--- server
#     pc ---+       |             wan1 ---+                                             +      203.0.113.55 203.0.113.56
#                   |                     +---- isp1: drops foreign sources, counts ----+
#                   +--- guest (with guest_up)
#                   +--- site (with site_up): 192.168.50.0/24 by a route of main
#
#     br-lan 192.168.1.1/24  2001:db8:1::1/64  tv .10  pc .20        guest0 192.168.2.1/24  2001:db8:2::1/64  guest .30
#     wan0 is `fiber`, which main prefers, wan1 is `lte`; their addresses: topology.sh

# Variables set here are for the scripts that are sourced after this file, and some come from topology.sh.
# shellcheck disable=SC2034,SC2154

# The daemon that `... | rules_are` starts is this shell's.
shopt -s lastpipe

# shellcheck source=../support/cases.sh
source "${BASH_SOURCE[0]%/*}/cases.sh"

kAgent=$(realpath "${BASH_SOURCE[0]%/*}/traffic.py")
python=$(python3 -c "import sys; print(sys.executable)" 2>/dev/null)
readonly kAgent python
# Ports on which the servers answer, TCP and UDP.
readonly kPorts=(53 80 443 7000 8000)
readonly kTvMac=02:00:5e:00:53:01 kPcMac=02:00:5e:00:53:02
# The bits in which marks of ours may be.
readonly kOurBits=0xff000000

# ---- The world ------------------------------------------------------------------------------------------------------

traffic_unfit() { # -> the reason why the world cannot be built
  local tool
  machine_unfit
  for tool in ip nft ping sysctl nsenter unshare setpriv python3; do
    command -v "$tool" >/dev/null || { echo "no $tool on this machine"; return; }
  done
  unshare --net ip link add probe type bridge 2>/dev/null || { echo 'the kernel has no bridge'; return; }
  unshare --net nft 'add table inet probe; add chain inet probe c { type nat hook postrouting priority 100; };
    add rule inet probe c masquerade' 2>/dev/null || echo 'the kernel has no NAT'
}

# Addresses of the case's family.
traffic_family() {
  if [[ $family == 4 ]]; then
    internet=203.0.113.55 elsewhere=203.0.113.56
    lan_router=192.168.1.1 tv=192.168.1.10 pc=192.168.1.20 lan_prefix=192.168.1.0/24
    guest_router=192.168.2.1 guest=192.168.2.30 guest_prefix=192.168.2.0/24
    site_router=10.9.0.1 site_next=10.9.0.2 site=192.168.50.7 site_prefix=192.168.50.0/24
    host_length=32 short_length=24 default_prefix=0.0.0.0/0
  else
    internet=2001:db8:cafe::55 elsewhere=2001:db8:cafe::56
    lan_router=2001:db8:1::1 tv=2001:db8:1::10 pc=2001:db8:1::20 lan_prefix=2001:db8:1::/64
    guest_router=2001:db8:2::1 guest=2001:db8:2::30 guest_prefix=2001:db8:2::/64
    site_router=fd09::1 site_next=fd09::2 site=fd50::7 site_prefix=fd50::/64
    host_length=128 short_length=64 default_prefix=::/0
  fi
}

traffic_up() {
  local missing wan
  missing=$(traffic_unfit)
  [[ -z $missing ]] || skip "$missing"
  traffic_family
  work=$(mktemp -d)
  host_up router
  host_up server
  in_host server ip -batch - <<'SERVER'
addr add 203.0.113.55/32 dev lo
addr add 203.0.113.56/32 dev lo
addr add 2001:db8:cafe::55/128 dev lo nodad
addr add 2001:db8:cafe::56/128 dev lo nodad
SERVER
  for wan in 0 1; do
    isp_up "$wan"
    observed_ruleset | in_host "isp$wan" nft -f -
    wan_up "$wan"
  done
  router ip link add br-lan type bridge
  bridge_netfilter 0
  router ip link set br-lan up
  router ip addr add 192.168.1.1/24 dev br-lan
  router ip addr add 2001:db8:1::1/64 dev br-lan nodad
  lan_host_up tv 192.168.1.10/24 2001:db8:1::10/64 192.168.1.1 2001:db8:1::1 "$kTvMac"
  lan_host_up pc 192.168.1.20/24 2001:db8:1::20/64 192.168.1.1 2001:db8:1::1 "$kPcMac"
  router ip link set port-tv master br-lan
  router ip link set port-pc master br-lan
  firewall_ruleset | router nft -f -
  marks_ruleset | router nft -f -
  await 5 'all devices have a carrier' carriers_are_up
  serves server 203.0.113.55 203.0.113.56 2001:db8:cafe::55 2001:db8:cafe::56
}

lan_host_up() { # HOST IPV4-ADDRESS IPV6-ADDRESS IPV4-ROUTER IPV6-ROUTER MAC-ADDRESS
  host_up "$1"
  # Distinct indexes, as in isp_up.
  ip link add "l$$" index "$((40 + ${#holder[@]}))" netns "${holder[router]}" type veth peer name lan \
    address "$6" netns "${holder[$1]}"
  router ip link set "l$$" name "port-$1"
  router ip link set "port-$1" up
  in_host "$1" ip -batch - <<HOST
addr add $2 dev lan
addr add $3 dev lan nodad
link set lan up
route add default via $4
route add default via $5
HOST
}

# Whether frames between hosts of one bridge pass through rulesets for IP, as with Docker.
bridge_netfilter() { # 0|1
  router sysctl -q -w "net.bridge.bridge-nf-call-iptables=$1" "net.bridge.bridge-nf-call-ip6tables=$1" 2>/dev/null || true
}

# A second LAN.
guest_up() {
  lan_host_up guest 192.168.2.30/24 2001:db8:2::30/64 192.168.2.1 2001:db8:2::1 02:00:5e:00:53:03
  router ip link set port-guest down
  router ip link set port-guest name guest0
  router ip -batch - <<'ROUTER'
link set guest0 up
addr add 192.168.2.1/24 dev guest0
addr add 2001:db8:2::1/64 dev guest0 nodad
ROUTER
  await 5 'all devices have a carrier' carriers_are_up
}

# A network that a more specific route of main leads to, like an office behind a tunnel. It knows the LAN's addresses.
site_up() {
  host_up site
  ip link add "l$$" index 60 netns "${holder[router]}" type veth peer name wire netns "${holder[site]}"
  router ip link set "l$$" name site0
  router ip -batch - <<'ROUTER'
addr add 10.9.0.1/24 dev site0
addr add fd09::1/64 dev site0 nodad
link set site0 up
route add 192.168.50.0/24 via 10.9.0.2
route add fd50::/64 via fd09::2
ROUTER
  in_host site ip -batch - <<'SITE'
addr add 10.9.0.2/24 dev wire
addr add fd09::2/64 dev wire nodad
addr add 192.168.50.7/32 dev lo
addr add fd50::7/128 dev lo nodad
addr add 203.0.113.56/32 dev lo
addr add 2001:db8:cafe::56/128 dev lo nodad
link set wire up
route add default via 10.9.0.1
route add default via fd09::1
SITE
  serves site 192.168.50.7 fd50::7 203.0.113.56 2001:db8:cafe::56
}

serves() { # HOST ADDRESS...
  local host=$1
  shift
  start_in_host "$host" "$work/serve.$host" "$python" -S -E "$kAgent" serve "$@" -- "${kPorts[@]}"
  await 20 "$host serves" grep -qs serving "$work/serve.$host"
}

# ---- Foreign rulesets ----------------------------------------------------------------------------------------------

# What comes in from the customer and has not been dropped, and what was sent to the customer.
observed_ruleset() {
  cat <<'RULES'
table inet observed {
  counter all4 { }
  counter all6 { }
  counter flows4 { }
  counter flows6 { }
  counter echo4 { }
  counter echo6 { }
  counter errors4 { }
  counter errors6 { }
  counter groups4 { }
  counter groups6 { }
  chain from_customer {
    type filter hook prerouting priority raw + 1; policy accept;
    iifname != "customer" return
    ip protocol { tcp, udp, icmp } counter name all4
    meta l4proto { tcp, udp } ip6 version 6 counter name all6
    meta l4proto { tcp, udp } ip version 4 counter name flows4
    meta l4proto { tcp, udp } ip6 version 6 counter name flows6
    icmp type echo-request counter name echo4
    icmpv6 type echo-request counter name echo6
    icmp type { destination-unreachable, time-exceeded } counter name errors4
    icmpv6 type { destination-unreachable, packet-too-big, time-exceeded } counter name errors6
    ip daddr { 224.0.0.0/4, 255.255.255.255 } counter name groups4
    ip6 daddr ff00::/8 meta l4proto { tcp, udp } counter name groups6
  }
}
RULES
}

# NAT as of a firewall, for what comes from the LANs only. A case may set port_forwards before traffic_up.
port_forwards=''
firewall_ruleset() {
  cat <<RULES
table inet firewall {
  chain dstnat {
    type nat hook prerouting priority dstnat; policy accept;
    $port_forwards
  }
  chain srcnat {
    type nat hook postrouting priority srcnat; policy accept;
    oifname { ${wan_device[0]}, ${wan_device[1]} } ip saddr 192.168.0.0/16 masquerade
    oifname { ${wan_device[0]}, ${wan_device[1]} } ip6 saddr { 2001:db8:1::/64, 2001:db8:2::/64 } masquerade
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    # Nobody translates these: they would leave with the address of a LAN.
    oifname { ${wan_device[0]}, ${wan_device[1]} } ct state invalid drop
  }
}
RULES
}

# A firewall that translates to fixed addresses does not notice that a device is gone.
fixed_translation() {
  local wan
  foreign_allowed=100
  router nft flush chain inet firewall srcnat
  for wan in 0 1; do
    router nft "add rule inet firewall srcnat oifname ${wan_device[$wan]} ip saddr 192.168.0.0/16 snat ip to ${wan_address4[$wan]};
      add rule inet firewall srcnat oifname ${wan_device[$wan]} ip6 saddr 2001:db8:1::/64 snat ip6 to ${wan_address6[$wan]}"
  done
}

# Counts packets after everybody else has had them: all, and those with any bit of a mark set.
marks_ruleset() {
  local chain hook
  cat <<'RULES'
table inet marks {
  counter seen { }
  counter meta_marked { }
  counter ct_marked { }
  counter local_seen { }
  counter local_marked { }
  chain count {
    counter name seen
    meta mark != 0 counter name meta_marked
    ct mark != 0 counter name ct_marked
  }
  chain count_local {
    counter name local_seen
    meta mark != 0 counter name local_marked
    ct mark != 0 counter name local_marked
  }
  chain forward {
    type filter hook forward priority 400; policy accept;
    meta l4proto { tcp, udp, icmp } goto count
    icmpv6 type { echo-request, echo-reply } goto count
  }
  chain postrouting {
    type filter hook postrouting priority 400; policy accept;
    meta l4proto { tcp, udp, icmp } goto count
    icmpv6 type { echo-request, echo-reply } goto count
  }
  chain output {
    type filter hook output priority 400; policy accept;
    oifname "lo" return
    # Not MLD: its packets keep something else where the mark is (reserved_tailroom in linux/skbuff.h).
    meta l4proto { tcp, udp, icmp } goto count_local
    icmpv6 type { echo-request, echo-reply } goto count_local
  }
}
RULES
}

# ---- Counters -------------------------------------------------------------------------------------------------------

observed() { named_counter "isp$1" observed "$2$family"; } # WAN COUNTER
marked() { named_counter router marks "$1"; } # COUNTER
foreign_sources() { echo "$(foreign 0) $(foreign 1)"; }

observers_reset() {
  local wan
  for wan in 0 1; do
    in_host "isp$wan" nft reset counters table inet isp
    in_host "isp$wan" nft reset counters table inet observed
  done >/dev/null
  router nft reset counters table inet marks >/dev/null
}

no_foreign_sources() { equal "$1: packets with a source of the other WAN, or of none" '0 0' "$(foreign_sources)"; } # WHAT

# Connections of the router, one per line; empty if none matches.
connections() { # PATTERN
  router grep -E -e "$1" /proc/net/nf_conntrack || true
}

# IPv6 addresses there are written in full.
as_conntrack() { # ADDRESS
  if [[ $1 == *:* ]]; then
    "$python" -S -E -c 'import ipaddress, sys; print(ipaddress.ip_address(sys.argv[1]).exploded)' "$1"
  else
    echo "$1"
  fi
}

# ---- Clients ---------------------------------------------------------------------------------------------------------

# Prints the address that the server sees, or: refused, unreachable, reset, too-big, silence.
ask() { # HOST PROTOCOL ADDRESS PORT [OPTION OF traffic.py]...
  local answer
  answer=$(asked_in "$@")
  echo "${answer% *}"
}

# The same, and the milliseconds that it took.
asked_in() { # HOST PROTOCOL ADDRESS PORT [OPTION]...
  in_host "$1" "$python" -S -E "$kAgent" ask "${@:2}"
}

# For the first WAN's name, and so on.
readonly wan_name=(fiber lte)

goes_by() { # WAN HOST PROTOCOL ADDRESS PORT [OPTION]...
  equal "${*:2} by ${wan_name[$1]}" "${wan_address[$1]}" "$(ask "${@:2}")"
}

goes_where() { # ADDRESS-SEEN-OR-WORD HOST PROTOCOL ADDRESS PORT [OPTION]...
  equal "${*:2}" "$1" "$(ask "${@:2}")"
}

answered_by() { # WAN HOST PROTOCOL ADDRESS PORT [OPTION]... -> whether the server sees that WAN's address
  [[ $(ask "${@:2}") == "${wan_address[$1]}" ]]
}

# Echo requests have no server that tells their source: counted at the ISPs.
pings_by() { # WAN HOST ADDRESS [OPTION OF ping]...
  local before other
  before=$(observed "$1" echo) other=$(observed "$((1 - $1))" echo)
  in_host "$2" ping -n -c 1 -W 2 "${@:4}" "$3" >/dev/null || fail "ping ${*:2}: no answer"
  equal "ping ${*:2} by ${wan_name[$1]}" "$((before + 1)) $other" "$(observed "$1" echo) $(observed "$((1 - $1))" echo)"
}

# ---- Flows ----------------------------------------------------------------------------------------------------------

# Clients that ask all the time; flow[NAME] is the process, the log is written by traffic.py.
declare -A flow=() flow_count=()

flow_log() { echo "$work/flow.$1"; } # NAME

flow_start() { # NAME HOST PROTOCOL ADDRESS PORT [OPTION]...
  flow_begin "$@"
  await 10 "$1: every connection is answered" flow_is_alive "$1" 0
}

flow_begin() { # NAME HOST PROTOCOL ADDRESS PORT [OPTION]...
  local name=$1 count=1 i words=("$@")
  for ((i = 5; i < $#; i++)); do
    [[ ${words[i]} != --flows ]] || count=${words[i + 1]}
  done
  flow_count[$name]=$count
  : >"$(flow_log "$name")"
  start_in_host "$2" "$(flow_log "$name")" "$python" -S -E "$kAgent" flow "${@:3}"
  flow[$name]=$started
}

flow_stop() { # NAME...
  local name
  for name in "$@"; do
    stop_process "${flow[$name]}"
  done
}

# No packet has been forwarded for a moment: ends of connections and late answers are through.
traffic_is_quiet() {
  local before
  before=$(marked seen)
  read -rt 0.2 -u "$never" || true
  [[ $(marked seen) == "$before" ]]
}

# Answers, one per line: time, connection, number, address.
flow_answers() { # NAME SINCE
  awk -v since="$2" '$3 ~ /^[0-9]+$/ && $1 >= since' "$(flow_log "$1")"
}

# Each connection has had an answer, the last one with this address.
flow_is_alive() { # NAME SINCE [ADDRESS]
  flow_answers "$1" "$2" | awk -v count="${flow_count[$1]}" -v address="${3:-}" '
    { last[$2] = $4 }
    END { for (i in last) if (address == "" || last[i] == address) alive++; exit alive != count }'
}

# From now on every connection is answered with this address.
flow_is_on() { # NAME ADDRESS SECONDS WHAT
  await "$3" "$4: $1 at $2" flow_is_alive "$1" "$(now_ms)" "$2"
}

# Questions without an answer that were followed by one with an answer.
flow_lost() { # NAME [SINCE]
  flow_answers "$1" "${2:-0}" | awk '
    !($2 in first) || $3 < first[$2] { first[$2] = $3 }
    $3 > last[$2] { last[$2] = $3 }
    { answers[$2]++ }
    END { for (i in first) lost += last[i] - first[i] + 1 - answers[i]; print lost + 0 }'
}

# Errors: connections that ended, questions that the kernel refused to send.
flow_errors() { # NAME [SINCE]
  awk -v since="${2:-0}" '$3 == "-" && $1 >= since { errors++ } END { print errors + 0 }' "$(flow_log "$1")"
}

# Answers with another address than this.
flow_strays() { # NAME ADDRESS [SINCE]
  flow_answers "$1" "${3:-0}" | awk -v address="$2" '$4 != address { strays++ } END { print strays + 0 }'
}

# Nothing has happened to these connections: no loss, no error, and always the same address.
flow_is_untouched() { # NAME ADDRESS SINCE WHAT
  await 5 "$4: $1 is answered" flow_is_alive "$1" "$(now_ms)"
  equal "$4: $1: lost, errors, answers with another address" '0 0 0' \
    "$(flow_lost "$1" "$3") $(flow_errors "$1" "$3") $(flow_strays "$1" "$2" "$3")"
}

# Milliseconds until the last of the connections had its first answer with this address.
flow_moved_after() { # NAME ADDRESS SINCE
  flow_answers "$1" "$3" | awk -v address="$2" -v since="$3" '
    $4 == address && !seen[$2]++ { last = $1 } END { print last - since }'
}

# ---- The daemon -----------------------------------------------------------------------------------------------------

# A case may add options to these before rules_are.
fiber_options='' lte_options='' global_options='' policy_options=''

traffic_configuration() {
  cat <<TOML
$global_options
[[wan]]
name = "fiber"
device = "${wan_device[0]}"
$fiber_options
[[wan]]
name = "lte"
device = "${wan_device[1]}"
$lte_options
TOML
}

traffic_policies() {
  cat <<TOML
[[policy]]
name = "fiber_first"
use_wan = ["fiber:10", "lte:20"]
$policy_options
[[policy]]
name = "lte_first"
use_wan = ["lte:10", "fiber:20"]
$policy_options
[[policy]]
name = "only_lte"
use_wan = ["lte"]
TOML
}

traffic_converged() {
  daemon_alive || fail "the daemon ended: $(tail -n 3 "$daemon_log")"
  quietly wgsteer status && quietly wgsteer plan "${daemon_arguments[@]}"
}

# The same while probes fail, of which plan knows nothing.
daemon_settled() { has_line 'kernel state is up to date' wgsteer status; }

# Writes the configuration with the rules on standard input, and starts or reloads the daemon.
rules_are() {
  { traffic_configuration && traffic_policies && cat; } >"$work/wgsteer.toml"
  configuration_is_used
}

configuration_is_used() {
  daemon_arguments=(-c "$work/wgsteer.toml")
  if [[ -z $daemon_pid ]]; then
    quietly wgsteer check "${daemon_arguments[@]}" || true
    daemon_start
  else
    wgsteer reload >"$work/reload" 2>&1 || fail "reload: $(<"$work/reload")"
  fi
  await 15 'the daemon has converged' traffic_converged
}

# Everything that a rule could leave behind, as text.
ruling_state() {
  local version
  for version in 4 6; do
    router ip -"$version" rule show
    router ip -"$version" route show table all | sed 's/ expires [0-9]*sec//'
  done
  # Without what cases count with.
  router nft -s list ruleset
}

more_diagnostics() {
  echo '    --- configuration, connections, flows'
  cat "$work/wgsteer.toml" || true
  [[ -z $daemon_pid ]] || wgsteer plan "${daemon_arguments[@]}" || true
  connections . | head -n 60
  local name
  tail -n 5 "$work"/serve.*
  for name in "${!flow[@]}"; do
    echo "        $name"
    tail -n 5 "$(flow_log "$name")"
  done
}
