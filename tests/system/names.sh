#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Peers with a host name as their endpoint, and a real name server behind the WANs.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

readonly kName=vpn.example.test
name_server_pid=''

other_endpoint() { if [[ $family == 4 ]]; then echo 203.0.113.56; else echo 2001:db8:cafe::56; fi; }

name_means() { # ADDRESS
  echo "$1 $kName" >"$work/names"
  [[ -z $name_server_pid ]] || kill -HUP "$name_server_pid"
}

# Runs on the server, so that only queries that leave by a WAN with that WAN's source are answered.
name_server_up() {
  command -v dnsmasq >/dev/null || skip 'no dnsmasq'
  name_means "$endpoint"
  start_in_host server "$work/dnsmasq.log" dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts \
    --addn-hosts="$work/names" --local=/test/ --local-ttl=5 --user=root --pid-file= --log-queries --log-facility=-
  name_server_pid=$started
  await 10 'the name server listens' has_line ':53 ' in_host server ss -lun
  echo "nameserver $(other_endpoint)" >"$work/resolv.conf"
  router mount --bind "$work/resolv.conf" /etc/resolv.conf
  mkdir "$work/wireguard"
  router mount --bind "$work/wireguard" /etc/wireguard
}

peer_section() {
  cat <<CONF
[[peer]]
tunnel = "$tunnel_device"
public_key = "$(public_key "$kServerKey")"
endpoint = "$kName:$kPort"
CONF
}

# As after a cold start: WireGuard has no endpoint, and the default route is in the tunnel.
tunnel_without_endpoint_up() {
  tunnel_up route_halves
  local peer
  peer=$(public_key "$kServerKey")
  router wg set "$tunnel_device" peer "$peer" remove
  router wg set "$tunnel_device" peer "$peer" allowed-ips 0.0.0.0/0,::/0
}

endpoint_is() { # ADDRESS
  [[ $(router wg show "$tunnel_device" endpoints) == *[[:blank:]]"$(socket_address "$1" "$kPort")" ]]
}

named_tunnel_up() {
  topology_up
  name_server_up
  tunnel_without_endpoint_up
  peer_section >"$work/wgsteer.toml"
  daemon_arguments=(-c "$work/wgsteer.toml")
  counters_reset
  daemon_start_and_converge
  await 10 'the endpoint is set' endpoint_is "$endpoint"
  traffic_start
  await_handshake
  nothing_misrouted 'from the first query on'
}

case_cold_start() {
  named_tunnel_up
  steady_on 0 'cold start'
  check 'status shows the host name' has_line "\"host\": *\"$kName\"" wgsteer status --json
}

# Both addresses belong to the server, so the session continues.
case_answer_changes() {
  named_tunnel_up
  counters_reset
  name_means "$(other_endpoint)"
  await 20 'the endpoint follows' endpoint_is "$(other_endpoint)"
  await_traffic 'traffic to the new address'
  nothing_misrouted 'while it moved'
  equal 'packets lost' 0 "$(packets_lost)"
  check 'the old address is still steered' has_line "^[[:space:]]*(elements = [{] )?.*${endpoint} . $kPort" \
    router nft list map inet wgsteer "endpoint$family"
  check 'the log reports the change' \
    grep -qF "endpoint is now $(socket_address "$(other_endpoint)" "$kPort") ($kName), previously" "$daemon_log"
}

case_name_server_dies() {
  named_tunnel_up
  stop_process "$name_server_pid" KILL
  await 30 'the log reports the failure' grep -q "$kName: .*keeping" "$daemon_log"
  equal 'reports of the failure' 1 "$(grep -c "$kName: .*keeping" "$daemon_log")"
  check 'the endpoint stays' endpoint_is "$endpoint"
  steady_on 0 'without a name server'
}

case_wg_quick_file_that_comes_later() {
  topology_up
  name_server_up
  tunnel_without_endpoint_up
  daemon_start_and_converge
  tunnel_configuration "$kRouterKey" 0 "$kServerKey" 0.0.0.0/0,::/0 "$kName:$kPort" >"$work/wireguard/new"
  router mv "/etc/wireguard/new" "/etc/wireguard/$tunnel_device.conf"
  await 10 'the endpoint is set' endpoint_is "$endpoint"
  traffic_start
  await_handshake
  steady_on 0 'from a wg-quick file'
}

