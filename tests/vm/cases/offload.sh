# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Connections in a flowtable, with the world of tests/system, in network namespaces of the machine.

# Of lib.sh, whose world this is not.
run_cases() {
  dpkg-deb --extract /test/first.deb /
  mkdir -p /tests/system /tests/support
  cp /test/traffic_offload.sh /tests/system/
  cp /test/{topology.sh,cases.sh,traffic.sh,traffic.py} /tests/support/
  # For a log with times, as outside of a service.
  env -u JOURNAL_STREAM CI=true WGSTEER=/usr/sbin/wgsteer bash /tests/system/traffic_offload.sh
}
