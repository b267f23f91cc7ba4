# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A router with two uplinks and wireguard-go, and packet counters on the wire; for demo.sh and system/.
#
#                        +---- isp0: drops foreign sources, counts ----+
#     router  wan0 ------+                                             +------ server
#     (wgsteer, wg0)                                                           203.0.113.55  2001:db8:cafe::55
#             wan1 ------+                                             +------ 203.0.113.56  2001:db8:cafe::56
#             lan0 ---+  +---- isp1: drops foreign sources, counts ----+
#                     +-- phone (only with topology_lan)
#
#     wan0  192.0.2.10/24     gateway 192.0.2.1      2001:db8:10::10/64  gateway 2001:db8:10::1   metric 100
#     wan1  198.51.100.10/24  gateway 198.51.100.1   2001:db8:20::10/64  gateway 2001:db8:20::1   metric 200
#
# A host is a network namespace plus a mount namespace, held by one process. Its /run is private, because wireguard-go's
# UAPI sockets there would otherwise be shared. Every process started here dies with the script, even if the script is
# killed, so nothing needs a name on the machine and nothing is left behind.

# Variables set here are for the scripts that are sourced after this file.
# shellcheck disable=SC2034

readonly kRouterKey=GJgyWJG5BpAQghZKvPY7zikEKEtZ9WrhVcIg3s65/HE=
readonly kServerKey=oNce4P9nVwaMz2USdlgXZjB5GlK247/+0GBft6LLOXI=
readonly kPhoneKey=0Bx3A5V2ccnA5K9TxBl97CRjiKQFrfxc633DSIIsDWM=
readonly kPort=51820
# The router's own WireGuard server, for the phone.
readonly kServicePort=51900

# A script may set these before topology_up.
wan_device=(wan0 wan1)
wan_metric=(100 200)
wan_address4=(192.0.2.10 198.51.100.10)
wan_address6=(2001:db8:10::10 2001:db8:20::10)
wan_gateway4=(192.0.2.1 198.51.100.1)
wan_gateway6=(2001:db8:10::1 2001:db8:20::1)
isp_prefix4=(192.0.2.0/24 198.51.100.0/24)
isp_prefix6=(2001:db8:10::/64 2001:db8:20::/64)
endpoint4=203.0.113.55
endpoint6=2001:db8:cafe::55
tunnel_device=wg0
tunnel_metric=5
tunnel_fwmark=''
router_families=(4 6)

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

# A test that cannot run says why; with CI=true that is a failure.
skip() {
  echo "    SKIPPED: $*"
  [[ ${CI:-} != true ]] || exit 1
  exit 77
}

# ---- Time -----------------------------------------------------------------------------------------------------------

now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }

# A pipe that nobody writes to: reading it with a timeout is a sleep that starts no process.
exec {never}<> <(:)
readonly never

holds_within() { # SECONDS COMMAND... -> whether COMMAND succeeded before the deadline
  local deadline=$((${EPOCHREALTIME/./} + $1 * 1000000))
  shift
  until "$@"; do
    ((${EPOCHREALTIME/./} < deadline)) || return 1
    read -rt 0.02 -u "$never" || true
  done
}

await() { # SECONDS WHAT COMMAND...
  local seconds=$1 what=$2
  shift 2
  local command=$*
  holds_within "$seconds" "$@" || fail "not within $seconds s: $what (${command:0:200})"
}