# Neither folder exists when the daemon starts.
case_files_of_others_that_come_and_go() {
  topology_up
  router cp -a /etc "$work/etc"
  rm -rf "$work/etc/systemd/network" "$work/etc/NetworkManager"
  mkdir -p "$work/etc/wireguard"
  router mount --bind "$work/etc" /etc
  name_server_up
  tunnel_without_endpoint_up
  daemon_start_and_converge

  local folder=$work/etc/systemd/network
  mkdir -p "$folder"
  printf '[NetDev]\nName=%s\nKind=wireguard\n' "$tunnel_device" >"$folder/50-tunnel.netdev"
  mkdir "$folder/50-tunnel.netdev.d"
  printf '[WireGuardPeer]\nPublicKey=%s\nEndpoint=%s:%s\n' "$(public_key "$kServerKey")" "$kName" "$kPort" \
    >"$folder/50-tunnel.netdev.d/peer.conf"
  await 10 'the endpoint is set' endpoint_is "$endpoint"

  rm "$folder/50-tunnel.netdev.d/peer.conf"
  await 10 'no file names the host any more' fails names_the_host
  check 'the endpoint stays' endpoint_is "$endpoint"

  folder=$work/etc/NetworkManager/system-connections
  mkdir -p "$folder"
  name_means "$(other_endpoint)"
  ln -s ../profile "$folder/tunnel.nmconnection"
  await 10 'a dangling link is reported' grep -qF 'tunnel.nmconnection: cannot be read' "$daemon_log"
  printf '[connection]\ntype=wireguard\ninterface-name=%s\n[wireguard]\nprivate-key=%s\n[wireguard-peer.%s]\nendpoint=%s\n' \
    "$tunnel_device" "$kRouterKey" "$(public_key "$kServerKey")" "$kName:$kPort" >"$folder/../profile"
  await 10 'the endpoint follows' endpoint_is "$(other_endpoint)"
  equal 'reports of the dangling link' 1 "$(grep -cF 'tunnel.nmconnection: cannot be read' "$daemon_log")"
  check 'no key in the log' fails grep -qF "$kRouterKey" "$daemon_log"
  traffic_start
  await_handshake
  steady_on 0 'from a NetworkManager profile'
}

names_the_host() { has_line "\"host\": *\"$kName\"" wgsteer status --json; }

# One of a name's addresses stops answering over both WANs: the other one is used.
address_falls_silent() { # ADDRESS...
  local address silent another
  topology_up
  name_server_up
  for address in "$@"; do echo "$address $kName"; done >"$work/names"
  kill -HUP "$name_server_pid"
  tunnel_without_endpoint_up
  { peer_section && printf '[[tunnel]]\ninterface = "%s"\nrole = "client"\nstall = 3\n' "$tunnel_device"; } \
    >"$work/wgsteer.toml"
  daemon_arguments=(-c "$work/wgsteer.toml")
  counters_reset
  daemon_start_and_converge
  traffic_start
  await_handshake
  await_traffic 'traffic'
  for address in "$@"; do if endpoint_is "$address"; then silent=$address; else another=$address; fi; done
  for address in 0 1; do
    in_host "isp$address" nft -f - <<NFT
table inet silence { chain forward { type filter hook forward priority 300; ip$([[ $silent != *:* ]] || echo 6) daddr $silent drop; }; }
NFT
  done
  await 20 'the endpoint is the other address' endpoint_is "$another"
  await_traffic 'traffic to the other address'
  check 'the log gives the reason' grep -q "nothing received for .*: trying .*$another" "$daemon_log"
  nothing_misrouted 'while it moved'
}
case_address_falls_silent() { address_falls_silent "$endpoint" "$(other_endpoint)"; }
case_family_falls_silent() { address_falls_silent 203.0.113.55 2001:db8:cafe::55; }

# Addresses that no peer can have are rejected with a log line, and nothing changes.
case_answers_that_no_peer_can_have() {
  local address
  named_tunnel_up
  for address in $(impossible_addresses); do
    name_means "$address"
    await 20 "$address is rejected" grep -qF "$kName: $address: rejected: " "$daemon_log"
    check 'the endpoint stays' endpoint_is "$endpoint"
  done
  check "the host's own address is rejected as such" \
    grep -qF "${wan_address[0]}: rejected: an address of this host" "$daemon_log"
  check 'none of them is steered' fails has_line "$(impossible_addresses | sed 's/ /|/g')" \
    router nft list map inet wgsteer "endpoint$family"
  steady_on 0 'after all these answers'
}

