# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2034,SC2154 # read and set by lib.sh and the case files
#
# For cases with a real network manager that manages both WANs and the tunnels: the router is the machine itself
# (run.sh --system), the ISPs run DHCP and send router advertisements, and wgsteer runs as the package's service.
#
#     wan0  DHCP 192.0.2.10 from .1, RA 2001:db8:10::/64       metric 100, or a high router preference
#     wan1  DHCP 198.51.100.10 from .1, RA 2001:db8:20::/64    metric 200
#     wg0   IPv4 endpoint, carries all IPv4, with the manager's own mark and rules: works without wgsteer
#     wg1   IPv6 endpoint, carries all IPv6
#
# A case file defines what is specific to its manager: manager_up, manager_down, manager_reload, manager_restart,
# tunnels_up, tunnels_down and versions; and overrides of the definitions below.

# The lease that replaces wan0's first one. A client that ignores a mere change of the gateway also needs a new address.
moved_address=192.0.2.10 moved_gateway=192.0.2.2

# Normalizes listings of the kernel state for comparison.
comparable() { cat; }

# The devices whose sysctls are compared.
devices=(wan0 wan1 wg0 wg1)

router_namespace() { ip netns attach router 1; }

# Done by the manager.
uplinks_up() { :; }

# No cleanup: the machine ends after its only case.
end_case() { journalctl --output short-precise >/results/journal; }

# ---- ISPs -----------------------------------------------------------------------------------------------------------

dhcp_server=()

# Leases of two minutes, dnsmasq's minimum, are renewed after one. Of two advertised routers, clients prefer isp0's.
provider_up() { # WAN CUSTOMER GATEWAY PREFIX PREFERENCE
  local files=$case_results/isp$1
  echo "option:router,$3" >"$files.options"
  echo "$(</sys/class/net/wan"$1"/address),$2" >"$files.hosts"
  ip netns exec "isp$1" dnsmasq --keep-in-foreground --conf-file=/dev/null --user=root --port=0 --interface=customer \
    --dhcp-authoritative --no-ping --log-facility=- --log-dhcp --pid-file= --dhcp-leasefile="$files.leases" \
    --dhcp-optsfile="$files.options" --dhcp-hostsfile="$files.hosts" --dhcp-range="$2,static,255.255.255.0,120" \
    --enable-ra --dhcp-range="$4,ra-only,64,3600" --ra-param="customer,$5,60,1800" >"$files.log" 2>&1 &
  dhcp_server[$1]=$!
}

providers_up() {
  provider_up 0 192.0.2.10 192.0.2.1 2001:db8:10:: high
  provider_up 1 198.51.100.10 198.51.100.1 2001:db8:20:: low
}

# The ISP switches to another router and announces it at the next lease renewal.
provider_moves() {
  ip -n isp0 addr add "$moved_gateway/24" dev customer
  # The new address is in the same prefix and must survive the deletion of the old one.
  in_namespace isp0 sysctl -q -w net.ipv4.conf.customer.promote_secondaries=1
  echo "option:router,$moved_gateway" >"$case_results/isp0.options"
  echo "$(</sys/class/net/wan0/address),$moved_address" >"$case_results/isp0.hosts"
  kill -HUP "${dhcp_server[0]}"
}

provider_has_moved() {
  ip -n isp0 addr del 192.0.2.1/24 dev customer
  ip neigh del 192.0.2.1 dev wan0 2>/dev/null || true
}

lease_has_moved() { default_by 4 0 "$moved_gateway " && [[ $(ip -4 addr show dev wan0) == *"$moved_address/"* ]]; }

# ---- What the manager has set up ------------------------------------------------------------------------------------

default_by() { # FAMILY WAN [GATEWAY]
  [[ $(ip "-$1" route show default dev "wan$2") == *"via ${3:-}"* ]]
}

wans_are_up() { default_by 4 0 && default_by 4 1 && default_by 6 0 && default_by 6 1; }

tunnels_are_up() {
  [[ $(wg show interfaces) == *wg0* && $(wg show interfaces) == *wg1* && $(ip -4 addr show dev wg0) == *10.99.0.2* &&
    $(ip -4 addr show dev wg1) == *10.99.1.2* ]]
}

# The next router advertisement may be a minute away.
await_wans() { await 120 "$1: leases and routers of both WANs" wans_are_up; } # DESCRIPTION
await_tunnels() { await 30 "$1: the manager's tunnels" tunnels_are_up; } # DESCRIPTION

# All foreign state in the kernel. Without lifetimes, which count down, and sorted, because the kernel lists in order of
# creation.
foreign_state() {
  local device
  {
    { ip -N -4 rule show && ip -N -6 rule show; } | grep -v 'proto 87'
    { ip -N -4 route show table all && ip -N -6 route show table all; } | grep -v 'proto 87' |
      sed 's/ expires [0-9]*sec//; s/ *$//' | sort
    ip -brief addr show | sort
    wg show all fwmark | sort
    nft -s list ruleset 2>/dev/null
    for device in all default "${devices[@]}"; do
      grep -rHs . /proc/sys/net/ipv{4,6}/conf/"$device" || true
    done | sort
  } | comparable
}

