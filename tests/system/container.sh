#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The daemon in a container like those of Docker and Podman, created by an OCI runtime: their capabilities plus
# NET_ADMIN, their seccomp profile, a read-only /proc/sys, and the daemon as process 1; in the router's network
# namespace, as with
# --network host.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

readonly kProfile=/usr/share/containers/seccomp.json

# Changes the output of `crun spec` to what Docker uses. The seccomp profile is in Docker's format, of which the runtime
# understands only a part.
readonly kBundle='
import json, sys
bundle, profile, program, *arguments = sys.argv[1:]
capabilities = ["CAP_" + name for name in (
    "CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW SYS_CHROOT MKNOD AUDIT_WRITE "
    "SETFCAP NET_ADMIN").split()]

def meant(rule):
    wanted, unwanted = rule.get("includes") or {}, rule.get("excludes") or {}
    return (set(wanted.get("caps") or []) <= set(capabilities) and "amd64" in (wanted.get("arches") or ["amd64"])
            and not set(unwanted.get("caps") or []) & set(capabilities) and "amd64" not in (unwanted.get("arches") or []))

path = bundle + "/config.json"
config = json.load(open(path))
seccomp = json.load(open(profile))
config["process"].update(terminal=False, args=[program, *arguments], noNewPrivileges=True,
                         capabilities={kind: capabilities for kind in ("bounding", "effective", "permitted")})
config["linux"]["namespaces"] = [one for one in config["linux"]["namespaces"] if one["type"] != "network"]
config["linux"]["seccomp"] = {
    "defaultAction": seccomp["defaultAction"], "defaultErrnoRet": 38, "architectures": ["SCMP_ARCH_X86_64"],
    "syscalls": [{key: rule[key] for key in ("names", "action", "args", "errnoRet") if rule.get(key) is not None}
                 for rule in seccomp["syscalls"] if meant(rule)]}
config["root"] = {"path": bundle + "/root", "readonly": False}
config["mounts"] = [one for one in config["mounts"] if one["destination"] not in ("/sys", "/sys/fs/cgroup")]
for folder in ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc", "/sys", bundle, program.rpartition("/")[0]):
    config["mounts"].append({"destination": folder, "type": "none", "source": folder, "options": ["rbind", "ro"]})
