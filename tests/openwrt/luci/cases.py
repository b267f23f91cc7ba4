# SPDX-License-Identifier: GPL-2.0-or-later
"""Configurations that both the page and the daemon validate."""

KEY = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="

BASE = [
    {".type": "globals", ".name": "globals"},
    {".type": "wan", ".name": "fiber", "interface": "wan"},
    {".type": "wan", ".name": "lte", "device": "eth1"},
    {".type": "policy", ".name": "video", "use_wan": ["fiber"]},
    {".type": "tunnel", ".name": "cfg05", ".anonymous": True, "interface": "wg0"},
    {".type": "peer", ".name": "cfg06", ".anonymous": True, "tunnel": "wg0", "public_key": KEY},
]
# For each type, the section whose options are changed.
SUBJECT = {"globals": "globals", "wan": "lte", "policy": "video", "tunnel": "cfg05", "peer": "cfg06"}

NAMES = ["a", "a.b", "a_b-c", "-a", "a b", "x" * 32, "x" * 33, "ä", "a/b", "fiber", "video", "default", "wan", "main", "unreachable", "blackhole"]
DEVICES = ["eth1", "eth2", "pppoe-wan", "a b", "x" * 15, "x" * 16, "ä", "à", ".", "..", "a:b", "a/b", "a%b", "wan"]
ADDRESSES = [
    "9.9.9.9", "9.9.9", "9.9.9.256", "09.9.9.9", "2620:fe::fe", "::", "2620:fe::fe::1", "::ffff:192.0.2.1", "2620:fe", "1:2:3:4:5:6:7:8",
    "1:2:3:4:5:6:7:8:9", "12345::", "fe80::1%eth0", "9.9.9.0/24", "dns.quad9.net", "9.9.9.9:53", "9.9.9.9:0", "9.9.9.9:65536",
    "[2620:fe::fe]:53", "[2620:fe::fe]", "[9.9.9.9]:53",
]
ROUTERS = ["127.0.0.1", "0.0.0.0", "0.0.0.1", "224.0.0.2", "239.255.255.255", "240.0.0.1", "255.255.255.255", "::1", "::2", "ff02::2", "fe80::1"]
ENDPOINTS = [
    "vpn.example.com:51820", "vpn.example.com", "vpn.example.com:0", "vpn.example.com:65536", "vpn.example.com.:1", "-a.example:1",
    "a-.example:1", "a..b:1", "a_b:1", "192.0.2.1:51820", "192.0.2.1", "192.0.2.300:1", "[2001:db8::1]:51820", "2001:db8::1:51820",
    "[2001:db8::1]", "[vpn]:1", "a b:1", "x" * 63 + ".de:1", "x" * 64 + ".de:1", ":1", "1:1", "a.1:1", "a:+1",
]
MEMBERS = [
    ["fiber"], ["lte:1"], ["lte:1:1"], ["lte:0"], ["lte:4294967039"], ["lte:4294967040"], ["lte:1:256"], ["lte:1:257"], ["lte:1:1:1"], ["nix"], ["fiber", "lte"],
    ["lte", "lte:2"], ["lte:"], ["lte:x"], ["fiber lte"], ["-"], ["lte:4294967295"], ["lte:99999999999"],
]
MASKS = [
    "0xf0000000", "0xF000", "0x3f00", "16128", "0x1", "0x5000", "0x0", "0", "0x100000000", "0xffff0000", "0x1ffff", "f000", "0x", "-1",
    "0xf000000g",
]
TABLES = [
    ["1"], ["0"], ["252"], ["253"], ["254"], ["255"], ["256"], ["4294967295"], ["4294967296"], ["1464270847"], ["1464270848"], ["1464271359"],
    ["1464271360"], ["100", "200"], ["100", "0100"], ["lan"], ["-1"], ["0x64"], ["1.5"],
]
PREFIXES = [[each] for each in (
    "2001:db8:1::/56", "2001:db8::1", "2001:db8:1::/129", "2001:db8:1::/0", "::/0", "::", "::/8", "::1", "::2", "fd00::/8", "fe80::/10", "fe80::1/64",
    "febf::/16", "fec0::/10", "ff02::/16", "192.0.2.0/24", "2001:db8::/56/1", "2001:db8:1/56", "2001:db8::/x", "2001:db8::/", "2001:db8::/056", "lan")
] + [["2001:db8:1::/56", "fd12::/48"], ["2001:db8:1::/56", "10.0.0.0/8"]]
KEYS = [KEY, KEY[:-1], KEY[:-2] + "h=", KEY[:-1] + "A", "a" + KEY, "x"]
SWITCHES = ["1", "0", "yes", "no", "on", "off", "true", "false", "enabled", "disabled"]

