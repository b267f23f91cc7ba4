// SPDX-License-Identifier: GPL-2.0-or-later
// The schema in UCI syntax.
#include <gtest/gtest.h>

#include "config/load.hpp"
#include "config/uci.hpp"
#include "config/write.hpp"

namespace wgsteer::config {
namespace {

constexpr const char* kFile = "/etc/config/wgsteer";

std::string errorOf(std::string_view text) {
  const auto config = loadText(text, kFile);
  return config ? "loads" : config.error().what;
}

constexpr std::string_view kUci = R"(
config globals 'globals'
	option mark_mask '0x0f000000'
	option on_exit 'flush'
	option sysctl 'off'
	list inside_tables '100'
	list inside_tables '0200'
	list inside_prefixes 'fd12::/48'

config wan 'fiber'
	option device 'eth0'
	list track_ip '9.9.9.9'
	list track_ip '2620:fe::fe'
	option interval '2.5'

config wan
	option name 'lte'
	option device 'wwan0'
	option metric '20'
	option metered 'on'
	list prefixes '2001:db8:1::/56'
	option source_routing 'on'
	option deprecate '1'

config policy 'video'
	list use_wan 'fiber'
	list use_wan 'lte:20:1'
	option last_resort 'main'
	option failback 'drain'
	option balance 'source'
	option ipv6 'translate'

config tunnel
	option interface 'wg-home'
	option use_policy 'video'
	option role 'client'

config tunnel 'wg1'
	option use_wan 'lte'
	option enabled '0'

config peer 'any'
	option tunnel 'wg-home'
	option public_key 'xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg='
	option endpoint 'vpn.example.com:51820'
	option use_wan 'lte'

config rule 'tv'
	list src_ip '192.168.5.40'
	list src_ip '!2001:db8::/64'
	option dest_ip '198.51.100.0/24'
	list src_port '1000-2000'
	list dest_port '80'
	list dest_port '443'
	list proto 'tcp'
	list proto '17'
	option family 'any'
	list src_iface 'lan'
	option origin 'forwarded'
	list src_mac '!02:00:5e:00:53:01'
	list dscp 'ef'
	list dscp '10'
	option use_policy 'video'
	option sticky '1'
	option timeout '60'

config rule
	option use_wan 'lte'
	option enabled 'no'

config rule
	option use_wan 'fiber'
	option proto 'all'
)";

#ifdef WGSTEER_TOML
constexpr std::string_view kToml = R"(
[globals]
mark_mask = "0x0f000000"
on_exit = "flush"
sysctl = false
inside_tables = [100, 200]
inside_prefixes = ["fd12::/48"]
[[wan]]
name = "fiber"
device = "eth0"
track_ip = ["9.9.9.9", "2620:fe::fe"]
interval = 2.5
[[wan]]
name = "lte"
device = "wwan0"
metric = 20
metered = true
prefixes = ["2001:db8:1::/56"]
source_routing = true
deprecate = true
[[policy]]
name = "video"
use_wan = ["fiber", "lte:20:1"]
last_resort = "main"
failback = "drain"
balance = "source"
ipv6 = "translate"
[[tunnel]]
interface = "wg-home"
use_policy = "video"
role = "client"
[[tunnel]]
interface = "wg1"
use_wan = ["lte"]
enabled = false
[[peer]]
tunnel = "wg-home"
public_key = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
endpoint = "vpn.example.com:51820"
use_wan = ["lte"]
[[rule]]
name = "tv"
src_ip = ["192.168.5.40", "!2001:db8::/64"]
dest_ip = "198.51.100.0/24"
src_port = "1000-2000"
dest_port = [80, 443]
proto = ["tcp", 17]
family = "any"
src_iface = ["lan"]
origin = "forwarded"
src_mac = "!02:00:5e:00:53:01"
dscp = ["ef", 10]
use_policy = "video"
sticky = true
timeout = 60
[[rule]]
use_wan = "lte"
enabled = false
[[rule]]
use_wan = ["fiber"]
proto = "all"
)";

TEST(UciLoad, IsTheSameConfigurationAsInToml) {
  const auto uci = loadText(kUci, kFile);
  const auto toml = loadText(kToml, "wgsteer.toml");
  ASSERT_TRUE(uci) << uci.error().what;
  ASSERT_TRUE(toml) << toml.error().what;
  EXPECT_EQ(*uci, *toml);
}

TEST(UciLoad, IsTheSameConfigurationWhenItIsWrittenAgain) {
  Problems problems;
  const Sections sections = readUci(kUci, problems);
  ASSERT_TRUE(problems.empty());
  const auto original = loadText(kUci, kFile);
  const auto uci = loadText(toUci(sections), kFile);
  const auto toml = loadText(toToml(sections), "wgsteer.toml");
  ASSERT_TRUE(original && uci && toml) << toToml(sections);
  EXPECT_EQ(*uci, *original);
  EXPECT_EQ(*toml, *original);
}
#endif