config["mounts"].append({"destination": "/run", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"]})
config["mounts"].append({"destination": "/run/wireguard", "type": "none", "source": "/run/wireguard", "options": ["rbind"]})
json.dump(config, open(path, "w"))
'

need_runtime() {
  command -v crun >/dev/null || skip 'no crun on this machine'
  [[ -r $kProfile ]] || skip "no $kProfile (golang-github-containers-common)"
  [[ $(uname -m) == x86_64 ]] || skip 'the seccomp profile is converted for x86_64 only'
}

crun_in_router() { router crun --cgroup-manager=disabled --root /run/crun "$@"; }

# The container's process is not our child: it would outlive the case, in an otherwise unused namespace.
eval "$(declare -f topology_down | sed '1s/.*/namespaces_down()/')"
topology_down() {
  [[ ! -d ${work:-/nowhere}/bundle ]] || crun_in_router delete --force steering 2>/dev/null || true
  namespaces_down
}

# These override functions of topology.sh.
daemon_start() {
  mkdir -p "$work/bundle/root/var"
  ln -sfn ../run "$work/bundle/root/var/run"
  rm -f "$work/bundle/config.json"
  # crun needs a cgroup file system, even though it creates no cgroup (--cgroup-manager=disabled).
  [[ $(router stat -fc %T /sys/fs/cgroup) == cgroup2fs ]] || router mount -t cgroup2 cgroup2 /sys/fs/cgroup
  crun spec -b "$work/bundle"
  python3 -c "$kBundle" "$work/bundle" "$kProfile" "$WGSTEER" run "${daemon_arguments[@]}"
  daemon_log=$work/daemon.log
  start_in_host router "$daemon_log" crun --cgroup-manager=disabled --root /run/crun run --bundle "$work/bundle" steering
  daemon_pid=$started
  await 20 'the container is running' container_runs
}
container_runs() { has_line '"status": "running"' quiet_state; }
quiet_state() { crun_in_router state steering 2>/dev/null; }
wgsteer() { crun_in_router exec steering "$WGSTEER" "$@"; }

# Matches the plan's sysctls, which a container cannot set, and the set elements that would record them.
readonly kOfTheHost='\(sysctl \|nft add element inet wgsteer \(ignore_linkdown[46]\|src_valid_mark\) \|$\)'
converged() {
  daemon_alive || fail "the daemon ended: $(tail -n 3 "$daemon_log")"
  has_line 'proto 87' router ip rule show || return 1
  wgsteer plan >"$work/plan" 2>&1 || true
  ! grep -v "^$kOfTheHost" "$work/plan" | grep -q .
}

findings() { wgsteer check | grep -E '^(problem|conflict|advice): ' || true; }

# The container cannot set any sysctl, not even the one for failover on carrier loss.
case_docker_like() {
  need_runtime
  topology_up
  tunnel_up route_halves
  daemon_start_and_converge
  check '/proc/sys is read-only' fails crun_in_router exec steering sysctl -w net.ipv4.conf.wan0.log_martians=0
  tunnel_forget
  traffic_start
  await_handshake
  steady_on 0 'in a container'
  equal 'check says that the kernel does not fail over by itself' \
    "$(printf 'advice: the kernel goes on using %s without a carrier: only a running daemon moves its tunnels\n' wan0 wan1)" \
    "$(findings)"
  wan_carrier_down 0
  comes_to_rest_on 1 'without a carrier'
  wan_carrier_up 0
  comes_to_rest_on 0 'the carrier is back'
  wan_link_down 0
  comes_to_rest_on 1 'link down'
  wan_up 0
  comes_to_rest_on 0 'link up'
  equal 'each sysctl that cannot be set is logged once' 4 "$(grep -c 'Read-only file system' "$daemon_log")"
  # From the host, which sees other processes and files, and which can apply the fix.
  check 'status works from the host' has_line 'wan0 .* up ' router "$WGSTEER" status
  wgsteer check | sed -n 's/^ *fix: sysctl -w \([^,]*\),.*/\1/p' >"$work/fix"
  equal 'a fix for each WAN' 2 "$(wc -l <"$work/fix")"
  router sysctl -q -p "$work/fix"
  equal 'findings after the fix' '' "$(findings)"
  await 10 'sysctls that we did not set are not recorded' nothing_written_down
  # From the host: the daemon is the container's process 1, so a flush inside would be killed with it.
  equal 'flush' 0 "$(code_of router "$WGSTEER" flush)"
  await 10 'the container ends' fails container_runs
  equal 'our remaining rules' '' "$(router_ip rule show | grep 'proto 87' || true)"
  equal "the host's settings stay" \
    '1 1' "$(router sysctl -n net.ipv4.conf.wan{0,1}.ignore_routes_with_linkdown | xargs)"
}

# Whether the sets that record which sysctls flush resets have no entry for a WAN.
nothing_written_down() {
  local set
  for set in ignore_linkdown4 ignore_linkdown6 src_valid_mark; do
    ! has_line '"wan[01]"' router nft list set inet wgsteer "$set" || return 1
  done
}

# Entries from a time when sysctls could be set, or from a version that recorded them anyway.
case_what_was_written_down_before() {
  need_runtime
  topology_up
  tunnel_up route_halves
  router "$WGSTEER" run --once >/dev/null 2>&1
  router sysctl -q -w net.ipv4.conf.wan0.ignore_routes_with_linkdown=0
  check 'a run outside the container records them' fails nothing_written_down
  daemon_start_and_converge
  await 10 'the entry of a sysctl that is off is removed' \
    fails has_line '"wan0"' router nft list set inet wgsteer ignore_linkdown4
  check 'the entry of a sysctl that is on stays' has_line '"wan1"' router nft list set inet wgsteer ignore_linkdown4
}

# Only IPv4 has this filter.
case_strict_rp_filter() {
  [[ $family == 4 ]] || return 0
  need_runtime
  topology_up
  tunnel_up route_halves
  router sysctl -q -w net.ipv4.conf.all.rp_filter=1
  daemon_start_and_converge
  check 'check reports a problem' has_line '^problem: strict rp_filter on wan0 drops replies' findings
  router sysctl -q -w net.ipv4.conf.all.src_valid_mark=1
  check 'no problem once the host sets src_valid_mark' fails has_line '^problem' findings
  tunnel_forget
  traffic_start
  await_handshake
  steady_on 0 'strict'
}

# The daemon is killed with its container, but its state in the kernel keeps working.
case_container_is_killed() {
  need_runtime
  steered_tunnel_up
  crun_in_router kill steering KILL
  await 10 'the daemon is gone' fails daemon_alive
  steady_on 0 'without the container'
  quietly crun_in_router delete --force steering
  daemon_start_and_converge
  steady_on 0 'in the next container'
}

run_cases "$@"
