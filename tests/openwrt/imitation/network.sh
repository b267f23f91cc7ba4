# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# OpenWrt's network_get_device: it queries netifd once and exports the answer, so that child processes use it, too,
# until the cache is flushed. Without a device, the variable is unset.

network_flush_cache() { unset __NETWORK_CACHE; }

# VARIABLE INTERFACE
network_get_device() {
	if [ -z "$__NETWORK_CACHE" ]; then
		said=$(ubus call network.interface dump 2> /dev/null) && export __NETWORK_CACHE="$said"
	fi
	found=$(printf '%s\n' "$__NETWORK_CACHE" | sed -n "s/^$2 //p")
	if [ -z "$found" ]; then
		unset "$1"
		return 1
	fi
	eval "$1=\$found"
}
