# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# OpenWrt's config_load and config_foreach (package/base-files/files/lib/functions.sh) for files written by uci:
# /var/run/uci takes precedence, a missing file has no sections, and sections without a name get one.

config_load() {
	config_file=/var/run/uci/$1
	[ -e "$config_file" ] || config_file=/etc/config/$1
	[ -e "$config_file" ]
}

# FUNCTION TYPE
config_foreach() {
	[ -e "$config_file" ] || return 0
	number=0
	while read -r keyword type name; do
		[ "$keyword" = config ] || continue
		number=$((number + 1))
		[ "$type" = "$2" ] || continue
		name=${name#\'}
		name=${name%\'}
		"$1" "${name:-cfg$number}"
	done < "$config_file"
	return 0
}
