# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2034 # for boot.sh
#
# ufw is booted with wgsteer; what comes from the WANs is denied, as it is by default.

# shellcheck source=../boot.sh
. /test/boot.sh

firewall=ufw

before_boot() {
  package_script iptables
  package_script ufw
  sed -i 's/^ENABLED=no/ENABLED=yes/' /etc/ufw/ufw.conf
  enabled_at_boot ufw.service
}

versions() { echo "$(ufw --version 2>&1 | sed -n 1p), $(iptables --version)"; }

# It has no zones, and writes down what is allowed at once. A client's leases come by broadcast.
firewall_configure() {
  local device
  for device in wg0 wg1; do ufw allow in on "$device" >>"$case_results/ufw.log" 2>&1 || fail "ufw: $(tail -n 3 "$case_results/ufw.log")"; done
  [[ $(ufw status) == *'Status: active'* ]] || fail "ufw: $(ufw status)"
}
firewall_reload() { ufw reload >>"$case_results/ufw.log" 2>&1; }

case_ufw() { since_boot; }
