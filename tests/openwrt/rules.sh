#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# rules.sh WGSTEER: compares the import's verdict on values in mwan3's rules with that of the real iptables-restore.

# shellcheck source=tests/openwrt/lib.sh
. "$(dirname "$0")/lib.sh"
wgsteer=$1

if [ "${2:-}" != inside ]; then
	user=
	[ "$(id -u)" = 0 ] || user=-r
	# shellcheck disable=SC2086
	unshare $user -n true 2> /dev/null || skip "no namespaces"
	# shellcheck disable=SC2086
	exec unshare $user -n sh "$0" "$(realpath "$wgsteer")" inside
fi
command -v iptables-restore > /dev/null || skip "no iptables"
command -v ip6tables-restore > /dev/null || skip "no ip6tables"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: > "$work/network"
restore() { # FAMILY ARGUMENTS: tests the line that mwan3 would pass to iptables-restore
	case $1 in ipv4) command=iptables-restore ;; *) command=ip6tables-restore ;; esac
	printf '*mangle\n:r -\n-A r %s -j MARK --set-xmark 0x100/0x3f00\nCOMMIT\n' "$2" | $command --test --noflush 2> "$work/why"
}
restore ipv4 '-p udp -m multiport --dports 1' || skip "iptables does not work here: $(head -1 "$work/why")"

cases=0
# FAMILY OPTIONS ARGUMENTS: both must accept the rule with these options, or both must reject it.
agree() {
	{
		printf 'config policy p\nconfig rule r\n\toption use_policy p\n\toption family %s\n' "$1"
		printf '%b' "$2"
	} > "$work/mwan3"
	real=taken
	restore "$1" "$3" || real=refused
	said=taken
	"$wgsteer" import mwan3 "$work/mwan3" --network "$work/network" --to uci > /dev/null 2> "$work/notes"
	! grep -q 'mwan3 then installs no rule of that family at all (' "$work/notes" || said=refused
	[ "$said" = "$real" ] || fail "$2 in $1 is $real by iptables: $(head -1 "$work/why"); the import says: $(cat "$work/notes")"
	cases=$((cases + 1))
}

for proto in all any ALL tcp '!tcp' '! tcp' 'tcp udp' tcpudp UDP 0 17 0x11 017 +17 -1 256 1e3 icmp ipv6-icmp gre esp sctp x; do
	agree ipv4 "\toption proto '$proto'\n" "-p $proto"
done
for ports in 51820 0xca6c 0145154 0 65535 65536 70000 +5 -5 5-6 5:6 6:5 5:5 5: :5 : '!5' '! 5' '5,' ',5' '5,,6' '5 6' 5:6:7 08 \
	1,2,3,4,5,6,7,8,9,10,11,12,13,14,15 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16 \
	1:2,3:4,5:6,7:8,9:10,11:12,13:14,15 1:2,3:4,5:6,7:8,9:10,11:12,13:14,15:16; do
	agree ipv4 "\toption proto udp\n\toption dest_port '$ports'\n" "-p udp -m multiport --dports $ports"
	agree ipv6 "\toption proto tcp\n\toption src_port '$ports'\n" "-p tcp -m multiport --sports $ports"
done
for address in 192.0.2.1 192.0.2.1/24 192.0.2.1/0x18 192.0.2.0/255.255.255.0 0.0.0.1/0.0.0.1 192.0.2.1/33 192.0.2.1/ \
	192.0.2.1/-1 192.0.2.1/24/8 192.0.2.1/255.255 10 10/8 192.168/16 0xa.0.0.1 010.0.0.1 192.0.2.256 192.0.2.1.1 \
	'192.0.2.1,' ',192.0.2.1' '192.0.2.1,,192.0.2.2' 192.0.2.1,192.0.2.2/31 '192.0.2.1 192.0.2.2' '192.0.2.1, 192.0.2.2' \
	'!192.0.2.1' '! 192.0.2.1' any/0 0.0.0.0/0 192.0.2.1/0.0.0.0; do
	agree ipv4 "\toption dest_ip '$address'\n" "-p all -d $address"
done
for address in 2001:db8::1 2001:db8::/32 ::1/0x20 2001:db8::1/ffff:ffff:: ::1/129 ::1/-1 ::/0 any/0 '::1,' '::1,::2' '!::1' \
	'::1 ::2' 2001:db8:0:0:0:0:0:1 2001:db8::g 10 192.168/16; do
	agree ipv6 "\toption src_ip '$address'\n" "-p all -s $address"
done
echo "$cases values"
