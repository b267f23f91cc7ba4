#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The hotplug script: the mapping follows netifd, and the daemon hears of it when it has changed.

# shellcheck source=tests/openwrt/lib.sh
. "$(dirname "$0")/lib.sh"
makeRoot
cp "$here/../foreign/openwrt/network" "$root/etc/config/network"

# As hotplug-call sources it.
hotplug() {
	inside "$1" 'sh -c "(. /etc/hotplug.d/iface/25-wgsteer)"' || fail "hotplug $1 says $?"
}

netifd 'wan pppoe-wan'
hotplug "ACTION=ifup INTERFACE=wan DEVICE=pppoe-wan"
expect "the first ifup" "$(told)" "wgsteer reload"
expect "its mapping" "$(mapping)" "wan pppoe-wan"

hotplug "ACTION=ifupdate INTERFACE=wan"
expect "an update that changes no device" "$(told)" ""

netifd 'wan pppoe-wan' 'wanb wwan0'
hotplug "ACTION=ifupdate INTERFACE=wanb"
expect "an update that does" "$(told)" "wgsteer reload"

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
expect "what is none of ours" "$(told)" ""

# What a caller has asked netifd before is not what netifd says now.
netifd 'wanb wwan2'
hotplug "__NETWORK_CACHE='wanb wwan0' ACTION=ifupdate INTERFACE=wanb"
expect "an old answer in the environment" "$(told)" "wgsteer reload"
expect "the mapping in spite of it" "$(mapping)" "wanb wwan2"

# Only netifd's word is one: while it does not answer, nothing is known to have changed.
rm "$root/tmp/netifd"
hotplug "ACTION=ifdown INTERFACE=wanb"
expect "netifd does not answer" "$(told)" ""
expect "the mapping meanwhile" "$(mapping)" "wanb wwan2"
: > "$root/tmp/netifd"
hotplug "ACTION=ifdown INTERFACE=wanb"
expect "netifd has no interface up" "$(told)" "wgsteer reload"
expect "the empty mapping" "$(mapping)" ""

# Without a daemon nothing is wrong.
netifd 'wanb wwan1'
echo once > "$root/tmp/failures"
hotplug "ACTION=ifup INTERFACE=wanb"
expect "no daemon" "$(told)" "wgsteer reload"
expect "its mapping" "$(mapping)" "wanb wwan1"

netifd 'wan eth1'
rm "$root/etc/rc.d/S21wgsteer"
hotplug "ACTION=ifup INTERFACE=wan"
expect "a service that is disabled" "$(told)" ""
expect "leftovers" "$(ls "$root/var/run/wgsteer")" "interfaces"
