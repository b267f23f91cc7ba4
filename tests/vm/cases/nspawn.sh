# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2034,SC2154 # for neighbours.sh, and set by it
#
# systemd-nspawn containers on the router: networkd gives addresses to both ends of their veth pairs (ve-*, host0) and
# masquerades their traffic, which goes into the tunnel. wgsteer must not take them for WANs or touch their state.

# shellcheck source=../neighbours.sh
. /test/neighbours.sh
# shellcheck source=../container.sh
. /test/container.sh

alone=()
devices=(ve-guest wan0 wan1 wg0 wg1)

versions() { systemd-nspawn --version | head -n 1; }

manager_up() {
  networkd_has_wans
  container_root guest systemd-networkd.service
  container_up guest
  await 60 'the container has an address' container_has_address guest
  await 60 "the host's end of the veth pair has addresses" cable_has_addresses
}

# networkd adds the link-local IPv4 address last, after some seconds.
cable_has_addresses() { [[ $(ip -4 addr show dev ve-guest) == *169.254.* ]]; }

tunnels_up() { tunnels_by_hand; }

# Through the tunnel, which takes all IPv4 traffic.
guest_reaches_the_server() { # DESCRIPTION
  inside guest ping -n -q -c 3 -i 0.2 -W 5 10.99.0.1 >"$case_results/guest" 2>&1 || fail "$1: $(<"$case_results/guest")"
}

they_are_no_wans() { # DESCRIPTION
  local status
  status=$(wgsteer status)
  [[ $status != *ve-* && $status == *wan0* ]] || fail "$1: $status"
}

they_come_and_go() {
  local round
  note 'containers come and go'
  container_root short
  counters_reset
  for round in 1 2 3; do
    process_container_up short
    they_are_no_wans "round $round"
    await_in_force "round $round"
    process_container_down short
  done
  await_in_force 'after the containers'
  carried_by 0 'after the containers'
  guest_reaches_the_server 'after the other containers'
}

it_is_started_again() {
  note 'the container restarts'
  counters_reset
  container_down guest
  they_are_no_wans 'without the container'
  container_up guest
  await 60 'the container has an address again' container_has_address guest
  carried_by 0 'with the container again'
  guest_reaches_the_server 'with the container again'
  nothing_to_complain_of 'with the container again'
}

case_nspawn() {
  manager_is_alone
  wgsteer_comes_after_it
  they_are_no_wans 'wgsteer starts later'
  guest_reaches_the_server 'wgsteer starts later'
  they_come_and_go
  its_cable_is_pulled
  guest_reaches_the_server 'after the failover'
  wgsteer_goes
  systemctl start wgsteer.service
  await_in_force 'started again'
  pings_start wg0 wg1
  await_carried_by 0 'started again'
  it_is_started_again
}
