# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2034 # for neighbours.sh
#
# netplan generates systemd-networkd files for both WANs and for two tunnels, which have no mark and take all traffic:
# without wgsteer, both would loop.

# shellcheck source=../neighbours.sh
. /test/neighbours.sh

alone=()

versions() { sed -n '/^Package: netplan.io$/,/^$/s/^Version: /netplan.io /p' /var/lib/dpkg/status; }

description_of_wans() {
  cat >/etc/netplan/10-wans.yaml <<'CONF'
network:
  version: 2
  renderer: networkd
  ethernets:
    wan0:
      dhcp4: true
      accept-ra: true
      dhcp4-overrides: {route-metric: 100}
    wan1:
      dhcp4: true
      accept-ra: true
      dhcp4-overrides: {route-metric: 200}
CONF
}

description_of_tunnels() {
  cat >/etc/netplan/20-tunnels.yaml <<CONF
network:
  version: 2
  tunnels:
    wg0:
      mode: wireguard
      key: $kRouterKey
      addresses: [10.99.0.2/24]
      routes:
        - {to: 0.0.0.0/1, scope: link}
        - {to: 128.0.0.0/1, scope: link}
      peers:
        - keys: {public: "$(public_key "$kServerKey")"}
          allowed-ips: [0.0.0.0/0]
          endpoint: $wg0_endpoint
    wg1:
      mode: wireguard
      key: $kSecondRouterKey
      addresses: [10.99.1.2/24, "fd99:1::2/64"]
      routes:
        - {to: "::/1"}
        - {to: "8000::/1"}
      peers:
        - keys: {public: "$(public_key "$kSecondServerKey")"}
          allowed-ips: [10.99.1.0/24, "::/0"]
          endpoint: "$wg1_endpoint"
CONF
  chmod 600 /etc/netplan/*.yaml
}

# `netplan apply` makes networkd reconfigure both WANs each time.
netplan_applied() {
  netplan apply >>"$case_results/netplan.log" 2>&1 || fail "netplan: $(tail -n 5 "$case_results/netplan.log")"
  /lib/systemd/systemd-networkd-wait-online --timeout=60 --interface={wan0,wan1}
}

manager_up() {
  # The netplan command needs the linker's cache, which a package's script normally builds, to find its library.
  ldconfig
  mkdir -p /etc/netplan
  description_of_wans
  description_of_tunnels
  netplan_applied
}

# The tunnels come up with the WANs.
tunnels_up() { :; }

manager_reload() { netplan_applied; }

# networkd.sh covers the rest of what networkd does with such files.
case_netplan() {
  manager_is_alone
  wgsteer_comes_after_it
  it_reads_its_files_again
  wgsteer_goes
}
