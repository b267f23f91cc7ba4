# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2034 # for neighbours.sh
#
# ifupdown manages both WANs, wan0 with ISC dhclient, wan1 with dhcpcd, and the kernel handles router advertisements.
# /etc/network/interfaces brings up wg0 with wg-quick(8), and wg1 with plain commands and without a mark.

# shellcheck source=../neighbours.sh
. /test/neighbours.sh

alone=(wg0)
# Debian's dhclient-script ignores a new gateway as long as the address stays the same.
moved_address=192.0.2.11

versions() {
  ifup --version | head -n 1
  dhclient --version 2>&1
  dhcpcd --version | head -n 1
}

interfaces() {
  cat >/etc/network/interfaces <<'CONF'
auto wan0
iface wan0 inet dhcp
  metric 100
iface wan0 inet6 auto
  accept_ra 2

auto wan1
iface wan1 inet manual
  up dhcpcd --quiet --ipv4only --metric 200 wan1
  down dhcpcd --quiet --exit --ipv4only wan1
iface wan1 inet6 auto
  accept_ra 2

source-directory /etc/network/interfaces.d
CONF
  # Normally created by its package.
  getent passwd dhcpcd >/dev/null || useradd --system --home-dir /usr/lib/dhcpcd --shell /usr/sbin/nologin dhcpcd
}

tunnel_files() {
  mkdir -p /etc/wireguard /etc/network/interfaces.d
  cat >/etc/network/interfaces.d/tunnels <<'CONF'
auto wg0
iface wg0 inet manual
  up wg-quick up wg0
  down wg-quick down wg0

auto wg1
iface wg1 inet static
  address 10.99.1.2/24
  pre-up ip link add wg1 type wireguard
  pre-up wg setconf wg1 /etc/wireguard/wg1.conf
  up ip -6 route add ::/1 dev wg1
  up ip -6 route add 8000::/1 dev wg1
  post-down ip link del wg1
CONF
  cat >/etc/wireguard/wg0.conf <<CONF
[Interface]
PrivateKey = $kRouterKey
Address = 10.99.0.2/24
[Peer]
PublicKey = $(public_key "$kServerKey")
AllowedIPs = 0.0.0.0/0
Endpoint = $wg0_endpoint
CONF
  cat >/etc/wireguard/wg1.conf <<CONF
[Interface]
PrivateKey = $kSecondRouterKey
[Peer]
PublicKey = $(public_key "$kSecondServerKey")
AllowedIPs = 10.99.1.0/24, ::/0
Endpoint = $wg1_endpoint
CONF
  chmod 600 /etc/wireguard/*.conf
}

manager_up() {
  systemctl stop systemd-networkd.socket systemd-networkd.service
  interfaces
  systemctl start networking.service
}

manager_down() { systemctl stop networking.service; }

tunnels_up() {
  tunnel_files
  ifup wg0 wg1 >>"$case_results/ifupdown.log" 2>&1
}

tunnels_down() { ifdown wg0 wg1 >>"$case_results/ifupdown.log" 2>&1; }

# ifupdown has no reload: take the WAN that is not in use down and up instead.
manager_reload() {
  ifdown wan1 >>"$case_results/ifupdown.log" 2>&1
  ifup wan1 >>"$case_results/ifupdown.log" 2>&1
}

manager_restart() { systemctl restart networking.service; }

# wg-quick's rules have no fixed priority: the kernel puts them before the second rule of the list. If wgsteer was there
# first, wg-quick adopts the mark that its device already has, and a table of that number.
comparable() {
  sed 's/^[0-9]*:\t//; s/0x0*ca6c/wg-quick/g; s/0xf0000000/wg-quick/g; s/\b51820$/wg-quick/; s/\b4026531840$/wg-quick/' |
    sed 's/ table \(51820\|4026531840\) / table wg-quick /'
}

case_ifupdown() { through_the_day; }
