# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2034,SC2154 # for neighbours.sh, and set by it
#
# For cases with a firewall that is enabled, as wgsteer is, before the machine is booted. A case file says how: firewall (its
# unit), before_boot, firewall_configure, firewall_reload, versions.

# shellcheck source=neighbours.sh
. /test/neighbours.sh

alone=()

# Run by guest/init in the system that is going to be booted.
enabled_at_boot() { # UNIT...
  dpkg --force-unsafe-io --install /test/first.deb
  systemctl enable "$@"
  # No terminal is there.
  systemctl mask serial-getty@ttyS0.service
  mkdir -p /etc/systemd/system/wgsteer-test.service.d
  cat >/etc/systemd/system/wgsteer-test.service.d/boot.conf <<'CONF'
[Unit]
Wants=multi-user.target
After=multi-user.target
CONF
  wan_network 0
  wan_network 1
}

is_active() { [[ $(systemctl show --value --property ActiveState "$1") == active ]]; } # UNIT

started_at() { systemctl show --value --property ActiveEnterTimestampMonotonic "$1"; } # UNIT

both_were_booted() {
  versions
  check "$firewall was booted" is_active "$firewall.service"
  check 'wgsteer was booted' is_active wgsteer.service
  note "booted at $(($(started_at "$firewall.service") / 1000)) ms, wgsteer at $(($(started_at wgsteer.service) / 1000)) ms"
  providers_up
  servers_up
  await_wans 'booted'
  firewall_configure
  tunnels_by_hand
  await_tunnels 'booted'
  counters_reset
  pings_start wg0 wg1
  await_carried_by 0 'booted'
  await_in_force 'booted'
  nothing_to_complain_of 'booted'
}

it_is_reloaded() { # WAN
  note "reload, with wan$1 in use"
  counters_reset
  firewall_reload
  await_answers 'reload'
  carried_by "$1" 'reload'
  await_in_force 'reload'
}

failover_with_a_reload() {
  note 'the cable of wan0 is pulled and put back'
  counters_reset
  wan_carrier_down 0
  await_carried_by 1 'without wan0'
  it_is_reloaded 1
  wan_carrier_up 0
  await_wans 'wan0 is back'
  await_carried_by 0 'wan0 is back'
}

nothing_of_it_changed() {
  note 'flush'
  pings_stop
  wgsteer flush >/dev/null
  # Sets and counters that were filled while wgsteer was there are the firewall's own.
  foreign_state >"$case_results/alone"
  systemctl start wgsteer.service
  await_in_force 'started again'
  nothing_to_complain_of 'started again'
  pings_start wg0 wg1
  await_carried_by 0 'started again'
  pings_stop
  wgsteer flush >/dev/null
  only_foreign_state 'after flush' "$case_results/alone"
}

# As at a boot in which it is the later one.
it_comes_later() {
  note 'the firewall is started after wgsteer'
  systemctl stop "$firewall.service"
  systemctl start wgsteer.service
  await_in_force 'without the firewall'
  pings_start wg0 wg1
  await_carried_by 0 'without the firewall'
  systemctl start "$firewall.service"
  await_answers 'the firewall comes later'
  carried_by 0 'the firewall comes later'
  await_in_force 'the firewall comes later'
  nothing_to_complain_of 'the firewall comes later'
}

it_is_restarted() {
  note 'the firewall is restarted'
  counters_reset
  systemctl restart "$firewall.service"
  await_answers 'restarted'
  carried_by 0 'restarted'
  await_in_force 'restarted'
}

wgsteer_is_restarted() {
  note 'wgsteer is restarted'
  counters_reset
  systemctl restart wgsteer.service
  await_in_force 'wgsteer is restarted'
  carried_by 0 'wgsteer is restarted'
  nothing_to_complain_of 'wgsteer is restarted'
}

since_boot() {
  both_were_booted
  it_is_reloaded 0
  failover_with_a_reload
  nothing_of_it_changed
  it_comes_later
  it_is_restarted
  wgsteer_is_restarted
}
