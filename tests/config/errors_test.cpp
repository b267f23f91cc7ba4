// SPDX-License-Identifier: GPL-2.0-or-later
// The table of errors: files, and every message about each.
#include <gtest/gtest.h>

#include "config/load.hpp"

namespace wgsteer::config {
namespace {

using namespace std::string_literals;

struct Case {
  const char* name;
  std::string text;
  std::string expected;  ///< complete; "f:" is the file
};

void PrintTo(const Case& value, std::ostream* out) { *out << value.name; }

std::string globals(const std::string& option) { return "[globals]\n" + option + "\n"; }

/// WANs a (eth0) and b (eth1) on lines 1 to 6.
std::string wans(const std::string& rest) {
  return "[[wan]]\nname = \"a\"\ndevice = \"eth0\"\n[[wan]]\nname = \"b\"\ndevice = \"eth1\"\n" + rest;
}

/// An option of a WAN on line 4.
std::string wan(const std::string& option) { return "[[wan]]\nname = \"a\"\ndevice = \"eth0\"\n" + option + "\n"; }

/// use_wan of a policy on line 9, with WANs a and b.
std::string useWan(const std::string& list) { return wans("[[policy]]\nname = \"p\"\nuse_wan = " + list + "\n"); }

/// An option of a peer on line 4.
std::string peer(const std::string& option) {
  return "[[peer]]\ntunnel = \"wg0\"\npublic_key = \"xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\"\n" + option + "\n";
}

const std::string kGlobalsKnown =
    "known: mark_mask, rule_priority, on_exit, sysctl, force, forward, inside_tables, "
    "inside_prefixes, log_level";
const std::string kMaskAllowed = "allowed: 2 to 16 contiguous bits, like \"0xf0000000\"";
const std::string kGatewayRule = "; two WANs on one device need a gateway that only one of them has";
const std::string kNameRule =
    " is not a valid name: use letters, digits, '_', '-' and '.', at most 32, not starting with '-'";
const std::string kIfRule = " is not an interface name: spaces, '/' and ':' are not allowed";
const std::string kKeyRule = "is not a WireGuard public key: 44 characters of base64, as `wg` shows it";
const std::string kEndpointRule = " is not an endpoint, allowed: host:port or [IPv6]:port, port 1..65535";
const std::string kMembers = ", allowed: WAN, WAN:METRIC or WAN:METRIC:WEIGHT";

const std::vector<Case> kTextCases{
    {"NulByte", "[globals]\n\0"s, "f:2: NUL byte; a configuration must be plain UTF-8 text"},
    {"InvalidUtf8", "# \xff\n", "f:1: not valid UTF-8; a configuration must be plain UTF-8 text"},
    {"CutUtf8", "# \xe2\x82", "f:1: not valid UTF-8; a configuration must be plain UTF-8 text"},
    {"OverlongUtf8", "\n# \xc0\xaf", "f:2: not valid UTF-8; a configuration must be plain UTF-8 text"},
    {"Surrogate", "# \xed\xa0\x80", "f:1: not valid UTF-8; a configuration must be plain UTF-8 text"},
    {"EndlessLine", "#" + std::string(5000, 'x'), "f:1: the line is too long; at most 2048 bytes"},
    {"UnknownSection", "[[wann]]\n", "f:1: 'wann': unknown section, did you mean 'wan'?"},
    {"FarSection", "[[interfaces]]\n",
     "f:1: 'interfaces': unknown section, known: globals, wan, policy, tunnel, peer, rule"},
    {"SingleBrackets", "[wan]\nname = \"a\"\n",
     "f:1: wan: must be written as a section, [[wan]], with its options on the lines below"},
    {"DoubleBrackets", "[[globals]]\n",
     "f:1: globals: must be written as a section, [globals], with its options on the lines below"},
    {"SectionAsValue", "peer = 3\n",
     "f:1: peer: must be written as a section, [[peer]], with its options on the lines below"},
    {"EmptySectionList", "wan = []\n",
     "f:1: wan: must be written as a section, [[wan]], with its options on the lines below"},
    {"BeforeSection", "force = true\n", "f:1: force: appears before any section; move it under [globals]"},
    {"UnknownBefore", "fors = true\n", "f:1: 'fors': unknown option, before any section"},
};

const std::vector<Case> kGlobalsCases{
    {"NearOption", globals("log_levle = \"info\""),
     "f:2: 'log_levle': unknown option of globals, did you mean 'log_level'?"},
    {"FarOption", globals("colour = 1"), "f:2: 'colour': unknown option of globals, " + kGlobalsKnown},
    {"MaskNotNumber", globals("mark_mask = \"0xg\""), "f:2: mark_mask: '0xg' is not a 32-bit number, " + kMaskAllowed},
    {"MaskTooWide", globals("mark_mask = \"0x1f0000000\""),
     "f:2: mark_mask: '0x1f0000000' is not a 32-bit number, " + kMaskAllowed},
    {"MaskNegative", globals("mark_mask = -1"), "f:2: mark_mask: '-1' is not a 32-bit number, " + kMaskAllowed},
    {"MaskHoles", globals("mark_mask = 0x50"), "f:2: mark_mask: 0x50 is not a usable mask, " + kMaskAllowed},
    {"MaskWhole", globals("mark_mask = 0xffffffff"),
     "f:2: mark_mask: 0xffffffff is not a usable mask, " + kMaskAllowed},
    {"MaskEmpty", globals("mark_mask = \"\""), "f:2: mark_mask: is empty, " + kMaskAllowed},
    {"MaskBoolean", globals("mark_mask = true"),
     "f:2: mark_mask: is true or false, must be a string like \"0xf0000000\" or an integer"},
    {"PriorityZero", globals("rule_priority = 0"), "f:2: rule_priority: 0 is out of range, allowed: 1..32104"},
    {"PriorityHigh", globals("rule_priority = 32105"), "f:2: rule_priority: 32105 is out of range, allowed: 1..32104"},
    {"PriorityText", globals("rule_priority = \"60\""), "f:2: rule_priority: is a string, must be an integer"},
    {"PriorityFloat", globals("rule_priority = 60.0"), "f:2: rule_priority: is a number, must be an integer"},
    {"PriorityTable", globals("rule_priority = {}"), "f:2: rule_priority: is a table, must be an integer"},
    {"PriorityDate", globals("rule_priority = 2000-01-01"),
     "f:2: rule_priority: is a date or time, must be an integer"},
    {"PriorityList", globals("rule_priority = [60]"), "f:2: rule_priority: is a list, must be a single value"},
    {"OnExit", globals("on_exit = \"stop\""), "f:2: on_exit: 'stop' is unknown, allowed: keep | flush"},
    {"OnExitEmpty", globals("on_exit = \"\""), "f:2: on_exit: is empty, allowed: keep | flush"},
    {"BoolText", globals("sysctl = \"true\""), "f:2: sysctl: is a string, must be true or false"},
    {"LogLevel", globals("log_level = 3"),
     "f:2: log_level: is an integer, must be a string, allowed: error | warn | info | debug"},
    {"TwoErrors", globals("forse = true\nsysctl = 1"),
     "f:2: 'forse': unknown option of globals, did you mean 'force'?\n"
     "f:3: sysctl: is an integer, must be true or false"},
    {"OneMarkTooFew", globals("mark_mask = 0x3") + wans("[[wan]]\nname = \"c\"\ndevice = \"eth2\"\n"),
     "f:2: mark_mask: 0x3 has 3 marks, but 4 are needed (WANs: 3, policies of more than one WAN: 0, default policy: "
     "1); widen it, for example to 0xff000000"},
    {"InsideMain", globals("inside_tables = 254"), "f:2: inside_tables: the main table (254) is always included"},
    {"InsideLocal", globals("inside_tables = [100,\n255]"),
     "f:3: inside_tables: 255 is a table of the kernel's own, without inside routes"},
    {"InsideDefault", globals("inside_tables = 253"),
     "f:2: inside_tables: 253 is a table of the kernel's own, without inside routes"},
    {"InsideOurs", globals("inside_tables = 0x574701ff"),
     "f:2: inside_tables: 1464271359 is one of wgsteer's own tables"},
    {"InsideZero", globals("inside_tables = 0"),
     "f:2: inside_tables: '0' is not a table, allowed: a number of 1 to 4294967295"},
    {"InsideHigh", globals("inside_tables = 4294967296"),
     "f:2: inside_tables: '4294967296' is not a table, allowed: a number of 1 to 4294967295"},
    {"InsideName", globals("inside_tables = \"lan\""), "f:2: inside_tables: is a string, must be an integer"},
    {"InsidePrefix4", globals("inside_prefixes = \"10.0.0.0/8\""),
     "f:2: inside_prefixes: '10.0.0.0/8' is not a prefix of IPv6 addresses like 2001:db8:1::/56"},
    {"InsidePrefixAll", globals("inside_prefixes = \"::/0\""),
     "f:2: inside_prefixes: '::/0' is not a prefix of IPv6 addresses like 2001:db8:1::/56"},
    {"PrefixesOfALink", wan("prefixes = [\"2001:db8:1::/56\",\n\"fe80::/64\"]"),
     "f:5: prefixes: 'fe80::/64' is not a prefix of IPv6 addresses like 2001:db8:1::/56"},
    {"PrefixesWord", wan("prefixes = \"lan\""),
     "f:4: prefixes: 'lan' is neither an address nor a prefix like 192.0.2.0/24 or 2001:db8::/32"},
    {"SourceRouting", wan("source_routing = 1"), "f:4: source_routing: is an integer, must be true or false"},
    {"Deprecate", wan("deprecate = \"no\""), "f:4: deprecate: is a string, must be true or false"},
    {"Ipv6OfAPolicy", "[[policy]]\nname = \"p\"\nipv6 = \"nat\"\n",
     "f:3: ipv6: 'nat' is unknown, allowed: none | reject | masquerade | translate"},
    {"InsideTwice", globals("inside_tables = [7, 8,\n7]"), "f:3: inside_tables: table '7' is listed twice"},
};

const std::vector<Case> kWanCases{
    {"Empty", "[[wan]]\n", "f:1: name: missing: every wan needs one\nf:1: device: missing: every wan needs one"},
    {"InterfaceAndDevice", "[[wan]]\nname = \"a\"\ninterface = \"wan\"\ndevice = \"eth0\"\n",
     "f:3: interface: cannot be combined with device"},
    {"InterfaceTwice", "[[wan]]\nname = \"a\"\ninterface = \"wan\"\n[[wan]]\nname = \"b\"\ninterface = \"wan\"\n",
     "f:6: interface: a WAN with interface 'wan' is already defined on line 3"},
    {"NameEmpty", "[[wan]]\nname = \"\"\ndevice = \"eth0\"\n", "f:2: name: is empty"},
    {"NameColon", "[[wan]]\nname = \"a:1\"\ndevice = \"eth0\"\n", "f:2: name: 'a:1'" + kNameRule},
    {"NameControl", "[[wan]]\nname = \"a\\u001b[1m\"\ndevice = \"eth0\"\n", "f:2: name: 'a?[1m'" + kNameRule},
    {"DeviceLong", "[[wan]]\nname = \"a\"\ndevice = \"abcdefghijklmnop\"\n",
     "f:3: device: 'abcdefghijklmnop' has more than 15 characters, too long for an interface name"},
    {"DeviceSlash", "[[wan]]\nname = \"a\"\ndevice = \"et/h0\"\n", "f:3: device: 'et/h0'" + kIfRule},
    {"DeviceBlank", "[[wan]]\nname = \"a\"\ndevice = \"eth 0\"\n", "f:3: device: 'eth 0'" + kIfRule},
    {"DeviceDots", "[[wan]]\nname = \"a\"\ndevice = \"..\"\n", "f:3: device: '..'" + kIfRule},
    {"TwiceName", wans("[[wan]]\nname = \"a\"\ndevice = \"eth2\"\n"),
     "f:8: name: WAN 'a' is already defined on line 2"},
    {"TwiceDevice", wans("[[wan]]\nname = \"c\"\ndevice = \"eth1\"\n"),
     "f:9: device: a WAN with device 'eth1' is already defined on line 6" + kGatewayRule},
    {"SameGateway",
     "[[wan]]\nname = \"a\"\ndevice = \"eth0\"\ngateway = \"192.0.2.1\"\n"
     "[[wan]]\nname = \"b\"\ndevice = \"eth0\"\ngateway = [\"2001:db8::1\", \"192.0.2.1\"]\n",
     "f:7: device: a WAN with device 'eth0' is already defined on line 3" + kGatewayRule},
    {"ThirdWithoutAGateway",
     "[[wan]]\nname = \"a\"\ndevice = \"eth0\"\n[[wan]]\nname = \"b\"\ndevice = \"eth0\"\ngateway = \"192.0.2.2\"\n"
     "[[wan]]\nname = \"c\"\ndevice = \"eth0\"\n",
     "f:10: device: a WAN with device 'eth0' is already defined on line 3" + kGatewayRule},
    {"GatewayName", wan("gateway = \"router.lan\""),
     "f:4: gateway: 'router.lan' is neither an IPv4 nor an IPv6 address"},
    {"GatewayPrefix", wan("gateway = \"192.0.2.1/24\""),
     "f:4: gateway: '192.0.2.1/24' is neither an IPv4 nor an IPv6 address"},
    {"GatewayMulticast", wan("gateway = [\n\"192.0.2.1\",\n\"ff02::2\"]"),
     "f:6: gateway: 'ff02::2' cannot be the address of a router"},
    {"GatewayAny", wan("gateway = \"0.0.0.0\""), "f:4: gateway: '0.0.0.0' cannot be the address of a router"},
    {"GatewayTwiceOfOneFamily", wan("gateway = [\"192.0.2.1\", \"fe80::1\",\n\"192.0.2.2\"]"),
     "f:5: gateway: '192.0.2.2' is the second IPv4 address: one of each family; another router is another WAN"},
    {"GatewayNone", wan("gateway = []"), "f:4: gateway: is an empty list, must have at least one entry"},
    {"MetricZero", wan("metric = 0"), "f:4: metric: 0 is out of range, allowed: 1..4294967039"},
    {"MetricHuge", wan("metric = 4294967040"), "f:4: metric: 4294967040 is out of range, allowed: 1..4294967039"},
    {"Weight", wan("weight = 257"), "f:4: weight: 257 is out of range, allowed: 1..256"},
    {"IntervalZero", wan("interval = 0"), "f:4: interval: '0' is out of range, allowed: 0.1..86400 seconds"},
    {"IntervalNan", wan("interval = nan"), "f:4: interval: 'nan' is out of range, allowed: 0.1..86400 seconds"},
    {"TimeoutText", wan("timeout = \"1s\""), "f:4: timeout: is a string, must be a number of seconds"},
    {"DnsName", wan("dns = \"192.0.2.53:5353\""), "f:4: dns: '192.0.2.53:5353' is neither an IPv4 nor an IPv6 address"},
    {"DnsNone", wan("dns = []"), "f:4: dns: is an empty list, must have at least one entry"},
    {"TrackName", wan("track_ip = [\"dns.google\"]"),
     "f:4: track_ip: 'dns.google' is neither an IPv4 nor an IPv6 address (for tcp and dns: or address:port)"},
    {"TrackPort", wan("track_ip = [\"9.9.9.9:53\"]"),
     "f:4: track_ip: '9.9.9.9:53' has a port, which only tcp and dns use"},
    {"TrackNumber", wan("track_ip = [\n1,\n\"9.9.9.9\"]"), "f:5: track_ip: is an integer, must be a string"},
    {"TrackNone", wan("track_ip = []"), "f:4: track_ip: is an empty list, must have at least one entry"},
    {"TrackMissing", wan("track_method = \"dns\""),
     "f:1: track_ip: missing: this track_method needs at least one address"},
    {"TrackMethod", wan("track_method = \"ping\""),
     "f:4: track_method: 'ping' is unknown, allowed: none | icmp | dns | tcp | mwan3"},
    {"Metered", wan("metered = \"yes\""), "f:4: metered: is a string, must be true or false"},
    {"SizeWithoutRoom", wan("size = 15"), "f:4: size: 15 is out of range, allowed: 16..65507"},
    {"TtlZero", wan("max_ttl = 0"), "f:4: max_ttl: 0 is out of range, allowed: 1..255"},
    {"RecoveryLatencyNotBelowFailure", wan("recovery_latency = 1000"),
     "f:4: recovery_latency: 1000 must be less than failure_latency, which is 1000"},
    {"FailureLossNotAboveRecovery", wan("failure_loss = 10"),
     "f:4: recovery_loss: 10 must be less than failure_loss, which is 10"},
    {"Reliability", wan("track_ip = \"9.9.9.9\"\nreliability = 2"),
     "f:5: reliability: 2 is more than the number of addresses in track_ip: 1"},
};

const std::vector<Case> kPolicyCases{
    {"NoName", "[[policy]]\n", "f:1: name: missing: every policy needs one"},
    {"Reserved", "[[policy]]\nname = \"default\"\n",
     "f:2: name: 'default' is reserved for the policy over all WANs that applies where none is named"},
    {"Twice", "[[policy]]\nname = \"p\"\n[[policy]]\nname = \"p\"\n",
     "f:4: name: policy 'p' is already defined on line 2"},
    {"NoList", useWan("[]"), "f:9: use_wan: is an empty list, must have at least one entry"},
    {"EmptyMember", useWan("[\"\"]"), "f:9: use_wan: is empty" + kMembers},
    {"Unknown", useWan("[\"a\", \"c\"]"), "f:9: use_wan: WAN 'c' is not defined"},
    {"Near", "[[wan]]\nname = \"fiber\"\ndevice = \"eth0\"\n[[policy]]\nname = \"p\"\nuse_wan = [\"fibre\"]\n",
     "f:6: use_wan: WAN 'fibre' is not defined, did you mean 'fiber'?"},
    {"MemberTwice", useWan("[\"a\", \"a:2\"]"), "f:9: use_wan: WAN 'a' is listed twice"},
    {"MemberMetric", useWan("[\"a:0\"]"), "f:9: use_wan: metric of 'a:0': 0 is out of range, allowed: 1..4294967039"},
    {"MemberNoMetric", useWan("[\"a:\"]"),
     "f:9: use_wan: metric of 'a:': '' is not an integer, allowed: 1..4294967039"},
    {"MemberWeight", useWan("[\"a:1:257\"]"),
     "f:9: use_wan: weight of 'a:1:257': 257 is out of range, allowed: 1..256"},
    {"MemberParts", useWan("[\"a:1:1:1\"]"), "f:9: use_wan: 'a:1:1:1' has too many parts" + kMembers},
    {"MemberNumber", useWan("[1]"), "f:9: use_wan: is an integer, must be a string" + kMembers},
    {"Failback", "[[policy]]\nname = \"p\"\nfailback = \"never\"\n",
     "f:3: failback: 'never' is unknown, allowed: keep | drain | move"},
    {"Balance", "[[policy]]\nname = \"p\"\nbalance = true\n",
     "f:3: balance: is true or false, must be a string, allowed: connection | pair | source"},
    {"LastResortList", "[[policy]]\nname = \"p\"\nlast_resort = []\n",
     "f:3: last_resort: is a list, must be a single value"},
    {"LastResort", "[[policy]]\nname = \"p\"\nlast_resort = \"default\"\n",
     "f:3: last_resort: 'default' is unknown, allowed: unreachable | main"},
};

const std::vector<Case> kTunnelCases{
    {"NoInterface", "[[tunnel]]\n", "f:1: interface: missing: every tunnel needs one"},
    {"Twice", "[[tunnel]]\ninterface = \"wg0\"\n[[tunnel]]\ninterface = \"wg0\"\n",
     "f:4: interface: tunnel 'wg0' is already defined on line 2"},
    {"IsWan", wans("[[tunnel]]\ninterface = \"eth1\"\n"),
     "f:8: interface: 'eth1' is the device of the WAN on line 6; a tunnel cannot be a WAN"},
    {"UnknownPolicy", "[[policy]]\nname = \"video\"\n[[tunnel]]\ninterface = \"wg0\"\nuse_policy = \"vidoe\"\n",
     "f:5: use_policy: policy 'vidoe' is not defined, did you mean 'video'?"},
    {"Both", wans("[[tunnel]]\ninterface = \"wg0\"\nuse_policy = \"default\"\nuse_wan = [\"a\"]\n"),
     "f:10: use_wan: cannot be combined with use_policy"},
    {"UnknownWan", "[[tunnel]]\ninterface = \"wg0\"\nuse_wan = [\"a\"]\n", "f:3: use_wan: WAN 'a' is not defined"},
    {"Role", "[[tunnel]]\ninterface = \"wg0\"\nrole = \"both\"\n",
     "f:3: role: 'both' is unknown, allowed: auto | client | server"},
    {"Stall", "[[tunnel]]\ninterface = \"wg0\"\nstall = 86401\n",
     "f:3: stall: 86401 is out of range, allowed: 0..86400"},
    {"BalanceOfAServer", "[[tunnel]]\ninterface = \"wg0\"\nrole = \"server\"\nbalance = true\n",
     "f:4: balance: is not for servers: their replies leave by the WAN on which the request came in"},
};

const std::vector<Case> kPeerCases{
    {"Empty", "[[peer]]\n",
     "f:1: tunnel: missing: every peer needs one\nf:1: public_key: missing: every peer needs one"},
    {"Key", "[[peer]]\ntunnel = \"wg0\"\npublic_key = \"aSecretInTheWrongPlace\"\n", "f:3: public_key: " + kKeyRule},
    {"PrivateKey", peer("private_key = \"aSecretInTheWrongPlace\""),
     "f:4: 'private_key': unknown option of peer, known: tunnel, public_key, endpoint, use_policy, use_wan"},
    {"Twice", peer("") + peer(""), "f:7: public_key: this peer of the tunnel is already defined on line 3"},
    {"TunnelIsWan", wan("") + peer(""),
     "f:6: tunnel: 'wg0' is the device of the WAN on line 3; a tunnel cannot be a WAN"},
    {"NoPort", peer("endpoint = \"vpn.example.com\""), "f:4: endpoint: 'vpn.example.com'" + kEndpointRule},
    {"PortZero", peer("endpoint = \"vpn.example.com:0\""), "f:4: endpoint: 'vpn.example.com:0'" + kEndpointRule},
    {"PortHuge", peer("endpoint = \"192.0.2.1:65536\""), "f:4: endpoint: '192.0.2.1:65536'" + kEndpointRule},
    {"BadAddress", peer("endpoint = \"192.0.2.256:1\""), "f:4: endpoint: '192.0.2.256:1'" + kEndpointRule},
    {"NoBrackets", peer("endpoint = \"2001:db8::1:51820\""), "f:4: endpoint: '2001:db8::1:51820'" + kEndpointRule},
    {"NoHost", peer("endpoint = \":51820\""), "f:4: endpoint: ':51820'" + kEndpointRule},
    {"Label", peer("endpoint = \"-a.example.com:1\""), "f:4: endpoint: '-a.example.com:1'" + kEndpointRule},
    {"Both", wan("") + peer("use_wan = [\"a\"]\nuse_policy = \"default\""),
     "f:9: use_wan: cannot be combined with use_policy"},
};

class Errors : public ::testing::TestWithParam<Case> {};

TEST_P(Errors, AreLocatedAndSayWhatIsAllowed) {
  std::string text = GetParam().text;
  // The one case whose WAN has to be the peer's tunnel.
  if (std::string_view{GetParam().name} == "TunnelIsWan") text.replace(text.find("eth0"), 4, "wg0");
  const auto config = loadText(text, "f");
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().kind, ErrorKind::config);
  EXPECT_EQ(config.error().what, GetParam().expected);
}

std::string nameOf(const ::testing::TestParamInfo<Case>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(Text, Errors, ::testing::ValuesIn(kTextCases), nameOf);
INSTANTIATE_TEST_SUITE_P(Globals, Errors, ::testing::ValuesIn(kGlobalsCases), nameOf);
INSTANTIATE_TEST_SUITE_P(Wan, Errors, ::testing::ValuesIn(kWanCases), nameOf);
INSTANTIATE_TEST_SUITE_P(Policy, Errors, ::testing::ValuesIn(kPolicyCases), nameOf);
INSTANTIATE_TEST_SUITE_P(Tunnel, Errors, ::testing::ValuesIn(kTunnelCases), nameOf);
INSTANTIATE_TEST_SUITE_P(Peer, Errors, ::testing::ValuesIn(kPeerCases), nameOf);

TEST(SyntaxErrors, HaveALine) {
  for (const char* text : {"\n[globals\n", "\n[\nglobals]\n", "\nx = 9.\xcf\xbe\n", "\n\xcf\xbe = 1\n",
                           "\nx = f\nlse\n", "\nforce = \n", "\nforce\n", "\n= 1\n", "\nx = \"abc\n"}) {
    const auto config = loadText(text, "f");
    ASSERT_FALSE(config) << text;
    EXPECT_TRUE(config.error().what.starts_with("f:2: is not TOML: ") ||
                config.error().what.starts_with("f:3: is not TOML: "))
        << config.error().what;
  }
}

TEST(SyntaxErrors, AnOptionTwiceIsOne) {
  const auto config = loadText("[globals]\nforce = true\nforce = true\n", "f");
  ASSERT_FALSE(config);
  EXPECT_TRUE(config.error().what.starts_with("f:3: is not TOML: ")) << config.error().what;
}

TEST(ManyErrors, AreNoMoreThanOneReads) {
  std::string text = "[globals]\n";
  for (int i = 0; i < 1000; ++i) text += "x" + std::to_string(i) + " = 1\n";
  const auto config = loadText(text, "f");
  ASSERT_FALSE(config);
  EXPECT_TRUE(config.error().what.ends_with("\nf: and 950 more errors"));
}

TEST(SyntaxErrors, DeepNestingEndsInAnErrorNotInTheStack) {
  std::string dots = "a";
  while (dots.size() + 2 < 2000) dots += ".a";
  for (const std::string& text : {"[globals]\nforce = " + std::string(1000, '['),
                                  "[" + dots + "]\n" + dots + " = {" + dots.substr(0, 900) + " = 1}\n",
                                  "x = " + std::string(400, '[') + std::string(400, ']') + "\n"})
    EXPECT_FALSE(loadText(text, "f"));
}

}  // namespace
}  // namespace wgsteer::config
