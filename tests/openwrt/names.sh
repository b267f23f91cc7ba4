#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# names.sh WGSTEER: with the real binary, WANs by netifd's names, and mwan3's WANs if none are configured.

# shellcheck source=tests/openwrt/lib.sh
. "$(dirname "$0")/lib.sh"
wgsteer=$1
samples=$here/../foreign/openwrt

# Re-executes in a mount namespace, so that files can be at their real paths, and in a network namespace.
if [ "${2:-}" != inside ]; then
	user=
	[ "$(id -u)" = 0 ] || user=-r
	# shellcheck disable=SC2086
	unshare $user -m -n true 2> /dev/null || skip "no namespaces"
	# shellcheck disable=SC2086
	exec unshare $user -m -n sh "$0" "$(realpath "$wgsteer")" inside
fi
command -v python3 > /dev/null || skip "no python3"
libraries=$(mktemp -d)
cp /etc/ld.so.cache "$libraries/"
mount -t tmpfs none /etc
mount -t tmpfs none /run
cp "$libraries/ld.so.cache" /etc/
rm -r "$libraries"
[ "$(realpath /var/run)" = /run ] || skip "/var/run is not /run"
mkdir -p /etc/config /run/wgsteer

# Prints NAME=DEVICE for each WAN.
wans() {
	"$wgsteer" status --json "$@" | python3 -c '
import json, sys
print(" ".join(wan["name"] + "=" + wan["device"] for wan in json.load(sys.stdin)["wans"]))'
}

cp "$samples/imported" /etc/config/wgsteer
expect "without netifd" "$(wans -c /etc/config/wgsteer)" "wanb= wan="
printf 'wan pppoe-wan\nwan6 pppoe-wan\n' > /run/wgsteer/interfaces
expect "one of two up" "$(wans -c /etc/config/wgsteer)" "wanb= wan=pppoe-wan"
printf 'wan eth1\nwanb wwan0\n' > /run/wgsteer/interfaces
expect "both up, on other devices" "$(wans -c /etc/config/wgsteer)" "wanb=wwan0 wan=eth1"

# Without a wgsteer configuration.
cp "$samples/mwan3" "$samples/network" /etc/config/
echo "config globals 'globals'" > /etc/config/wgsteer
expect "mwan3's WANs" "$(wans -c /etc/config/wgsteer)" "wanb=wwan0 wan=eth1"
rm /etc/config/mwan3
expect "no WANs" "$(wans -c /etc/config/wgsteer)" ""
cp "$samples/imported" /etc/config/wgsteer
rm /run/wgsteer/interfaces
case "$("$wgsteer" check -c /etc/config/wgsteer)" in
	*"WAN wan: its interface has no device of its own at present"*) ;;
	*) fail "check does not say that an interface has no device" ;;
esac
