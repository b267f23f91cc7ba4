# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs a script's case_NAME functions, each on a fresh topology and in both families. ONLY=PATTERN selects cases.

# shellcheck source=../support/topology.sh
source "${BASH_SOURCE[0]%/*}/topology.sh"

# Runs in a subshell, so that a case ends at its first failure and takes its processes with it.
run_case() ( # NAME FAMILY
  set -eEuo pipefail
  topology_trap
  trap 'echo "    FAILED: ${BASH_SOURCE[0]##*/}:$LINENO: $BASH_COMMAND"' ERR
  trap '(($? == 0 || $? == 77)) || diagnostics 2>&1 || true; topology_down' EXIT
  use_family "$2"
  need_wgsteer
  "case_$1"
)

run_cases() { # [FAMILY]...
  local name names version status since failures=0 passed=0 skipped=0 families=("${@:-4}")
  (($#)) || families=(4 6)
  mapfile -t names < <(declare -F | sed -n 's/^declare -f case_//p')
  for name in "${names[@]}"; do
    for version in "${families[@]}"; do
      [[ $name-v$version =~ ${ONLY:-.} ]] || continue
      since=$(now_ms)
      echo "--- $name-v$version"
      run_case "$name" "$version"
      status=$?
      case $status in
        0) passed=$((passed + 1)) && note "ok, $(($(now_ms) - since)) ms" ;;
        77) skipped=$((skipped + 1)) ;;
        13[0-9] | 14[0-9]) exit "$status" ;;
        *) failures=$((failures + 1)) ;;
      esac
    done
  done
  echo "$passed passed, $failures failed, $skipped skipped"
  ((failures == 0 && passed + skipped > 0)) || exit 1
  ((passed)) || exit 77
}

# Brings up a tunnel that is steered according to a configuration, with traffic in it.
configured_tunnel_up() { # ROUTES-COMMAND COMMAND-THAT-PRINTS-THE-CONFIGURATION [ARGUMENT...]
  topology_up
  tunnel_up "$1"
  "${@:2}" >"$work/wgsteer.toml"
  daemon_arguments=(-c "$work/wgsteer.toml")
  daemon_start_and_converge
  tunnel_forget
  traffic_start
  await_handshake
}

# The state from which most cases start: a tunnel for all traffic, steered over the first WAN, with traffic in it.
steered_tunnel_up() {
  topology_up
  tunnel_up route_halves
  daemon_start_and_converge
  tunnel_forget
  traffic_start
  await_handshake
  steady_on 0 'before the event'
}

# For the kill switch of wg-quick(8).
need_iptables() {
  command -v iptables >/dev/null || skip 'no iptables'
  router iptables -m addrtype ! --dst-type LOCAL -m mark ! --mark 1 -A OUTPUT -j ACCEPT 2>/dev/null ||
    skip 'this kernel has no addrtype or mark for iptables'
  router iptables -F OUTPUT
}