TEXTS = {
    ("globals", "mark_mask"): MASKS,
    ("globals", "inside_tables"): TABLES,
    ("globals", "inside_prefixes"): PREFIXES,
    ("wan", "prefixes"): PREFIXES,
    ("wan", "name"): NAMES,
    ("wan", "device"): DEVICES,
    ("wan", "track_ip"): [[each] for each in ADDRESSES] + [["9.9.9.9", "2620:fe::fe"]],
    ("wan", "gateway"): [[each] for each in ADDRESSES + ROUTERS] + [["192.0.2.1", "fe80::1"], ["192.0.2.1", "192.0.2.2"]],
    ("wan", "dns"): [[each] for each in ADDRESSES] + [["9.9.9.9", "2620:fe::fe"]],
    ("policy", "name"): NAMES,
    ("policy", "use_wan"): MEMBERS,
    ("tunnel", "interface"): DEVICES,
    ("tunnel", "use_policy"): ["video", "default", "nix", "-"],
    ("tunnel", "use_wan"): MEMBERS,
    ("peer", "tunnel"): DEVICES,
    ("peer", "public_key"): KEYS,
    ("peer", "endpoint"): ENDPOINTS,
    ("peer", "use_policy"): ["video", "default", "nix", "-"],
    ("peer", "use_wan"): MEMBERS,
}

# (type, changes to its section, options of a second section of the same type)
TWICE = [
    ("wan", {}, {"device": "eth1"}),
    ("wan", {}, {"device": "eth2"}),
    ("wan", {"gateway": ["192.0.2.1"]}, {"device": "eth1"}),
    ("wan", {}, {"device": "eth1", "gateway": ["192.0.2.1"]}),
    ("wan", {"gateway": ["192.0.2.1"]}, {"device": "eth1", "gateway": ["192.0.2.1"]}),
    ("wan", {"gateway": ["192.0.2.1"]}, {"device": "eth1", "gateway": ["192.0.2.2"]}),
    ("wan", {"gateway": ["192.0.2.1", "fe80::1"]}, {"device": "eth1", "gateway": ["192.0.2.2", "fe80::1"]}),
    ("wan", {"gateway": ["192.0.2.1"]}, {"device": "eth1", "gateway": ["fe80::1"]}),
    ("wan", {"device": None, "interface": "wwan"}, {"interface": "wwan"}),
    ("wan", {"name": "dsl"}, {".name": "dsl", ".anonymous": False, "device": "eth2"}),
    ("policy", {"name": "night"}, {"name": "night"}),
    ("tunnel", {}, {"interface": "wg0"}),
    ("tunnel", {}, {".name": "wg0", ".anonymous": False}),
    ("tunnel", {}, {"interface": "wg1"}),
    ("peer", {}, {"tunnel": "wg0", "public_key": KEY}),
    ("peer", {}, {"tunnel": "wg1", "public_key": KEY}),
]