foreign_state_is() { # FILE
  foreign_state >"$case_results/now"
  diff -u "$1" "$case_results/now" >"$case_results/difference"
}

# Foreign state is unchanged and none of ours is left. The manager may need a moment to finish.
only_foreign_state() { # DESCRIPTION FILE
  holds_within 10 foreign_state_is "$2" || fail "$1: $(<"$case_results/difference")"
  equal "$1: our remaining state" '' "$(own_state)"
}

# ---- Tunnels and traffic --------------------------------------------------------------------------------------------

servers_up() {
  use_family 4
  server_tunnel_up wgs0 "$kServerKey" 51820 "$kRouterKey" "$inner_router" "$inner_server"
  server_tunnel_up wgs1 "$kSecondServerKey" 51821 "$kSecondRouterKey" "$inner_second_router" "$inner_second_server"
}

readonly wg0_endpoint=203.0.113.55:51820 wg1_endpoint='[2001:db8:cafe::56]:51821'

pings=()

# Ten packets per second through each tunnel.
pings_start() { # TUNNEL...
  local tunnel
  for tunnel; do
    ping -n -i 0.1 "10.99.${tunnel#wg}.1" >"$case_results/traffic-$tunnel" 2>&1 &
    pings+=($!)
  done
  carrying=("$@")
}

pings_stop() {
  kill "${pings[@]}"
  wait "${pings[@]}" 2>/dev/null || true
  pings=()
}

pings_pause() { kill -STOP "${pings[@]}"; }
pings_resume() { kill -CONT "${pings[@]}"; }

answered() { grep -c 'bytes from' "$case_results/traffic-$1" || true; } # TUNNEL

await_answers() { # DESCRIPTION [SECONDS]
  local tunnel
  for tunnel in "${carrying[@]}"; do
    await "${2:-60}" "$1: traffic in $tunnel" at_least $(($(answered "$tunnel") + 5)) answered "$tunnel"
  done
}

sent_by() { # WAN TUNNEL -> outer packets of this tunnel's family that reached the ISP
  local family=4
  [[ $2 != wg1 ]] || family=6
  sent "$1"
}

# From now on, all outer packets leave by one WAN, with that WAN's source.
carried_by() { # WAN DESCRIPTION
  local tunnel
  counters_reset
  await_answers "$2"
  for tunnel in "${carrying[@]}"; do
    equal "$2: packets of $tunnel by the other WAN" 0 "$(sent_by $((1 - $1)) "$tunnel")"
    check "$2: packets of $tunnel by wan$1" at_least 1 sent_by "$1" "$tunnel"
  done
  nothing_misrouted "$2"
}

# The manager may still be restoring the better WAN; no packet may be misrouted meanwhile.
await_carried_by() { # WAN DESCRIPTION
  await 60 "$2: both tunnels by wan$1" all_carried_by "$1" "$2"
  carried_by "$1" "$2"
}

all_carried_by() { # WAN DESCRIPTION
  local tunnel
  nothing_misrouted "$2, on the way"
  counters_reset
  poll_interval 0.5
  for tunnel in "${carrying[@]}"; do
    (($(sent_by "$1" "$tunnel") > 0 && $(sent_by $((1 - $1)) "$tunnel") == 0)) || return 1
  done
  nothing_misrouted "$2, on the way"
}

# Packages are unpacked but not configured; this runs the postinst script of one like dpkg.
package_script() { # PACKAGE
  DEBIAN_FRONTEND=noninteractive DPKG_MAINTSCRIPT_PACKAGE=$1 DPKG_MAINTSCRIPT_NAME=postinst \
    "/var/lib/dpkg/info/$1.postinst" configure '' >>/test/package-scripts 2>&1 </dev/null ||
    fail "postinst of $1: $(tail -n 5 /test/package-scripts)"
}

# ---- For some managers only ------------------------------------------------------------------------------------------

# Puts a WAN under networkd's management.
wan_network() { # WAN
  cat >"/etc/systemd/network/10-wan$1.network" <<CONF
[Match]
Name=wan$1
[Network]
DHCP=ipv4
IPv6AcceptRA=yes
LLMNR=no
[DHCPv4]
RouteMetric=$(($1 * 100 + 100))
[IPv6AcceptRA]
RouteMetric=$(($1 * 100 + 100))
CONF
}

networkd_has_wans() {
  wan_network 0
  wan_network 1
  systemctl restart systemd-networkd.service
}

# Without marks: both would loop without wgsteer.
tunnels_by_hand() {
  use_family 4
  client_tunnel_up wg0 "$kRouterKey" "$kServerKey" "$wg0_endpoint" 10.99.0.2
  route_halves wg0
  ip link add wg1 type wireguard
  wg setconf wg1 /dev/stdin <<CONF
[Interface]
PrivateKey = $kSecondRouterKey
[Peer]
PublicKey = $(public_key "$kSecondServerKey")
AllowedIPs = 10.99.1.0/24, ::/0
Endpoint = $wg1_endpoint
CONF
  ip addr add 10.99.1.2/24 dev wg1
  ip link set wg1 up
  ip -6 route add ::/1 dev wg1
  ip -6 route add 8000::/1 dev wg1
}

