# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2034,SC2154 # for neighbours.sh, and set by it
#
# Containers of systemd-nspawn on the router: networkd gives addresses to both ends of their cables (ve-*, host0), and
# masquerades what they send, into the tunnel. They are no WANs, and nothing of theirs is anybody else's.

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
  await 'the container has an address' 60 container_has_address guest
  await 'so has its cable' 60 cable_has_addresses
}

# The one that networkd takes out of the air comes last, seconds later.
cable_has_addresses() { [[ $(ip -4 addr show dev ve-guest) == *169.254.* ]]; }

tunnels_up() { tunnels_by_hand; }

# By the tunnel, for all of IPv4 goes there.
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
  await_in_force 'they have come and gone'
  carried_by 0 'they have come and gone'
  guest_reaches_the_server 'others have come and gone'
}

it_is_started_again() {
  note 'the container is started again'
  counters_reset
  container_down guest
  they_are_no_wans 'without it'
  container_up guest
  await 'the container has an address again' 60 container_has_address guest
  carried_by 0 'with it again'
  guest_reaches_the_server 'with it again'
  nothing_to_complain_of 'with it again'
}

case_nspawn() {
  manager_is_alone
  wgsteer_comes_after_it
  they_are_no_wans 'wgsteer comes later'
  guest_reaches_the_server 'wgsteer comes later'
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
