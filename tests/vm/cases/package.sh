# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154 # wan_address and the like are set by lib.sh
#
# The Debian package under a real systemd: install, upgrade, hang, remove. /test/first.deb and /test/next.deb differ
# only in their version. The router is the machine itself, so that dpkg, systemd and networkd are real.

router_namespace() { ip netns attach router 1; }

# No cleanup: the machine ends after its only case.
end_case() { :; }

dpkg_quietly() { # ARGUMENTS...
  dpkg --force-unsafe-io "$@" >"$case_results/dpkg.log" 2>&1 || fail "dpkg $*: $(tail -n 5 "$case_results/dpkg.log")"
}

of_service() { systemctl show --value --property "$1" wgsteer.service; } # PROPERTY

service_is_up() { [[ $(of_service ActiveState) == active ]]; }

own_names_shown() {
  ip rule show | grep -q 'lookup wgsteer-wan-1 proto wgsteer' ||
    fail "ip rule: $(ip rule show)"
}

runs_with_no_more_than_it_needs() {
  local status
  status=/proc/$(of_service MainPID)/status
  # CAP_DAC_OVERRIDE (1), CAP_NET_ADMIN (12) and CAP_NET_RAW (13).
  equal 'capabilities' 0000000000003002 "$(awk '$1 == "CapBnd:" { print $2 }' "$status")"
  equal 'the seccomp mode' 2 "$(awk '$1 == "Seccomp:" { print $2 }' "$status")"
  equal 'the sysctl of a WAN' 1 "$(</proc/sys/net/ipv4/conf/wan0/ignore_routes_with_linkdown)"
  equal 'the name of process 1, as for the report of a fight' systemd "$(nsenter --mount --target "$(of_service MainPID)" \
    setpriv --bounding-set -all,+net_admin,+net_raw cat /proc/1/comm)"
  equal 'nothing was refused' '' "$(journalctl --unit wgsteer --output cat | grep -E 'EPERM|EACCES|EROFS|denied|Read-only' || true)"
}

# Since the last reset, all traffic went by wan0 and no packet was lost.
unbroken() { # DESCRIPTION
  await_traffic "$1: traffic"
  equal "$1: packets by wan1" 0 "$(sent 1)"
  nothing_misrouted "$1"
  check "$1: no answer is missing" none_missing
}

none_missing() {
  local last
  last=$(sed -n 's/.*icmp_seq=\([0-9]*\) .*/\1/p' "$traffic_log" | tail -n 1)
  (($(answers) >= last))
}

case_installed_upgraded_hung_removed() {
  local before installed
  systemctl start systemd-networkd.service
  tunnel_up
  route_halves wg0
  before=$(kernel_state)

  note 'installed'
  dpkg_quietly --install /test/first.deb
  await 20 'the service is up' service_is_up
  daemon_pid=$(of_service MainPID)
  await_converged
  own_names_shown
  runs_with_no_more_than_it_needs
  getent group wgsteer >/dev/null || fail 'no group wgsteer'
  wgsteer status | grep -q wg0 || fail 'status'
  equal 'watchdog' 30s "$(of_service WatchdogUSec)"
  traffic_start
  steady_on 0 'installed'
  installed=$(own_state)

  note 'networkd restarted'
  systemctl restart systemd-networkd.service
  equal 'ours after networkd' "$installed" "$(own_state)"

  note 'upgraded'
  counters_reset
  dpkg_quietly --install /test/next.deb
  [[ $(of_service MainPID) != "$daemon_pid" ]] || fail 'the upgrade did not restart the daemon'
  daemon_pid=$(of_service MainPID)
  await_converged
  unbroken 'upgraded'
  equal 'ours after the upgrade' "$installed" "$(own_state)"

  note 'hung, and killed by the watchdog'
  counters_reset
  kill -STOP "$daemon_pid"
  await 60 'systemd restarts it' started_anew
  daemon_pid=$(of_service MainPID)
  await_converged
  unbroken 'hung'
  equal 'ours after the watchdog' "$installed" "$(own_state)"

  traffic_stop
  flushed_for_good "$before" "$installed"
  decided_by_hand

  note 'removed'
  mkdir -p /etc/wgsteer
  : >/etc/wgsteer/wgsteer.toml
  : >/etc/wgsteer/notes
  dpkg_quietly --remove wgsteer
  daemon_pid=''
  equal 'the kernel state after removal' "$before" "$(kernel_state)"
  dpkg_quietly --purge wgsteer
  equal 'files left' /etc/wgsteer/notes "$(ls -d /etc/iproute2/rt_*.d/wgsteer* /etc/wgsteer/* /var/lib/wgsteer \
    /etc/systemd/system/*/wgsteer* 2>/dev/null || true)"
  equal 'its group' '' "$(getent group wgsteer || true)"

  note 'the group exists already'
  groupadd --system wgsteer
  dpkg_quietly --install /test/next.deb
  dpkg_quietly --purge wgsteer
  getent group wgsteer >/dev/null || fail "purge deleted a group that the package did not create"
}

is_down() { [[ $(of_service ActiveState)/$(of_service SubState) == inactive/dead ]]; }

# After flush the unit has neither failed nor is it about to be restarted (activating/auto-restart).
flushed_for_good() { # STATE-BEFORE STATE-INSTALLED
  note 'flushed'
  equal 'flush output' "all state removed, wgsteer.service stopped; to start it again: systemctl start wgsteer.service \
(the next boot does so, too, unless the service is disabled)" "$(wgsteer flush)"
  await 10 'the service is down' is_down
  equal 'result and exit status' success/3 "$(of_service Result)/$(of_service ExecMainStatus)"
  equal 'the kernel state after flush' "$1" "$(kernel_state)"
  systemctl start wgsteer.service
  daemon_pid=$(of_service MainPID)
  await_converged
  equal 'our state after the start' "$2" "$(own_state)"
}

# The service's manual overrides also apply to commands run without it.
decided_by_hand() {
  wgsteer wan wan1 down --reason maintenance
  systemctl stop wgsteer.service
  wgsteer status | grep -q 'by hand: maintenance' || fail "without the service: $(wgsteer status)"
  systemctl start wgsteer.service
  wgsteer wan wan1 auto
}

started_anew() {
  service_is_up && [[ $(of_service MainPID) != "$daemon_pid" && $(of_service NRestarts) == 1 ]]
}
