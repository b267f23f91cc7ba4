#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The real firewalld and ufw: started before and after the daemon, reloaded under traffic, made to block a tunnel and to
# allow it again. Their state in the kernel is not touched.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

need() { # PROGRAM...
  local program
  for program in "$@"; do
    command -v "$program" >/dev/null || skip "no $program on this machine"
  done
}

# ---- firewalld: over D-Bus, on a private bus -------------------------------------------------------------------------

firewalld_pid=''

firewalld_prepare() { # BACKEND
  need firewalld firewall-cmd dbus-daemon
  router mkdir /run/dbus
  start_in_host router "$work/dbus.log" dbus-daemon --system --nofork --nopidfile --nosyslog
  await 10 'the bus is up' router test -S /run/dbus/system_bus_socket
  mkdir "$work/firewalld"
  sed "s/^FirewallBackend=.*/FirewallBackend=$1/" /etc/firewalld/firewalld.conf >"$work/firewalld/firewalld.conf"
}

firewall_cmd() { router firewall-cmd --quiet "$@" >>"$work/firewall-cmd.log" 2>&1 || fail "firewall-cmd $*: $(tail -n 3 "$work/firewall-cmd.log")"; }

firewalld_start() {
  start_in_host router "$work/firewalld.out" firewalld --nofork --nopid --system-config "$work/firewalld" --log-file "$work/firewalld.log"
  firewalld_pid=$started
  await 60 'firewalld is running' quietly router firewall-cmd --state
}
# A typical router: masquerading on the uplinks, everything else is allowed.
firewalld_configure() {
  local wan
  for wan in 0 1; do
    firewall_cmd --permanent --zone=external --add-interface="${wan_device[$wan]}"
  done
  firewall_cmd --permanent --zone=internal --add-interface=lan0
  firewall_cmd --permanent --zone=trusted --add-interface="$tunnel_device"
  firewall_cmd --reload
}
firewalld_reload() { firewall_cmd --reload; }
firewalld_stop() { stop_process "$firewalld_pid"; }
firewalld_open() { firewall_cmd --zone=external --add-port="$1/udp"; } # PORT
# Blocks all outgoing traffic of the host that is not explicitly allowed.
firewalld_close_out() {
  firewall_cmd --permanent --new-policy out
  firewall_cmd --permanent --policy out --add-ingress-zone HOST
  firewall_cmd --permanent --policy out --add-egress-zone ANY
  firewall_cmd --permanent --policy out --set-target DROP
  firewall_cmd --reload
}
firewalld_let_out() { # PORT
  firewall_cmd --permanent --policy out --add-port="$1/udp"
  firewall_cmd --reload
}
firewalld_open_out() {
  firewall_cmd --permanent --delete-policy out
  firewall_cmd --reload
}

# ---- ufw: sets up rules and exits ------------------------------------------------------------------------------------

ufw_prepare() {
  need ufw iptables
  # ufw writes to /etc, so the router gets its own copy.
  router cp -a /etc "$work/etc"
  router mount --bind "$work/etc" /etc
  # Ubuntu's default.
  router sh -c 'printf "net/ipv4/conf/all/rp_filter=1\nnet/ipv4/conf/default/rp_filter=1\n" >>/etc/ufw/sysctl.conf'
}

ufw_do() { router ufw "$@" >>"$work/ufw.log" 2>&1 || fail "ufw $*: $(tail -n 3 "$work/ufw.log")"; }

ufw_start() { ufw_do --force enable; }
ufw_configure() {
  ufw_do allow in on lan0
  ufw_do allow in on "$tunnel_device"
  ufw_do logging high
  # The rules that ufw adds at run time differ from those that it loads.
  ufw_do reload
}
ufw_reload() { ufw_do reload; }
ufw_stop() { ufw_do disable; }
ufw_open() { ufw_do allow "$1/udp"; } # PORT
ufw_close_out() { ufw_do default deny outgoing; }
ufw_let_out() { ufw_do allow out "$1/udp"; } # PORT
ufw_open_out() {
  ufw_do delete allow out "$kPort/udp"
  ufw_do default allow outgoing
}

# ---- The steps for each firewall -------------------------------------------------------------------------------------

