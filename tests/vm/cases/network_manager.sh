# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2034 # for neighbours.sh
#
# NetworkManager manages both WANs (own DHCP client, RA) and two tunnels: wg0 with the mark, table and rules that it
# derives from AllowedIPs = 0.0.0.0/0, wg1 with a mark, a table and a rule chosen by the user.

# shellcheck source=../neighbours.sh
. /test/neighbours.sh

alone=(wg0 wg1)

versions() { NetworkManager --version; }

profile() { # NAME, with the text on standard input
  cat >"/etc/NetworkManager/system-connections/$1.nmconnection"
  chmod 600 "/etc/NetworkManager/system-connections/$1.nmconnection"
}

wan_profile() { # WAN
  profile "wan$1" <<CONF
[connection]
id=wan$1
uuid=6d9e7a46-4d3b-4a5f-9d0c-00000000000$1
type=ethernet
interface-name=wan$1
[ipv4]
method=auto
route-metric=$(($1 * 100 + 100))
[ipv6]
method=auto
route-metric=$(($1 * 100 + 100))
CONF
}

tunnel_profiles() {
  profile wg0 <<CONF
[connection]
id=wg0
uuid=6d9e7a46-4d3b-4a5f-9d0c-000000000010
type=wireguard
interface-name=wg0
[wireguard]
private-key=$kRouterKey
[wireguard-peer.$(public_key "$kServerKey")]
endpoint=$wg0_endpoint
allowed-ips=0.0.0.0/0;
[ipv4]
method=manual
address1=10.99.0.2/24
# Without this, the metric depends on earlier connections.
route-metric=50
[ipv6]
method=disabled
CONF
  profile wg1 <<CONF
[connection]
id=wg1
uuid=6d9e7a46-4d3b-4a5f-9d0c-000000000011
type=wireguard
interface-name=wg1
[wireguard]
private-key=$kSecondRouterKey
fwmark=0x5555
ip6-auto-default-route=0
[wireguard-peer.$(public_key "$kSecondServerKey")]
endpoint=$wg1_endpoint
allowed-ips=10.99.1.0/24;::/0;
[ipv4]
method=manual
address1=10.99.1.2/24
route-metric=51
[ipv6]
method=manual
address1=fd99:1::2/64
route-table=200
route-metric=51
routing-rule1=priority 100 not from ::/0 fwmark 0x5555 table 200
CONF
}

manager_up() {
  systemctl stop systemd-networkd.socket systemd-networkd.service
  # By default, a udev rule makes NetworkManager ignore veth devices.
  cat >/etc/NetworkManager/conf.d/test.conf <<'CONF'
[main]
auth-polkit=false
no-auto-default=*
plugins=keyfile
[device-wans]
match-device=interface-name:wan*
managed=1
[connectivity]
enabled=false
CONF
  wan_profile 0
  wan_profile 1
  systemctl start NetworkManager.service
}

# NetworkManager leaves its configuration in place when it ends.
manager_down() {
  nmcli --wait 30 connection down wan0
  nmcli --wait 30 connection down wan1
  systemctl stop NetworkManager.service
}

tunnels_up() {
  tunnel_profiles
  nmcli connection reload
  nmcli --wait 30 connection up wg0
  nmcli --wait 30 connection up wg1
}

tunnels_down() {
  nmcli --wait 30 connection down wg0
  nmcli --wait 30 connection down wg1
}

manager_reload() {
  nmcli general reload
  nmcli connection reload
  nmcli device reapply wan0
  nmcli device reapply wg1
}

manager_restart() { systemctl restart NetworkManager.service; }

case_network_manager() { through_the_day; }
