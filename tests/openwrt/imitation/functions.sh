# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# OpenWrt's config_load and config_foreach, for interfaces that have names.

config_load() { config_file=/etc/config/$1; }

# FUNCTION TYPE
config_foreach() {
	while read -r keyword type name; do
		[ "$keyword $type" = "config $2" ] || continue
		name=${name#\'}
		"$1" "${name%\'}"
	done < "$config_file"
	return 0
}