at_most() { # MAXIMUM COMMAND... -> whether COMMAND prints at most MAXIMUM
  local maximum=$1
  shift
  (($("$@") <= maximum))
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

has_line() { # PATTERN COMMAND... -> whether COMMAND prints a line that matches PATTERN (grep -E)
  local pattern=$1 output
  shift
  output=$("$@") || true
  grep -qE -e "$pattern" <<<"$output"
}

quietly() { "$@" >/dev/null 2>&1; }

fails() { ! quietly "$@"; }

# Leaves the command's output in $work/out and $work/err.
code_of() { # COMMAND... -> its exit status
  local code=0
  "$@" >"$work/out" 2>"$work/err" || code=$?
  echo "$code"
}

# ---- Families -------------------------------------------------------------------------------------------------------

# A case uses $family, ${wan_address[0]}, ... and so works for both families.
use_family() { # 4|6
  family=$1
  if [[ $family == 4 ]]; then
    wan_address=("${wan_address4[@]}")
    wan_gateway=("${wan_gateway4[@]}")
    wan_length=24
    endpoint=$endpoint4
    inner_router=10.99.0.2 inner_server=10.99.0.1 inner_phone=10.98.0.2 inner_service=10.98.0.1
  else
    wan_address=("${wan_address6[@]}")
    wan_gateway=("${wan_gateway6[@]}")
    wan_length=64
    endpoint=$endpoint6
    inner_router=fd99::2 inner_server=fd99::1 inner_phone=fd98::2 inner_service=fd98::1
  fi
}

socket_address() { # ADDRESS PORT -> as wg(8) wants it
  if [[ $1 == *:* ]]; then echo "[$1]:$2"; else echo "$1:$2"; fi
}

# ---- Hosts ----------------------------------------------------------------------------------------------------------

# Manual WAN overrides go to the host's own /run, even if wgsteer runs as a service on the machine.
export STATE_DIRECTORY=/var/run/wgsteer

declare -A holder=()
processes=()
work=''

host_up() { # HOST
  # Expanded inside the namespaces.
  # shellcheck disable=SC2016
  setpriv --pdeathsig KILL unshare --net --mount --propagation private bash -ec '
    mount -t tmpfs tmpfs /run
    mkdir /run/wireguard
    mount -t sysfs sysfs /sys 2>/dev/null || true
    # Hide the configuration of the machine that runs the test.
    # The last two have names of numbers, with which ip(8) would print others than the tests look for.
    for folder in /etc/wgsteer /etc/wireguard /etc/systemd/network /etc/NetworkManager /etc/iproute2/rt_protos.d \
      /etc/iproute2/rt_tables.d; do
      [[ ! -d $folder ]] || mount -t tmpfs tmpfs "$folder"
    done
    echo up >"$1"
    exec tail -f /dev/null' holder "$work/$1.up" >/dev/null 2>&1 &
  holder[$1]=$!
  await 10 "namespaces of $1" test -s "$work/$1.up"
  # Addresses are usable at once, and a device that loses its carrier keeps its IPv6 addresses.
  in_host "$1" sysctl -q -w net.ipv6.conf.{all,default}.accept_dad=0 \
    net.ipv6.conf.{all,default}.router_solicitations=0 net.ipv{4,6}.conf.all.forwarding=1
  in_host "$1" ip link set lo up
}

in_host() { # HOST COMMAND...
  local pid=${holder[$1]}
  shift
  nsenter --target "$pid" --net --mount -- "$@"
}

# Starts a background process on a host; it dies with this script. Leaves its process ID in $started.
started=''
start_in_host() { # HOST LOG COMMAND...
  local pid=${holder[$1]} log=$2
  shift 2
  setpriv --pdeathsig KILL nsenter --target "$pid" --net --mount -- "$@" >>"$log" 2>&1 &
  started=$!
  processes+=("$started")
}

stop_process() { # PID [SIGNAL]
  kill "-${2:-TERM}" "$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
}

router() { in_host router "$@"; }
router_ip() { router ip -"$family" "$@"; } # ip(8) of the case's family

# ---- Rulesets -------------------------------------------------------------------------------------------------------

# Counts the customer's outer packets by source and by WireGuard message type (the first byte after the UDP header;
# three zero bytes follow). Drops only sources outside this ISP's prefix (BCP 38).
isp_ruleset() { # IPV4-PREFIX IPV6-PREFIX
  cat <<RULES
table inet isp {
  counter right4 { }
  counter right6 { }
  counter foreign4 { }
  counter foreign6 { }
  counter initiations { }
  counter data { }
  counter responses { }
  counter answers { }
  chain from_customer {
    type filter hook prerouting priority raw; policy accept;
    iifname != "customer" return
    # Answers in flight to an address that the router has just lost: like any router, it routes them back out.
    ip saddr { 203.0.113.55, 203.0.113.56 } drop
    ip6 saddr { 2001:db8:cafe::55, 2001:db8:cafe::56 } drop
    ip saddr != $1 counter name foreign4 drop
    ip6 saddr != { $2, fe80::/10, :: } counter name foreign6 drop
    udp dport $kPort ip version 4 counter name right4
    udp dport $kPort ip6 version 6 counter name right6
    udp dport $kPort @th,64,32 0x01000000 counter name initiations
    udp dport $kPort @th,64,32 0x04000000 counter name data
  }
  chain to_customer {
    type filter hook postrouting priority raw; policy accept;
    oifname "customer" udp sport $kPort counter name answers
    oifname "customer" udp sport $kPort @th,64,32 0x02000000 counter name responses
  }
}
RULES
}

# A foreign table, like one of a user: counts outer packets that would enter a tunnel.
witness_ruleset() {
  cat <<RULES
table inet witness {
  counter looped { }
  chain wire {
    type filter hook postrouting priority 400; policy accept;
    oifname "$tunnel_device" udp dport $kPort ip daddr $endpoint4 counter name looped
    oifname "$tunnel_device" udp dport $kPort ip6 daddr $endpoint6 counter name looped
  }
}
RULES
}

# ---- Topology -------------------------------------------------------------------------------------------------------

requirement_missing() { # -> the reason why the topology cannot be built
  local tool
  machine_unfit
  for tool in ip nft wg wireguard-go ping sysctl nsenter unshare setpriv; do
    command -v "$tool" >/dev/null || { echo "no $tool on this machine"; return; }
  done
}

machine_unfit() { # -> a reason that installing packages would not fix; skips checks whose tool is not installed yet
  ((EUID == 0)) || { echo 'needs root'; return; }
  [[ -c /dev/net/tun ]] || { echo 'no /dev/net/tun'; return; }
  unshare --net --mount true 2>/dev/null || { echo 'namespaces cannot be created here'; return; }
  ! command -v nft >/dev/null || unshare --net nft add table inet probe 2>/dev/null ||
    { echo 'the kernel has no nf_tables'; return; }
  ! command -v ip >/dev/null || unshare --net ip link add probe type veth peer name peer 2>/dev/null ||
    echo 'the kernel has no veth'
}

isp_up() { # WAN
  local isp=isp$1
  host_up "$isp"
  in_host "$isp" sysctl -q -w net.ipv6.conf.{all,default}.keep_addr_on_down=1
  # A distinct ifindex: the kernel treats a veth whose peer has the same index as a real device, and then announces its
  # carrier up to a second late.
  ip link add "w$$" index "$((10 + $1))" netns "${holder[router]}" type veth peer name customer netns "${holder[$isp]}"
  router ip link set "w$$" name "${wan_device[$1]}"
  ip link add "$isp" index "$((20 + $1))" netns "${holder[server]}" type veth peer name core netns "${holder[$isp]}"
  in_host "$isp" ip -batch - <<ISP
addr add ${wan_gateway4[$1]}/24 dev customer
addr add ${wan_gateway6[$1]}/64 dev customer nodad
addr add 100.64.$1.1/30 dev core
addr add 2001:db8:f$1::1/64 dev core nodad
link set customer up
link set core up
route add 203.0.113.0/24 via 100.64.$1.2
route add 2001:db8:cafe::/64 via 2001:db8:f$1::2
ISP
  in_host server ip -batch - <<SERVER
addr add 100.64.$1.2/30 dev $isp
addr add 2001:db8:f$1::2/64 dev $isp nodad
link set $isp up
route add ${isp_prefix4[$1]} via 100.64.$1.1 src 203.0.113.55
route add ${isp_prefix6[$1]} via 2001:db8:f$1::1 src 2001:db8:cafe::55
SERVER
  isp_ruleset "${isp_prefix4[$1]}" "${isp_prefix6[$1]}" | in_host "$isp" nft -f -
}

topology_up() {
  local missing wan
  missing=$(requirement_missing)
  [[ -z $missing ]] || skip "$missing"
  work=$(mktemp -d)
  host_up router
  host_up server
  in_host server ip -batch - <<'SERVER'
addr add 203.0.113.55/32 dev lo
addr add 203.0.113.56/32 dev lo
addr add 2001:db8:cafe::55/128 dev lo nodad
addr add 2001:db8:cafe::56/128 dev lo nodad
SERVER
  witness_ruleset | router nft -f -
  for wan in 0 1; do
    isp_up "$wan"
    wan_up "$wan"
  done
  await 5 'both WANs have a carrier' carriers_are_up
  server_tunnel_up
}

carriers_are_up() {
  local links
  links=$(router ip -oneline link show up)
  [[ $links == *"${wan_device[0]}@"* && $links == *"${wan_device[1]}@"* && $links != *NO-CARRIER* ]]
}

topology_down() {
  local pid
  for pid in "${processes[@]}" "${holder[@]}"; do
    kill -KILL "$pid" 2>/dev/null || true
  done
  for pid in "${processes[@]}" "${holder[@]}"; do
    wait "$pid" 2>/dev/null || true
  done
  processes=() holder=()
  [[ -z $work ]] || rm -rf "$work"
  work=''
}

# Cleans up however the script ends.
topology_trap() {
  trap topology_down EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  trap 'exit 141' PIPE
}

topology_lan() {
  host_up phone
  ip link add "l$$" netns "${holder[router]}" type veth peer name lan netns "${holder[phone]}"
  router ip link set "l$$" name lan0
  router ip -batch - <<'ROUTER'
addr add 192.168.1.1/24 dev lan0
addr add fd01::1/64 dev lan0 nodad
link set lan0 up
ROUTER
  in_host phone ip -batch - <<'PHONE'
addr add 192.168.1.50/24 dev lan
addr add fd01::50/64 dev lan nodad
link set lan up
route add default via 192.168.1.1
route add default via fd01::1
PHONE
}

# ---- WAN events -----------------------------------------------------------------------------------------------------

# Like ifupdown or a DHCP client. Also restores a link that was down, for which the kernel dropped all routes and the
# IPv6 addresses.
wan_up() { # WAN
  local version address gateway
  router ip link set "${wan_device[$1]}" up
  for version in "${router_families[@]}"; do
    if [[ $version == 4 ]]; then
      address=${wan_address4[$1]}/24 gateway=${wan_gateway4[$1]}
    else
      address=${wan_address6[$1]}/64 gateway=${wan_gateway6[$1]}
    fi
    router ip -"$version" addr replace "$address" dev "${wan_device[$1]}"
    router ip -"$version" route replace default via "$gateway" dev "${wan_device[$1]}" metric "${wan_metric[$1]}"
  done
}

wan_link_down() { router ip link set "${wan_device[$1]}" down; } # WAN

# Unplugs the cable: the router sees NO-CARRIER, while the device stays up with its addresses and routes.
wan_carrier_down() { in_host "isp$1" ip link set customer down; } # WAN
wan_carrier_up() { in_host "isp$1" ip link set customer up; } # WAN

# ---- Tunnels --------------------------------------------------------------------------------------------------------

public_key() { wg pubkey <<<"$1"; } # PRIVATE-KEY

# A user-space tunnel. Runs in the foreground, so that we know its process ID, which is left in $started.
wireguard_go() { # HOST DEVICE
  start_in_host "$1" "$work/$1-$2.log" env LOG_LEVEL=error wireguard-go -f "$2"
  await 10 "UAPI socket of $2" in_host "$1" test -S "/run/wireguard/$2.sock"
}

tunnel_configuration() { # KEY PORT PEER-KEY ALLOWED [ENDPOINT [FWMARK]]
  printf '[Interface]\nPrivateKey = %s\n' "$1"
  [[ $2 == 0 ]] || printf 'ListenPort = %s\n' "$2"
  [[ -z ${6:-} ]] || printf 'FwMark = %s\n' "$6"
  printf '[Peer]\nPublicKey = %s\nAllowedIPs = %s\n' "$(public_key "$3")" "$4"
  [[ -z ${5:-} ]] || printf 'Endpoint = %s\n' "$5"
}

server_tunnel_up() {
  wireguard_go server wgs0
  tunnel_configuration "$kServerKey" "$kPort" "$kRouterKey" 10.99.0.2/32,fd99::2/128 |
    in_host server wg setconf wgs0 /dev/stdin
  in_host server ip -batch - <<'SERVER'
addr add 10.99.0.1/24 dev wgs0
addr add fd99::1/64 dev wgs0 nodad
link set wgs0 up
SERVER
}

# The router's tunnel as a user sets it up: AllowedIPs is everything, and there is no fwmark unless the user sets one.
# Routes come before the peer: otherwise the device's first (IPv6) packets would start a handshake that does not loop.
tunnel_pid=''
tunnel_up() { # [COMMAND THAT SETS ROUTES]
  wireguard_go router "$tunnel_device"
  tunnel_pid=$started
  router ip -batch - <<ROUTER
addr add 10.99.0.2/24 dev $tunnel_device
addr add fd99::2/64 dev $tunnel_device nodad
link set $tunnel_device up
ROUTER
  [[ -z ${1:-} ]] || "$1"
  tunnel_setconf
}

tunnel_setconf() {
  tunnel_configuration "$kRouterKey" 0 "$kServerKey" 0.0.0.0/0,::/0 \
    "$(socket_address "$endpoint" "$kPort")" "$tunnel_fwmark" | router wg setconf "$tunnel_device" /dev/stdin
}

tunnel_down() {
  stop_process "$tunnel_pid"
  await 5 "$tunnel_device is gone" fails router ip link show "$tunnel_device"
}

# The two common ways to route all traffic into a tunnel.
route_halves() {
  router ip -batch - <<ROUTER
route add 0.0.0.0/1 dev $tunnel_device
route add 128.0.0.0/1 dev $tunnel_device
route add ::/1 dev $tunnel_device
route add 8000::/1 dev $tunnel_device
ROUTER
}

route_default() {
  router ip route add default dev "$tunnel_device" metric "$tunnel_metric"
  router ip -6 route add default dev "$tunnel_device" metric "$tunnel_metric"
}

tunnel_mark() { router wg show "$tunnel_device" fwmark; } # -> 0x... or off

handshake_done() { # -> whether there has been a handshake
  local age
  age=$(router wg show "$tunnel_device" latest-handshakes)
  [[ -n $age && ${age##*[[:blank:]]} != 0 ]]
}

await_handshake() { await 20 'a handshake' handshake_done; }

# Makes WireGuard start a handshake now instead of at its next retry, up to 5 s later.
tunnel_forget() {
  local peer
  peer=$(public_key "$kServerKey")
  router wg set "$tunnel_device" peer "$peer" remove
  router wg set "$tunnel_device" peer "$peer" endpoint "$(socket_address "$endpoint" "$kPort")" \
    allowed-ips 0.0.0.0/0,::/0
}

# A second tunnel of the router, `wgx`, to the same server, with a keepalive every second. The server distinguishes
# the two by their keys.
second_tunnel_up() {
  in_host server wg set wgs0 peer "$(public_key "$kPhoneKey")" allowed-ips 10.96.0.2/32
  wireguard_go router wgx
  tunnel_configuration "$kPhoneKey" 0 "$kServerKey" 10.96.0.0/24 "$(socket_address "$endpoint" "$kPort")" |
    router wg setconf wgx /dev/stdin
  router ip link set wgx up
  router wg set wgx peer "$(public_key "$kServerKey")" persistent-keepalive 1
}

server_sees() { in_host server wg show wgs0 endpoints; }

second_leaves_by() { # WAN
  has_line "$(public_key "$kPhoneKey").*[[:blank:]]\[?${wan_address[$1]//./\\.}" server_sees
}

# ---- Traffic --------------------------------------------------------------------------------------------------------

# 50 packets per second through the tunnel until traffic_stop.
traffic_pid='' traffic_log=''
# Extra options for ping; a case may set them.
traffic_options=()

traffic_start() {
  traffic_log=$work/traffic.$((${EPOCHREALTIME/./}))
  : >"$traffic_log"
  start_in_host router "$traffic_log" ping -n -i 0.02 "${traffic_options[@]}" "$inner_server"
  traffic_pid=$started
}

traffic_stop() {
  stop_process "$traffic_pid" INT
  traffic_pid=''
}

answers() { grep -c 'bytes from' "$traffic_log" || true; }

await_traffic() { # WHAT [SECONDS] -- counts only answers that arrive after this call
  await "${2:-15}" "$1" at_least $(($(answers) + 5)) answers
}

# Unanswered requests that were followed by an answered one.
packets_lost() {
  sed -n 's/.*icmp_seq=\([0-9]*\).*bytes from.*/\1/p; s/.*bytes from.*icmp_seq=\([0-9]*\).*/\1/p' "$traffic_log" |
    sort -n | awk 'NR == 1 { first = $1 } !seen[$1]++ { count++; last = $1 } END { print last - first + 1 - count }'
}

# ---- Counters -------------------------------------------------------------------------------------------------------

named_counter() { # HOST TABLE NAME
  in_host "$1" nft list counter inet "$2" "$3" | awk '$1 == "packets" { print $2 }'
}

right() { named_counter "isp$1" isp "right$family"; } # WAN -> outer packets with that WAN's source
foreign() { # WAN -> packets with a source outside this ISP's prefix
  echo $(($(named_counter "isp$1" isp foreign4) + $(named_counter "isp$1" isp foreign6)))
}
initiations() { named_counter "isp$1" isp initiations; } # WAN -> handshake initiations from the router
responses() { named_counter "isp$1" isp responses; } # WAN -> handshake responses from the server
data() { named_counter "isp$1" isp data; } # WAN -> encrypted packets from the router
looped() { named_counter router witness looped; } # outer packets routed into the tunnel itself

counters_reset() {
  local wan
  for wan in 0 1; do
    in_host "isp$wan" nft reset counters table inet isp
  done >/dev/null
  router nft reset counters table inet witness >/dev/null
}

misrouted() { echo $(($(foreign 0) + $(foreign 1) + $(looped))); }

nothing_misrouted() { # WHAT
  local seen
  seen="foreign sources at isp0 $(foreign 0), at isp1 $(foreign 1), into the tunnel $(looped)"
  equal "$1" 'foreign sources at isp0 0, at isp1 0, into the tunnel 0' "$seen"
}

# From now on, all outer packets leave by one WAN, with that WAN's source.
steady_on() { # WAN WHAT
  local other=$((1 - $1))
  counters_reset
  await_traffic "$2: steady traffic"
  check "$2: outer packets by the WAN" at_least 1 right "$1"
  equal "$2: outer packets by the other WAN" 0 "$(right $other)"
  nothing_misrouted "$2"
}

only_by() { # WAN
  counters_reset
  await_traffic 'traffic'
  (($(right "$1") > 0 && $(right $((1 - $1))) == 0))
}

# For a move away from a working WAN: an answer still in flight over it makes wireguard-go switch back to it, until one
# of the daemon's next polls corrects that.
comes_to_rest_on() { # WAN WHAT
  await 12 "$2: only by the WAN" only_by "$1"
  steady_on "$1" "$2"
}

# ---- The daemon -----------------------------------------------------------------------------------------------------

daemon_pid='' daemon_log=''
# Arguments for `run`; usually none, a case may set them.
daemon_arguments=()

wgsteer() { router "$WGSTEER" "$@"; }

need_wgsteer() {
  [[ -n ${WGSTEER:-} && -x $WGSTEER ]] || skip 'no wgsteer binary given: set WGSTEER'
}

daemon_start() {
  daemon_log=$work/daemon.log
  start_in_host router "$daemon_log" "$WGSTEER" run "${daemon_arguments[@]}"
  daemon_pid=$started
}

daemon_alive() { kill -0 "$daemon_pid" 2>/dev/null; }

# The daemon is running and the kernel matches the plan.
converged() {
  daemon_alive || fail "the daemon ended: $(tail -n 3 "$daemon_log")"
  has_line 'proto 87' router ip rule show && quietly wgsteer plan "${daemon_arguments[@]}"
}

daemon_start_and_converge() {
  daemon_start
  await 10 'the daemon has converged' converged
}

daemon_stop() { # SIGNAL
  stop_process "$daemon_pid" "$1"
  daemon_pid=''
}

# ---- What is in the kernel ------------------------------------------------------------------------------------------

# The kernel adds a new device's IPv6 addresses a moment after it is up. Await them before recording kernel_state.
tunnel_has_addresses() {
  local address
  for address in fd99::2 fe80:; do
    await 5 "$tunnel_device has $address" \
      has_line "^local $address.* dev $tunnel_device" router ip -6 route show table local
  done
}

# Everything that wgsteer may touch, as text without counters and lifetimes.
kernel_state() {
  router ip -4 rule show
  router ip -6 rule show
  router ip -4 route show table all
  router ip -6 route show table all | sed 's/ expires [0-9]*sec//'
  router nft -s list ruleset
  router wg show all fwmark
  # Expanded inside: the devices are the router's.
  # shellcheck disable=SC2016
  router bash -c 'cd /proc/sys/net && grep -H . ipv4/conf/*/{rp_filter,src_valid_mark,ignore_routes_with_linkdown} \
    ipv6/conf/*/ignore_routes_with_linkdown'
}

# What wgsteer installed, without counters. Sorted, because a restored rule comes last among those of its priority;
# that order does not matter, since each rule matches a different mark.
own_state() {
  local version
  for version in 4 6; do
    router ip -"$version" rule show | sed -n '/proto 87/p' | sort
    router ip -"$version" route show table all proto 87 | sort
  done
  router nft -s list table inet wgsteer || true
  tunnel_mark
}
own_state_is() { own_state | diff <(echo "$1") - >"$work/own_state.diff"; } # STATE

diagnostics() {
  local version
  [[ -n $work && -n ${holder[router]:-} ]] || return 0
  if [[ -s $work/own_state.diff ]]; then
    echo '    --- our state: expected (<) and actual (>)'
    cat "$work/own_state.diff"
  fi
  for version in 4 6; do
    echo "    --- IPv$version rules, routes"
    router ip -"$version" rule show
    router ip -"$version" route show table all | grep -v 'table local'
  done
  echo '    --- links, addresses'
  router ip addr show
  echo '    --- wg, nft'
  router timeout 5 wg show all  # a tunnel's process may hang
  router nft list ruleset
  in_host isp0 nft list counters
  in_host isp1 nft list counters
  [[ ! -f ${daemon_log:-} ]] || { echo '    --- daemon, last lines'; tail -n 60 "$daemon_log"; }
  # A script may add its own.
  ! declare -F more_diagnostics >/dev/null || more_diagnostics
}