impossible_addresses() {
  if [[ $family == 4 ]]; then echo "127.0.0.1 ${wan_address[0]} 224.0.0.1"; else echo "::1 ${wan_address[0]} ff02::1"; fi
}

# netifd's file, replaced as by `uci commit`; then a broken one, which changes nothing.
case_netifd_file() {
  topology_up
  router cp -a /etc "$work/etc"
  mkdir -p "$work/etc/config"
  router mount --bind "$work/etc" /etc
  name_server_up
  tunnel_without_endpoint_up
  daemon_start_and_converge
  netifd_network "option endpoint_host '$kName'"
  await 10 'the endpoint is set' endpoint_is "$endpoint"
  traffic_start
  await_handshake
  netifd_network "option endpoint_host '$kName"
  await 10 'the log reports the broken file' \
    grep -qF '/etc/config/network:7: unterminated quotation starts here' "$daemon_log"
  name_means "$(other_endpoint)"
  await 20 'the endpoint follows' endpoint_is "$(other_endpoint)"
  equal 'reports of the broken file' 1 "$(grep -cF '/etc/config/network:' "$daemon_log")"
}

netifd_network() { # OPTION
  cat >"$work/etc/config/.network.new" <<NETWORK
config interface '$tunnel_device'
	option proto 'wireguard'
	option private_key '$kRouterKey'
config wireguard_$tunnel_device
	option public_key '$(public_key "$kServerKey")'
	option endpoint_port '$kPort'
	$1
NETWORK
  mv "$work/etc/config/.network.new" "$work/etc/config/network"
}

# ---- WANs by netifd's names ------------------------------------------------------------------------------------------

netifd_has() { # INTERFACE DEVICE [INTERFACE DEVICE]...
  router mkdir -p /run/wgsteer
  printf '%s %s\n' "$@" | router tee /run/wgsteer/interfaces >/dev/null
}

# The mark of a WAN is its place in the configuration.
second_wan_is_steered() {
  has_line "^70:.* fwmark 0x20000000/0xf0000000 .*proto 87" router_ip rule show &&
    has_line "default via ${wan_gateway[0]} dev wan0 " router_ip route show table all proto 87 &&
    has_line '"wan0"' router nft list table inet wgsteer
}

wan_without_a_device() {
  topology_up
  tunnel_up route_halves
  printf '[[wan]]\nname = "%s"\ninterface = "%s"\n' first lte second dsl >"$work/wgsteer.toml"
  daemon_arguments=(-c "$work/wgsteer.toml")
  netifd_has dsl wan0
}

# The preferred WAN's interface has no device at the moment, like a modem that is not plugged in: the kernel gets all
# that concerns the other one.
case_wan_without_a_device_once() {
  wan_without_a_device
  check 'run --once' wgsteer run --once "${daemon_arguments[@]}"
  check 'the other WAN is steered' second_wan_is_steered
  equal 'the plan afterwards' '' "$(planned)"
  traffic_start
  await_handshake
  steady_on 0 'by the other WAN'
}

case_wan_without_a_device() {
  wan_without_a_device
  daemon_start_and_converge
  check 'the other WAN is steered' second_wan_is_steered
  check 'nothing failed' fails grep -qE 'error|failed|rejected' "$daemon_log"
  tunnel_forget
  traffic_start
  await_handshake
  steady_on 0 'by the other WAN'
  netifd_has dsl wan0 lte wan1
  check 'reload' wgsteer reload
  await_traffic 'traffic by the preferred WAN'
  comes_to_rest_on 1 'its interface has a device'
  netifd_has dsl wan0
  check 'reload' wgsteer reload
  comes_to_rest_on 0 'its interface has none again'
  check 'the other WAN is steered' second_wan_is_steered
}

# ---- The WANs' own name servers --------------------------------------------------------------------------------------

# The router's own resolver does not answer, as if it queried through the tunnel.
own_resolver_dead() {
  echo 'nameserver 127.0.0.1' >"$work/resolv.conf"
  local wan
  for wan in 0 1; do
    in_host "isp$wan" nft -f - <<'RULES'
table inet queries {
  counter asked { }
  chain from_customer {
    type filter hook prerouting priority raw - 1; policy accept;
    iifname "customer" udp dport 53 counter name asked
  }
}
RULES
  done
}

queries() { named_counter "isp$1" queries asked; } # WAN

