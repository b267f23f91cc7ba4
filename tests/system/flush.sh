#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Flush leaves nothing behind.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

case_no_trace() {
  local before
  topology_up
  tunnel_up route_halves
  tunnel_has_addresses
  before=$(kernel_state)
  daemon_start_and_converge
  daemon_stop TERM
  check 'state is kept on exit' has_line 'proto 87' router ip rule show
  check 'flush' quietly wgsteer flush
  equal 'the kernel after flush' "$before" "$(kernel_state)"
  check 'flush with nothing to flush' quietly wgsteer flush
}

case_no_trace_of_once() {
  local before
  topology_up
  tunnel_up route_default
  tunnel_has_addresses
  before=$(kernel_state)
  quietly wgsteer run --once
  quietly wgsteer flush
  equal 'the kernel after flush' "$before" "$(kernel_state)"
}

run_cases "$@"