# Several options at once; None removes one.
TOGETHER = [
    ("wan", {"device": None}),
    *[("wan", {"device": None, "interface": name}) for name in NAMES],
    ("wan", {"interface": "wwan"}),
    ("wan", {"track_method": "tcp", "track_ip": ["9.9.9.9:443"]}),
    ("wan", {"track_method": "dns", "track_ip": ["[2620:fe::fe]:53"]}),
    ("wan", {"track_method": "icmp", "track_ip": ["9.9.9.9:443"]}),
    ("wan", {"track_method": "none", "track_ip": ["9.9.9.9"]}),
    ("wan", {"track_method": "mwan3", "track_ip": ["9.9.9.9"]}),
    *[("wan", {"track_method": method, "track_ip": ["9.9.9.9"]}) for method in ("icmp", "dns", "tcp")],
    ("wan", {"reliability": "2", "track_ip": ["9.9.9.9"]}),
    ("wan", {"reliability": "2", "track_ip": ["9.9.9.9", "2620:fe::fe"]}),
    ("wan", {"recovery_latency": "100", "failure_latency": "100"}),
    ("wan", {"recovery_latency": "100", "failure_latency": "101"}),
    ("wan", {"recovery_loss": "50"}),
    ("wan", {"recovery_loss": "50", "failure_loss": "60"}),
    ("tunnel", {"interface": None}),
    ("tunnel", {"use_policy": "video", "use_wan": ["lte"]}),
    ("tunnel", {"balance": "1", "role": "server"}),
    ("tunnel", {"balance": "1", "role": "client"}),
    ("tunnel", {"balance": "yes", "role": "server"}),
    ("peer", {"use_policy": "video", "use_wan": ["lte"]}),
    ("peer", {"tunnel": None}),
    ("peer", {"public_key": None}),
]

# Every kind of option once, in spellings that the widgets do not use.
RICH = [
    {".type": "globals", ".name": "globals", "mark_mask": "0xff000000", "rule_priority": "70", "on_exit": "flush", "sysctl": "off",
     "force": "yes", "log_level": "debug", "inside_tables": ["100", "200"], "inside_prefixes": ["fd12::/48"]},
    {".type": "wan", ".name": "fiber", "interface": "wan", "gateway": ["192.0.2.1", "fe80::1"], "metric": "10", "weight": "2", "track_ip": ["9.9.9.9:443"],
     "track_method": "tcp", "interval": "0.5", "timeout": "0.25", "check_quality": "true", "keep_failure_interval": "no"},
    {".type": "wan", ".name": "cfg03", ".anonymous": True, "name": "lte.one", "device": "wwan0", "failure_latency": "600", "metered": "on",
     "prefixes": ["2001:db8:1::/56"], "source_routing": "yes", "deprecate": "1"},
    {".type": "policy", ".name": "video", "use_wan": ["fiber:1:2", "lte.one"], "last_resort": "main", "failback": "drain",
     "drain_after": "90", "reset": "on", "balance": "pair", "ipv6": "translate"},
    {".type": "tunnel", ".name": "wg0", "use_policy": "video", "stall": "30", "enabled": "disabled", "update_endpoint": "enabled"},
    {".type": "tunnel", ".name": "cfg06", ".anonymous": True, "interface": "wg-b", "use_wan": ["lte.one"], "balance": "on"},
    {".type": "peer", ".name": "cfg07", ".anonymous": True, "tunnel": "wg0", "public_key": KEY, "endpoint": "vpn.example.com:1",
     "use_wan": ["lte.one"]},
]


def values(type_, name, option):
    if option["choices"]:
        return option["choices"]
    if option["boolean"]:
        return SWITCHES
    if option["low"] is not None:
        low, high = option["low"], int(option["high"])
        below = "0.05" if "." in low else str(int(low) - 1)
        return [below, low, str(high), str(high + 1), "x", "2.5", "-3", "1 2"]
    return TEXTS.get((type_, name), [])


def replaced(type_, options):
    sections = [dict(section) for section in BASE]
    subject = next(section for section in sections if section[".name"] == SUBJECT[type_])
    for name, value in options.items():
        subject.pop(name, None)
        if value is not None:
            subject[name] = value
    return sections


def verdicts(daemon, schema):
    cases = [(type_, {name: value}) for type_, options in schema.items() for name, option in options.items()
             for value in values(type_, name, option)]
    found = []
    cases = [(type_, options, None) for type_, options in cases + TOGETHER] + TWICE
    for type_, options, beside in cases:
        stored = replaced(type_, options)
        if beside is not None:
            # A WAN needs a name, which does not matter here.
            name = {"name": "another"} if type_ == "wan" and ".name" not in beside else {}
            stored.append({".type": type_, ".name": "cfg99", ".anonymous": True, **name, **beside})
        complaints = daemon.complaints(stored)
        found.append({"type": type_, "id": SUBJECT[type_], "stored": stored, "accepted": not complaints, "why": "; ".join(complaints)})
    return found
