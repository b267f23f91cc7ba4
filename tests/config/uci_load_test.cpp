// SPDX-License-Identifier: GPL-2.0-or-later
// The schema in UCI syntax.
#include <gtest/gtest.h>

#include "config/load.hpp"

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

config wan 'fiber'
	option device 'eth0'
	list track_ip '9.9.9.9'
	list track_ip '2620:fe::fe'
	option interval '2.5'

config wan
	option name 'lte'
	option device 'wwan0'
	option metric '20'

config policy 'video'
	list use_wan 'fiber'
	list use_wan 'lte:20:1'
	option last_resort 'main'

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
)";

#ifdef WGSTEER_TOML
constexpr std::string_view kToml = R"(
[globals]
mark_mask = "0x0f000000"
on_exit = "flush"
sysctl = false
[[wan]]
name = "fiber"
device = "eth0"
track_ip = ["9.9.9.9", "2620:fe::fe"]
interval = 2.5
[[wan]]
name = "lte"
device = "wwan0"
metric = 20
[[policy]]
name = "video"
use_wan = ["fiber", "lte:20:1"]
last_resort = "main"
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
)";

TEST(UciLoad, IsTheSameConfigurationAsInToml) {
  const auto uci = loadText(kUci, kFile);
  const auto toml = loadText(kToml, "wgsteer.toml");
  ASSERT_TRUE(uci) << uci.error().what;
  ASSERT_TRUE(toml) << toml.error().what;
  EXPECT_EQ(*uci, *toml);
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
