# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# OpenWrt's network_get_device, from a file instead of ubus.

network_flush_cache() { echo network_flush_cache > /tmp/flushed; }

# VARIABLE INTERFACE
network_get_device() {
	while read -r interface device; do
		[ "$interface" = "$2" ] || continue
		eval "$1=$device"
		return 0
	done < /tmp/netifd
	return 1
}