TEST(UciLoad, ReadsEverySection) {
  const auto config = loadText(kUci, kFile);
  ASSERT_TRUE(config) << config.error().what;
  EXPECT_EQ(config->numbers.markMask, 0x0f000000U);
  ASSERT_EQ(config->wans.size(), 2U);
  EXPECT_EQ(config->wans[0].name, "fiber");
  EXPECT_EQ(config->wans[0].interval, std::chrono::milliseconds{2500});
  ASSERT_EQ(config->tunnels.size(), 2U);
  EXPECT_EQ(config->tunnels[0].interface, "wg-home");
  EXPECT_EQ(config->tunnels[1].interface, "wg1");
  EXPECT_FALSE(config->tunnels[1].enabled);
  ASSERT_EQ(config->peers.size(), 1U);
  EXPECT_EQ(config->peers[0].policy, "lte");
  EXPECT_EQ(config->insideTables, (std::vector<TableId>{{100}, {200}}));
  EXPECT_TRUE(config->wans[1].metered);
  EXPECT_EQ(config->policies.at(0).failback, Failback::drain);
  EXPECT_EQ(config->policies.at(0).balance, Balance::source);
  ASSERT_EQ(config->rules.size(), 2U);
  EXPECT_EQ(config->rules[0].name, "tv");
  EXPECT_EQ(config->rules[0].sourceMac.none.size(), 1U);
  EXPECT_EQ(config->rules[0].dscp.any, (std::vector<std::uint8_t>{46, 10}));
  EXPECT_EQ(config->rules[1].name, "3");
  EXPECT_EQ(config->rules[1].policy, "fiber");
}

TEST(UciLoad, IsRecognisedByPlaceOrContent) {
  EXPECT_TRUE(loadText("", kFile));
  const auto elsewhere = loadText("# ours\nconfig globals\n\toption force 1\n", "/tmp/wgsteer");
  ASSERT_TRUE(elsewhere) << elsewhere.error().what;
  EXPECT_TRUE(elsewhere->force);
  const auto named = loadText("config globals\n", "wgsteer.toml");
  ASSERT_FALSE(named);
  EXPECT_NE(named.error().what.find("TOML"), std::string::npos) << named.error().what;
}

TEST(UciLoad, ErrorsAreLocated) {
  EXPECT_EQ(errorOf("config wan 'a'\n\toption device 'eth0'\n\toption metrik '3'\n"),
            "/etc/config/wgsteer:3: 'metrik': unknown option of wan, did you mean 'metric'?");
  EXPECT_EQ(errorOf("config wann 'a'\n"), "/etc/config/wgsteer:1: 'wann': unknown section, did you mean 'wan'?");
  EXPECT_EQ(errorOf("config wan 'a'\n\n\tlist device 'eth0'\n"),
            "/etc/config/wgsteer:3: device: is a list, must be a single value");
  EXPECT_EQ(errorOf("config globals\n\toption sysctl 'maybe'\n"),
            "/etc/config/wgsteer:2: sysctl: 'maybe' is neither true nor false");
  EXPECT_EQ(errorOf("config rule 'a'\n\tlist src_ip '192.0.2.1'\n\tlist src_ip '!192.0.2'\n"),
            "/etc/config/wgsteer:1: use_policy: missing: every rule needs use_policy or use_wan\n"
            "/etc/config/wgsteer:3: src_ip: '192.0.2' is neither an address nor a prefix like 192.0.2.0/24 or "
            "2001:db8::/32");
  EXPECT_EQ(errorOf("config rule 'a'\n\toption use_policy 'main'\nconfig rule\n\toption name 'a'\n"
                    "\toption use_policy 'main'\n"),
            "/etc/config/wgsteer:4: name: rule 'a' is already defined on line 1");
  // Only the syntax error is reported: anything else would be a guess.
  EXPECT_EQ(errorOf("config wan 'a'\n\toption device eth0 eth1\nnonsense\n"),
            "/etc/config/wgsteer:2: too many arguments; quote values that contain spaces\n"
            "/etc/config/wgsteer:3: invalid command, allowed: config, option, list");
  EXPECT_EQ(errorOf("config wan 'a'\n\toption device 'eth\xff'\n"),
            "/etc/config/wgsteer:2: not valid UTF-8; a configuration must be plain UTF-8 text");
}

TEST(UciLoad, SecondsAreDecimal) {
  const auto wan = [](const std::string& interval) {
    return "config wan 'a'\n\toption device 'eth0'\n\toption interval '" + interval + "'\n";
  };
  for (const char* good : {"1", "0.5", ".5", "2.", "1e2", "86400"})
    EXPECT_TRUE(loadText(wan(good), "/etc/config/wgsteer")) << good;
  for (const std::string bad : {" 1", "+1", "0x10", "1 ", "1s", "e1", "."})
    EXPECT_EQ(errorOf(wan(bad)), "/etc/config/wgsteer:3: interval: '" + bad + "' is not a number of seconds");
  for (const std::string far : {"0", "-1", "86401", "1e999", "inf", "nan"})
    EXPECT_EQ(errorOf(wan(far)),
              "/etc/config/wgsteer:3: interval: '" + far + "' is out of range, allowed: 0.1..86400 seconds");
}

}  // namespace
}  // namespace wgsteer::config
