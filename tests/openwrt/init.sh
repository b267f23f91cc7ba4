#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The init script: its calls to procd, and what start, stop, restart and an upgrade do.

# shellcheck source=tests/openwrt/lib.sh
. "$(dirname "$0")/lib.sh"
makeRoot
cp "$here/../foreign/openwrt/network" "$root/etc/config/network"
netifd 'wan pppoe-wan' 'wan6 pppoe-wan' 'lan br-lan' 'unknown eth9'

service="procd_open_instance
procd_set_param command /usr/sbin/wgsteer run
procd_set_param respawn 3600 1 0
procd_set_param file /etc/config/wgsteer /etc/config/network /etc/config/mwan3 \
/var/run/uci/wgsteer /var/run/uci/network /var/run/uci/mwan3
procd_set_param reload_signal HUP
procd_set_param stderr 1
procd_close_instance
procd_add_reload_trigger wgsteer network mwan3"

inside /etc/rc.common /etc/init.d/wgsteer start
expect "start" "$(told)" "$service"
expect "the mapping" "$(mapping)" "lan br-lan
wan pppoe-wan
wan6 pppoe-wan"

# procd compares the instance and sends the signal; the script updates the mapping first.
netifd 'wan eth1'
inside /etc/rc.common /etc/init.d/wgsteer reload
expect "reload" "$(told)" "$service"
expect "the mapping after a reload" "$(mapping)" "wan eth1"

inside /etc/rc.common /etc/init.d/wgsteer restart
expect "restart" "$(told)" "procd_kill wgsteer 
$service"

inside /etc/rc.common /etc/init.d/wgsteer stop
expect "stop" "$(told)" "procd_kill wgsteer 
wgsteer flush"

# At shutdown the tunnels outlive this service, so they stay steered: no flush.
inside /etc/rc.common /etc/init.d/wgsteer shutdown
expect "shutdown" "$(told)" "procd_kill wgsteer "

inside /etc/rc.common /etc/init.d/wgsteer boot
expect "boot" "$(told)" "$service"

# Without netifd, the mapping still exists, empty: the daemon recognises OpenWrt by it.
rm -rf "$root/var/run/wgsteer" "$root/tmp/netifd"
inside /etc/rc.common /etc/init.d/wgsteer start
expect "start without netifd" "$(told)" "$service"
expect "the mapping without netifd" "$(mapping)" ""
netifd 'wan eth1' 'lan br-lan'
mkdir -p "$root/var/run/uci"
printf "config interface 'wan'\n" > "$root/var/run/uci/network"
inside /etc/rc.common /etc/init.d/wgsteer start
expect "start with another network" "$(told)" "$service"
expect "the mapping with another network" "$(mapping)" "wan eth1"

# The daemon exits during the request.
echo once > "$root/tmp/failures"
inside /etc/rc.common /etc/init.d/wgsteer stop
expect "stop while the daemon exits" "$(told)" "procd_kill wgsteer 
wgsteer flush
wgsteer flush"

inside PKG_UPGRADE=1 /etc/rc.common /etc/init.d/wgsteer stop
expect "stop for an upgrade" "$(told)" "procd_kill wgsteer "
