# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
# A root folder with busybox, the package's files, and imitations of OpenWrt's interfaces: rc.common's dispatch, the
# shell functions of procd and netifd, and a wgsteer that logs its calls.

set -eu
here=$(cd "$(dirname "$0")" && pwd)
files=$(cd "$here/../../openwrt/wgsteer/files" && pwd)

skip() {
	echo "skipped: $*"
	[ "${CI:-}" != true ] || exit 1
	exit 77
}

fail() {
	echo "FAILED: $*" >&2
	exit 1
}

# WHAT ACTUAL EXPECTED
expect() {
	[ "$2" = "$3" ] || fail "$1: expected
$3
but it is
$2"
}

put() {
	mkdir -p "$(dirname "$root/$2")"
	cp "$1" "$root/$2"
	chmod "${3:-644}" "$root/$2"
}

makeRoot() {
	command -v busybox > /dev/null || skip "no busybox"
	root=$(mktemp -d)
	trap 'rm -rf "$root"' EXIT
	mkdir -p "$root/bin" "$root/tmp" "$root/var/run" "$root/etc/config" "$root/lib/functions" "$root/usr/sbin" "$root/dev"
	: > "$root/dev/null"
	cp "$(command -v busybox)" "$root/bin/busybox"
	for applet in sh cat mkdir mv rm basename sed tr; do ln -s busybox "$root/bin/$applet"; done
	inside true 2> /dev/null || skip "no chroot in a user namespace, or busybox is not static"
	put "$here/imitation/rc.common" etc/rc.common 755
	put "$here/imitation/functions.sh" lib/functions.sh
	put "$here/imitation/network.sh" lib/functions/network.sh
	put "$here/imitation/ubus" bin/ubus 755
	put "$here/imitation/wgsteer" usr/sbin/wgsteer 755
	put "$files/wgsteer.init" etc/init.d/wgsteer 755
	mkdir -p "$root/etc/rc.d"
	ln -s ../init.d/wgsteer "$root/etc/rc.d/S21wgsteer"
	put "$files/wgsteer.hotplug" etc/hotplug.d/iface/25-wgsteer
	put "$files/interfaces.sh" usr/lib/wgsteer/interfaces.sh
	put "$files/wgsteer.rpcd" usr/libexec/rpcd/wgsteer 755
	put "$files/wgsteer.config" etc/config/wgsteer
}

# Runs a command with busybox's shell in that root.
inside() {
	if [ "$(id -u)" = 0 ]; then
		env -i PATH=/usr/sbin:/bin chroot "$root" /bin/busybox ash -c "$*"
	else
		env -i PATH=/usr/sbin:/bin:"$PATH" unshare -r chroot "$root" /bin/busybox ash -c "PATH=/usr/sbin:/bin; $*"
	fi
}

# Prints and clears the log of the imitations.
told() {
	if [ -e "$root/tmp/log" ]; then cat "$root/tmp/log"; fi
	rm -f "$root/tmp/log"
}

# PACKAGE VARIABLE: the variable's value in the package's Makefile, with OpenWrt's includes replaced by empty files.
made() {
	command -v make > /dev/null || skip "no make"
	top=$(mktemp -d)
	mkdir -p "$top/include" "$top/feeds/luci"
	touch "$top/rules.mk" "$top/include/package.mk" "$top/include/cmake.mk" "$top/feeds/luci/luci.mk"
	# shellcheck disable=SC2016
	make -s --no-print-directory -C "$here/../../openwrt/$1" "TOPDIR=$top" "INCLUDE_DIR=$top/include" --eval 'made: ; $(info $($(VARIABLE)))' \
		"VARIABLE=$2" made || fail "make rejects the Makefile of $1"
	rm -r "$top"
}

# INTERFACE-AND-DEVICE...: sets netifd's interfaces that are up, such as "wan eth1".
netifd() {
	printf '%s\n' "$@" > "$root/tmp/netifd"
}

mapping() {
	cat "$root/var/run/wgsteer/interfaces"
}
