#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The hotplug script: it updates the mapping from netifd and reloads the daemon after a change.

# shellcheck source=tests/openwrt/lib.sh
. "$(dirname "$0")/lib.sh"
makeRoot
cp "$here/../foreign/openwrt/network" "$root/etc/config/network"

# Sources the script like hotplug-call.
hotplug() {
	inside "$1" 'sh -c "(. /etc/hotplug.d/iface/25-wgsteer)"' || fail "hotplug $1: exit status $?"
}

netifd 'wan pppoe-wan'
hotplug "ACTION=ifup INTERFACE=wan DEVICE=pppoe-wan"
expect "the first ifup" "$(told)" "wgsteer reload"
expect "the mapping after the first ifup" "$(mapping)" "wan pppoe-wan"

hotplug "ACTION=ifupdate INTERFACE=wan"
expect "an update that changes no device" "$(told)" ""

netifd 'wan pppoe-wan' 'wanb wwan0'
hotplug "ACTION=ifupdate INTERFACE=wanb"
expect "an update that changes a device" "$(told)" "wgsteer reload"

netifd 'wanb wwan0'
hotplug "ACTION=ifdown INTERFACE=wan"
expect "ifdown" "$(told)" "wgsteer reload"
expect "the mapping after ifdown" "$(mapping)" "wanb wwan0"

hotplug "ACTION=disconnected INTERFACE=wanb DEVICE=wwan0"
expect "mwan3 found it dead" "$(told)" "wgsteer reload"
hotplug "ACTION=connected INTERFACE=wanb DEVICE=wwan0"
expect "mwan3 found it alive" "$(told)" "wgsteer reload"
hotplug "ACTION=connecting INTERFACE=wanb DEVICE=wwan0"
hotplug "ACTION=ifup-failed INTERFACE=wan"
expect "irrelevant actions" "$(told)" ""

# An answer of netifd that the caller has cached must not be used.
netifd 'wanb wwan2'
hotplug "__NETWORK_CACHE='wanb wwan0' ACTION=ifupdate INTERFACE=wanb"
expect "a cached answer in the environment" "$(told)" "wgsteer reload"
expect "the mapping in spite of the cache" "$(mapping)" "wanb wwan2"

# While netifd does not answer, the mapping must not change.
rm "$root/tmp/netifd"
hotplug "ACTION=ifdown INTERFACE=wanb"
expect "netifd does not answer" "$(told)" ""
expect "the mapping without an answer" "$(mapping)" "wanb wwan2"
: > "$root/tmp/netifd"
hotplug "ACTION=ifdown INTERFACE=wanb"
expect "netifd has no interface up" "$(told)" "wgsteer reload"
expect "the empty mapping" "$(mapping)" ""

# A missing daemon is not an error.
netifd 'wanb wwan1'
echo once > "$root/tmp/failures"
hotplug "ACTION=ifup INTERFACE=wanb"
expect "no daemon" "$(told)" "wgsteer reload"
expect "the mapping without a daemon" "$(mapping)" "wanb wwan1"

netifd 'wan eth1'
rm "$root/etc/rc.d/S21wgsteer"
hotplug "ACTION=ifup INTERFACE=wan"
expect "a disabled service" "$(told)" ""
expect "files in /var/run/wgsteer" "$(ls "$root/var/run/wgsteer")" "interfaces"
