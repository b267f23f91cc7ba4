#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes the first inputs of the netlink targets anew: `unshare --net tests/fuzz/seeds.py` (as root).

rtnetlink's are what this kernel answers in a namespace of its own; WireGuard's are put together, for not every kernel has it.
"""
import pathlib
import socket
import struct
import subprocess

CORPUS = pathlib.Path(__file__).parent / "corpus"
SETUP = """
link set lo up
link add wan0 type veth peer name isp0
link set wan0 up
link set isp0 up
addr add 192.0.2.10/24 dev wan0
addr add 10.0.0.1 peer 10.0.0.2 dev wan0
addr add 2001:db8:10::10/64 dev wan0 nodad
route add default via 192.0.2.1 dev wan0 metric 100
route add default via 192.0.2.1 dev wan0 onlink table 1464270849 proto 87
route add 198.51.100.0/24 nexthop via 192.0.2.1 dev wan0 weight 2 nexthop via 192.0.2.2 dev wan0
route add unreachable default table 1464270849 metric 4294967295
route add default via inet6 2001:db8:10::1 dev wan0 metric 300
route add default from 2001:db8:10::/64 via 2001:db8:10::1 dev wan0
rule add priority 60 from 192.0.2.10 fwmark 0xf0000000/0xf0000000 lookup 1464270849 protocol 87
rule add priority 90 iif wan0 ipproto udp dport 51820 lookup main
"""
GETLINK, GETADDR, GETROUTE, GETRULE = 18, 22, 26, 34
REQUEST_DUMP = 0x301


def dump(message_type, family):
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        netlink.send(struct.pack("=IHHII", 32, message_type, REQUEST_DUMP, 1, 0) + struct.pack("=B15x", family))
        answer = b""
        while True:
            part = netlink.recv(1 << 16)
            answer += part
            # NLMSG_DONE comes last, and in IPv4's routes with what is before it.
            kinds, at = [], 0
            while at < len(part):
                length, kind = struct.unpack_from("=IH", part, at)
                kinds.append(kind)
                at += (length + 3) & ~3
            if 3 in kinds or 2 in kinds:
                return answer


def attribute(kind, payload):
    return struct.pack("=HH", 4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


def wireguard_device():
    nested = 0x8000
    allowed = attribute(nested, attribute(1, struct.pack("=H", 2)) + attribute(2, bytes([10, 0, 0, 0])) + attribute(3, b"\x18"))
    allowed += attribute(nested | 1, attribute(1, struct.pack("=H", 10)) + attribute(2, bytes(16)) + attribute(3, b"\0"))
    peer = attribute(1, bytes(range(32))) + attribute(2, bytes(32))
    peer += attribute(4, struct.pack("=HHI8x", 2, socket.htons(51820), 0x377100CB))
    peer += attribute(5, struct.pack("=H", 25)) + attribute(6, struct.pack("=qq", 1700000000, 0))
    peer += attribute(7, struct.pack("=Q", 1000)) + attribute(8, struct.pack("=Q", 2000)) + attribute(nested | 9, allowed)
    device = attribute(1, struct.pack("=I", 5)) + attribute(2, b"wg0\0") + attribute(3, bytes(32)) + attribute(4, bytes(32))
    device += attribute(6, struct.pack("=H", 51820)) + attribute(7, struct.pack("=I", 0xF0000000))
    return device + attribute(nested | 8, attribute(nested, peer))


def main():
    for line in SETUP.strip().splitlines():
        family = "-6" if "2001:" in line and "inet6" not in line else "-4"
        subprocess.run(["ip", family, *line.split()], check=True)
    for name, kind, families in (("links", GETLINK, [0]), ("addresses", GETADDR, [0]), ("routes4", GETROUTE, [2]),
                                 ("routes6", GETROUTE, [10]), ("rules", GETRULE, [2])):
        (CORPUS / "rtnetlink").mkdir(exist_ok=True)
        (CORPUS / "rtnetlink" / name).write_bytes(b"".join(dump(kind, family) for family in families)[:6000])
    (CORPUS / "wireguard").mkdir(exist_ok=True)
    (CORPUS / "wireguard" / "device").write_bytes(wireguard_device())


main()
