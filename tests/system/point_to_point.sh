#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A WAN without a gateway, like PPP: a tun device on each side, and a process that copies packets between them.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

# Opens one device in each of two network namespaces, reports that, and copies packets until it is killed.
readonly kWire='
import fcntl, os, select, struct, sys

def tun(pid, name):
    with open(f"/proc/{pid}/ns/net") as namespace:
        libc.setns(namespace.fileno(), 0x40000000)
    device = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(device, 0x400454CA, struct.pack("16sH22x", name.encode(), 0x1001))
    return device

import ctypes
libc = ctypes.CDLL(None, use_errno=True)
left, right = tun(sys.argv[1], sys.argv[2]), tun(sys.argv[3], sys.argv[4])
print("wire", flush=True)
while True:
    for device in select.select([left, right], [], [])[0]:
        try:
            packet = os.read(device, 65536)
            os.write(right if device == left else left, packet)
        except OSError:
            pass  # One side is down.
'

# The first WAN becomes ppp0, without a gateway; the device on the ISP's side is still "customer".
wan_becomes_point_to_point() {
  router ip link del "${wan_device[0]}"
  wan_device[0]=ppp0
  start_in_host router "$work/wire.log" python3 -c "$kWire" "${holder[router]}" ppp0 "${holder[isp0]}" customer
  wire_pid=$started
  await 10 'the wire is up' has_line wire grep -s . "$work/wire.log"
  in_host isp0 ip -batch - <<ISP
addr add ${wan_gateway4[0]} peer ${wan_address4[0]} dev customer
addr add ${wan_gateway6[0]}/64 dev customer
link set customer up
ISP
  point_to_point_up
}

point_to_point_up() {
  router ip link set ppp0 up
  router ip -batch - <<ROUTER
addr replace ${wan_address4[0]} peer ${wan_gateway4[0]} dev ppp0
addr replace ${wan_address6[0]}/64 dev ppp0
route replace default dev ppp0 metric ${wan_metric[0]}
ROUTER
  router ip -6 route replace default dev ppp0 metric "${wan_metric[0]}"
}

# A tun device is assumed to be a tunnel unless it is configured as a WAN.
configuration() {
  cat <<TOML
[[wan]]
name = "dsl"
device = "ppp0"
metric = 1

[[wan]]
name = "cable"
device = "wan1"
metric = 2
TOML
}

case_without_gateway() {
  topology_up
  wan_becomes_point_to_point
  configuration >"$work/wgsteer.toml"
  daemon_arguments=(-c "$work/wgsteer.toml")
  tunnel_up route_halves
  daemon_start_and_converge
  tunnel_forget
  traffic_start
  await_handshake
  steady_on 0 'point to point'
  router ip link set ppp0 down
  comes_to_rest_on 1 'ppp0 down'
  point_to_point_up
  await 5 'converged' converged
  comes_to_rest_on 0 'ppp0 back'
  # The peer hangs up, and the device itself disappears.
  stop_process "$wire_pid"
  await 5 'ppp0 is gone' fails router ip link show ppp0
  await_traffic 'traffic by the second'
  comes_to_rest_on 1 'ppp0 gone'
}

run_cases "$@"
