# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2034 # for neighbours.sh
#
# systemd-networkd manages both WANs (DHCP, RA) and two tunnels: wg0 as in its manual, with FirewallMark=, RouteTable=
# and rules; wg1 without a mark, which would loop without wgsteer.

# shellcheck source=../neighbours.sh
. /test/neighbours.sh

alone=(wg0)

versions() { networkctl --version | head -n 1; }

tunnel_files() {
  cat >/etc/systemd/network/20-wg0.netdev <<CONF
[NetDev]
Name=wg0
Kind=wireguard
[WireGuard]
PrivateKey=$kRouterKey
FirewallMark=0x8888
RouteTable=1000
[WireGuardPeer]
PublicKey=$(public_key "$kServerKey")
AllowedIPs=0.0.0.0/0
Endpoint=$wg0_endpoint
CONF
  cat >/etc/systemd/network/20-wg0.network <<'CONF'
[Match]
Name=wg0
[Network]
Address=10.99.0.2/24
[RoutingPolicyRule]
Family=ipv4
Table=main
SuppressPrefixLength=0
Priority=9
[RoutingPolicyRule]
Family=ipv4
FirewallMark=0x8888
InvertRule=yes
Table=1000
Priority=10
CONF
  cat >/etc/systemd/network/20-wg1.netdev <<CONF
[NetDev]
Name=wg1
Kind=wireguard
[WireGuard]
PrivateKey=$kSecondRouterKey
RouteTable=main
[WireGuardPeer]
PublicKey=$(public_key "$kSecondServerKey")
AllowedIPs=10.99.1.0/24,::/1,8000::/1
Endpoint=$wg1_endpoint
CONF
  cat >/etc/systemd/network/20-wg1.network <<'CONF'
[Match]
Name=wg1
[Network]
Address=10.99.1.2/24
CONF
  chmod 640 /etc/systemd/network/*.netdev
  chown root:systemd-network /etc/systemd/network/*.netdev
}

manager_up() { networkd_has_wans; }

manager_down() {
  systemctl stop systemd-networkd.socket systemd-networkd.service
  ip link set wan0 down
  ip link set wan1 down
  ip addr flush dev wan0
  ip addr flush dev wan1
}

tunnels_up() {
  tunnel_files
  networkctl reload
}

tunnels_down() {
  rm /etc/systemd/network/20-wg*
  ip link del wg0
  ip link del wg1
  networkctl reload
}

manager_reload() {
  networkctl reload
  networkctl reconfigure wan0 wan1
  settled
}

manager_restart() {
  systemctl restart systemd-networkd.service
  settled
}

# After a restart, networkd first reports that it is up and only later removes its earlier configuration.
settled() { /lib/systemd/systemd-networkd-wait-online --timeout=60 --interface={wan0,wan1}; }

case_networkd() { through_the_day; }
