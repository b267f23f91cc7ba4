#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# sd_notify after the first convergence.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

case_ready_after_convergence() {
  topology_up
  tunnel_up route_halves
  # Logs each notification, and whether our rules were installed when it came.
  start_in_host router "$work/notify.log" python3 -c '
import socket, subprocess, sys
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind(sys.argv[1])
print("listening", flush=True)
while True:
    message = receiver.recv(4096).decode()
    rules = subprocess.run(["ip", "rule", "show"], capture_output=True, text=True).stdout
    if "READY=1" in message:
        print("ready with rules" if "proto 87" in rules else "ready without rules", flush=True)
    if "STOPPING=1" in message:
        print("stopping", flush=True)
' "$work/notify"
  await 10 'the receiver is listening' has_line listening cat "$work/notify.log"
  export NOTIFY_SOCKET=$work/notify
  daemon_start
  unset NOTIFY_SOCKET
  await 10 'READY=1' has_line ready cat "$work/notify.log"
  check 'rules were installed by then' has_line 'ready with rules' cat "$work/notify.log"
}

run_cases "$@"