case_wan_with_dns_option() {
  topology_up
  name_server_up
  own_resolver_dead
  tunnel_without_endpoint_up
  { peer_section && printf '[[wan]]\nname = "%s"\ndevice = "%s"\n' first "${wan_device[0]}" second "${wan_device[1]}" &&
    printf 'dns = "%s"\n' "$(other_endpoint)"; } >"$work/wgsteer.toml"
  daemon_arguments=(-c "$work/wgsteer.toml")
  daemon_start_and_converge
  await 10 'the endpoint is set' endpoint_is "$endpoint"
  check 'queries by the WAN that has servers' at_least 1 queries 1
  equal 'queries by the other WAN' 0 "$(queries 0)"
  traffic_start
  await_handshake
  steady_on 0 'resolved by a WAN that is not in use'
  # Nothing else happens meanwhile: the answer's TTL alone makes it ask again.
  name_means "$(other_endpoint)"
  await 40 'the endpoint follows' endpoint_is "$(other_endpoint)"
}

case_wan_known_to_networkd() {
  topology_up
  name_server_up
  own_resolver_dead
  tunnel_without_endpoint_up
  peer_section >"$work/wgsteer.toml"
  daemon_arguments=(-c "$work/wgsteer.toml")
  router mkdir -p /run/systemd/netif/links
  link_servers 0 203.0.113.99 2001:db8:cafe::99
  link_servers 1 "$(other_endpoint)"
  daemon_start
  await 20 'the endpoint is set' endpoint_is "$endpoint"
  check 'queries by the preferred WAN' at_least 1 queries 0
  check 'queries by the other WAN' at_least 1 queries 1
  wan_link_down 0
  counters_reset
  name_means "$(other_endpoint)"
  await 20 'the endpoint follows' endpoint_is "$(other_endpoint)"
}

link_servers() { # WAN SERVER...
  local index
  index=$(router cat "/sys/class/net/${wan_device[$1]}/ifindex")
  shift
  # Expanded inside.
  # shellcheck disable=SC2016
  router bash -c 'echo "DNS=${*:2}" >"/run/systemd/netif/links/$1"' _ "$index" "$@"
}

# ---- Without a daemon ------------------------------------------------------------------------------------------------

planned() { wgsteer plan "${daemon_arguments[@]}" 2>"$work/plan.log" || true; } # -> the changes
plan_has() { [[ $(planned) == *"$1"* ]]; } # TEXT

case_plan_and_run_once() {
  topology_up
  name_server_up
  tunnel_without_endpoint_up
  # Before anything is steered, the default route would send the queries into the tunnel.
  router ip route add "$(other_endpoint)" via "${wan_gateway[0]}"
  peer_section >"$work/wgsteer.toml"
  daemon_arguments=(-c "$work/wgsteer.toml")
  check 'the plan moves the endpoint' plan_has " endpoint $(socket_address "$endpoint" "$kPort")"
  check 'the plan steers it' plan_has "$endpoint . $kPort"
  check 'run --once' wgsteer run --once "${daemon_arguments[@]}"
  check 'the endpoint is set' endpoint_is "$endpoint"
  equal 'the plan afterwards' '' "$(planned)"
  traffic_start
  await_handshake
  steady_on 0 'after run --once'
}

case_plan_and_run_once_without_name_server() {
  topology_up
  name_server_up
  stop_process "$name_server_pid" KILL
  tunnel_without_endpoint_up
  peer_section >"$work/wgsteer.toml"
  daemon_arguments=(-c "$work/wgsteer.toml")
  check 'the plan has the rest' plan_has 'ip rule add'
  check 'it names the host that was not resolved' grep -q "$kName: " "$work/plan.log"
  check 'run --once' wgsteer run --once "${daemon_arguments[@]}" 2>"$work/once.log"
  check 'run --once names it, too' grep -q "$kName: " "$work/once.log"
  check 'the rules are installed' has_line 'proto 87' router ip rule show
}

case_update_endpoint_off() {
  topology_up
  name_server_up
  tunnel_up route_halves
  { peer_section && printf '[[tunnel]]\ninterface = "%s"\nupdate_endpoint = false\n' "$tunnel_device"; } >"$work/wgsteer.toml"
  daemon_arguments=(-c "$work/wgsteer.toml")
  name_means "$(other_endpoint)"
  daemon_start
  await 10 'the address is steered' \
    has_line "$(other_endpoint) . $kPort" router nft list map inet wgsteer "endpoint$family"
  check 'the endpoint stays' endpoint_is "$endpoint"
}

run_cases "$@"
