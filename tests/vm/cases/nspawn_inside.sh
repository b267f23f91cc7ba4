# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2034,SC2154 # for lib.sh, and set by it
#
# The router is a systemd-nspawn container with its own systemd. It has wgsteer's unit, kernel WireGuard, both WANs, and
# host0, which leads to the machine. Tested without and with a user namespace.

# shellcheck source=../container.sh
. /test/container.sh

readonly kName=inner

machine_state() {
  ip -N rule show
  ip -N -6 rule show
  ip -N route show table all
  ip -N -6 route show table all | sed 's/ expires [0-9]*sec//'
  nft list tables | grep -vw io.systemd.nat || true
  grep -rHs . /proc/sys/net/ipv{4,6}/conf/{all,default,lo} | sort || true
}

# With the first container, networkd enables forwarding and creates an nft table: do the former now, ignore the latter.
machine_is_ready() {
  [[ ! -e /etc/wgsteer-is-unpacked ]] || return 0
  systemctl start systemd-networkd.service
  sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
  systemctl mask --quiet --runtime wgsteer.service
  dpkg --force-unsafe-io --install /test/first.deb >"$case_results/dpkg.log" 2>&1 ||
    fail "dpkg: $(tail -n 5 "$case_results/dpkg.log")"
  : >/etc/wgsteer-is-unpacked
}

container_options=()

router_namespace() {
  [[ $case_results != *own_users* ]] || container_options=(--private-users=pick --private-users-ownership=chown)
  machine_is_ready
  machine_state >"$case_results/machine-before"
  container_root "$kName" systemd-networkd.service wgsteer.service
  container_up "$kName" "${container_options[@]}"
  await 60 'the container has an address' container_has_address "$kName"
  ip netns attach router "$(leader "$kName")"
}

# The daemon runs as the container's service.
await_service() { # DESCRIPTION
  await 30 "$1: the service" inside "$kName" systemctl --quiet is-active wgsteer.service
  daemon_pid=$(pgrep --ns "$(leader "$kName")" --nslist net --exact wgsteer | head -n 1)
  daemon_log=$case_results/daemon.log
  inside "$kName" journalctl --unit wgsteer --output cat >"$daemon_log"
  await_converged
}
wgsteer() { inside "$kName" timeout 60 wgsteer "$@"; }

through_the_day() {
  local before
  note "$(systemd-nspawn --version | head -n 1), users: $(inside "$kName" cat /proc/1/uid_map)"
  tunnel_up
  route_halves wg0
  await_service 'inside'
  traffic_start
  steady_on 0 'inside'
  equal 'the sysctl is set' 1 "$(router cat /proc/sys/net/ipv4/conf/wan0/ignore_routes_with_linkdown)"
  equal 'nothing was refused' '' "$(inside "$kName" journalctl --unit wgsteer --output cat |
    grep -E 'EPERM|EACCES|EROFS|denied|Read-only|not permitted' || true)"
  wgsteer check >"$case_results/check" 2>&1 || fail "check: $(<"$case_results/check")"
  wgsteer status >"$case_results/status"

  note 'failover'
  counters_reset
  wan_carrier_down 0
  await 15 'data by wan1' at_least 1 sent 1 4 "${wan_address[1]}"
  steady_on 1 'without a carrier'
  wan_carrier_up 0
  await 15 'data by wan0' at_least 1 sent 0 4 "${wan_address[0]}"
  await_converged
  wan_link_down 0
  await 15 'data by wan1 again' at_least 1 sent 1 4 "${wan_address[1]}"
  steady_on 1 'link down'
  wan_link_up 0
  await_converged
  steady_on 0 'link up'

  note 'killed'
  kill -KILL "$daemon_pid"
  steady_on 0 'after it was killed'
  await_service 'started again'
  steady_on 0 'started again'

  note 'flush'
  traffic_stop
  wgsteer flush >/dev/null
  equal 'our remaining state' '' "$(own_state)"
  daemon_pid=''

  note 'the container ends'
  container_down "$kName"
  machine_state >"$case_results/machine-after"
  diff -u "$case_results"/machine-before "$case_results"/machine-after || fail 'the state of the machine has changed'
}

case_inside() { through_the_day; }
case_inside_with_own_users() { through_the_day; }

eval "$(declare -f end_case | sed '1s/.*/namespaces_end()/')"
end_case() {
  journalctl --output short-precise >"/results/journal"
  if machinectl show "$kName" >/dev/null 2>&1; then
    inside "$kName" journalctl --output short-precise >/results/journal-inside 2>&1
    machinectl terminate "$kName"
    holds_within 30 container_is_gone "$kName"
  fi
  namespaces_end
}
