#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Regenerates the seeds of the fuzz targets for binary input. Run it as root:
`WGSTEER=build/wgsteer unshare --net tests/fuzz/seeds.py`

The seeds for rtnetlink and nf_tables are this kernel's answers in a new namespace, for nf_tables about the table that
wgsteer has created there. The others are synthetic: not every kernel has WireGuard, and conntrack needs traffic.
"""
import os
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


NETLINK_NETFILTER = 12
NFTABLES, INET = 10 << 8, 1
NFT_TABLE, NFT_CHAIN, NFT_RULE, NFT_SET, NFT_SETELEM, NFT_GEN, NFT_OBJ = 1, 4, 7, 10, 13, 16, 19


def dump(message_type, payload, protocol=socket.NETLINK_ROUTE, flags=REQUEST_DUMP):
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as netlink:
        netlink.send(struct.pack("=IHHII", 16 + len(payload), message_type, flags, 1, 0) + payload)
        answer = b""
        while True:
            part = netlink.recv(1 << 16)
            answer += part
            if not flags & 0x300:
                return answer
            # NLMSG_DONE comes last; for IPv4 routes it is in the same datagram as the message before it.
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


def nft_dump(message_type, attributes=b"", flags=REQUEST_DUMP):
    return dump(NFTABLES | message_type, struct.pack("=BBH", INET, 0, 0) + attributes, NETLINK_NETFILTER, flags)


def nft_table():
    # Delete the rtnetlink seeds: they look like our routes but are not, which wgsteer would not tolerate.
    subprocess.run(["ip", "route", "flush", "table", "1464270849"], check=True)
    subprocess.run([os.environ["WGSTEER"], "run", "--once"], check=True)
    for element in ("set inet wgsteer listen_port { 51820 }", "set inet wgsteer tunnel { wg0 }",
                    "map inet wgsteer endpoint4 { 203.0.113.55 . 51820 : goto policy_15 }"):
        subprocess.run(["nft", "add", "element", *element.split()[1:]], check=True)
    of_table = attribute(1, b"wgsteer\0")
    parts = {"table": nft_dump(NFT_TABLE, of_table, 1) + nft_dump(NFT_GEN, b"", 1), "chains": nft_dump(NFT_CHAIN),
             "rules": nft_dump(NFT_RULE, of_table), "sets": nft_dump(NFT_SET, of_table), "counters": nft_dump(NFT_OBJ, of_table)}
    # In the order of SetId, as the target expects.
    names = ["wan", "address4", "address6", "bound4", "bound6", "source4", "source6", "policy_source4", "policy_source6", "endpoint4", "endpoint6",
             "arrival", "listen_port", "tunnel"]
    parts["elements"] = b"".join(nft_dump(NFT_SETELEM, of_table + attribute(2, name.encode() + b"\0")) for name in names)
    return parts


def conntrack_flow():
    nested = 0x8000

    def direction(kind, source, destination, source_port, destination_port):
        addresses = attribute(1, socket.inet_aton(source)) + attribute(2, socket.inet_aton(destination))
        protocol = attribute(1, b"\x11") + attribute(2, struct.pack(">H", source_port))
        protocol += attribute(3, struct.pack(">H", destination_port))
        return attribute(nested | kind, attribute(nested | 1, addresses) + attribute(nested | 2, protocol))

    flow = direction(1, "10.0.0.2", "203.0.113.55", 51820, 51820) + direction(2, "203.0.113.55", "198.51.100.10", 51820, 51820)
    payload = struct.pack("=BBH", socket.AF_INET, 0, 0) + flow + attribute(12, struct.pack(">I", 7))
    payload += attribute(3, struct.pack(">I", 8)) + attribute(7, struct.pack(">I", 600)) + attribute(8, struct.pack(">I", 0x11000007))
    return struct.pack("=IHHII", 16 + len(payload), 1 << 8, 2, 1, 0) + payload


def probe_answers():
    echo = bytes([0, 0, 0, 0, 0x12, 0x34, 0, 1]) + bytes(56)
    header = bytes([0x45]) + bytes(19)
    return {"dns": bytes([0, 0x12, 0x34]) + bytes.fromhex("123481800001000000000000" "0000020001"),
            "echo4": bytes([1, 0x12, 0x34]) + echo, "echo4_raw": bytes([2, 0x12, 0x34]) + header + echo,
            "echo6_raw": bytes([4, 0x12, 0x34, 129]) + echo[1:], "echo6": bytes([3, 0x12, 0x34, 129]) + echo[1:]}


def write(target, inputs):
    (CORPUS / target).mkdir(exist_ok=True)
    for name, content in inputs.items():
        (CORPUS / target / name).write_bytes(content)


def main():
    for line in SETUP.strip().splitlines():
        family = "-6" if "2001:" in line and "inet6" not in line else "-4"
        subprocess.run(["ip", family, *line.split()], check=True)
    write("rtnetlink", {name: dump(kind, struct.pack("=B15x", family))[:6000] for name, kind, family in (
        ("links", GETLINK, 0), ("addresses", GETADDR, 0), ("routes4", GETROUTE, 2), ("routes6", GETROUTE, 10),
        ("rules", GETRULE, 2))})
    write("wireguard", {"device": wireguard_device()})
    write("conntrack", {"flow": conntrack_flow()})
    write("probe", probe_answers())
    write("control", {"status": b'{"version":1,"request":"status"}', "future": b'{"version":2,"request":"status"}',
                      "down": b'{"version":1,"request":"wan","name":"lte","use":"down","reason":"maintenance"}',
                      "unknown": b'{"version":1,"request":"wan","name":"dsl","use":"up"}', "nested": b"[" * 2000})
    write("nft", nft_table())


# Reading this file must not change the network of whoever reads it.
if __name__ == "__main__":
    main()