tunnels_by_hand_down() {
  ip link del wg0
  ip link del wg1
}

# ---- wgsteer --------------------------------------------------------------------------------------------------------

of_service() { systemctl show --value --property "$1" wgsteer.service; } # PROPERTY

in_force() { [[ $(of_service ActiveState) == active ]] && wgsteer plan >"$case_results/plan" 2>&1; }

await_in_force() { await 20 "$1: wgsteer has nothing left to do" in_force; } # DESCRIPTION

package_installed() {
  dpkg --force-unsafe-io --install /test/first.deb >"$case_results/dpkg.log" 2>&1 ||
    fail "dpkg: $(tail -n 5 "$case_results/dpkg.log")"
}

# `check` finds no problem.
nothing_to_complain_of() { # DESCRIPTION
  wgsteer check >"$case_results/check" 2>&1 || fail "$1: check: $(<"$case_results/check")"
}

# ---- The steps for every manager ------------------------------------------------------------------------------------

# The steps of a case, in this order. $alone lists the tunnels that work without wgsteer; with it, both do.

manager_is_alone() {
  versions
  providers_up
  servers_up
  note 'the manager alone'
  manager_up
  await_wans 'alone'
  tunnels_up
  await_tunnels 'alone'
  works_as_before 'alone'
  foreign_state >"$case_results/alone"
}

works_as_before() { # DESCRIPTION
  ((${#alone[@]})) || return 0
  pings_start "${alone[@]}"
  await_answers "$1"
  pings_stop
}

wgsteer_comes_after_it() {
  note 'wgsteer starts after the manager'
  package_installed
  await_in_force 'installed'
  counters_reset
  pings_start wg0 wg1
  await_carried_by 0 'wgsteer after the manager'
  nothing_to_complain_of 'wgsteer after the manager'
}

it_reads_its_files_again() {
  note 'the manager reloads its files'
  counters_reset
  manager_reload
  await_carried_by 0 'reload'
  await_in_force 'reload'
}

it_is_started_anew() {
  note 'the manager restarts'
  counters_reset
  manager_restart
  await_wans 'restart'
  await_tunnels 'restart'
  await_carried_by 0 'restart'
  await_in_force 'restart'
  nothing_to_complain_of 'restart'
}

it_gets_another_lease() {
  note 'a lease with another gateway'
  pings_pause
  provider_moves
  counters_reset
  await 150 'the lease is renewed' lease_has_moved
  provider_has_moved
  pings_resume
  await_carried_by 0 'another gateway'
  sed -i "s/\b192\.0\.2\.1\b/$moved_gateway/g; s/\b192\.0\.2\.10\b/$moved_address/g" "$case_results/alone"
}

its_cable_is_pulled() {
  note 'the cable of wan0 is unplugged and plugged in again'
  counters_reset
  wan_carrier_down 0
  await_carried_by 1 'without wan0'
  wan_carrier_up 0
  await_wans 'wan0 is back'
  await_carried_by 0 'wan0 is back'
  nothing_to_complain_of 'wan0 is back'
}

its_tunnels_go_and_come_again() {
  note 'the tunnels are removed and created again'
  pings_stop
  counters_reset
  tunnels_down
  tunnels_up
  await_tunnels 'again'
  pings_start wg0 wg1
  await_carried_by 0 'the tunnels again'
  await_in_force 'the tunnels again'
}

wgsteer_goes() {
  note 'flush'
  pings_stop
  wgsteer flush >/dev/null
  only_foreign_state 'after flush' "$case_results/alone"
  works_as_before 'after flush'
}

wgsteer_is_purged() {
  note 'purge'
  pings_stop
  dpkg --force-unsafe-io --purge wgsteer >"$case_results/dpkg.log" 2>&1 || fail "dpkg: $(tail -n 5 "$case_results/dpkg.log")"
  equal 'processes after purge' '' "$(pgrep -x wgsteer || true)"
  equal 'files after purge' '' "$(ls -d /usr/sbin/wgsteer /etc/wgsteer /var/lib/wgsteer /run/wgsteer 2>/dev/null || true)"
  only_foreign_state 'after purge' "$case_results/alone"
  works_as_before 'after purge'
}

wgsteer_comes_before_it() {
  note 'wgsteer starts before the manager'
  tunnels_down
  manager_down
  systemctl start wgsteer.service
  counters_reset
  manager_up
  await_wans 'wgsteer before the manager'
  tunnels_up
  await_tunnels 'wgsteer before the manager'
  pings_start wg0 wg1
  await_carried_by 0 'wgsteer before the manager'
  await_in_force 'wgsteer before the manager'
  nothing_to_complain_of 'wgsteer before the manager'
}

through_the_day() {
  manager_is_alone
  wgsteer_comes_after_it
  it_reads_its_files_again
  it_is_started_anew
  it_gets_another_lease
  its_cable_is_pulled
  its_tunnels_go_and_come_again
  wgsteer_goes
  wgsteer_comes_before_it
  wgsteer_is_purged
}
