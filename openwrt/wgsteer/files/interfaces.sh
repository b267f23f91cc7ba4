# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# Writes the current device of each netifd interface to a file, for `interface` of a WAN and `src_iface` of a rule.

# Parts of OpenWrt; they exist when this is used.
# shellcheck source=/dev/null
. /lib/functions.sh
# shellcheck source=/dev/null
. /lib/functions/network.sh

WGSTEER_INTERFACES=/var/run/wgsteer/interfaces

wgsteer_print_interface() {
	# Assigned by network_get_device.
	local device=
	network_get_device device "$1" || return 0
	[ -z "$device" ] || echo "$1 $device"
}

# True if it has changed.
wgsteer_write_interfaces() {
	local new="$WGSTEER_INTERFACES.$$"
	mkdir -p "${WGSTEER_INTERFACES%/*}"
	network_flush_cache
	config_load network
	config_foreach wgsteer_print_interface interface > "$new"
	# If netifd does not answer, that says nothing about its interfaces.
	if [ ! -s "$new" ] && [ -e "$WGSTEER_INTERFACES" ] && ! ubus call network.interface dump > /dev/null 2>&1; then
		rm -f "$new"
		return 1
	fi
	if [ -e "$WGSTEER_INTERFACES" ] && [ "$(cat "$new")" = "$(cat "$WGSTEER_INTERFACES")" ]; then
		rm -f "$new"
		return 1
	fi
	# Atomically: a reader gets the old or the new file.
	mv "$new" "$WGSTEER_INTERFACES"
}