firewall=''

# All foreign state. nft tables are listed one by one, sorted, because a reload changes their order.
their_state() {
  local version table
  for version in 4 6; do
    router ip -"$version" rule show | grep -v 'proto 87'
    router ip -"$version" route show table all | grep -v 'proto 87' | sed 's/ expires [0-9]*sec//'
  done
  router nft list tables | grep -v '^table inet wgsteer$' | sort | while read -r table; do
    # Unquoted: two words.
    # shellcheck disable=SC2086
    router nft -s list $table
  done
  router wg show all fwmark
  # Expanded inside: the devices are the router's.
  # shellcheck disable=SC2016
  router bash -c 'cd /proc/sys/net && grep -H . ipv4/conf/*/{rp_filter,src_valid_mark,ignore_routes_with_linkdown} \
    ipv6/conf/*/ignore_routes_with_linkdown'
}

findings() { wgsteer check | grep -E '^(problem|conflict|advice): ' || true; }

reloads_are_survived() { # WAN
  local round
  counters_reset
  for round in 1 2 3; do
    "${firewall}_reload"
    await_traffic "reload $round"
  done
  equal 'reloads: outer packets by the other WAN' 0 "$(right $((1 - $1)))"
  nothing_misrouted 'reloads'
}

# Adds a WireGuard server, whose clients come in by the uplinks.
a_closed_port_is_named() {
  wireguard_go router wgs
  tunnel_configuration "$kPhoneKey" "$kServicePort" "$kServerKey" 10.98.0.2/32 | router wg setconf wgs /dev/stdin
  router ip link set wgs up
  await 10 'the server is known' has_line "packets from new peers to wgs \(udp port $kServicePort\) by ${wan_device[0]}" findings
  "${firewall}_open" "$kServicePort"
  equal 'findings with the port open' '' "$(findings)"
  router ip link del wgs
}

what_is_closed_is_named() {
  "${firewall}_close_out"
  check 'the rule is named' has_line \
    "^advice: table .*, chain .*output.*(drops|rejects) $tunnel_device's packets to $(socket_address "${endpoint//./\\.}" "$kPort" | sed 's/[][]/\\&/g')" findings
  "${firewall}_let_out" "$kPort"
  equal 'findings with outgoing packets allowed' '' "$(findings)"
  steady_on 0 'outgoing packets allowed'
  "${firewall}_open_out"
}

beside() { # FIREWALL [ARGUMENT]...
  local ours
  firewall=$1
  topology_up
  topology_lan
  "${firewall}_prepare" "${@:2}"
  "${firewall}_start"
  "${firewall}_configure"
  tunnel_up route_halves
  their_state >"$work/before"
  daemon_start_and_converge
  tunnel_forget
  traffic_start
  await_handshake
  steady_on 0 'the firewall started first'
  equal 'findings when the firewall started first' '' "$(findings)"
  ours=$(own_state)
  reloads_are_survived 0
  equal 'our state after the reloads' "$ours" "$(own_state)"

  wan_carrier_down 0
  comes_to_rest_on 1 'failover'
  reloads_are_survived 1
  wan_carrier_up 0
  comes_to_rest_on 0 'back'

  daemon_stop TERM
  quietly wgsteer flush
  their_state >"$work/after"
  check 'their state after flush' diff "$work/before" "$work/after"

  "${firewall}_stop"
  daemon_start_and_converge
  await_traffic 'traffic without the firewall'
  "${firewall}_start"
  comes_to_rest_on 0 'the firewall started later'
  equal 'findings when the firewall started later' '' "$(findings)"
  wan_link_down 0
  comes_to_rest_on 1 'failover again'
  wan_up 0
  comes_to_rest_on 0 'back again'

  what_is_closed_is_named
  a_closed_port_is_named
}

case_firewalld() { beside firewalld nftables; }
case_firewalld_by_iptables() { beside firewalld iptables; }
case_ufw() { beside ufw; }

more_diagnostics() {
  local log
  for log in firewalld.out firewalld.log firewall-cmd.log ufw.log; do
    [[ ! -s $work/$log ]] || { echo "    --- $log" && tail -n 30 "$work/$log"; }
  done
}

run_cases "$@"
